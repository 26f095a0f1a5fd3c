"""Which runs of frames become clips: decisions over tables, no picture is opened.

In each shot the longest runs are sought first, greedily and without overlap; a run that breaks a
rule is tried at other starts, then shorter. What was tried last is a row with the rule that it
breaks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from bunny.clip.camera import name_camera
from bunny.clip.measure import Box
from bunny.clip.overlay import choose_region
from bunny.clip.preset import ClipForm, choose_form, choose_lengths
from bunny.clip.shot_measures import ShotMeasures, read_shots
from bunny.core.config.clip import ClipConfig
from bunny.video.shot import scene_score

STEP_S = 0.25  # between starts that are tried
CUT_LAYOUT, CUT_CHANGE = 0.5, 12.0  # of a frame that is another picture than the one before
CUT_RATIO = 4.0  # as often as much change as the run's median
SOFT, SOFT_SHARE = 0.2, 0.05  # of the run's median sharpness; of the frames
SECOND = 1.0  # writing on a frame is taken to stand so long before and after it


@dataclass(frozen=True, kw_only=True)
class ClipPlan:
    """A run of frames of one shot, measured, and why it is no clip; empty: it may be."""

    character: str
    shot_index: int
    start_s: float
    num_frames: int
    fps: float
    frame_indices: tuple[int, ...]  # of the film, one a frame of the clip
    coverage: float
    motion: float
    sharpness: float
    camera: str
    also_shown: tuple[str, ...]
    size: tuple[int, int]  # of the shot's picture
    boxes: tuple[Box, ...] = field(repr=False, default=())
    region: Box | None = None  # part of the picture without logos; None: there is none
    reason: str = ""
    detail: str | None = None

    @property
    def end_s(self) -> float:
        """Film time of the last frame's end."""
        return self.start_s + self.num_frames / self.fps

    @property
    def clip_id(self) -> str:
        """Stable name: character, shot and first frame."""
        return f"{self.character}-{self.shot_index:05d}-{self.frame_indices[0]:08d}"


def plan_shot(
    shot: ShotMeasures, character: str, form: ClipForm, wanted: ClipConfig
) -> list[ClipPlan]:
    """Runs of one shot for a character, by time; where there is none, the best that was refused."""
    own = _fill(shot, character, form, wanted, shot.first, shot.end)
    return sorted(own, key=lambda plan: plan.start_s)


def _fill(
    shot: ShotMeasures, character: str, form: ClipForm, wanted: ClipConfig, first: int, end: int
) -> Iterator[ClipPlan]:
    """Plans between two frames: the best run, then what is left on its sides."""
    refused: ClipPlan | None = None
    for num_frames in choose_lengths(wanted):
        tried = list(_runs(shot, character, form, num_frames, first, end))
        judged = [judge(plan, shot, wanted) for plan in tried]
        good = [plan for plan in judged if not plan.reason]
        if good:
            best = max(good, key=lambda plan: (round(plan.coverage, 2), -plan.start_s))
            yield best
            start = int(np.searchsorted(shot.index, best.frame_indices[0]))
            after = int(np.searchsorted(shot.index, best.frame_indices[-1])) + 1
            yield from _without_refused(_fill(shot, character, form, wanted, first, start))
            yield from _without_refused(_fill(shot, character, form, wanted, after, end))
            return
        refused = max(judged, key=lambda plan: plan.coverage, default=refused)
    if refused is None:
        refused = _too_short(shot, character, form, wanted, first, end)
    if refused is not None:
        yield refused


def _without_refused(plans: Iterator[ClipPlan]) -> Iterator[ClipPlan]:
    return (plan for plan in plans if not plan.reason)


def _runs(
    shot: ShotMeasures, character: str, form: ClipForm, num_frames: int, first: int, end: int
) -> Iterator[ClipPlan]:
    """Runs of a length, at starts a quarter of a second apart."""
    if end <= first:
        return
    last_s = (num_frames - 1) / form.fps
    start_s, stop_s = shot.time_s[first], shot.time_s[end - 1]
    while start_s + last_s <= stop_s + 1e-9:
        yield _measure(shot, character, form, num_frames, float(start_s))
        start_s += STEP_S


def choose_frames(time_s: np.ndarray, start_s: float, num_frames: int, fps: float) -> np.ndarray:
    """Rows of the frames nearest to evenly spaced times, so that played speed is film speed.

    Parameters
    ----------
    time_s : np.ndarray, shape (n,)
        Times of frames, rising, in seconds.

    Examples
    --------
    >>> choose_frames(np.arange(10) / 24, 0.0, 4, 16.0).tolist()
    [0, 1, 3, 4]
    """
    asked = start_s + np.arange(num_frames) / fps
    after = np.clip(np.searchsorted(time_s, asked), 1, max(1, len(time_s) - 1))
    before = after - 1
    after = np.minimum(after, len(time_s) - 1)
    is_nearer = np.abs(time_s[after] - asked) < np.abs(asked - time_s[before]) - 1e-9
    return np.where(is_nearer, after, before)


