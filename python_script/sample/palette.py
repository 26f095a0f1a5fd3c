"""The colours of the sample world and what each species is made of."""

from dataclasses import dataclass

from sample.pen import Colour, darker, lighter, mix

LINE = 0.016  # width of outlines over a character's height
PALETTE: dict[str, Colour] = {
    "red": (216, 66, 56),
    "orange": (240, 136, 42),
    "yellow": (248, 206, 64),
    "green": (96, 172, 78),
    "blue": (72, 126, 214),
    "purple": (148, 96, 190),
    "pink": (244, 148, 178),
    "brown": (150, 100, 64),
    "grey": (152, 156, 166),
    "white": (246, 242, 234),
    "teal": (22, 158, 160),
}


@dataclass(frozen=True, kw_only=True)
class Look:
    """The parts of one species in one colour."""

    species: str
    fur: Colour
    belly: Colour | None = None
    inner: Colour = (250, 170, 180)  # of the ears
    foot: Colour | None = None
    tail: str = "none"
    legs: str = "paw"
    arms: str = "arm"
    girth: float = 1.0
    head_rx: float = 0.27
    head_ry: float = 0.245


def look_of(species: str, colour: str) -> Look:
    """Give the parts of a species in a colour of `PALETTE`."""
    fur = PALETTE[colour]
    pale = lighter(fur, 0.62)
    parts: dict[str, dict] = {
        "bear": {"belly": pale, "tail": "stub", "girth": 1.18, "inner": lighter(fur, 0.45)},
        "fox": {"belly": (252, 246, 236), "tail": "bushy", "foot": darker(fur, 0.55),
                "girth": 0.9, "inner": (252, 240, 226)},
        "cat": {"belly": pale, "tail": "long", "girth": 0.92},
        "mouse": {"belly": pale, "tail": "thin", "girth": 0.84, "head_rx": 0.23, "head_ry": 0.22},
        "frog": {"belly": mix(pale, (250, 250, 190), 0.5), "girth": 1.02, "head_rx": 0.31,
                 "head_ry": 0.205},
        "penguin": {"belly": (252, 250, 246), "tail": "feather", "legs": "bird", "arms": "wing",
                    "girth": 1.2},
        "owl": {"belly": pale, "tail": "feather", "legs": "bird", "arms": "wing", "girth": 1.16,
                "head_rx": 0.29},
        "pig": {"belly": lighter(fur, 0.35), "tail": "curl", "girth": 1.16,
                "foot": darker(fur, 0.35)},
        "robot": {"girth": 1.0, "foot": darker(fur, 0.35)},
        "elephant": {"belly": lighter(fur, 0.3), "tail": "thin", "girth": 1.2},
        "rabbit": {"belly": pale, "tail": "puff", "girth": 0.94, "head_rx": 0.245,
                   "head_ry": 0.235},
    }  # fmt: skip
    return Look(species=species, fur=fur, **parts[species])
