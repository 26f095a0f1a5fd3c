"""Rules by which trainers load a clip: frames taken, played speed, size, or why it is dropped.

Read in the trainers' own code, at the commits of `READ_AT`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import accumulate, repeat

from bunny.trainer_format.check import finding

READ_AT = {
    "musubi": "30c658c",
    "diffusion-pipe": "8f83dbf",
    "ai-toolkit": "27a03a9",
    "simpletuner": "bc8e6ab",
    "diffsynth": "fed7b18",
    "ltx": "400fd31",
    "finetrainers": "f476c37",
}
KEPT, CUT, RESAMPLED, DROPPED = "kept", "cut", "resampled", "dropped"
STOPS, CHANGED = "stops", "changed"  # the trainer ends with an error; it makes something else of it
EFFECTS = (STOPS, DROPPED, RESAMPLED, CHANGED, CUT, KEPT)  # the worst first
# What becomes of a file that the configuration names and that is not there; the other trainers list
# the folder themselves, so they never notice.
MISSING = {"musubi": STOPS, "diffsynth": STOPS, "ltx": STOPS}
# Of a file that is there and cannot be read: LTX-2 passes over clips alone, see `unreadable`.
UNREADABLE = {
    "musubi": STOPS,
    "diffusion-pipe": DROPPED,
    "ai-toolkit": DROPPED,
    "simpletuner": DROPPED,
    "diffsynth": STOPS,
    "ltx": STOPS,
    "finetrainers": STOPS,
}
# Of a file without a caption beside it: musubi-tuner passes over pictures, see `uncaptioned`;
# ai-toolkit trains with an empty one.
UNCAPTIONED = {
    "musubi": STOPS,
    "diffusion-pipe": DROPPED,
    "ai-toolkit": CHANGED,
    "simpletuner": STOPS,
    "finetrainers": DROPPED,
}
# Of a target without one of its references: ai-toolkit and SimpleTuner train without it.
UNREFERENCED = {
    "musubi": STOPS,
    "diffusion-pipe": STOPS,
    "ai-toolkit": CHANGED,
    "simpletuner": CHANGED,
    "diffsynth": STOPS,
    "ltx": STOPS,
}
NEAR_SPEED = 0.02  # played speed may differ by it: half a frame in 25
MAX_CUT = 0.05  # share of a frame's area that may be cropped without a word


@dataclass(frozen=True, kw_only=True)
class MediaFile:
    """A clip or a picture as it lies in a folder."""

    num_frames: int  # that can be decoded; 1: a picture
    fps: float  # 0: a picture
    width_px: int
    height_px: int
    num_promised: int = 0  # by the container; 0: as many as can be decoded
    is_broken: bool = False  # decoding ends with an error

    @property
    def is_picture(self) -> bool:
        """Whether it is no clip."""
        return not self.fps


@dataclass(frozen=True, kw_only=True)
class LoadRule:
    """What a configuration says of a folder."""

    frames: tuple[int, ...]  # lengths asked for
    width_px: int = 0  # 0: as the file is
    height_px: int = 0
    model: str = ""  # one of `clip.preset.FORM`; empty: not known
    model_fps: float = 0.0  # the model's own rate; 0: not known
    frame_step: int = 4  # of the model: lengths of n * step + 1
    source_fps: float = 0.0  # musubi-tuner's setting; 0: not given
    is_shrunk: bool = True  # ai-toolkit's `shrink_video_to_frames`


@dataclass(frozen=True, kw_only=True)
class LoadedClip:
    """What the trainer makes of a clip."""

    effect: str  # one of `EFFECTS`
    num_frames: int  # 0: dropped
    speed: float = 1.0  # motion as the model sees it, over motion in the file
    reason: str = ""


def load(form: str, file: MediaFile, rule: LoadRule) -> LoadedClip:
    """Say what a trainer makes of a clip or a picture.

    Parameters
    ----------
    form : str
        One of `LOADERS`.

    Examples
    --------
    >>> clip = MediaFile(num_frames=121, fps=24, width_px=832, height_px=480)
    >>> load("diffusion-pipe", clip, LoadRule(frames=(81,), model_fps=16)).reason
    '121 frames at 24 fps make 80 at 16 fps, shorter than 81'
    """
    if file.is_picture:
        return LoadedClip(effect=KEPT, num_frames=1)
    if file.num_promised > file.num_frames:
        return _truncated(form, file, rule)
    return LOADERS[form](file, rule)


def unreadable(form: str, is_picture: bool) -> str:
    """Effect of an unreadable file on the trainer; one of `EFFECTS`."""
    return DROPPED if form == "ltx" and not is_picture else UNREADABLE[form]


def uncaptioned(form: str, is_picture: bool) -> str:
    """Effect of a missing caption on the trainer; one of `EFFECTS`."""
    return DROPPED if form == "musubi" and is_picture else UNCAPTIONED[form]


def _truncated(form: str, file: MediaFile, rule: LoadRule) -> LoadedClip:
    """A clip that ends before its container says.

    musubi-tuner and LTX-2 decode until they have enough; diffusion-pipe and LTX-2 choose the length
    by what the container promises, diffusion-pipe then stops at the clip; finetrainers stops where
    decoding fails; ai-toolkit repeats the last frame; the others take what can be read.
    """
    reason = f"only {file.num_frames} of {file.num_promised} frames can be read"
    made = LOADERS[form](file, rule)
    if form in ("musubi", "ltx") and file.num_frames >= max(rule.frames):
        return made
    is_short = form == "ltx" and file.num_promised >= min(rule.frames) > file.num_frames
    is_stopped = form in ("musubi", "ltx", "finetrainers") and file.is_broken
    if form == "diffusion-pipe" or is_stopped or is_short:
        return LoadedClip(effect=STOPS, num_frames=0, reason=reason)
    if form == "ai-toolkit":
        reason += ", the last one is repeated"
        return LoadedClip(effect=CHANGED, num_frames=rule.frames[0], reason=reason)
    reason = "; ".join(filter(None, (reason, made.reason)))
    return replace(made, effect=CHANGED if made.num_frames else DROPPED, reason=reason)


def _musubi(file: MediaFile, rule: LoadRule) -> LoadedClip:
    """Targets rounded down to 4n+1; the first frames; no sample of a clip that is shorter.

    Of frames that fall on one number at the model's rate the first is taken; reading ends at the
    number of the longest target, so a rate that is raised gives fewer frames than it asks for.
    """
    targets = sorted({_floor(frames, 4) for frames in rule.frames})
    available, is_resampled = file.num_frames, False
    if rule.source_fps and rule.model_fps and rule.source_fps != rule.model_fps:
        steps = repeat(rule.model_fps / rule.source_fps, file.num_frames - 1)
        numbers = {int(at) for at in accumulate(steps, initial=0.0)}  # rounded as it does
        read = sum(number < targets[-1] for number in numbers)
        available, is_resampled = len(numbers) if read >= targets[-1] else read, True
    taken = [frames for frames in targets if frames <= available]
    if not taken:
        return _too_short(f"{available} frames, no sample: the shortest target is {targets[0]}")
    at_fps = rule.model_fps * file.fps / rule.source_fps if is_resampled else file.fps
    return _taken(file, max(taken), available, _speed(at_fps, rule), is_resampled)


def _diffusion_pipe(file: MediaFile, rule: LoadRule) -> LoadedClip:
    """Resampled to the model's rate first; the longest bucket that is not longer than the clip."""
    fps = rule.model_fps or file.fps
    available = int(file.num_frames * fps / file.fps)
    taken = [frames for frames in rule.frames if 1 < frames <= available]
    if not taken:
        least = min((f for f in rule.frames if f > 1), default=0)
        made = f"{file.num_frames} frames at {file.fps:g} fps make {available} at {fps:g} fps"
        return _too_short(f"{made}, shorter than {least}" if least else "no frame bucket")
    return _taken(file, max(taken), available, 1.0, fps != file.fps)


