"""Widget of captions: other trigger words, another class word, and what is left unsaid.

Captions composed from the tables are composed anew by the functions of stage caption. Of a model's
and of people's captions only the trigger words change; no model is asked and no picture opened.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from bunny.caption import metadata_facts, tags
from bunny.caption.metadata_facts import Facts
from bunny.core.error import UserError
from bunny.table import corrected, store
from bunny.view import html, style, tile
from bunny.view.widget import explorer
from bunny.view.widget.explorer import Values

if TYPE_CHECKING:
    from IPython.display import HTML
    from ipywidgets import Widget

    from bunny.core.config import Config
    from bunny.core.workspace import Workspace

KEYS = ("trigger_word", "class_word", "max_tag_share", "has_background_colours")
SHARE_RANGE: explorer.Range = (0.0, 1.0, 0.01)
MAX_TAGS = 12  # lines of the table of tags
GALLERY = 18  # pictures with their captions
FACTS = ("frame", "shot", "label", "cluster", "quality")  # tables that captions are composed from
BACKGROUND = tags.background_tag("")
NO_CAPTIONS = "<p>no caption was written: run stage caption first</p>"


@dataclass(frozen=True, kw_only=True)
class FrameCaption:
    """The newest caption of one picture."""

    frame_id: str
    timestamp_s: float
    text: str
    tags: tuple[str, ...]
    facts: Facts | None  # None: not composed from the tables, or no longer kept


@dataclass(frozen=True, kw_only=True)
class CaptionData:
    """A film's captions, ready to be written with other words."""

    captions: Sequence[FrameCaption]
    names: tuple[str, ...]  # of the labelled characters
    template: str  # of the trigger words in the captions
    pictures: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class CaptionPreview:
    """Captions as other settings would write them."""

    texts: list[str]  # in order of `CaptionData.captions`
    num_changed: int
    share: Mapping[str, float]  # of the pictures that have a tag, the most frequent first
    dropped: frozenset[str]  # tags that captions do not say


def explore_captions(
    space: Workspace, config: Config, *, is_interactive: bool = True, root: Path | None = None
) -> Widget | HTML:
    """Explorer of captions: how they read with other words of `captioning`.

    Parameters
    ----------
    space, config : Workspace, Config
        The film and its settings, where the controls begin.
    is_interactive : bool
        False gives the page for the settings as they are.
    root : Path, optional
        The project's folder, where the button writes `config/local_<film_id>.yaml`.
    """
    opened = open_captions(space, config)
    start = {key: getattr(config.captioning, key) for key in KEYS}
    if not is_interactive:
        from IPython.display import HTML

        return HTML(draw(opened, start))
    import ipywidgets

    controls = {
        "trigger_word": explorer.text_field("trigger_word", start["trigger_word"], "with {name}"),
        "class_word": explorer.text_field("class_word", start["class_word"]),
        "max_tag_share": explorer.slider("max_tag_share", start["max_tag_share"], SHARE_RANGE),
        "has_background_colours": ipywidgets.Checkbox(
            value=start["has_background_colours"], description="has_background_colours"
        ),
    }
    return explorer.panel(
        space, controls, lambda values: draw(opened, values), lambda v: {"captioning": v}, root
    )


def open_captions(space: Workspace, config: Config) -> CaptionData:
    """Read the captions, what they were composed from, and small pictures of their frames."""
    frame = store.read_or_empty(space.table, "frame")
    caption = store.read_or_empty(space.table, "caption").filter(status="done")
    facts = metadata_facts.gather(
        **{name: corrected.read_or_empty(space.table, name) for name in FACTS}
    )
    known = {one.frame_id: one for one in facts}
    times = dict(frame.select("frame_id", "timestamp_s").iter_rows())
    newest = caption.sort("version").unique("frame_id", keep="last").sort("frame_id")
    return CaptionData(
        captions=[_caption(row, known, times) for row in newest.iter_rows(named=True)],
        names=tuple(sorted({name for one in facts for name in one.characters})),
        template=config.captioning.trigger_word,
        pictures=explorer.frame_pictures(
            space, frame.join(newest.select("frame_id"), on="frame_id", how="semi")
        ),
    )


