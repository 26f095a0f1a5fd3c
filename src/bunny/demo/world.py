"""Words of the sample world: species, colours, garments, places, lights, and its characters.

The world's unit is the height of the picture at zoom 1: y runs from 0 (top) to 1 (bottom), x is 0
in the middle. Nothing here imports skia until a picture is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BASE_SPECIES = ("bear", "fox", "cat", "mouse", "frog", "penguin", "owl", "pig", "robot", "elephant")
SPECIES = (*BASE_SPECIES, "rabbit")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "grey", "white")
GARMENTS = ("scarf", "hat", "shirt", "bow", "overalls")
WEAR_COLOURS = ("red", "yellow", "green", "blue", "purple", "white")
WEARS = ("none", *(f"{colour} {garment}" for garment in GARMENTS for colour in WEAR_COLOURS))
PLACES = {
    "meadow": "in a meadow",
    "forest": "in a forest",
    "snow": "in the snow",
    "camp": "at a camp fire",
    "kitchen": "in a kitchen",
    "beach": "on a beach",
    "desert": "in a desert",
    "street": "in a city street",
    "mountain": "on a mountain",
    "bedroom": "in a bedroom",
    "studio": "on a plain background",
}
LIGHTS = ("day", "dusk", "night")
SHOT_SIZES = ("close-up", "medium", "wide")
CLOSE_UP_MIN = 1.15  # height of the tallest actor over the picture's height
MEDIUM_MIN = 0.48

LIGHT_WORDS = {
    "day": ("day", "day", "bright", "daylight"),
    "dusk": ("dusk", "dusk", "evening", "dim"),
    "night": ("night", "night", "dark"),
}


@dataclass(frozen=True, kw_only=True)
class Character:
    """Identity of a character: the same in every picture."""

    name: str
    species: str
    colour: str
    wear: str = "none"


@dataclass(frozen=True, kw_only=True)
class Actor:
    """One character standing in one picture; (x, y) is the ground between the feet."""

    character: Character
    x: float = 0.0
    y: float = 0.9
    scale: float = 0.6  # height without ears, in heights of the picture at zoom 1
    yaw: float = 0.0  # -1 looks to the left edge, 0 at us, 1 to the right edge
    phase: float = 0.0  # walk and gesture cycle in turns
    stride: float = 0.0  # 0 stands, 1 walks with full steps
    wave: float = 0.0  # 0 arms down, 1 one arm raised
    mouth: float = 0.0  # 0 closed smile, 1 wide open
    eyes: float = 1.0  # 0 shut, 1 open
    tilt: float = 0.0  # of the head, degrees clockwise


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that one picture shows; `seed` places clouds, trees and pebbles."""

    place: str
    light: str = "day"
    actors: tuple[Actor, ...] = field(default_factory=tuple)
    camera: tuple[float, float, float] = (0.0, 0.5, 1.0)  # centre x, centre y, zoom
    seed: int = 0
    time_s: float = 0.0  # moves clouds, waves, flames


def shot_size(scene: Scene) -> str:
    """Name the framing by the tallest actor's height over the picture's height."""
    tallest = max((actor.scale for actor in scene.actors), default=0.0) * scene.camera[2]
    return size_of(tallest)


def size_of(height_share: float) -> str:
    """Name the framing by a figure's height without ears over the picture's height."""
    if height_share >= CLOSE_UP_MIN:
        return "close-up"
    return "medium" if height_share >= MEDIUM_MIN else "wide"


def describe(character: Character) -> str:
    """Say who it is: 'a red bear with a blue scarf'."""
    noun = f"{character.colour} {character.species}"
    article = "an" if noun[0] in "aeiou" else "a"
    if character.wear == "none":
        return f"{article} {noun}"
    return f"{article} {noun} with {'' if character.wear.endswith('s') else 'a '}{character.wear}"


def caption(scene: Scene) -> str:
    """Say what a scene shows: 'a red bear with a blue scarf in the snow, medium shot, day'."""
    who = " and ".join(describe(a.character) for a in sorted(scene.actors, key=lambda a: a.x))
    size = shot_size(scene)
    framing = size if size == "close-up" else f"{size} shot"
    parts = (f"{who} {PLACES[scene.place]}".strip(), framing, scene.light)
    return ", ".join(parts)
