"""Films composed of pieces of real shots by an edit list, so that every boundary is known.

Pictures are small RGB arrays; nothing is written to disk. The material is split by source: one
half to develop on, one half to report on only.
"""

from dataclasses import dataclass, field
from fractions import Fraction

import compose_look
import cv2
import numpy as np

SIZE = (160, 90)  # width, height: a thumbnail's pixel is the mean of 2.5 x 2.5
# Single shots inside the films at hand: file name without suffix, first frame, end frame.
DEVELOP = (
    ("bigbuckbunny", 0, 132),
    ("play107", 0, 86),
    ("short_hamilton_clip", 21, 82),
    ("short_hamilton_clip", 83, 211),
    ("short_hamilton_clip", 212, 275),
    ("single_face", 0, 72),
    ("sample", 152, 202),
    ("sample", 278, 322),
    ("sample", 566, 634),
    ("sample", 752, 820),
    ("sample", 896, 940),
    ("sample", 1430, 1498),
    ("sample", 1658, 1715),
)
HELD_OUT = (
    ("big_buck_bunny_0_30", 60, 280),
    ("big_buck_bunny_0_30", 284, 374),
    ("big_buck_bunny_0_30", 378, 480),
    ("play113", 0, 61),
    ("chaplin", 0, 241),
    ("WolfgangLanger_Pexels", 0, 472),
    ("sintel_trailer-720p", 150, 200),
    ("sintel_trailer-720p", 310, 333),
    ("sintel_trailer-720p", 573, 619),
    ("sintel_trailer-720p", 623, 656),
    ("sintel_trailer-720p", 795, 836),
    ("sintel_trailer-720p", 875, 958),
)


@dataclass(frozen=True)
class Style:
    """How a film is cut and what it looks like."""

    name: str
    least: int = 12  # frames of the shortest piece
    most: int = 70
    joints: tuple[str, ...] = ("cut", "cut", "dissolve", "black")
    looks: tuple[str, ...] = ()  # of `compose_look.LOOK`, one after the other
    events: tuple[str, ...] = ()  # of `compose_look.EVENT`
    rate: int = 24  # frames a second, made of 24 by dropping or doubling
    is_still: bool = False  # photographs, slowly zoomed into
    num_shots: int = 16


_MIX = ("flash", "black", "pan", "wing", "light")
STYLES = (
    Style(name="plain", most=80, joints=("cut", "cut", "dissolve", "black", "white")),
    Style("quick", 4, 20, ("cut",)),
    Style("gradual", 40, 80, ("dissolve", "dissolve", "black", "white")),
    Style(name="grain", looks=("grain",)),
    Style(name="dark", looks=("dark",)),
    Style(name="grey", looks=("grey",)),
    Style(name="twos", looks=("twos",)),
    Style(name="threes", joints=("cut", "cut", "dissolve"), looks=("threes",)),
    Style(name="shake", looks=("shake",)),
    Style(name="fields", looks=("fields",)),
    Style("events", 40, 80, ("cut", "cut", "dissolve"), events=_MIX),
    Style("long", 60, 80, ("cut",), events=_MIX),
    Style(name="12 fps", least=24, most=120, rate=12, num_shots=10),
    Style(name="25 fps", most=80, rate=25, num_shots=8),
    Style(name="30 fps low", least=24, most=80, rate=30, looks=("low",), num_shots=8),
    Style(name="60 fps", least=24, most=60, rate=60, num_shots=6),
    Style(name="low", least=30, most=80, looks=("low",), num_shots=8),
    Style(name="scope low", least=40, most=120, looks=("scope", "low"), num_shots=6),
    Style("very long", 100, 300, ("cut",), num_shots=4),
    Style("long threes", 80, 200, ("cut", "dissolve"), looks=("threes",), num_shots=5),
    Style("stills", 60, 120, ("cut", "dissolve"), is_still=True, num_shots=6),
    Style("crossfade", 70, 120, ("dissolve",), num_shots=6),
    Style(name="night", least=40, most=90, looks=("night",), num_shots=7),
    Style("run", 40, 90, ("cut", "cut", "dissolve"), looks=("run",), num_shots=7),
    Style(
        "camera",
        80,
        160,
        ("cut", "cut", "dissolve"),
        events=("pan", "whip", "zoom", "none"),
        num_shots=5,
    ),
    Style(
        "strobe",
        60,
        120,
        ("cut",),
        num_shots=5,
        events=("strobe", "lightning", "flash", "light", "none"),
    ),
    Style(
        "television",
        60,
        120,
        ("cut", "cut", "dissolve"),
        looks=("logo",),
        events=("subtitle", "subtitle", "split", "none"),
        num_shots=6,
    ),
    Style("logo fades", 40, 90, ("cut", "black", "black"), looks=("logo",), num_shots=8),
    Style("logo stills", 60, 120, ("black",), looks=("logo",), is_still=True, num_shots=6),
    Style("action", 10, 30, ("cut",), looks=("blur",), events=("whip", "burst", "push", "none")),
    Style("fight", 10, 24, ("cut",), looks=("run",), events=("whip", "burst", "push")),
    Style("whips", 16, 50, ("whip", "cut")),
    Style("wipes", 40, 80, ("wipe", "wipe", "cut"), num_shots=8),
    Style("slow mixes", 90, 140, ("slow",), num_shots=6),
    Style("short fades", 20, 50, ("cut", "dip", "short"), num_shots=12),
    Style("moving mixes", 40, 80, ("dissolve",), looks=("shake",), num_shots=8),
)


@dataclass(kw_only=True)
class Composed:
    """A film of RGB pictures of `SIZE` and its boundaries."""

    name: str
    frames: list[np.ndarray] = field(default_factory=list)
    truth: list[int | tuple[int, int]] = field(default_factory=list)
    rate: int = 24


