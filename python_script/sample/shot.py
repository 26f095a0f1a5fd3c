"""What a shot of the sample film is made of, before it is placed on the time line."""

from dataclasses import dataclass

from bunny.demo.world import Character

FRAME_RATE = 24
Camera = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one character does through one shot; pairs run from the shot's start to its end."""

    character: Character
    x: tuple[float, float]
    y: float = 0.9
    scale: float = 0.45
    yaw: tuple[float, float] = (0.0, 0.0)
    does: str = "stand"  # stand, walk, talk, wave, sleep


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One shot: a drawn scene, or a photograph that the camera moves over."""

    setup_id: str
    seconds: float
    place: str
    light: str = "day"
    seed: int = 0
    camera: tuple[Camera, Camera] = ((0.0, 0.5, 1.0), (0.0, 0.5, 1.0))
    camera_kind: str = "locked"  # locked, pan, zoom, track
    parts: tuple[Part, ...] = ()
    photo: str | None = None  # then `camera` is (centre x, centre y, width) in the photo's pixels
    transition_in: str = "cut"  # start, cut, fade, dissolve
    transition_frames: int = 0
    exposure: float = 1.0  # below 1 darker
    blur: str = "none"  # none, focus, smear
    blur_frames: tuple[int, int] = (0, 0)  # half-open, counted from the shot's start
    card: str = "none"  # none, title, credits


@dataclass(frozen=True, kw_only=True)
class PlacedShot:
    """A shot with its place on the time line; frames are half-open."""

    shot: Shot
    shot_index: int
    first_frame_index: int
    end_frame_index: int


def place_shots(shots: tuple[Shot, ...]) -> tuple[PlacedShot, ...]:
    """Lay shots end to end, each rounded to whole frames.

    Raises
    ------
    ValueError
        If there is no shot, or one is shorter than the transitions at its ends need.
    """
    if not shots:
        raise ValueError("expected at least one shot, found none")
    placed, first = [], 0
    for index, shot in enumerate(shots):
        end = first + round(shot.seconds * FRAME_RATE)
        after = shots[index + 1].transition_frames if index + 1 < len(shots) else 0
        if end - first <= (shot.transition_frames + after) / 2:
            raise ValueError(f"shot {index} has {end - first} frames, too few for its transitions")
        placed.append(
            PlacedShot(shot=shot, shot_index=index, first_frame_index=first, end_frame_index=end)
        )
        first = end
    return tuple(placed)
