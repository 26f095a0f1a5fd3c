"""Hard cuts: a change that stands out from its neighbours and is no flash or passing object.

`CutMeter` measures each frame once, `decide_cut` applies a threshold to what was measured.
"""

from dataclasses import dataclass

from bunny.video.shot import frame_difference
from bunny.video.shot.window import Boundary, RecentFrames

NEIGHBOURS = 6  # frames on each side that a cut is compared with
CUT_FLOOR = 0.016  # least compensated difference of a cut: dark cuts have 0.02, grain 0.01
CUT_OFFSET = 0.008  # added to the neighbours' mean, so that stillness makes no cut of a flicker
CUT_RATIO = 2.0  # over the neighbours: cuts 2.3 to 30, all else below 1.8 on the films at hand
CUT_PEAK_RATIO = 1.25  # over the neighbours' second peak: animation on threes moves in jumps
HELD_SHARE, LIVELY_SHARE = 0.05, 0.25  # of the change: a drawing held for two or three frames, and
MIN_LIVELY = 4  # the next one. With so many of both among 12 neighbours the held ones do not count
CUT_SURE = 0.10  # no movement leaves so much: the second peak is another cut
FLASH_FRAMES = 4  # a flash is over, and the old picture back, within so many frames
FLASH_SHARE = 0.4  # of the change; below it the old picture is back
PASSING_SHARE, PASSING_FRAMES = 0.3, 4  # so many neighbours move so much while a wing passes
SAME_LIKENESS = 0.93  # correlation of one picture in two lights
CLEAR_CUT = 2.0  # strength from which a cut between two views of one thing is believed
SAME_MATCH = 0.72  # correlation at the best shift; 97 of 100 cuts have less
PART_SHARE = 0.4  # `changed_share` of subtitles and of what moves alone 0.1 to 0.3, of cuts 0.5 on

# What speaks against a cut: the frame changed too little to be looked at, nothing, the picture is
# back after a flash or a passing object, only the light changed, or (against a weak cut alone) the
# two pictures show one thing.
VETOES = ("unmeasured", "none", "flash", "passing", "light", "same-view")


@dataclass(frozen=True, kw_only=True, slots=True)
class CutScore:
    """What was measured of a possible cut."""

    index: int  # first frame after it
    score: float  # `cut_strength` at threshold 1
    veto: str  # one of `VETOES`


def decide_cut(measured: CutScore, threshold: float) -> Boundary | None:
    """Decide whether a frame is a cut; no picture is looked at.

    Parameters
    ----------
    threshold : float
        `extraction.cut_threshold`; scales what is asked for.

    Raises
    ------
    ValueError
        If the frame was not looked at because the threshold was thought to be higher.
    """
    strength = measured.score / threshold
    if strength < 1:
        return None
    if measured.veto == "unmeasured":
        raise ValueError(
            f"cut_threshold: frame {measured.index} was not measured for a threshold of "
            f"{threshold:g}; extract the film again"
        )
    if measured.veto in ("flash", "passing", "light"):
        return None
    if measured.veto == "same-view" and strength < CLEAR_CUT:
        return None
    index = measured.index
    return Boundary(index=index, kind="cut", strength=strength, span=(index, index))


class CutMeter:
    """Measures possible cuts among recent frames.

    Parameters
    ----------
    floor : float
        Least score from which a frame is looked at for what speaks against a cut.
    """

    def __init__(self, recent: RecentFrames, floor: float) -> None:
        self._recent, self._floor = recent, floor

    def at(self, index: int) -> CutScore | None:
        """Score of a frame, known when `NEIGHBOURS` frames follow it; None of the first frame."""
        if index <= self._recent.start:
            return None
        here = self._recent.at(index).moved
        first, last = (
            max(self._recent.start + 1, index - NEIGHBOURS),
            min(self._recent.count - 1, index + NEIGHBOURS),
        )
        around = sorted(self._recent.at(i).moved for i in range(first, last + 1) if i != index)
        scale = self._recent.scale(index - 1, index)
        score = cut_strength(here, around, scale=scale)
        veto = "unmeasured" if score < self._floor else self._veto(index, here, around, last)
        return CutScore(index=index, score=score, veto=veto)

    def _veto(self, index: int, here: float, around: list[float], last: int) -> str:
        """What speaks against a cut at a frame."""
        if self._is_flash(index, here, last):
            return "flash"
        if self._is_passing(index, here, around):
            return "passing"
        if self._is_light(index):
            return "light"
        return "same-view" if self._is_explained(index) else "none"

    def _is_flash(self, index: int, here: float, last: int) -> bool:
        """Whether the picture before comes back at once, or just did (the flash's end)."""
        before = self._recent.thumb(index - 1)
        for later in range(index + 1, min(index + FLASH_FRAMES, last) + 1):
            if is_same_again(before, self._recent.thumb(later), here):
                return True
        after = self._recent.thumb(index)
        for earlier in range(max(self._recent.oldest, index - FLASH_FRAMES - 1), index - 1):
            if is_same_again(self._recent.thumb(earlier), after, here):
                return True
        return False

    def _is_passing(self, index: int, here: float, around: list[float]) -> bool:
        """Whether something crosses the lens: much moves for a while, and the old picture is back.

        A short shot between two of one picture differs: only its two cuts move.
        """
        first, last = index - 1 - NEIGHBOURS, index + NEIGHBOURS
        if first < max(self._recent.start, self._recent.oldest) or last >= self._recent.count:
            return False
        if sum(moved >= PASSING_SHARE * here for moved in around) < PASSING_FRAMES:
            return False
        return is_same_again(self._recent.thumb(first), self._recent.thumb(last), here)

    def _is_explained(self, index: int) -> bool:
        """Whether the picture before is still there: far moved, in other light, or in part."""
        before, here = self._recent.thumb(index - 1), self._recent.thumb(index)
        if frame_difference.best_match(before, here) > SAME_MATCH:
            return True
        return frame_difference.changed_share(before, here) < PART_SHARE

    def _is_light(self, index: int) -> bool:
        """Whether only the light changed: the picture is the same but for brightness."""
        return (
            frame_difference.correlation(self._recent.thumb(index - 1), self._recent.thumb(index))
            > SAME_LIKENESS
        )


def cut_strength(
    here: float, around: list[float], threshold: float = 1.0, scale: float = 1.0
) -> float:
    """Strength of a cut: prominence of a compensated difference; 1 and more is a cut.

    Parameters
    ----------
    here : float
        Compensated difference at the frame.
    around : list of float
        Those of up to 12 neighbours, rising.
    threshold : float
        Scales what is asked for.
    scale : float
        In (0, 1]; below 1 for pictures of low contrast, where all differences are smaller.

    Returns
    -------
    float
        The least of: over the floor, over the neighbours' mean, over their second peak.
    """
    lively = [moved for moved in around if moved >= LIVELY_SHARE * here]
    num_held = sum(moved < HELD_SHARE * here for moved in around)
    beside = lively if min(len(lively), num_held) >= MIN_LIVELY else around
    mean = sum(beside) / len(beside) if beside else 0.0
    over_floor = here / (CUT_FLOOR * scale)
    over_mean = here / (mean + CUT_OFFSET * scale) / CUT_RATIO
    strength = min(over_floor, over_mean)
    if len(around) > 1 and around[-2] > 0 and here < CUT_SURE:
        strength = min(strength, here / around[-2] / CUT_PEAK_RATIO)
    return strength / threshold


def is_same_again(one, two, here: float) -> bool:
    """Whether two thumbnails are one picture again after a change of `here` between them."""
    return frame_difference.compensated_difference(one, two) < FLASH_SHARE * here
