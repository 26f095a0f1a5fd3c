"""Plot theme, colour-blind-safe palette and time axes."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotnine import ggplot
    from plotnine.themes.theme import theme as Theme

# Okabe & Ito 2008, "Color Universal Design"; its yellow is left out, too pale on paper.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#6F5BA8", "#8A8F3C")
GOOD, BAD, QUIET, INK = "#0072B2", "#D55E00", "#9A9A94", "#2B2B28"
PAPER, GRID = "#FFFFFF", "#E7E5DF"
DPI = 96
WIDTH_IN = 8.0


def theme(height_in: float = 3.0, width_in: float = WIDTH_IN) -> Theme:
    """The one theme; sizes in inches at 96 dpi."""
    import plotnine as p9

    made = p9.theme_minimal(base_size=11, base_family="DejaVu Sans") + p9.theme(
        figure_size=(width_in, height_in),
        dpi=DPI,
        plot_background=p9.element_rect(fill=PAPER, color=PAPER),
        panel_grid_minor=p9.element_blank(),
        panel_grid_major=p9.element_line(color=GRID, size=0.6),
        text=p9.element_text(color=INK),
        axis_title=p9.element_text(size=10, color="#5A5A55"),
        axis_text=p9.element_text(size=9),
        axis_text_x=p9.element_text(margin={"t": 5}),  # clear of the lowest y label at the corner
        plot_title=p9.element_text(size=12, weight="bold", ha="left"),
        plot_subtitle=p9.element_text(size=9.5, color="#5A5A55", ha="left"),
        legend_position="bottom",
        legend_title=p9.element_blank(),
        legend_key_size=12,
        strip_text=p9.element_text(size=9.5, weight="bold", ha="left"),
    )
    return _without_maths(made)


def colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, in the order given; after eight names they come round again."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(dict.fromkeys(names))}


def empty_plot(sentence: str) -> ggplot:
    """Stand in for a figure that has no data, saying why."""
    import plotnine as p9

    bare = p9.theme_void() + p9.theme(
        figure_size=(WIDTH_IN, 1.0),
        dpi=DPI,
        plot_background=p9.element_rect(fill=PAPER, color=PAPER),
    )
    words = p9.annotate("text", x=0, y=0, label=sentence, size=11, color="#5A5A55")
    return p9.ggplot() + words + _without_maths(bare)


def _without_maths(theme: Theme) -> Theme:
    """Show texts as they are: matplotlib would read a formula between two $."""
    theme._rcParams["text.parse_math"] = False
    return theme


def clock(seconds: float) -> str:
    """Time in a film as people write it.

    Examples
    --------
    >>> clock(83.4), clock(3700)
    ('1:23', '1:01:40')
    """
    whole = math.floor(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _clock_labels(values: Sequence[float] | Sequence[str]) -> list[str]:
    """Tick labels of a time axis."""
    return [clock(max(0.0, v)) for v in map(float, values)]


def duration(seconds: float) -> str:
    """Duration in the unit that reads best.

    Examples
    --------
    >>> duration(0.0123), duration(4.21), duration(200)
    ('12 ms', '4.2 s', '3 min 20 s')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{round(seconds) // 60} min {round(seconds) % 60} s"


def plural(number: int, word: str) -> str:
    """Write a count with its word.

    Examples
    --------
    >>> plural(1, "shot"), plural(2, "shot")
    ('1 shot', '2 shots')
    """
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def whole_number_ticks(limits: tuple[float, float]) -> list[float]:
    """Ticks at whole numbers, about five of them, for axes that count things."""
    low, high = math.ceil(limits[0]), math.floor(limits[1])
    step = 10 ** math.floor(math.log10(max(1, high - low)))
    while (high - low) / step > 8:
        step *= 2
    while step > 1 and (high - low) / step < 4:
        step = max(1, step // 2)
    return [float(v) for v in range(low - low % step, high + 1, step) if v >= low]


def time_axis():
    """An x axis of times in a film."""
    import plotnine as p9

    return p9.scale_x_continuous(
        name="time in the film (min:s)", labels=_clock_labels, expand=(0.01, 0)
    )


def to_png(figure: ggplot, dpi: int = DPI) -> bytes:
    """Draw a figure; warnings of the drawing library about fonts and empty scales are silenced."""
    with io.BytesIO() as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore", category=ImportWarning)
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.save(stream, format="png", dpi=dpi, verbose=False)
        return stream.getvalue()
