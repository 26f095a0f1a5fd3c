"""Script of the sample film: shots, who does what, where, and for how long."""

from dataclasses import dataclass

from bunny.demo.world import Character

FRAME_RATE = 24
Camera = tuple[float, float, float]

CLOVER = Character(name="bunny", species="rabbit", colour="white", wear="teal overalls")
BRUNO = Character(name="bruno", species="bear", colour="brown", wear="red scarf")
EMBER = Character(name="ember", species="fox", colour="orange", wear="green hat")
PIP = Character(name="pip", species="penguin", colour="blue", wear="yellow bow")
BOLT = Character(name="bolt", species="robot", colour="grey")  # has no reference, on purpose
CAST = (CLOVER, BRUNO, EMBER, PIP, BOLT)

MEADOW, FOREST, KITCHEN, BEACH, STREET, SNOW, DESERT, CAMP, ROOM = 21, 5, 3, 11, 2, 14, 8, 17, 6


@dataclass(frozen=True, kw_only=True)
class ActorMotion:
    """What one character does through one shot; pairs run from the shot's start to its end."""

    character: Character
    x: tuple[float, float]
    y: float = 0.9
    scale: float = 0.45
    yaw: tuple[float, float] = (0.0, 0.0)
    does: str = "stand"  # stand, walk, talk, wave, sleep


@dataclass(frozen=True, kw_only=True)
class ScriptShot:
    """One shot: a drawn scene, or a photograph that the camera moves over."""

    setup_id: str
    seconds: float
    place: str
    light: str = "day"
    seed: int = 0
    camera: tuple[Camera, Camera] = ((0.0, 0.5, 1.0), (0.0, 0.5, 1.0))
    camera_kind: str = "locked"  # locked, pan, zoom, track
    parts: tuple[ActorMotion, ...] = ()
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

    shot: ScriptShot
    shot_index: int
    first_frame_index: int
    end_frame_index: int


def place_shots(shots: tuple[ScriptShot, ...]) -> tuple[PlacedShot, ...]:
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


def _still(camera: Camera) -> tuple[Camera, Camera]:
    """A camera that stays where it is."""
    return (camera, camera)


def _close(x: float, scale: float = 0.45, y: float = 0.9, fill: float = 1.3) -> Camera:
    """Frame one face; `fill` is the figure's height over the picture's."""
    return (x, y - 0.66 * scale, fill / scale)


def _medium(x: float, scale: float = 0.45, y: float = 0.9, fill: float = 0.66) -> Camera:
    """Frame whole figures."""
    return (x, y - 0.58 * scale, fill / scale)


def _act(character: Character, x: float, does: str = "talk", **more) -> ActorMotion:
    """Someone who stays in one spot."""
    return ActorMotion(character=character, x=(x, x), does=does, **more)


def _walk(character: Character, start: float, end: float, **more) -> ActorMotion:
    """Someone who walks, facing where they go."""
    yaw = 0.7 if end > start else -0.7
    return ActorMotion(character=character, x=(start, end), yaw=(yaw, yaw), does="walk", **more)