def _ai_toolkit(file: MediaFile, rule: LoadRule) -> LoadedClip:
    """As many frames as asked for, spread over the whole clip; a short one gives some twice."""
    wanted = rule.frames[0]
    if wanted == file.num_frames:
        return _taken(file, wanted, wanted, _speed(file.fps, rule), False)
    if not rule.is_shrunk and file.num_frames > wanted:
        return _taken(file, wanted, file.num_frames, _speed(file.fps, rule), False)
    spread = (file.num_frames - 1) / max(1, wanted - 1)
    speed = spread * _speed(file.fps, rule)
    reason = f"{file.num_frames} frames are spread over {wanted}: motion is {speed:.2f} times"
    return LoadedClip(effect=RESAMPLED, num_frames=wanted, speed=speed, reason=reason)


def _simpletuner(file: MediaFile, rule: LoadRule) -> LoadedClip:
    """Wan and LTX floored to 8n+1; below the least length passed over; no resampling."""
    available, wanted = file.num_frames, rule.frames[0]
    if rule.model != "hunyuan":
        available = _floor(available, 8)
    if available < wanted:
        return _too_short(f"{file.num_frames} frames count as {available}, fewer than {wanted}")
    return _taken(file, wanted, file.num_frames, _speed(file.fps, rule), False)


