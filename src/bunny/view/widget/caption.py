"""Widget of captions: style, trigger words, pruning and replacements, seen on twelve pictures.

Captions are written anew by the functions of stage caption from what the providers gave, which
table caption keeps: no model is asked and no picture opened. People's own words stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from bunny.caption import length, metadata_facts, pruning, replacement, style, tags, writing
from bunny.caption.answer import AnswerStore
from bunny.caption.length import TokenLimit
from bunny.caption.metadata_facts import Facts
from bunny.caption.pruning import CoreTags
from bunny.caption.question import QuestionMaker
from bunny.caption.trigger import trigger_word
from bunny.caption.writing import CaptionDraft, WritingSettings
from bunny.core.config import CaptioningConfig
from bunny.core.error import UserError
from bunny.table import corrected, store
from bunny.training.family import folder as family_folder
from bunny.view import html, tile
from bunny.view import style as view_style
from bunny.view.widget import explorer
from bunny.view.widget.explorer import Values

if TYPE_CHECKING:
    from IPython.display import HTML
    from ipywidgets import Text, Widget

    from bunny.core.config import Config
    from bunny.core.workspace import Workspace

KEYS = (
    "trigger_word",
    "class_word",
    "style",
    "has_sides",
    "max_tag_share",
    "keep_tags",
    "prune_tags",
    "replacements",
    "has_background_colours",
    "providers",
)
LISTS = ("providers", "keep_tags", "prune_tags")  # shown as words between commas
SHARE_RANGE: explorer.Range = (0.0, 1.0, 0.01)
MAX_TAGS = 12  # lines of the table of tags
GALLERY = 12  # pictures with their captions
TAGS = "tags"  # the provider that composes captions from the tables
MODELS = ("bedrock", "openai", "anthropic", "local", "transformers", "tagger", "clip")
PERSON = "person"  # the provider of captions that people wrote
BACKGROUND = tags.background_tag("")
NO_CAPTIONS = "<p>no caption was written: run stage caption first</p>"


@dataclass(frozen=True, kw_only=True)
class FrameCaption:
    """The newest caption of one picture."""

    frame_id: str
    timestamp_s: float
    text: str
    tags: tuple[str, ...]  # as in the table, with trigger words
    drafts: Mapping[str, CaptionDraft]  # by provider; none: a person's words
    place_name: str | None = None  # what a person called the place


@dataclass(frozen=True, kw_only=True)
class CaptionData:
    """A film's captions, ready to be written with other words."""

    captions: Sequence[FrameCaption]
    names: tuple[str, ...]  # of the labelled characters
    template: str  # of the trigger words in the captions
    pictures: Mapping[str, str]
    limit: TokenLimit = field(default_factory=TokenLimit)
    has_colours: bool = False  # has_background_colours as the captions were written


@dataclass(frozen=True, kw_only=True)
class CaptionPreview:
    """Captions as other settings would write them."""

    texts: list[str]  # in order of `CaptionData.captions`
    num_changed: int
    share: Mapping[str, float]  # of the pictures that have a tag, the most frequent first
    core: CoreTags  # what goes with each character, and what is left to its trigger word


def explore_captions(
    space: Workspace, config: Config, *, is_interactive: bool = True, root: Path | None = None
) -> Widget | HTML:
    """Explore how captions read with other words of `captioning`; see `explorer`."""
    opened = open_captions(space, config)
    start = {key: getattr(config.captioning, key) for key in KEYS}
    if not is_interactive:
        from IPython.display import HTML

        return HTML(draw(opened, start))
    import ipywidgets

    def words(key: str, tooltip: str = "separated by commas") -> Text:
        return explorer.text_field(key, ", ".join(start[key]), tooltip)

    controls = {
        "providers": words("providers", "in order of preference, separated by commas"),
        "trigger_word": explorer.text_field(
            "trigger_word", start["trigger_word"], "must contain {name}"
        ),
        "class_word": explorer.text_field("class_word", start["class_word"]),
        "style": ipywidgets.Dropdown(
            options=style.STYLES, value=start["style"], description="style"
        ),
        "has_sides": ipywidgets.Checkbox(value=start["has_sides"], description="has_sides"),
        "max_tag_share": explorer.slider("max_tag_share", start["max_tag_share"], SHARE_RANGE),
        "keep_tags": words("keep_tags"),
        "prune_tags": words("prune_tags"),
        "replacements": explorer.text_field(
            "replacements", start["replacements"], "path of a YAML or CSV file"
        ),
        "has_background_colours": ipywidgets.Checkbox(
            value=start["has_background_colours"], description="has_background_colours"
        ),
    }
    return explorer.panel(
        space,
        controls,
        lambda values: draw(opened, values),
        lambda v: {"captioning": _settings(v)},
        root,
    )