MEADOW_SHOTS = (
    ScriptShot(
        setup_id="title",
        seconds=2.75,
        place="studio",
        seed=1,
        transition_in="start",
        camera=_still((0.0, 0.5, 1.0)),
        card="title",
        parts=(_act(CLOVER, 0.66, "wave", scale=0.52, yaw=(-0.3, -0.1)),),
    ),
    ScriptShot(
        setup_id="meadow_wide",
        seconds=3.5,
        place="meadow",
        seed=MEADOW,
        transition_in="fade",
        transition_frames=24,
        camera=((-0.35, 0.55, 1.0), (0.05, 0.55, 1.0)),
        camera_kind="pan",
        parts=(_walk(CLOVER, -0.95, 0.12, scale=0.34),),
    ),
    ScriptShot(
        setup_id="meadow_clover",
        seconds=2.25,
        place="meadow",
        seed=MEADOW,
        camera=_still(_close(0.1, fill=1.2)),
        parts=(_act(CLOVER, 0.1, yaw=(0.25, 0.4)),),
    ),
    ScriptShot(
        setup_id="meadow_two",
        seconds=3.0,
        place="meadow",
        seed=MEADOW,
        camera=_still(_medium(0.27)),
        parts=(
            _act(CLOVER, 0.08, "wave", yaw=(0.5, 0.4)),
            ActorMotion(character=BRUNO, x=(0.86, 0.5), scale=0.48, yaw=(-0.6, -0.5), does="walk"),
        ),
    ),
    ScriptShot(
        setup_id="meadow_bruno",
        seconds=2.0,
        place="meadow",
        seed=MEADOW,
        camera=_still(_close(0.5, 0.48)),
        parts=(_act(BRUNO, 0.5, scale=0.48, yaw=(-0.4, -0.3)),),
    ),
    ScriptShot(
        setup_id="meadow_clover",
        seconds=2.0,
        place="meadow",
        seed=MEADOW,
        camera=_still(_close(0.1, fill=1.2)),
        parts=(_act(CLOVER, 0.1, yaw=(0.45, 0.2)),),
    ),
)

FOREST_SHOTS = (
    ScriptShot(
        setup_id="forest_track",
        seconds=3.5,
        place="forest",
        seed=FOREST,
        transition_in="dissolve",
        transition_frames=18,
        camera=((-0.35, 0.62, 1.4), (0.45, 0.62, 1.4)),
        camera_kind="track",
        parts=(_walk(BRUNO, -0.58, 0.22, y=0.87, scale=0.47), _walk(CLOVER, -0.2, 0.66, y=0.91)),
    ),
    ScriptShot(
        setup_id="forest_ember",
        seconds=2.5,
        place="forest",
        seed=FOREST,
        camera=((0.3, 0.64, 1.45), (0.75, 0.64, 1.45)),
        camera_kind="pan",
        blur="smear",
        blur_frames=(0, 7),
        parts=(_act(EMBER, 0.75, "wave", scale=0.42, yaw=(-0.4, -0.2)),),
    ),
    ScriptShot(
        setup_id="forest_ember_close",
        seconds=2.0,
        place="forest",
        seed=FOREST,
        camera=_still(_close(0.75, 0.42)),
        parts=(_act(EMBER, 0.75, scale=0.42, yaw=(-0.5, -0.2)),),
    ),
    ScriptShot(
        setup_id="forest_three",
        seconds=3.0,
        place="forest",
        seed=FOREST,
        camera=_still((0.4, 0.6, 1.0)),
        parts=(
            _act(BRUNO, 0.02, "stand", scale=0.42, y=0.88, yaw=(0.6, 0.5)),
            _act(CLOVER, 0.36, "talk", scale=0.38, yaw=(0.5, 0.6)),
            _act(EMBER, 0.78, "wave", scale=0.36, yaw=(-0.5, -0.4)),
        ),
    ),
    ScriptShot(
        setup_id="archive_chelsea",
        seconds=2.25,
        place="archive",
        photo="chelsea",
        camera=((225, 140, 440), (225, 130, 330)),
        camera_kind="zoom",
    ),
    ScriptShot(
        setup_id="archive_rocket",
        seconds=2.5,
        place="archive",
        photo="rocket",
        camera=((320, 270, 500), (320, 170, 500)),
        camera_kind="pan",
    ),
    ScriptShot(
        setup_id="archive_astronaut",
        seconds=3.0,
        place="archive",
        photo="astronaut",
        camera=((245, 170, 500), (226, 128, 300)),
        camera_kind="zoom",
    ),
)

