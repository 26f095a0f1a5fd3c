"""Choose the training pictures of a character from the tables: who, which crop, which split.

No pixel is read. Shots are the unit of the split, because neighbouring frames are near copies and
would let the held-out pictures leak into training.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

FACE_MARGIN = 0.9  # of the face's size on each side: head and shoulders come along
WIDER_GAIN = 1.25  # another crop is taken when it is at least this much larger
FACE_CLOSE_UP, FACE_MEDIUM = 0.25, 0.1  # face over the crop's side: head and shoulders, half body
WHOLE_HEIGHT = 0.95  # a region as high as the picture is a figure that does not fit into it
FIGURE_IN_REGION = 0.7  # regions are windows with air around the figure
FIGURE_MEDIUM = 0.42  # figure over the crop's side; below it is wide
MIN_SIDE_PX = 24  # smaller subjects teach nothing
SEEN_MIN = 0.3  # share of another character's box inside the crop from which the caption keeps it
SIZE_WORDS = re.compile(r"\b(?:close-up(?: shot)?|medium shot|wide shot)\b")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What is chosen and how it is cut."""

    max_images: int = 500
    min_margin: float = 0.02  # to the second best character, where a margin is known
    crop_margin: float = 0.3  # of a region's size, on each side, in its second crop
    duplicate_distance: int = 4  # bits of the 64-bit perceptual hash, within a shot
    held_out_share: float = 0.15  # of the shots
    has_wider_crops: bool = True  # of the same subject: alone, with a margin, the whole height
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Words:
    """How captions and prompts speak of a character."""

    trigger: str
    class_word: str = ""
    other_triggers: dict[str, str] = field(default_factory=dict)  # of the film's other characters

    @property
    def subject(self) -> str:
        """Trigger and class, e.g. ``anna character``."""
        return f"{self.trigger} {self.class_word}".strip()

    def without(self, text: str, absent: Iterable[str]) -> str:
        """Take characters who are outside a crop out of its caption.

        Examples
        --------
        >>> words = Words(trigger="anna", class_word="character", other_triggers={"Bo": "bo"})
        >>> words.without("bo character and anna character in the snow", ["Bo"])
        'anna character in the snow'
        """
        for name in absent:
            who = re.escape(self.other_triggers.get(name, name))
            kind = re.escape(self.class_word)
            phrase = rf"\b{who}\b(?: {kind}\b)?" if kind else rf"\b{who}\b"
            text = re.sub(rf"(?:{phrase} and |(?:,| and) {phrase})", "", text, flags=re.I)
        return text


@dataclass(frozen=True, kw_only=True)
class Crop:
    """One chosen square of one frame."""

    image_id: str
    character: str
    frame_id: str
    subject_id: str
    shot_index: int
    frame_file: str
    x0_px: int
    y0_px: int
    x1_px: int
    y1_px: int
    shot_size: str
    caption: str
    split: str


def count_candidates(
    label: pl.DataFrame, frame: pl.DataFrame, quality: pl.DataFrame
) -> pl.DataFrame:
    """How many kept frames show each character, in how many shots.

    Returns
    -------
    pl.DataFrame
        Columns character, num_shots, num_frames; most shots first, for neighbouring frames add
        little, then most frames, then in order of the name.
    """
    return (
        _kept(label, frame, quality)
        .group_by("character")
        .agg(num_shots=pl.col("shot_index").n_unique(), num_frames=pl.col("frame_id").n_unique())
        .sort(["num_shots", "num_frames", "character"], descending=[True, True, False])
    )


def choose(
    character: str,
    words: Words,
    label: pl.DataFrame,
    frame: pl.DataFrame,
    quality: pl.DataFrame,
    caption: pl.DataFrame,
    selection: Selection,
) -> list[Crop]:
    """Choose and cut the training pictures of one character.

    Parameters
    ----------
    character : str
        Whose pictures.
    words : Words
        What stands for it in every caption.
    label, frame, quality, caption : pl.DataFrame
        Tables of those names.
    selection : Selection

    Returns
    -------
    list of Crop
        In order of shot and frame; at most `max_images`, spread over the shots, pictures with the
        character alone before those with others, near copies within a shot once.
    """
    rows = _candidates(character, label, frame, quality, caption, selection)
    chosen = _spread(rows, selection)
    splits = split_shots([row["shot_index"] for row in chosen], selection)
    crops = [
        crop for row in chosen for crop in _cut(row, words, selection, splits[row["shot_index"]])
    ]
    return sorted(crops[: selection.max_images], key=lambda c: (c.shot_index, c.image_id))


