"""Captions of crops: trigger, class word and framing; the caption a frame has or borrows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from bunny.caption.trigger import SIDE_PHRASES, trigger_word
from bunny.caption.writing import VARIANTS
from bunny.core.config import CaptioningConfig

TAGS = "tags"  # the provider whose captions are composed from tables
SIDE_WORDS = rf"(?: (?:{'|'.join(SIDE_PHRASES)})\b)?"
SIZE_WORDS = re.compile(
    r"\b(?:(?:extreme |medium )?close-up(?: shot)?|medium (?:wide )?shot|wide shot)\b"
)


@dataclass(frozen=True, kw_only=True)
class CaptionWords:
    """Words for a character in captions and prompts."""

    trigger: str
    class_word: str = ""
    other_triggers: dict[str, str] = field(default_factory=dict)  # of the film's other characters

    @classmethod
    def of(cls, captioning: CaptioningConfig, character: str) -> CaptionWords:
        """Words that the settings give a character."""
        trigger = trigger_word(captioning.trigger_word, character)
        return cls(trigger=trigger, class_word=captioning.class_word)

    @property
    def subject(self) -> str:
        """Trigger and class, e.g. ``anna character``."""
        return f"{self.trigger} {self.class_word}".strip()

    def without(self, text: str, absent: Iterable[str]) -> str:
        """Take characters who are outside a crop out of its caption.

        Examples
        --------
        >>> others = {"Bo": "bo"}
        >>> words = CaptionWords(trigger="anna", class_word="character", other_triggers=others)
        >>> words.without("bo character and anna character in the snow", ["Bo"])
        'anna character in the snow'
        """
        for name in absent:
            who = re.escape(self.other_triggers.get(name, name))
            kind = re.escape(self.class_word)
            phrase = (rf"\b{who}\b(?: {kind}\b)?" if kind else rf"\b{who}\b") + SIDE_WORDS
            text, num_gone = re.subn(
                rf"(?:{phrase} and |(?:,| and) {phrase})", "", text, flags=re.I
            )
            if num_gone:  # who is left of nobody is on no side
                text = self._without_sides(text)
        return text

    def own_first(self, text: str) -> str:
        """Begin with the character itself where two are named at the beginning.

        Examples
        --------
        >>> others = {"Bo": "bo"}
        >>> words = CaptionWords(trigger="anna", class_word="character", other_triggers=others)
        >>> words.own_first("bo character on the left and anna character on the right, day")
        'anna character on the right and bo character on the left, day'
        """
        kind = f"(?: {re.escape(self.class_word)}\\b)?" if self.class_word else ""
        others = "|".join(re.escape(who) for who in self.other_triggers.values())
        if not others:
            return text
        own = rf"{re.escape(self.trigger)}\b{kind}{SIDE_WORDS}"
        pair = rf"^((?:{others})\b{kind}{SIDE_WORDS}) and ({own})"
        return re.sub(pair, lambda found: f"{found[2]} and {found[1]}", text, flags=re.I)

    def _without_sides(self, text: str) -> str:
        """The text without left and right after the characters' words."""
        for who in (self.trigger, *self.other_triggers.values()):
            subject = f"{who} {self.class_word}".strip()
            pattern = rf"\b({re.escape(subject)}){SIDE_WORDS}"
            text = re.sub(pattern, lambda found: found[1], text, flags=re.I)
        return text

    def unnamed(self, text: str) -> str:
        """Take every trigger word out, so that a caption speaks of the class alone.

        Examples
        --------
        >>> others = {"Bo": "bo"}
        >>> words = CaptionWords(trigger="anna", class_word="character", other_triggers=others)
        >>> words.unnamed("bo character in the snow, day")
        'character in the snow, day'
        """
        kind = f"(?: {re.escape(self.class_word)}\\b)?" if self.class_word else ""
        for who in sorted({self.trigger, *self.other_triggers.values()}, key=len, reverse=True):
            named = rf"\b{re.escape(who)}\b{kind}{SIDE_WORDS}"
            text = re.sub(named, lambda _: self.class_word or "somebody", text, flags=re.I)
        return text


@dataclass(frozen=True, kw_only=True)
class CaptionVariant:
    """One of several captions of a picture."""

    text: str
    share: float  # of the times that the picture is trained on, in [0, 1]