KITCHEN_SHOTS = (
    ScriptShot(
        setup_id="kitchen_two",
        seconds=3.0,
        place="kitchen",
        seed=KITCHEN,
        camera=_still(_medium(0.0, y=0.88, fill=0.68)),
        parts=(
            _act(CLOVER, -0.24, "talk", yaw=(0.5, 0.4)),
            _act(PIP, 0.26, "stand", scale=0.4, yaw=(-0.5, -0.3)),
        ),
    ),
    ScriptShot(
        setup_id="kitchen_pip",
        seconds=2.0,
        place="kitchen",
        seed=KITCHEN,
        camera=_still(_close(0.26, 0.4)),
        parts=(_act(PIP, 0.26, scale=0.4, yaw=(-0.4, -0.1)),),
    ),
    ScriptShot(
        setup_id="kitchen_clover",
        seconds=2.5,
        place="kitchen",
        seed=KITCHEN,
        camera=_still(_close(-0.24, fill=1.18)),
        blur="focus",
        blur_frames=(0, 16),
        parts=(_act(CLOVER, -0.24, yaw=(0.3, 0.1)),),
    ),
    ScriptShot(
        setup_id="kitchen_two",
        seconds=2.5,
        place="kitchen",
        seed=KITCHEN,
        camera=_still(_medium(0.0, y=0.88, fill=0.68)),
        parts=(
            _act(CLOVER, -0.24, "stand", yaw=(0.4, 0.5)),
            _act(PIP, 0.26, "wave", scale=0.4, yaw=(-0.2, -0.5)),
        ),
    ),
)

SHORE_SHOTS = (
    ScriptShot(
        setup_id="beach_wide",
        seconds=3.0,
        place="beach",
        seed=BEACH,
        transition_in="dissolve",
        transition_frames=18,
        camera=((0.3, 0.52, 1.0), (-0.1, 0.52, 1.0)),
        camera_kind="pan",
        parts=(_walk(CLOVER, 0.5, -0.25, scale=0.32), _walk(PIP, 0.8, 0.1, scale=0.28)),
    ),
    ScriptShot(
        setup_id="beach_bolt",
        seconds=2.25,
        place="beach",
        seed=BEACH,
        camera=_still(_medium(-0.1, 0.46, fill=0.7)),
        parts=(_act(BOLT, -0.1, scale=0.46, yaw=(0.4, 0.0)),),
    ),
    ScriptShot(
        setup_id="beach_two",
        seconds=2.5,
        place="beach",
        seed=BEACH,
        camera=_still(_medium(0.15, 0.46)),
        parts=(
            _act(BOLT, -0.1, "wave", scale=0.46, yaw=(0.3, 0.4)),
            _act(EMBER, 0.42, "talk", scale=0.42, yaw=(-0.6, -0.4)),
        ),
    ),
    ScriptShot(
        setup_id="archive_astronaut_pan",
        seconds=2.5,
        place="archive",
        photo="astronaut",
        camera=((190, 150, 330), (290, 160, 330)),
        camera_kind="pan",
    ),
    ScriptShot(
        setup_id="street_wide",
        seconds=3.0,
        place="street",
        light="dusk",
        seed=STREET,
        camera=_still((0.0, 0.58, 1.0)),
        parts=(_walk(BOLT, -0.6, 0.35, scale=0.36),),
    ),
    ScriptShot(
        setup_id="street_bolt",
        seconds=2.0,
        place="street",
        light="dusk",
        seed=STREET,
        camera=_still(_close(0.35, 0.46, fill=1.25)),
        parts=(_act(BOLT, 0.35, scale=0.46, yaw=(0.3, -0.2)),),
    ),
)