def preview(opened: CaptionData, values: Values) -> CaptionPreview:
    """Write every caption with other words.

    Parameters
    ----------
    values : dict
        `trigger_word`, `class_word`, `max_tag_share` and `has_background_colours`, as in section
        `captioning`.

    Raises
    ------
    UserError
        If the trigger word's template has no `{name}`.
    """
    before = {name: tags.trigger_word(opened.template, name) for name in opened.names}
    after = {name: tags.trigger_word(values["trigger_word"], name) for name in opened.names}
    composed = [one.facts for one in opened.captions if one.facts]
    dropped = tags.frequent_tags(composed, values["max_tag_share"])
    texts = [_rewrite(one, before, after, values, dropped) for one in opened.captions]
    renamed = {before[name]: after[name] for name in opened.names}
    count = Counter(renamed.get(tag, tag) for one in opened.captions for tag in set(one.tags))
    ordered = sorted(count.items(), key=lambda item: (-item[1], item[0]))
    return CaptionPreview(
        texts=texts,
        num_changed=sum(one.text != text for one, text in zip(opened.captions, texts, strict=True)),
        share={tag: number / len(texts) for tag, number in ordered},
        dropped=dropped,
    )


def draw(opened: CaptionData, values: Values) -> str:
    """The page: how many captions change, the most frequent tags, and captions beside pictures."""
    if not opened.captions:
        return NO_CAPTIONS
    try:
        now = preview(opened, values)
    except UserError as error:
        return f"<p><b>{escape(str(error))}</b></p>"
    rows = [
        [tag, f"{share:.0%}", "left out" if tag in now.dropped else ""]
        for tag, share in list(now.share.items())[:MAX_TAGS]
    ]
    pairs = zip(opened.captions, now.texts, strict=True)
    shown = [(one, text) for one, text in pairs if one.frame_id in opened.pictures]
    tiles = [
        (
            opened.pictures[one.frame_id],
            f"{style.clock(one.timestamp_s)} {text}",
            "plain" if one.text == text else "good",
        )
        for one, text in tile.spread(shown, GALLERY)
    ]
    return (
        html.counts({"captions": len(opened.captions), "change": now.num_changed})
        + html.table(("tag", "of the pictures", "in captions"), rows)
        + html.tiles(tiles, "Captions as they would read")
    )


def _caption(row: Mapping, known: Mapping[str, Facts], times: Mapping[str, float]) -> FrameCaption:
    """A row of table caption, with the facts it was composed from."""
    facts = known.get(row["frame_id"]) if row["provider"] == "tags" else None
    own = tuple(row["tags"] or ())
    if facts:
        colours = (tag.removesuffix(BACKGROUND) for tag in own if tag.endswith(BACKGROUND))
        facts = replace(facts, colours=tuple(colours))
    return FrameCaption(
        frame_id=row["frame_id"],
        timestamp_s=times.get(row["frame_id"], 0.0),
        text=row["text"] or "",
        tags=own,
        facts=facts,
    )


def _rewrite(
    one: FrameCaption,
    before: Mapping[str, str],
    after: dict[str, str],
    values: Values,
    dropped: frozenset[str],
) -> str:
    if one.facts:
        said = tags.without_tags(
            one.facts, dropped, has_background_colours=values["has_background_colours"]
        )
        return tags.write_caption(said, after, values["class_word"])
    changed = [name for name in before if before[name] != after[name]]
    words = sorted(changed, key=lambda name: -len(before[name]))
    if not words:
        return one.text
    every = "|".join(re.escape(before[name]) for name in words)
    by_word = {before[name].lower(): after[name] for name in words}
    found = re.compile(rf"(?<!\w)(?:{every})(?!\w)", re.IGNORECASE)
    return found.sub(lambda match: by_word[match[0].lower()], one.text)