def crop_caption(text: str | None, words: CaptionWords, shot_size: str | None) -> str:
    """Fit a frame's caption to a crop of it: the crop's own size, the trigger for certain.

    Without a size (None) no framing is said, for the frame's own is not the crop's.

    Examples
    --------
    >>> bunny = CaptionWords(trigger="bunny", class_word="character")
    >>> crop_caption("bunny character in a green place, wide shot, day", bunny, "close-up")
    'bunny character in a green place, close-up, day'
    >>> crop_caption(None, bunny, "medium")
    'bunny character, medium shot'
    >>> crop_caption("bunny character in a green place, wide shot, day", bunny, None)
    'bunny character in a green place, day'
    """
    fitted = with_shot_size(text or words.subject, shot_size)
    if words.trigger.lower() not in fitted.lower():
        fitted = f"{words.subject}, {fitted}"
    return fitted


def with_shot_size(text: str, shot_size: str | None) -> str:
    """Say a crop's framing in place of the frame's; None: none at all.

    Examples
    --------
    >>> caption = "a bird, wide shot, day"
    >>> with_shot_size(caption, "medium"), with_shot_size(caption, None)
    ('a bird, medium shot, day', 'a bird, day')
    >>> with_shot_size("a bird", "close-up")
    'a bird, close-up'
    """
    if not shot_size:
        return _without_shot_size(text)
    size = _shot_size_words(shot_size)
    fitted, count = SIZE_WORDS.subn(size, text, count=1)
    return fitted if count else f"{text}, {size}".strip(", ")


def _without_shot_size(text: str) -> str:
    """The caption without words of framing and without the comma before or after them."""
    clauses = (SIZE_WORDS.sub("", clause).strip() for clause in text.split(","))
    return re.sub(r"^of ", "", ", ".join(clause for clause in clauses if clause))


def _shot_size_words(shot_size: str) -> str:
    """Say a framing in the words of captions.

    Examples
    --------
    >>> _shot_size_words("close-up"), _shot_size_words("wide")
    ('close-up', 'wide shot')
    """
    return shot_size if shot_size == "close-up" else f"{shot_size} shot"


class FrameCaptions:
    """Text of a frame, or of the nearest in its shot that shows the same characters.

    Parameters
    ----------
    tables : mapping
        Tables frame, label and caption; of a frame's captions the newest done one counts.
    """

    def __init__(self, tables: Mapping[str, pl.DataFrame]) -> None:
        done = tables["caption"].filter(pl.col("status") == "done").drop_nulls("text")
        newest = done.sort("version").unique("frame_id", keep="last")
        self._text = dict(newest.select("frame_id", "text").iter_rows())
        is_composed = newest.filter(pl.col("provider") == TAGS)
        self._light = {i: w or "" for i, w in is_composed.select("frame_id", "light").iter_rows()}
        self._variants = {
            row["frame_id"]: tuple((n, text) for n in VARIANTS if (text := row[f"text_{n}"]))
            for row in newest.select("frame_id", *(f"text_{n}" for n in VARIANTS)).to_dicts()
        }
        named = tables["label"].drop_nulls("character").group_by("frame_id")
        self._who = {i: frozenset(c) for i, c in named.agg("character").iter_rows()}
        self._shot: dict[int, list[tuple[int, str]]] = {}
        frames = tables["frame"].select("shot_index", "frame_index", "frame_id")
        for shot, index, frame_id in frames.iter_rows():
            if frame_id in self._text:
                self._shot.setdefault(shot, []).append((index, frame_id))

    def of(self, row: dict) -> str | None:
        """The caption for a frame, a row with frame_id, shot_index and frame_index; or None."""
        frame_id = self._nearest(row)
        return self._text[frame_id] if frame_id else None

    def light_of(self, row: dict) -> str | None:
        """Words for the light of that frame, "" where it is not sure; None: not composed."""
        frame_id = self._nearest(row)
        return self._light.get(frame_id) if frame_id else ""

    def variants_of(self, row: dict) -> tuple[tuple[str, str], ...]:
        """Further captions of that frame: pairs of name and text."""
        frame_id = self._nearest(row)
        return self._variants[frame_id] if frame_id else ()

    def _nearest(self, row: dict) -> str | None:
        """The frame that the caption is taken from."""
        if row["frame_id"] in self._text:
            return row["frame_id"]
        who = self._who.get(row["frame_id"])
        like = [n for n in self._shot.get(row["shot_index"], ()) if self._who.get(n[1]) == who]
        near = min(like, key=lambda n: (abs(n[0] - row["frame_index"]), n[0]), default=None)
        return near[1] if near else None