def open_captions(space: Workspace, config: Config) -> CaptionData:
    """Read the captions, what they were composed from, and small pictures of their frames."""
    frame = store.read_or_empty(space.table, "frame")
    caption = store.read_or_empty(space.table, "caption").filter(status="done")
    tables = {name: corrected.read_or_empty(space.table, name) for name in metadata_facts.TABLES}
    facts = metadata_facts.gather(**tables)
    names = sorted({name for one in facts for name in one.characters})
    template = config.captioning.trigger_word
    triggers = {name: trigger_word(template, name) for name in names}
    known = {one.frame_id: one for one in facts}
    drafts = {TAGS: _composed(facts, triggers), **_kept(space, config, facts)}
    times = dict(frame.select("frame_id", "timestamp_s").iter_rows())
    newest = caption.sort("version").unique("frame_id", keep="last").sort("frame_id")
    base = family_folder.find_local(config.models.base_model or family_folder.TOY)
    return CaptionData(
        captions=[
            _caption(row, known.get(row["frame_id"]), times, triggers, drafts)
            for row in newest.iter_rows(named=True)
        ],
        names=tuple(names),
        template=template,
        pictures=explorer.frame_pictures(
            space, frame.join(newest.select("frame_id"), on="frame_id", how="semi")
        ),
        limit=length.find_limit(base, config.captioning.max_caption_tokens),
        has_colours=config.captioning.has_background_colours,
    )


def preview(opened: CaptionData, values: Values) -> CaptionPreview:
    """Write every caption with other words.

    Parameters
    ----------
    values : dict
        `KEYS` of section `captioning`; `LISTS` may be words between commas. Of the providers the
        first that has an answer counts; where none has, the caption stays.

    Raises
    ------
    UserError
        If the trigger word's template has no `{name}`, or the replacements cannot be read.
    """
    wanted = _settings(values)
    triggers = {name: trigger_word(wanted["trigger_word"], name) for name in opened.names}
    settings = WritingSettings(
        captioning=CaptioningConfig().model_copy(update=wanted),
        triggers=triggers,
        replacements=replacement.read_replacements(wanted["replacements"]),
        limit=opened.limit,
    )
    drafts = [_choose(one, wanted, opened.has_colours) for one in opened.captions]
    core = writing.find_core_tags([one for one in drafts if one], settings)
    texts = [
        writing.write(draft, settings, core).text if draft else one.text
        for one, draft in zip(opened.captions, drafts, strict=True)
    ]
    renamed = {trigger_word(opened.template, name): triggers[name] for name in opened.names}
    count = Counter(renamed.get(tag, tag) for one in opened.captions for tag in set(one.tags))
    ordered = sorted(count.items(), key=lambda item: (-item[1], item[0]))
    return CaptionPreview(
        texts=texts,
        num_changed=sum(one.text != text for one, text in zip(opened.captions, texts, strict=True)),
        share={tag: number / len(texts) for tag, number in ordered},
        core=core,
    )


def draw(opened: CaptionData, values: Values) -> str:
    """The page: how many captions change, captions beside pictures, what goes with whom, tags."""
    if not opened.captions:
        return NO_CAPTIONS
    try:
        now = preview(opened, values)
    except UserError as error:
        return f"<p><b>{escape(str(error))}</b></p>"
    rows = [[tag, f"{share:.0%}"] for tag, share in list(now.share.items())[:MAX_TAGS]]
    pairs = zip(opened.captions, now.texts, strict=True)
    shown = [(one, text) for one, text in pairs if one.frame_id in opened.pictures]
    tiles = [
        (
            opened.pictures[one.frame_id],
            f"{view_style.clock(one.timestamp_s)} {text}",
            "plain" if one.text == text else "good",
        )
        for one, text in tile.spread(shown, GALLERY)
    ]
    return (
        html.counts({"captions": len(opened.captions), "changed": now.num_changed})
        + html.tiles(tiles, "Captions as they would read")
        + _core_table(now.core)
        + html.table(("tag", "share of pictures"), rows)
    )