def _measure(
    shot: ShotMeasures, character: str, form: ClipForm, num_frames: int, start_s: float
) -> ClipPlan:
    rows = choose_frames(shot.time_s, start_s, num_frames, form.fps)
    part = slice(int(rows[0]), int(rows[-1]) + 1)
    inner = slice(part.start + 1, part.stop)  # differences to the frame before, inside the run
    indices = tuple(int(i) for i in shot.index[rows])
    own = shot.boxes[character]
    boxes = tuple(own[index] for index in indices if index in own)
    others = [
        name
        for name, boxes in shot.boxes.items()
        if name != character and any(index in boxes for index in indices)
    ]
    return ClipPlan(
        character=character,
        shot_index=shot.shot_index,
        start_s=float(shot.time_s[rows[0]]),
        num_frames=num_frames,
        fps=form.fps,
        frame_indices=indices,
        coverage=float(np.mean([index in own for index in indices])),
        motion=float(shot.change[inner].mean()) if inner.stop > inner.start else 0.0,
        sharpness=float(np.median(shot.sharpness[part])),
        camera=name_camera(shot.shift_x[inner], shot.shift_y[inner], shot.zoom[inner]),
        also_shown=tuple(sorted(others)),
        size=shot.size,
        boxes=boxes,
        region=choose_region(shot.size, boxes, shot.overlays),
    )


def judge(plan: ClipPlan, shot: ShotMeasures, wanted: ClipConfig) -> ClipPlan:
    """The plan with the first rule that it breaks, if any."""
    first = int(np.searchsorted(shot.index, plan.frame_indices[0]))
    end = int(np.searchsorted(shot.index, plan.frame_indices[-1])) + 1
    change, layout = shot.change[first + 1 : end], shot.layout_change[first + 1 : end]
    usual = max(1.0, float(np.median(change))) if len(change) else 1.0
    is_cut = (layout > CUT_LAYOUT) & (change > CUT_CHANGE) & (change > CUT_RATIO * usual)
    scene, end_s = float(shot.scene_score[first + 1 : end].max(initial=0.0)), plan.end_s
    sharp = shot.sharpness[first:end]
    soft = float(np.mean(sharp < SOFT * plan.sharpness)) if len(sharp) else 0.0
    has_text = any(plan.start_s - SECOND <= time <= end_s + SECOND for time in shot.text_s)
    rules = (
        (
            "absent",
            plan.coverage < wanted.min_coverage - 1e-9,
            f"in {plan.coverage:.0%} of the frames, clip.min_coverage is {wanted.min_coverage:.0%}",
        ),
        ("cut inside", bool(is_cut.any()), "the whole picture changes from one frame to the next"),
        (
            "cut inside",
            scene >= scene_score.THRESHOLD,
            f"FFmpeg's scdet detects a scene change ({scene:.0f} of 100)",
        ),
        ("text", has_text, "text in the picture"),
        (
            "logo",
            plan.region is None,
            "no part without the logo shows the whole character",
        ),
        (
            "frozen",
            plan.motion < wanted.min_motion,
            f"{plan.motion:.2f} levels per frame, clip.min_motion is {wanted.min_motion:g}",
        ),
        (
            "wild",
            plan.motion > wanted.max_motion,
            f"{plan.motion:.1f} levels per frame, clip.max_motion is {wanted.max_motion:g}",
        ),
        (
            "blurred",
            plan.sharpness < wanted.min_sharpness,
            f"sharpness {plan.sharpness:.0f}, clip.min_sharpness is {wanted.min_sharpness:g}",
        ),
        ("blurred", soft > SOFT_SHARE, f"{soft:.0%} of the frames are much softer than the rest"),
    )
    for reason, is_broken, detail in rules:
        if is_broken:
            return replace(plan, reason=reason, detail=detail)
    return plan


def _too_short(
    shot: ShotMeasures, character: str, form: ClipForm, wanted: ClipConfig, first: int, end: int
) -> ClipPlan | None:
    """The shot as one run that no length fits in; None where nothing is left of it."""
    if end - first < 2 or (first, end) != (shot.first, shot.end):
        return None
    seconds = float(shot.time_s[end - 1] - shot.time_s[first])
    least = choose_lengths(wanted)[-1]
    number = max(1, int(seconds * form.fps) + 1)
    plan = _measure(shot, character, form, number, float(shot.time_s[first]))
    need = f"{seconds:.1f} s, the shortest clip is {least} frames at {form.fps:g} per second"
    return replace(plan, reason="too short", detail=need)


