"""Captions written from what providers gave: style, pruning, replacements, trigger words, length.

Nothing is asked and no picture opened, so that every setting of these is tried in no time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bunny.caption import length, pruning, replacement, style, trigger
from bunny.caption import tags as caption_tags
from bunny.caption.answer import PARTS
from bunny.caption.length import TokenLimit
from bunny.caption.metadata_facts import Facts
from bunny.caption.pruning import CoreTags
from bunny.caption.trigger import CharacterWords
from bunny.core.config import CaptioningConfig
from bunny.core.config.captioning import CaptionVariantsConfig

VARIANTS = tuple(CaptionVariantsConfig.model_fields)  # short, long, tags


@dataclass(frozen=True, kw_only=True)
class CaptionDraft:
    """What is known of a picture before its caption is written; characters go by their names."""

    characters: tuple[str, ...]
    answer: str | None = None  # the provider's own sentence
    parts: Mapping[str, str] = field(default_factory=dict)  # of `answer.PARTS`
    tags: tuple[str, ...] = ()  # that a caption may say, without those of characters
    sides: Mapping[str, str] = field(default_factory=dict)  # where characters stand

    @property
    def words(self) -> set[str]:
        """What the caption may say beside who is seen."""
        return pruning.said_words(self.tags, self.parts)


@dataclass(frozen=True, kw_only=True)
class WritingSettings:
    """Section `captioning` of the settings, with what was read for it."""

    captioning: CaptioningConfig
    triggers: Mapping[str, str]  # trigger word of each character's name
    replacements: Mapping[str, str] = field(default_factory=dict)
    limit: TokenLimit = field(default_factory=TokenLimit)

    @property
    def words(self) -> CharacterWords:
        """Words that stand for the characters."""
        return CharacterWords(triggers=self.triggers, class_word=self.captioning.class_word)


@dataclass(frozen=True, kw_only=True)
class WrittenCaption:
    """A caption and what was done to it."""

    text: str
    variants: Mapping[str, str] = field(default_factory=dict)  # by name
    added: tuple[str, ...] = ()  # trigger words that were put in front
    pruned: tuple[str, ...] = ()  # words that were left to the trigger word
    left_out: tuple[str, ...] = ()  # clauses past the limit
    is_too_long: bool = False  # with its first clause alone

    def note(self, limit: TokenLimit) -> str | None:
        """What was mended, in one line; None: nothing."""
        said = []
        if self.added:
            said.append(f"added in front: {', '.join(self.added)}")
        if self.pruned:
            said.append(f"left to the trigger word: {', '.join(self.pruned)}")
        if self.left_out:
            said.append(f"left out past {limit.max_tokens} tokens: {', '.join(self.left_out)}")
        if self.is_too_long:
            said.append(f"longer than {limit.max_tokens} tokens")
        return "; ".join(said) or None


def find_core_tags(drafts: Iterable[CaptionDraft], settings: WritingSettings) -> CoreTags:
    """Core tags of each character over its pictures."""
    return pruning.find_core_tags(
        [(draft.characters, draft.words) for draft in drafts],
        settings.captioning.max_tag_share,
        keep=settings.captioning.keep_tags,
        prune=settings.captioning.prune_tags,
    )


def write(draft: CaptionDraft, settings: WritingSettings, core: CoreTags) -> WrittenCaption:
    """The caption of a picture, and its variants.

    Parameters
    ----------
    core : CoreTags
        From `find_core_tags` over all pictures.
    """
    dropped, own = core.of(draft.characters), settings.captioning
    text, added, left_out = _write_one(draft, settings, own.style, dropped)
    variants = {n: _write_one(draft, settings, n, dropped)[0] for n in own.variants.shares}
    return WrittenCaption(
        text=text,
        variants=variants,
        added=tuple(added),
        pruned=tuple(sorted(word for word in dropped if word in draft.words)),
        left_out=tuple(left_out),
        is_too_long=not settings.limit.fits(text),
    )


def _write_one(
    draft: CaptionDraft, settings: WritingSettings, name: str, dropped: frozenset[str]
) -> tuple[str, list[str], list[str]]:
    """Text in a style, trigger words put in front, clauses left out."""
    changed = settings.replacements
    parts = pruning.prune_parts(draft.parts, dropped)
    parts = {n: replacement.replace_words(parts[n], changed) for n in PARTS if n in parts}
    tags = [replacement.replace_words(t, changed) for t in draft.tags if t.lower() not in dropped]
    answer = draft.answer and pruning.prune_text(draft.answer, dropped)
    answer = answer and replacement.replace_words(answer, changed)
    text = style.say_in_style(name, answer, parts, [tag for tag in tags if tag])
    sides = draft.sides if settings.captioning.has_sides else {}
    text, added = trigger.place_triggers(text, draft.characters, settings.words, sides)
    text, left_out = length.shorten(text, settings.limit)
    return text, added, left_out


def make_draft(
    facts: Facts,
    answer: str | None = None,
    parts: Mapping[str, str] | None = None,
    tags: Iterable[str] = (),
) -> CaptionDraft:
    """What a caption is written from: a provider's answer, and the tables where it says nothing.

    Parameters
    ----------
    answer, parts, tags
        As the provider gave them; tags without those of characters. A place that a person named
        goes by that name.
    """
    known = caption_tags.write_parts(facts)
    draft = CaptionDraft(
        characters=facts.characters,
        answer=answer,
        parts={**known, **(parts or {})},
        tags=tuple(tags),
        sides=caption_tags.side_words(facts),
    )
    if facts.place_name is None:
        return draft
    return say_place(draft, caption_tags.named_place(facts.place_name))


def draft_of_row(
    row: Mapping, triggers: Mapping[str, str], sides: Mapping[str, str]
) -> CaptionDraft:
    """What a row of table caption was written from.

    Parameters
    ----------
    triggers : mapping
        Trigger words in its tags, by name.
    sides : mapping
        Where its characters stand.
    """
    return CaptionDraft(
        characters=tuple(row["characters"] or ()),
        answer=row["answer"],
        parts={name: row[name] for name in PARTS if row[name]},
        tags=tuple(style.caption_tags(row["tags"], triggers.values())),
        sides=sides,
    )


def say_place(draft: CaptionDraft, place: str) -> CaptionDraft:
    """Say the place in a person's words instead of the provider's.

    Parameters
    ----------
    place : str
        As `tags.named_place` gives it.
    """
    said, answer = draft.parts.get("place"), draft.answer
    if answer and not trigger.has_word(answer, style.bare(place)):
        if said and said.lower() in answer.lower():
            at = answer.lower().index(said.lower())
            answer = f"{answer[:at]}{place}{answer[at + len(said) :]}"
        else:
            answer = f"{answer.rstrip('.')}, {place}"
    return replace(draft, answer=answer, parts={**draft.parts, "place": place})