def _core_table(core: CoreTags) -> str:
    """How many of each character's pictures have what goes with it most, and what is left out."""
    names = list(core.share)
    most = Counter()
    for own in core.share.values():
        most |= Counter(own)  # the greatest share of each word
    words = sorted(most, key=lambda word: (-most[word], word))[:MAX_TAGS]
    rows = [[word, *(_share(core, name, word) for name in names)] for word in words]
    return html.table(("word", *names), rows)


def _share(core: CoreTags, name: str, word: str) -> str:
    """E.g. ``92% left out``."""
    part = core.share[name].get(word)
    return "" if part is None else f"{part:.0%}{' left out' if word in core.of([name]) else ''}"


def _composed(facts: Sequence[Facts], triggers: Mapping[str, str]) -> dict[str, CaptionDraft]:
    """What provider tags would say of each picture."""
    return {
        one.frame_id: writing.make_draft(
            one, tags=style.caption_tags(tags.write_tags(one, dict(triggers)), triggers.values())
        )
        for one in facts
    }


def _kept(
    space: Workspace, config: Config, facts: Sequence[Facts]
) -> dict[str, dict[str, CaptionDraft]]:
    """Answers that models gave to today's questions, by provider and picture; nothing is asked."""
    from bunny.caption import provider_loader

    own = config.captioning
    maker = QuestionMaker(folder=space.root, facts=facts, is_cropped=own.send == "crop")
    answers = AnswerStore(space.root / "stage" / "caption" / "answer")
    found: dict[str, dict[str, CaptionDraft]] = {}
    for name in MODELS:
        if not getattr(own, name).model:
            continue
        try:
            [setup] = provider_loader.set_up(
                own.model_copy(update={"providers": (name,)}), config.aws
            )
        except UserError:  # it cannot be asked with these settings, so nothing of it is kept
            continue
        entry = provider_loader.entry_of(setup, maker, answers)
        asked = {one.frame_id: entry.kept(index) for index, one in enumerate(facts)}
        found[name] = {
            one.frame_id: writing.make_draft(one, answer.text, answer.parts, answer.tags)
            for one in facts
            if (answer := asked[one.frame_id]) and answer.status == "done"
        }
    return found


def _caption(
    row: Mapping,
    facts: Facts | None,
    times: Mapping[str, float],
    triggers: Mapping[str, str],
    drafts: Mapping[str, Mapping[str, CaptionDraft]],
) -> FrameCaption:
    """A row of table caption with what it was, or may be, written from."""
    frame_id = row["frame_id"]
    known = {name: own[frame_id] for name, own in drafts.items() if frame_id in own}
    if row["answer"] is not None or row["subject"] or row["provider"] == TAGS:
        sides = tags.side_words(facts) if facts else {}
        known[row["provider"]] = writing.draft_of_row(row, triggers, sides)
    is_ours = row["provider"] != PERSON and set(row["characters"] or ()) <= set(triggers)
    return FrameCaption(
        frame_id=frame_id,
        timestamp_s=times.get(frame_id, 0.0),
        text=row["text"] or "",
        tags=tuple(row["tags"] or ()),
        drafts=known if is_ours else {},
        place_name=facts.place_name if facts else None,
    )


def _choose(one: FrameCaption, wanted: Values, had_colours: bool) -> CaptionDraft | None:
    """Choose the first provider's draft; the place of `tags` follows has_background_colours."""
    name = next((name for name in wanted["providers"] if name in one.drafts), None)
    if name is None:
        return None
    draft, has_colours = one.drafts[name], wanted["has_background_colours"]
    is_written = has_colours == had_colours and "place" in draft.parts
    if name != TAGS or one.place_name is not None or is_written:
        return draft
    colours = [tag.removesuffix(BACKGROUND) for tag in one.tags if tag.endswith(BACKGROUND)]
    parts = {key: text for key, text in draft.parts.items() if key != "place"}
    place = pruning.coloured_place(colours) if has_colours else ""
    return replace(draft, parts=parts | ({"place": place} if place else {}))


def _settings(values: Values) -> Values:
    """The values with lists where the controls have words between commas."""
    lists = {
        key: [word.strip() for word in values[key].split(",") if word.strip()]
        for key in LISTS
        if isinstance(values[key], str)
    }
    return {**values, **lists}