def split_shots(shots: Sequence[int], selection: Selection) -> dict[int, str]:
    """Say for each shot whether its pictures are trained on or held out.

    Parameters
    ----------
    shots : sequence of int
        The shot of each picture; repeats count.
    selection : Selection

    Returns
    -------
    dict
        Shot to ``train`` or ``held-out``. A single shot is trained on; otherwise at least one
        shot is on each side unless `held_out_share` is 0. Depends on the set of shots, how many
        pictures each has, and the seed.
    """
    values, counts = np.unique(np.asarray(shots, dtype=np.int64), return_counts=True)
    split = {int(shot): "train" for shot in values}
    if len(values) < 2 or selection.held_out_share == 0:
        return split
    order = np.random.default_rng(selection.seed).permutation(len(values))
    wanted, held = selection.held_out_share * counts.sum(), 0
    for index in order[:-1]:
        if held and held + counts[index] / 2 > wanted:
            continue
        split[int(values[index])] = "held-out"
        held += int(counts[index])
        if held >= wanted:
            break
    return split


def crop_caption(text: str | None, words: Words, shot_size: str) -> str:
    """Fit a frame's caption to a crop of it: the crop's own size, the trigger for certain.

    Examples
    --------
    >>> bunny = Words(trigger="bunny", class_word="character")
    >>> crop_caption("bunny character in a green place, wide shot, day", bunny, "close-up")
    'bunny character in a green place, close-up, day'
    >>> crop_caption(None, bunny, "medium")
    'bunny character, medium shot'
    """
    size = shot_size if shot_size == "close-up" else f"{shot_size} shot"
    if not text:
        return f"{words.subject}, {size}"
    fitted, count = SIZE_WORDS.subn(size, text, count=1)
    if not count:
        fitted = f"{fitted}, {size}"
    if words.trigger.lower() not in fitted.lower():
        fitted = f"{words.subject}, {fitted}"
    return fitted


def _kept(label: pl.DataFrame, frame: pl.DataFrame, quality: pl.DataFrame) -> pl.DataFrame:
    """Labelled subjects of readable, kept frames."""
    named = label.filter(pl.col("character").is_not_null())
    readable = frame.filter(pl.col("file").is_not_null(), pl.col("error").is_null())
    kept = quality.filter(pl.col("is_kept"))
    return named.join(
        readable.select("frame_id", "file", "width_px", "height_px", "frame_index"), on="frame_id"
    ).join(
        kept.select(
            "frame_id",
            "phash",
            "blur_score",
            "content_x0_px",
            "content_y0_px",
            "content_x1_px",
            "content_y1_px",
        ),
        on="frame_id",
    )


def _candidates(
    character: str,
    label: pl.DataFrame,
    frame: pl.DataFrame,
    quality: pl.DataFrame,
    caption: pl.DataFrame,
    selection: Selection,
) -> list[dict]:
    """Best subject of each kept frame, the most useful first."""
    kept = _kept(label, frame, quality)
    others = kept.filter(pl.col("character") != character)
    num_others = others.group_by("frame_id").agg(
        num_others=pl.col("character").n_unique(),
        others=pl.struct("character", "x0_px", "y0_px", "x1_px", "y1_px"),
    )
    words = (
        caption.filter(pl.col("status") == "done")
        .sort("version")
        .group_by("frame_id")
        .agg(text=pl.col("text").last())
    )
    side = pl.min_horizontal(pl.col("x1_px") - pl.col("x0_px"), pl.col("y1_px") - pl.col("y0_px"))
    return (
        kept.filter(
            pl.col("character") == character,
            pl.col("margin").is_null() | (pl.col("margin") >= selection.min_margin),
            side >= MIN_SIDE_PX,
        )
        .sort(["frame_id", "confidence", "subject_id"], descending=[False, True, False])
        .group_by("frame_id", maintain_order=True)
        .first()
        .join(num_others, on="frame_id", how="left")
        .join(words, on="frame_id", how="left")
        .with_columns(pl.col("num_others").fill_null(0), pl.col("blur_score").fill_null(0.0))
        .sort(
            ["num_others", "confidence", "blur_score", "frame_id"],
            descending=[False, True, True, False],
        )
        .to_dicts()
    )


def _spread(rows: list[dict], selection: Selection) -> list[dict]:
    """Take one picture a shot in turn, leaving out near copies of what the shot gave already."""
    by_shot: dict[int, list[dict]] = {}
    for row in rows:
        taken = by_shot.setdefault(row["shot_index"], [])
        if not any(_is_copy(row, other, selection.duplicate_distance) for other in taken):
            taken.append(row)
    chosen: list[dict] = []
    queues = [by_shot[shot] for shot in sorted(by_shot)]
    depth = 0
    while len(chosen) < selection.max_images and any(depth < len(q) for q in queues):
        chosen += [q[depth] for q in queues if depth < len(q)]
        depth += 1
    return chosen[: selection.max_images]