def _diffsynth(file: MediaFile, rule: LoadRule) -> LoadedClip:
    """The first frames; of a shorter clip as many as 4n+1 allows; of LTX 8n+1, at its rate."""
    wanted, available, is_resampled = rule.frames[0], file.num_frames, False
    if rule.model == "ltx" and rule.model_fps != file.fps:
        available, is_resampled = int(file.num_frames / file.fps * rule.model_fps), True
    taken = wanted if available >= wanted else _floor(available, rule.frame_step)
    speed = 1.0 if is_resampled else _speed(file.fps, rule)
    return _taken(file, taken, available, speed, is_resampled)


def _ltx(file: MediaFile, rule: LoadRule) -> LoadedClip:
    """The longest bucket that is not longer than the clip; no resampling."""
    taken = [frames for frames in rule.frames if frames <= file.num_frames]
    if not taken:
        return _too_short(f"{file.num_frames} frames, fewer than {min(rule.frames)}")
    return _taken(file, max(taken), file.num_frames, 1.0, False)


def _finetrainers(file: MediaFile, rule: LoadRule) -> LoadedClip:
    """The longest bucket that fits, its frames spread over the clip; a shorter clip stays so."""
    fitting = [frames for frames in rule.frames if frames <= file.num_frames]
    if not fitting:
        least = min(rule.frames)
        reason = f"{file.num_frames} frames go in as they are, though {least} are expected"
        return LoadedClip(effect=CUT, num_frames=file.num_frames, reason=reason)
    wanted = max(fitting)
    speed = _speed(file.fps, rule) * (file.num_frames - 1) / max(1, wanted - 1)
    if wanted == file.num_frames:
        return _taken(file, wanted, wanted, speed, False)
    reason = f"{file.num_frames} frames are spread over {wanted}: motion is {speed:.2f} times"
    return LoadedClip(effect=RESAMPLED, num_frames=wanted, speed=speed, reason=reason)


LOADERS: dict[str, Callable[[MediaFile, LoadRule], LoadedClip]] = {
    "musubi": _musubi,
    "diffusion-pipe": _diffusion_pipe,
    "ai-toolkit": _ai_toolkit,
    "simpletuner": _simpletuner,
    "diffsynth": _diffsynth,
    "ltx": _ltx,
    "finetrainers": _finetrainers,
}


def size_reason(file: MediaFile, rule: LoadRule) -> str:
    """What is said of the size; empty where the file fits."""
    size, target = (file.width_px, file.height_px), (rule.width_px, rule.height_px)
    if not rule.width_px or size == target:
        return ""
    change = f"{file.width_px}x{file.height_px} to {rule.width_px}x{rule.height_px}"
    fill = max(rule.width_px / file.width_px, rule.height_px / file.height_px)
    share = finding.cropped_share(size, target, fill) if rule.height_px else 0.0
    if share > MAX_CUT:
        return f"{change}, {share:.0%} cropped"
    scale = rule.width_px / file.width_px
    return f"{change}, {'enlarged' if scale > 1 else 'reduced'}"


def _speed(fps: float, rule: LoadRule) -> float:
    """Frames of one rate played at the model's."""
    return rule.model_fps / fps if rule.model_fps and fps else 1.0


def _floor(frames: int, step: int) -> int:
    """The longest n * step + 1 that is not longer."""
    return max(1, (frames - 1) // step * step + 1)


def _taken(
    file: MediaFile, taken: int, available: int, speed: float, is_resampled: bool
) -> LoadedClip:
    """A clip of which frames are taken in a row."""
    reasons = []
    if is_resampled:
        reasons.append(f"resampled from {file.fps:g} fps: {file.num_frames} frames to {available}")
    if not math.isclose(speed, 1, abs_tol=NEAR_SPEED):
        reasons.append(f"motion is {speed:.2f} times: the model expects another rate")
    if taken < available:
        reasons.append(f"{taken} of {available} frames")
    is_changed = is_resampled or not math.isclose(speed, 1, abs_tol=NEAR_SPEED)
    effect = RESAMPLED if is_changed else CUT if taken < available else KEPT
    return LoadedClip(effect=effect, num_frames=taken, speed=speed, reason="; ".join(reasons))


def _too_short(reason: str) -> LoadedClip:
    return LoadedClip(effect=DROPPED, num_frames=0, reason=reason)