def compose(shots: list[np.ndarray], style: Style, seed: int) -> Composed:
    """Join random pieces of shots in one style.

    Parameters
    ----------
    shots : list of np.ndarray, each of shape (frames, 90, 160, 3), uint8
    style : Style
    seed : int

    Returns
    -------
    Composed
    """
    rng = np.random.default_rng(seed)
    film, last = Composed(name=style.name, rate=style.rate), -1
    for _ in range(style.num_shots):
        source = int(rng.choice([i for i in range(len(shots)) if i != last]))
        length, last = int(rng.integers(style.least, style.most + 1)), source
        piece = (
            _still(shots[source], length, rng)
            if style.is_still
            else _piece(shots[source], length, rng, is_turned=style.most > 80)
        )
        if style.events:
            piece = compose_look.with_events(piece, style.events, rng)
        _join(film, piece, str(rng.choice(style.joints)), rng)
    for look in style.looks:
        film.frames = compose_look.LOOK[look](film.frames, rng)
        hold = compose_look.HOLD.get(look, 1)  # a cut shows where the next picture is drawn
        film.truth = [-(-t // hold) * hold if isinstance(t, int) else t for t in film.truth]
    if style.rate != 24:
        film.frames = compose_look.at_rate(film.frames, Fraction(24), Fraction(style.rate))
        film.truth = [_at_rate(t, style.rate) for t in film.truth]
    return film


def thumb(rgb: np.ndarray) -> np.ndarray:
    """Thumbnail as `picture.thumb` would make it of such a picture."""
    return cv2.cvtColor(cv2.resize(rgb, (64, 36), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2YUV)


def _at_rate(true: int | tuple[int, int], rate: int) -> int | tuple[int, int]:
    """Where a boundary of 24 frames a second shows at another rate."""
    if isinstance(true, int):
        return -(-true * rate // 24)
    return _at_rate(true[0], rate), _at_rate(true[1], rate)


def _piece(shot: np.ndarray, length: int, rng, *, is_turned: bool) -> list[np.ndarray]:
    """A run of frames out of a shot, perhaps mirrored, backwards or seen nearer.

    `is_turned` goes there and back in a shot that is too short.
    """
    count = length
    length = min(length, len(shot))
    first = int(rng.integers(0, len(shot) - length + 1))
    frames = [np.ascontiguousarray(f) for f in shot[first : first + length]]
    while is_turned and len(frames) < count:
        frames += frames[-2 : -length - 1 : -1]
    frames = frames[:count]
    if rng.random() < 0.3:
        frames.reverse()
    if rng.random() < 0.5:
        frames = [cv2.flip(f, 1) for f in frames]
    if rng.random() < 0.3:
        frames = [compose_look.crop(f, 0.7, 0.15, 0.15) for f in frames]
    return frames


def _still(shot: np.ndarray, length: int, rng) -> list[np.ndarray]:
    """One frame, the camera slowly going in or out and aside."""
    photograph = np.ascontiguousarray(shot[int(rng.integers(len(shot)))])
    ways = np.linspace(0, 1, length)[:: int(rng.choice([-1, 1]))]
    x, y = rng.uniform(0, 1, 2)
    return [compose_look.crop(photograph, 1 - 0.3 * w, 0.3 * w * x, 0.3 * w * y) for w in ways]


def _join(film: Composed, piece: list[np.ndarray], joint: str, rng) -> None:
    """Add a piece by a cut, a dissolve or a fade; short neighbours are cut."""
    half = int(rng.integers(4, 25))
    room = min(len(piece), len(film.frames) - _last_end(film)) // 2
    if not film.frames:
        film.frames = piece
    elif joint == "cut" or room < 4:
        film.truth.append(len(film.frames))
        film.frames = film.frames + piece
    elif joint in ("wipe", "whip"):
        length = min(half if joint == "whip" else 2 * half, room)
        old, film.frames = film.frames[-length:], film.frames[:-length]
        start = len(film.frames)
        film.frames += compose_look.JOINT[joint](old, piece[:length], rng) + piece[length:]
        film.truth.append((start, start + length))
    elif joint in ("dissolve", "slow", "short"):
        half = {"slow": half + 20, "short": 2 + half // 6}.get(joint, half)
        length = min(2 * half, room)
        old, film.frames = film.frames[-length:], film.frames[:-length]
        start = len(film.frames)
        shares = [(k + 0.5) / length for k in range(length)]
        film.frames += [
            cv2.addWeighted(a, 1 - s, b, s, 0) for a, b, s in zip(old, piece, shares, strict=False)
        ]
        film.frames += piece[length:]
        film.truth.append((start, start + length))
    else:
        half = min(half if joint != "dip" else 2 + half // 8, room)
        flat = np.full_like(piece[0], 255 if joint == "white" else 0)
        depth = float(rng.choice([1.0, 1.0, 0.93]))  # some never get quite flat
        shares = [depth * (k + 1) / half for k in range(half)]
        start = len(film.frames) - half
        out = [
            cv2.addWeighted(film.frames[start + k], 1 - s, flat, s, 0) for k, s in enumerate(shares)
        ]
        hold = [flat] * int(rng.integers(0, 12)) if depth == 1 else []
        into = [cv2.addWeighted(piece[k], 1 - s, flat, s, 0) for k, s in enumerate(shares[::-1])]
        film.frames = film.frames[:start] + out + hold + into + piece[half:]
        film.truth.append((start, start + 2 * half + len(hold)))


def _last_end(film: Composed) -> int:
    last = film.truth[-1] if film.truth else 0
    return last if isinstance(last, int) else last[1]