COLD_SHOTS = (
    ScriptShot(
        setup_id="snow_two",
        seconds=3.0,
        place="snow",
        seed=SNOW,
        camera=(_medium(0.0, fill=0.56), _medium(0.0, fill=0.74)),
        camera_kind="zoom",
        parts=(
            _act(BRUNO, -0.2, "talk", scale=0.47, yaw=(0.4, 0.5)),
            _act(PIP, 0.24, "wave", scale=0.38, yaw=(-0.5, -0.4)),
        ),
    ),
    ScriptShot(
        setup_id="snow_bruno",
        seconds=2.0,
        place="snow",
        seed=SNOW,
        camera=_still(_close(-0.2, 0.47)),
        parts=(_act(BRUNO, -0.2, scale=0.47, yaw=(0.3, 0.6)),),
    ),
    ScriptShot(
        setup_id="snow_wide",
        seconds=2.5,
        place="snow",
        seed=SNOW,
        camera=((0.2, 0.55, 1.0), (-0.25, 0.55, 1.0)),
        camera_kind="pan",
        parts=(_walk(CLOVER, 0.75, -0.5, scale=0.33),),
    ),
    ScriptShot(
        setup_id="archive_coffee",
        seconds=2.0,
        place="archive",
        photo="coffee",
        camera=((300, 210, 560), (330, 200, 400)),
        camera_kind="zoom",
    ),
    ScriptShot(
        setup_id="desert_track",
        seconds=3.0,
        place="desert",
        light="dusk",
        seed=DESERT,
        camera=((-0.5, 0.62, 1.3), (0.3, 0.62, 1.3)),
        camera_kind="track",
        parts=(_walk(BOLT, -0.66, 0.12, y=0.87), _walk(EMBER, -0.28, 0.52, y=0.92, scale=0.42)),
    ),
)

CAMP_PARTS = (
    _act(BRUNO, -0.36, "stand", scale=0.4, y=0.84, yaw=(0.5, 0.4)),
    _act(CLOVER, -0.02, "talk", scale=0.37, y=0.9, yaw=(0.4, 0.1)),
    _act(EMBER, 0.78, "talk", scale=0.36, y=0.86, yaw=(-0.6, -0.5)),
    _act(PIP, 0.26, "stand", scale=0.3, y=0.93, yaw=(0.2, -0.2)),
    _act(BOLT, -0.68, "wave", scale=0.38, y=0.9, yaw=(0.5, 0.5)),
)
NIGHT_SHOTS = (
    ScriptShot(
        setup_id="camp_wide",
        seconds=3.5,
        place="camp",
        light="night",
        seed=CAMP,
        transition_in="fade",
        transition_frames=24,
        camera=_still((0.05, 0.6, 1.0)),
        parts=CAMP_PARTS,
    ),
    ScriptShot(
        setup_id="camp_clover",
        seconds=2.25,
        place="camp",
        light="night",
        seed=CAMP,
        camera=_still(_close(-0.02, fill=1.2)),
        parts=(_act(CLOVER, -0.02, yaw=(0.3, 0.5)),),
    ),
    ScriptShot(
        setup_id="camp_ember",
        seconds=2.0,
        place="camp",
        light="night",
        seed=CAMP,
        camera=_still(_close(0.78, 0.42)),
        parts=(_act(EMBER, 0.78, scale=0.42, yaw=(-0.5, -0.3)),),
    ),
    ScriptShot(
        setup_id="camp_wide",
        seconds=2.5,
        place="camp",
        light="night",
        seed=CAMP,
        camera=_still((0.05, 0.6, 1.0)),
        parts=CAMP_PARTS,
    ),
    ScriptShot(
        setup_id="room_clover",
        seconds=3.0,
        place="bedroom",
        light="night",
        seed=ROOM,
        transition_in="dissolve",
        transition_frames=18,
        exposure=0.2,
        camera=(_medium(0.05, fill=0.62), _medium(0.05, fill=0.72)),
        camera_kind="zoom",
        parts=(_act(CLOVER, 0.05, "sleep", yaw=(-0.2, -0.2)),),
    ),
    ScriptShot(
        setup_id="credits",
        seconds=3.75,
        place="studio",
        light="night",
        seed=4,
        transition_in="fade",
        transition_frames=24,
        card="credits",
    ),
)

SCRIPT = (*MEADOW_SHOTS, *FOREST_SHOTS, *KITCHEN_SHOTS, *SHORE_SHOTS, *COLD_SHOTS, *NIGHT_SHOTS)
