"""HTML of notebooks and reports: sentences, histogram, counts, tiles, tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from bunny.view import style

WIDTH_PX, HEIGHT_PX = 640, 120
AXIS_PX = 18
NO_MATHS = "mathjax_ignore tex2jax_ignore"  # class: Jupyter reads no formula between two $
TONE = {"good": style.GOOD, "bad": style.BAD, "plain": style.QUIET, "": style.QUIET}


@dataclass(frozen=True, repr=False)
class Note:
    """Sentences of a notebook's cell: escaped HTML on a page, plain text elsewhere."""

    sentences: Sequence[str]
    is_list: bool = False

    def __repr__(self) -> str:
        return "\n".join(f"- {one}" if self.is_list else one for one in self.sentences)

    def _repr_html_(self) -> str:
        tag = "li" if self.is_list else "p"
        text = "".join(f"<{tag}>{sentence(one)}</{tag}>" for one in self.sentences)
        outer = "ul" if self.is_list else "div"
        return f'<{outer} class="{NO_MATHS}">{text}</{outer}>'


def sentence(text: str) -> str:
    """Escape a sentence; its commands, which stand between backticks, are set as code.

    Examples
    --------
    >>> sentence("run `bunny run FILM` of <b>")
    'run <code>bunny run FILM</code> of &lt;b&gt;'
    """
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def histogram(
    values: Sequence[float] | np.ndarray,
    threshold: float,
    *,
    low: float,
    high: float,
    axis: str,
    bins: int = 50,
) -> str:
    """Draw a histogram with a threshold line as inline SVG, fast enough for a slider.

    Of 200,000 values it takes 4 ms of processor time; `plot.film.plot_blur`, for reports, 0.9 s.

    Parameters
    ----------
    values : sequence of float
        Those outside [low, high] are counted in the outermost bars.
    threshold : float
        Bars whose middle lies below it have the other colour.
    axis : str
        What the values are, with their unit.
    """
    clipped = np.clip(np.asarray(values, dtype=np.float64), low, high)
    counts, edges = np.histogram(clipped, bins=bins, range=(low, high))
    top = max(1, int(counts.max(initial=0)))
    bars = "".join(
        _bar(float(edges[i]), float(edges[i + 1]), int(n), top, threshold, low, high)
        for i, n in enumerate(counts)
        if n
    )
    x = WIDTH_PX * (min(max(threshold, low), high) - low) / (high - low)
    below = int((np.asarray(values) < threshold).sum())
    label = f"{axis}: {below} of {len(values)} below {threshold:.3g}"
    return (
        f'<svg viewBox="0 0 {WIDTH_PX} {HEIGHT_PX + AXIS_PX}" width="{WIDTH_PX}" role="img" '
        f'aria-label="{escape(label)}" '
        'style="display:block;margin:6px 0 16px;max-width:100%;font:11px sans-serif">'
        f"{bars}<line x1='{x:.1f}' x2='{x:.1f}' y1='0' y2='{HEIGHT_PX}' stroke='currentColor' "
        f"stroke-dasharray='4 3'/><line x1='0' x2='{WIDTH_PX}' y1='{HEIGHT_PX}' "
        f"y2='{HEIGHT_PX}' stroke='{style.QUIET}'/>"
        f"<text x='0' y='{HEIGHT_PX + 13}' fill='currentColor'>{low:g}</text>"
        f"<text x='{WIDTH_PX / 2}' y='{HEIGHT_PX + 13}' text-anchor='middle' fill='currentColor'>"
        f"{escape(label)}</text><text x='{WIDTH_PX}' y='{HEIGHT_PX + 13}' text-anchor='end' "
        f"fill='currentColor'>{high:g}</text></svg>"
    )


def counts(numbers: Mapping[str, int]) -> str:
    """Write counts on one line, the first in bold."""
    words = [f"{escape(name)}: {number}" for name, number in numbers.items()]
    if not words:
        return "<p>no rows</p>"
    return f"<p><b>{words[0]}</b>{''.join(f' · {w}' for w in words[1:])}</p>"


def change(before: int, after: int) -> str:
    """Write a count, what it was before in front of it where it differs.

    Examples
    --------
    >>> change(2, 2), change(2, 1)
    ('2', '2 → 1')
    """
    return str(after) if before == after else f"{before} → {after}"


def tiles(pictures: Sequence[tuple[str, str, str]], heading: str = "") -> str:
    """Lay out small pictures.

    Parameters
    ----------
    pictures : sequence of (uri, words, tone)
        `tone` is good, bad or plain.
    """
    head = f"<p><b>{escape(heading)}</b></p>" if heading else ""
    figures = "".join(
        f'<figure style="margin:0;width:122px"><img src="{escape(uri)}" alt="{escape(words)}" '
        'style="max-width:120px;max-height:90px;display:block;'
        f'border-bottom:3px solid {TONE[tone]}">'
        f'<figcaption style="font-size:11px;line-height:1.3">{escape(words)}</figcaption></figure>'
        for uri, words, tone in pictures
    )
    return f'{head}<div style="display:flex;flex-wrap:wrap;gap:8px">{figures}</div>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table of words."""
    top = "".join(f"<th style='text-align:left'>{escape(h)}</th>" for h in head)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{escape(c)}</td>" for c in row) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{top}</tr>{body}</table>"


def _bar(
    left: float, right: float, number: int, top: int, threshold: float, low: float, high: float
) -> str:
    scale = WIDTH_PX / (high - low)
    height = max(1.5, number / top * (HEIGHT_PX - 6))
    colour = style.BAD if (left + right) / 2 < threshold else style.GOOD
    return (
        f"<rect x='{(left - low) * scale:.1f}' y='{HEIGHT_PX - height:.1f}' "
        f"width='{max(1.0, (right - left) * scale - 1):.1f}' height='{height:.1f}' "
        f"fill='{colour}'/>"
    )
