"""Frames of the sample film: acting, cameras, transitions, blur, title and credits."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from bunny.demo import world
from sample import render
from sample.script import FRAME_RATE, ActorMotion, Camera, PlacedShot, ScriptShot

if TYPE_CHECKING:
    from sample.pen import Colour

WIDTH_PX, HEIGHT_PX = 1280, 720
FACE_IN_PHOTO = {"astronaut": (178.0, 62.0, 268.0, 176.0)}  # x0 y0 x1 y1, the photo's pixels
STEPS_PER_S = 1.5
MAX_FOCUS_SIGMA_PX = 14.0
MAX_SMEAR_PX = 160

TITLE = "Clover's Long Day"
SUBTITLE = "a very small film"
CREDITS = (
    ("Clover the bunny", "as herself"),
    ("Bruno the bear", "as the friend"),
    ("Ember the fox", "as the guide"),
    ("Pip the penguin", "as the cook"),
    ("Bolt the robot", "as a stranger"),
    ("", ""),
    ("Archive photographs", "scikit-image"),
    ("Eileen Collins", "NASA"),
    ("Chelsea", "S. van der Walt"),
    ("Falcon 9", "SpaceX"),
    ("Coffee", "R. Michetti"),
    ("", ""),
    ("The end", ""),
)


def frame_at(placed: tuple[PlacedShot, ...], frame_index: int) -> np.ndarray:
    """Draw one frame of the film with its transitions.

    Parameters
    ----------
    placed : tuple of PlacedShot
        The whole time line.
    frame_index : int
        0-based, below the end of the last shot.

    Returns
    -------
    np.ndarray, shape (720, 1280, 3), uint8, RGB
    """
    here = shot_at(placed, frame_index)
    picture = draw_shot(here.shot, frame_index - here.first_frame_index)
    other, share, kind = blend_at(placed, frame_index)
    if kind == "fade":
        return _scaled(picture, 1 - share)
    if kind == "dissolve" and other is not None:
        second = draw_shot(other.shot, frame_index - other.first_frame_index)
        return cv2.addWeighted(picture, 1 - share, second, share, 0)
    return picture


def shot_at(placed: tuple[PlacedShot, ...], frame_index: int) -> PlacedShot:
    """Find the shot that owns a frame.

    Raises
    ------
    IndexError
        If the film has no such frame.
    """
    for item in placed:
        if item.first_frame_index <= frame_index < item.end_frame_index:
            return item
    raise IndexError(f"expected a frame below {placed[-1].end_frame_index}, found {frame_index}")


def blend_at(
    placed: tuple[PlacedShot, ...], frame_index: int
) -> tuple[PlacedShot | None, float, str]:
    """Tell what is mixed into the owner of a frame.

    Returns
    -------
    other : PlacedShot or None
        The shot mixed in during a dissolve.
    share : float
        How much of the other shot, or of black, in [0, 1); at most one half in a dissolve.
    kind : {"none", "fade", "dissolve"}
    """
    here = shot_at(placed, frame_index)
    sides = [(here, here.shot_index - 1)]
    if here.shot_index + 1 < len(placed):
        sides.append((placed[here.shot_index + 1], here.shot_index + 1))
    for entering, other_index in sides:
        half = entering.shot.transition_frames / 2
        distance = abs(frame_index + 0.5 - entering.first_frame_index)
        if distance < half:
            kind = entering.shot.transition_in
            share = 1 - distance / half
            if kind == "dissolve":
                return placed[other_index], share / 2, kind
            return None, share, kind
    return None, 0.0, "none"


def draw_shot(shot: ScriptShot, frame: int) -> np.ndarray:
    """Draw one frame of a shot, without transitions; `frame` counts from the shot's start."""
    if shot.photo:
        picture = _crop(shot, frame)
    else:
        picture = render.render(scene_at(shot, frame), WIDTH_PX, HEIGHT_PX)
    if shot.card != "none":
        picture = draw_card(picture, shot.card, progress(shot, frame))
    if shot.blur_frames[0] <= frame < shot.blur_frames[1]:
        picture = _blur(picture, shot, frame)
    return picture if shot.exposure == 1 else _scaled(picture, shot.exposure)


def scene_at(shot: ScriptShot, frame: int) -> world.Scene:
    """Stage one frame of a drawn shot."""
    return world.Scene(
        place=shot.place,
        light=shot.light,
        actors=tuple(_actor_at(part, shot, frame, i) for i, part in enumerate(shot.parts)),
        camera=camera_at(shot, frame),
        seed=shot.seed,
        time_s=frame / FRAME_RATE,
    )


def camera_at(shot: ScriptShot, frame: int) -> Camera:
    """Where the camera is; pans and zooms start and stop softly, tracks move evenly."""
    along = progress(shot, frame)
    if shot.camera_kind != "track":
        along = along * along * (3 - 2 * along)
    start, end = shot.camera
    return tuple(a + (b - a) * along for a, b in zip(start, end, strict=True))


def progress(shot: ScriptShot, frame: int) -> float:
    """How far a frame is through its shot, in [0, 1]."""
    return min(1.0, max(0.0, frame / (shot.seconds * FRAME_RATE)))