def _is_copy(one: dict, two: dict, distance: int) -> bool:
    """Whether two frames' hashes are near and their subjects lie at the same place."""
    if one["phash"] is None or two["phash"] is None:
        return False
    return (one["phash"] ^ two["phash"]).bit_count() <= distance and _overlap(one, two) > 0.7


def _overlap(one: dict, two: dict) -> float:
    """Intersection over union of the two boxes."""
    width = min(one["x1_px"], two["x1_px"]) - max(one["x0_px"], two["x0_px"])
    height = min(one["y1_px"], two["y1_px"]) - max(one["y0_px"], two["y0_px"])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(b["x1_px"] - b["x0_px"]) * (b["y1_px"] - b["y0_px"]) for b in (one, two)]
    return width * height / (sum(areas) - width * height)


def _cut(row: dict, words: Words, selection: Selection, split: str) -> list[Crop]:
    """The subject alone, with a margin, and as high as the picture; each clearly larger."""
    area = _content(row)
    largest = min(area[2] - area[0], area[3] - area[1])
    longest = max(row["x1_px"] - row["x0_px"], row["y1_px"] - row["y0_px"])
    is_face = row["subject_type"] == "face"
    margins = (FACE_MARGIN, 2 * FACE_MARGIN) if is_face else (0.0, selection.crop_margin)
    wanted = [min(largest, longest * (1 + 2 * margin)) for margin in margins]
    sides: list[float] = []
    for side in (*wanted, largest):
        if not sides or (selection.has_wider_crops and side >= WIDER_GAIN * sides[-1]):
            sides.append(side)
    return [_crop(row, index, side, area, words, split) for index, side in enumerate(sides)]


def _crop(row: dict, index: int, side: float, area: tuple, words: Words, split: str) -> Crop:
    """The square of `side` around the subject, moved into the picture."""
    side_px = max(1, round(side))
    x0 = _place((row["x0_px"] + row["x1_px"]) / 2, side_px, area[0], area[2])
    y0 = _place((row["y0_px"] + row["y1_px"]) / 2, side_px, area[1], area[3])
    size = _shot_size(row, side_px, area)
    inside = (x0, y0, x0 + side_px, y0 + side_px)
    seen = {o["character"] for o in row["others"] or () if _share_inside(o, inside) >= SEEN_MIN}
    absent = sorted({o["character"] for o in row["others"] or ()} - seen)
    return Crop(
        image_id=f"{row['subject_id']}-c{index}",
        character=row["character"],
        frame_id=row["frame_id"],
        subject_id=row["subject_id"],
        shot_index=row["shot_index"],
        frame_file=row["file"],
        x0_px=x0,
        y0_px=y0,
        x1_px=x0 + side_px,
        y1_px=y0 + side_px,
        shot_size=size,
        caption=crop_caption(words.without(row["text"] or "", absent), words, size),
        split=split,
    )


def _place(centre: float, side: int, low: int, high: int) -> int:
    """Start of an interval of `side` around `centre`, kept in [low, high]."""
    return int(min(max(low, round(centre - side / 2)), high - side))


def _share_inside(box: dict, area: tuple[int, int, int, int]) -> float:
    """Part of a box's area that lies in `area`."""
    width = min(box["x1_px"], area[2]) - max(box["x0_px"], area[0])
    height = min(box["y1_px"], area[3]) - max(box["y0_px"], area[1])
    whole = (box["x1_px"] - box["x0_px"]) * (box["y1_px"] - box["y0_px"])
    return max(0.0, width) * max(0.0, height) / whole if whole > 0 else 0.0


def _content(row: dict) -> tuple[int, int, int, int]:
    """The picture without its bars, or all of it when that is not known."""
    whole = (0, 0, row["width_px"], row["height_px"])
    names = ("content_x0_px", "content_y0_px", "content_x1_px", "content_y1_px")
    box = tuple(row[name] for name in names)
    if (
        any(v is None for v in box)
        or box[2] - box[0] < MIN_SIDE_PX
        or box[3] - box[1] < MIN_SIDE_PX
    ):
        return whole
    return box


def _shot_size(row: dict, side: int, area: tuple[int, int, int, int]) -> str:
    """Name the framing of a crop by the part that the face or the figure takes of its height."""
    height = row["y1_px"] - row["y0_px"]
    if row["subject_type"] == "face":
        share = height / side
        return (
            "close-up" if share >= FACE_CLOSE_UP else "medium" if share >= FACE_MEDIUM else "wide"
        )
    if height >= WHOLE_HEIGHT * (area[3] - area[1]):
        return "close-up"
    return "medium" if FIGURE_IN_REGION * height / side >= FIGURE_MEDIUM else "wide"