def choose_clips(
    tables: Mapping[str, pl.DataFrame],
    cluster: pl.DataFrame,
    names: Collection[str],
    wanted: ClipConfig,
) -> tuple[list[ClipPlan], list[ClipPlan]]:
    """Runs that become clips, by film time, and the others with their reasons.

    Parameters
    ----------
    tables : mapping of str to pl.DataFrame
        As `read_shots`, and `embedding`.
    cluster : pl.DataFrame
        Table of that name; says where shots play.
    names : collection of str
        Characters that clips are made of; others count as shown beside them.
    """
    form = choose_form(wanted)
    plans = [
        plan
        for shot in read_shots(tables, wanted)
        for name in sorted(set(shot.boxes) & set(names))
        for plan in plan_shot(shot, name, form, wanted)
    ]
    scenes = cluster.filter(pl.col("level") == "scene").drop_nulls("scene_id")
    place = dict(scenes.sort("item_id").select("shot_index", "scene_id").iter_rows())
    pictures = _pictures(plans, tables["frame"], tables["embedding"])
    judged = [
        plan
        for name in sorted({plan.character for plan in plans})
        for plan in choose_varied(
            [one for one in plans if one.character == name],
            place,
            wanted.max_clips,
            pictures=pictures,
            max_similarity=wanted.max_similarity,
        )
    ]
    judged.sort(key=lambda plan: (plan.start_s, plan.clip_id))
    return [one for one in judged if not one.reason], [one for one in judged if one.reason]


def choose_varied(
    plans: Sequence[ClipPlan],
    place: Mapping[int, str],
    max_clips: int,
    *,
    pictures: Mapping[str, np.ndarray] | None = None,
    max_similarity: float = 1.0,
) -> list[ClipPlan]:
    """All plans, near duplicates with reason `duplicate`, those beyond the number with `surplus`.

    Clips are taken in turn from the rarest kinds: shot, place, camera and who else is there; of
    equals the one whose motion is least like that of those taken. One that shows what a taken one
    of the same camera move shows is left out.

    Parameters
    ----------
    plans : sequence of ClipPlan
        Of one character.
    place : mapping of int to str
        Scene of each shot.
    pictures : mapping of str to np.ndarray, optional
        Unit vector of what each clip shows, by clip id; see `_pictures`.
    max_similarity : float
        Cosine of those vectors above which two clips show the same.
    """
    good = [plan for plan in plans if not plan.reason]
    taken: list[ClipPlan] = []
    counts: dict[tuple[str, str], int] = {}

    def crowding(plan: ClipPlan) -> tuple[int, float, float]:
        kinds = _kinds(plan, place)
        nearest = min((abs(plan.motion - one.motion) for one in taken), default=0.0)
        return sum(counts.get(kind, 0) for kind in kinds), -nearest, plan.start_s

    left = list(good)
    spare: dict[int, ClipPlan] = {}
    while left and len(taken) < max_clips:
        best = min(left, key=crowding)
        left.remove(best)
        taken.append(best)
        for kind in _kinds(best, place):
            counts[kind] = counts.get(kind, 0) + 1
        for plan in list(left):
            alike = _likeness(plan, best, pictures or {})
            if alike > max_similarity:
                left.remove(plan)
                minute, second = divmod(int(best.start_s), 60)
                why = f"near-duplicate of the clip at {minute}:{second:02d} ({alike:.3f})"
                spare[id(plan)] = replace(plan, reason="duplicate", detail=why)
    why = f"clip.max_clips is {max_clips}, and the chosen clips are more varied"
    spare |= {id(plan): replace(plan, reason="surplus", detail=why) for plan in left}
    return [spare.get(id(plan), plan) for plan in plans]


def _likeness(one: ClipPlan, other: ClipPlan, pictures: Mapping[str, np.ndarray]) -> float:
    """Cosine of what two clips show; -1 where that is not known, or the camera moves otherwise."""
    known = one.clip_id in pictures and other.clip_id in pictures
    if not known or one.camera != other.camera:
        return -1.0
    return float(pictures[one.clip_id] @ pictures[other.clip_id])


def _pictures(
    plans: Sequence[ClipPlan], frame: pl.DataFrame, embedding: pl.DataFrame
) -> dict[str, np.ndarray]:
    """Unit mean of the scene vectors of each clip's kept frames; else of the nearest one's."""
    times = frame.select("frame_id", "shot_index", "timestamp_s")
    known = embedding.filter(pl.col("vector").is_not_null()).join(times, on="frame_id")
    by_shot = {
        shot: (own["timestamp_s"].to_numpy(), np.array(own["vector"].to_list(), np.float32))
        for (shot,), own in known.partition_by("shot_index", as_dict=True).items()
    }
    found = {}
    for one in plans:
        if one.shot_index in by_shot:
            time_s, vector = by_shot[one.shot_index]
            inside = (time_s >= one.start_s) & (time_s < one.end_s)
            if not inside.any():
                inside = np.arange(len(time_s)) == np.abs(time_s - one.start_s).argmin()
            mean = vector[inside].mean(axis=0)
            found[one.clip_id] = mean / max(float(np.linalg.norm(mean)), 1e-9)
    return found


def _kinds(plan: ClipPlan, place: Mapping[int, str]) -> tuple[tuple[str, str], ...]:
    return (
        ("shot", str(plan.shot_index)),
        ("place", place.get(plan.shot_index, "")),
        ("camera", plan.camera),
        ("others", ",".join(plan.also_shown)),
    )