def faces_at(shot: ScriptShot, frame: int) -> dict[str, tuple[float, float, float, float]]:
    """Boxes of the faces in a photograph shot, in the film's pixels, not clipped."""
    if shot.photo not in FACE_IN_PHOTO:
        return {}
    cx, cy, width = camera_at(shot, frame)
    scale = WIDTH_PX / width
    x0, y0, x1, y1 = FACE_IN_PHOTO[shot.photo]
    dx, dy = WIDTH_PX / 2 - cx * scale, HEIGHT_PX / 2 - cy * scale
    return {shot.photo: (x0 * scale + dx, y0 * scale + dy, x1 * scale + dx, y1 * scale + dy)}


def _actor_at(part: ActorMotion, shot: ScriptShot, frame: int, order: int) -> world.Actor:
    """Pose one character at one frame."""
    seconds, along = frame / FRAME_RATE, progress(shot, frame)
    beat = seconds + 0.37 * order
    is_walking = part.does == "walk"
    talk = 0.5 + 0.5 * math.sin(2 * math.pi * 2.6 * beat) * math.sin(2 * math.pi * 0.9 * beat)
    blink = (beat + 0.4) % 2.3 < 0.12 or part.does == "sleep"
    rise = min(1.0, max(0.0, 2.5 * seconds))
    return world.Actor(
        character=part.character,
        x=part.x[0] + (part.x[1] - part.x[0]) * along,
        y=part.y,
        scale=part.scale,
        yaw=part.yaw[0] + (part.yaw[1] - part.yaw[0]) * along,
        phase=(STEPS_PER_S * beat) % 1.0,
        stride=1.0 if is_walking else 0.0,
        wave=rise if part.does == "wave" else 0.0,
        mouth=talk if part.does == "talk" else 0.0,
        eyes=0.0 if blink else 1.0,
        tilt=3.0 * math.sin(2 * math.pi * 0.45 * beat),
    )


@lru_cache(maxsize=8)
def photo(name: str) -> np.ndarray:
    """One of the photographs that scikit-image carries, RGB."""
    import skimage.data

    return getattr(skimage.data, name)()


def _crop(shot: ScriptShot, frame: int) -> np.ndarray:
    """Show the part of a photograph that the camera looks at."""
    cx, cy, width = camera_at(shot, frame)
    scale = WIDTH_PX / width
    matrix = np.array(
        [[scale, 0, WIDTH_PX / 2 - cx * scale], [0, scale, HEIGHT_PX / 2 - cy * scale]]
    )
    return cv2.warpAffine(
        photo(shot.photo),
        matrix,
        (WIDTH_PX, HEIGHT_PX),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _blur(picture: np.ndarray, shot: ScriptShot, frame: int) -> np.ndarray:
    """Blur a frame: strongest at the first blurred frame, gone after the last."""
    first, end = shot.blur_frames
    strength = (end - frame) / (end - first)
    if shot.blur == "focus":
        return cv2.GaussianBlur(picture, (0, 0), MAX_FOCUS_SIGMA_PX * strength)
    return cv2.blur(picture, (max(3, round(MAX_SMEAR_PX * strength)) | 1, 1))


def _scaled(picture: np.ndarray, factor: float) -> np.ndarray:
    """Darken by a factor."""
    return cv2.convertScaleAbs(picture, alpha=factor)


def draw_card(picture: np.ndarray, kind: str, along: float) -> np.ndarray:
    """Write on a copy of a picture.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint8, RGB
    kind : {"title", "credits"}
    along : float
        How far the shot has run, in [0, 1]; credits scroll with it.

    Raises
    ------
    RuntimeError
        If this machine has no typeface at all.
    """
    import skia

    from sample.pen import INK

    if skia.FontMgr().countFamilies() == 0:
        raise RuntimeError("expected a typeface on this machine, found none; install one")
    height, width = picture.shape[:2]
    pixels = np.dstack([picture, np.full((height, width), 255, np.uint8)])
    surface = skia.Surface(pixels, colorType=skia.kRGBA_8888_ColorType)
    canvas = surface.getCanvas()
    if kind == "title":
        _write(canvas, TITLE, width * 0.39, height * 0.42, height * 0.115, INK, 0.5)
        _write(canvas, SUBTITLE, width * 0.39, height * 0.53, height * 0.055, (110, 80, 96), 0.5)
    else:
        _roll(canvas, width, height, along)
    del surface
    return np.ascontiguousarray(pixels[:, :, :3])


def _roll(canvas: Any, width: int, height: int, along: float) -> None:
    """Scroll the credits upwards."""
    step = height * 0.085
    top = height * 0.62 - along * len(CREDITS) * step
    for row, (left, right) in enumerate(CREDITS):
        y = top + row * step
        if not right:
            _write(canvas, left, width * 0.5, y, height * 0.07, (255, 244, 214), 0.5)
            continue
        _write(canvas, left, width * 0.48, y, height * 0.05, (255, 244, 214), 1.0)
        _write(canvas, right, width * 0.52, y, height * 0.05, (206, 214, 250), 0.0)


def _write(
    canvas: Any, text: str, x: float, y: float, size: float, colour: Colour, align: float
) -> None:
    """Write one line; `align` 0 starts at x, 0.5 is centred on it, 1 ends there."""
    import skia

    from sample.pen import to_argb

    font = skia.Font(skia.Typeface("DejaVu Sans", skia.FontStyle.Bold()), size)
    font.setSubpixel(True)
    paint = skia.Paint(AntiAlias=True, Color=to_argb(colour))
    canvas.drawString(text, x - align * font.measureText(text), y, font, paint)
