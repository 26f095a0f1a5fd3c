"""Reference pairs: a picture of a character and others of it, elsewhere and at another time.

References that share the target's background teach a model to copy it (Phantom-Data, 2025). So a
reference comes from another shot, some seconds away, whose place looks different, and of several
references each shows another pose or size where the film has one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bunny.core.config.pair import PairConfig

ALONE, GAP, BACKGROUND, SURPLUS = "alone", "gap", "background", "surplus"

Similarity = Callable[[str, str], float]


@dataclass(frozen=True, kw_only=True)
class PairPicture:
    """A training picture that may be a target or a reference."""

    image_id: str
    frame_id: str
    character: str
    split: str
    shot_index: int
    timestamp_s: float
    file: str
    mask_file: str | None
    caption: str
    pose: str
    shot_size: str
    crop_area: float  # of the frame, square pixels
    subject_px: float  # shorter side of the character's box, in the frame
    confidence: float  # 1 where a person said who it is
    also_shown: tuple[str, ...] = ()  # by name
    num_others: int = 0  # in the frame, nameless ones too


@dataclass(frozen=True, kw_only=True)
class ReferencePair:
    """A target with its references, or why it has none."""

    target: PairPicture
    references: tuple[PairPicture, ...] = ()
    background_similarity: float | None = None  # the largest of the references
    reason: str | None = None  # null: taken


def choose_pairs(
    pictures: Sequence[PairPicture], similarity: Similarity, wanted: PairConfig
) -> list[ReferencePair]:
    """Choose references for each target of one character.

    Parameters
    ----------
    pictures : sequence of PairPicture
        Of one character; several crops of a frame are one view: the widest is the target, the
        tightest the reference.
    similarity : callable
        Of the places of two frames, by `frame_id`: a cosine in [-1, 1].

    Returns
    -------
    list of ReferencePair
        One for each frame with a picture that is sure, in order of film time. Pairs past
        `max_pairs` are ``surplus``: shots take turns. Targets and references are of one split.
    """
    sure = [p for p in pictures if p.confidence >= wanted.min_confidence]
    targets, sources = _by_frame(sure, widest=True), _by_frame(sure, widest=False)
    usable = [s for s in sources if s.mask_file or not wanted.has_plain_background]
    return _at_most([_pair(target, usable, similarity, wanted) for target in targets], wanted)


def choose_clip_pairs(
    clips: Sequence[PairPicture],
    pictures: Sequence[PairPicture],
    similarity: Similarity,
    wanted: PairConfig,
) -> list[ReferencePair]:
    """Choose references for each clip of one character, as `choose_pairs` for pictures.

    Parameters
    ----------
    clips : sequence of PairPicture
        A clip stands as the kept frame nearest to its middle.
    pictures : sequence of PairPicture
        What references are taken from.
    """
    sure = [p for p in pictures if p.confidence >= wanted.min_confidence]
    sources = _by_frame(sure, widest=False)
    usable = [s for s in sources if s.mask_file or not wanted.has_plain_background]
    return _at_most([_pair(clip, usable, similarity, wanted) for clip in clips], wanted)


def _at_most(made: Sequence[ReferencePair], wanted: PairConfig) -> list[ReferencePair]:
    """Pairs past the number of the settings become `SURPLUS`."""
    kept = {id(pair) for pair in _take_turns(made)[: wanted.max_pairs]}
    return [
        pair
        if pair.reason or id(pair) in kept
        else ReferencePair(target=pair.target, reason=SURPLUS)
        for pair in made
    ]


def _by_frame(pictures: Sequence[PairPicture], *, widest: bool) -> list[PairPicture]:
    """One picture of each frame, in film time."""
    found: dict[str, PairPicture] = {}
    for one in sorted(pictures, key=lambda p: (p.crop_area, p.image_id), reverse=widest):
        found.setdefault(one.frame_id, one)
    return sorted(found.values(), key=lambda p: (p.timestamp_s, p.image_id))


def _pair(
    target: PairPicture, sources: Sequence[PairPicture], similarity: Similarity, wanted: PairConfig
) -> ReferencePair:
    """The references of one target, or why there are none."""
    other = [s for s in sources if s.shot_index != target.shot_index and s.split == target.split]
    if not other:
        return ReferencePair(target=target, reason=ALONE)
    apart = [s for s in other if abs(s.timestamp_s - target.timestamp_s) >= wanted.min_gap_seconds]
    if not apart:
        return ReferencePair(target=target, reason=GAP)
    alike = {s.image_id: similarity(target.frame_id, s.frame_id) for s in apart}
    elsewhere = [s for s in apart if alike[s.image_id] < wanted.max_background_similarity]
    if not elsewhere:
        return ReferencePair(
            target=target, reason=BACKGROUND, background_similarity=min(alike.values())
        )
    chosen = _varied(elsewhere, alike, wanted.max_references)
    return ReferencePair(
        target=target,
        references=tuple(chosen),
        background_similarity=max(alike[s.image_id] for s in chosen),
    )


def _varied(
    sources: Sequence[PairPicture], alike: dict[str, float], number: int
) -> list[PairPicture]:
    """The best first, then those that add a pose, a size or a shot; near repeats are left out."""
    largest = max(s.subject_px for s in sources)

    def score(one: PairPicture, chosen: Sequence[PairPicture]) -> float:
        new = sum(
            getattr(one, name) not in {getattr(c, name) for c in chosen}
            for name in ("pose", "shot_size")
        )
        worth = one.subject_px / largest + one.confidence / 2 - min(2, one.num_others) / 2
        return new + worth - alike[one.image_id] / 2

    chosen: list[PairPicture] = []
    while len(chosen) < number:
        shots = {c.shot_index for c in chosen}
        left = [s for s in sources if s.shot_index not in shots]
        if not left:
            break
        chosen.append(max(left, key=lambda s: (score(s, chosen), -s.timestamp_s, s.image_id)))
    return chosen


def _take_turns(pairs: Sequence[ReferencePair]) -> list[ReferencePair]:
    """Pairs that have references: the first of each shot, then the second of each ..."""
    turn: dict[int, int] = {}
    ordered = []
    for pair in pairs:
        if pair.reason is None:
            shot = pair.target.shot_index
            turn[shot] = turn.get(shot, 0) + 1
            ordered.append((turn[shot], pair.target.timestamp_s, pair))
    return [pair for *_, pair in sorted(ordered, key=lambda entry: entry[:2])]
