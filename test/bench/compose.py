"""Films composed of pieces of real shots by an edit list, so that every boundary is known.

Pictures are small RGB arrays; nothing is written to disk. The material is split by source: one
half to develop on, one half to report on only.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

SIZE = (160, 90)  # width, height: a thumbnail's pixel is the mean of 2.5 x 2.5
DARK = 0.22  # of the light that a dark film keeps
GRAIN = 14  # grey levels of a grainy film at this size
SHAKE_PX = 4  # of a hand-held film
# Single shots inside the films at hand: file name without suffix, first frame, end frame.
DEVELOP = (
    ("bigbuckbunny", 0, 132), ("play107", 0, 86), ("short_hamilton_clip", 21, 82),
    ("short_hamilton_clip", 83, 211), ("short_hamilton_clip", 212, 275), ("single_face", 0, 72),
    ("sample", 152, 202), ("sample", 278, 322), ("sample", 566, 634), ("sample", 752, 820),
    ("sample", 896, 940), ("sample", 1430, 1498), ("sample", 1658, 1715),
)  # fmt: skip
HELD_OUT = (
    ("big_buck_bunny_0_30", 60, 280), ("big_buck_bunny_0_30", 284, 374),
    ("big_buck_bunny_0_30", 378, 480), ("play113", 0, 61), ("chaplin", 0, 241),
    ("WolfgangLanger_Pexels", 0, 472), ("sintel_trailer-720p", 150, 200),
    ("sintel_trailer-720p", 310, 333), ("sintel_trailer-720p", 573, 619),
    ("sintel_trailer-720p", 623, 656), ("sintel_trailer-720p", 795, 836),
    ("sintel_trailer-720p", 875, 958),
)  # fmt: skip
# Name, frames a shot at least and most, joints drawn from, look of the whole film.
STYLES = (
    ("plain", 12, 80, ("cut", "cut", "dissolve", "black", "white"), ""),
    ("quick", 4, 20, ("cut",), ""),
    ("gradual", 40, 80, ("dissolve", "dissolve", "black", "white"), ""),
    ("grain", 12, 70, ("cut", "cut", "dissolve", "black"), "grain"),
    ("dark", 12, 70, ("cut", "cut", "dissolve", "black"), "dark"),
    ("grey", 12, 70, ("cut", "cut", "dissolve", "black"), "grey"),
    ("twos", 12, 70, ("cut", "cut", "dissolve", "black"), "twos"),
    ("threes", 12, 70, ("cut", "cut", "dissolve"), "threes"),
    ("shake", 12, 70, ("cut", "cut", "dissolve", "black"), "shake"),
    ("fields", 12, 70, ("cut", "cut", "dissolve", "black"), "fields"),
    ("events", 40, 80, ("cut", "cut", "dissolve"), "events"),
    ("long", 60, 80, ("cut",), "events"),
)


@dataclass(kw_only=True)
class Composed:
    """A film of RGB pictures of `SIZE` and its boundaries."""

    name: str
    frames: list[np.ndarray] = field(default_factory=list)
    truth: list[int | tuple[int, int]] = field(default_factory=list)


def compose(name: str, shots: list[np.ndarray], style: tuple, seed: int, num_shots: int = 16):
    """Join random pieces of shots in one style.

    Parameters
    ----------
    name : str
    shots : list of np.ndarray, each of shape (frames, 90, 160, 3), uint8
    style : tuple
        A row of `STYLES`.
    seed : int
    num_shots : int

    Returns
    -------
    Composed
    """
    rng = np.random.default_rng(seed)
    _, least, most, joints, look = style
    film, last = Composed(name=name), -1
    for _ in range(num_shots):
        source = int(rng.choice([i for i in range(len(shots)) if i != last]))
        piece, last = _piece(shots[source], int(rng.integers(least, most + 1)), rng), source
        if look == "events":
            piece = _with_event(piece, rng)
        _join(film, piece, str(rng.choice(joints)), rng)
    film.frames = _LOOK.get(look, lambda frames, _: frames)(film.frames, rng)
    hold = {"twos": 2, "threes": 3}.get(look, 1)  # a cut shows where the next picture is drawn
    film.truth = [-(-t // hold) * hold if isinstance(t, int) else t for t in film.truth]
    return film


def thumb(rgb: np.ndarray) -> np.ndarray:
    """Thumbnail as `picture.thumb` would make it of such a picture."""
    return cv2.cvtColor(cv2.resize(rgb, (64, 36), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2YUV)


def _piece(shot: np.ndarray, length: int, rng) -> list[np.ndarray]:
    """A run of frames out of a shot, perhaps mirrored, backwards or seen nearer."""
    length = min(length, len(shot))
    first = int(rng.integers(0, len(shot) - length + 1))
    frames = [np.ascontiguousarray(f) for f in shot[first : first + length]]
    if rng.random() < 0.3:
        frames.reverse()
    if rng.random() < 0.5:
        frames = [cv2.flip(f, 1) for f in frames]
    if rng.random() < 0.3:
        frames = [_window(f, 0.7, 0.15, 0.15) for f in frames]
    return frames


def _join(film: Composed, piece: list[np.ndarray], joint: str, rng) -> None:
    """Add a piece by a cut, a dissolve or a fade; short neighbours are cut."""
    half = int(rng.integers(4, 25))
    room = min(len(piece), len(film.frames) - _last_end(film)) // 2
    if not film.frames:
        film.frames = piece
    elif joint == "cut" or room < 4:
        film.truth.append(len(film.frames))
        film.frames = film.frames + piece
    elif joint == "dissolve":
        length = min(2 * half, room)
        old, film.frames = film.frames[-length:], film.frames[:-length]
        start = len(film.frames)
        shares = [(k + 0.5) / length for k in range(length)]
        film.frames += [cv2.addWeighted(a, 1 - s, b, s, 0)
                        for a, b, s in zip(old, piece, shares, strict=False)]  # fmt: skip
        film.frames += piece[length:]
        film.truth.append((start, start + length))
    else:
        half = min(half, room)
        flat = np.full_like(piece[0], 0 if joint == "black" else 255)
        depth = float(rng.choice([1.0, 1.0, 0.93]))  # some never get quite flat
        shares = [depth * (k + 1) / half for k in range(half)]
        start = len(film.frames) - half
        out = [cv2.addWeighted(film.frames[start + k], 1 - s, flat, s, 0)
               for k, s in enumerate(shares)]  # fmt: skip
        hold = [flat] * int(rng.integers(0, 12)) if depth == 1 else []
        into = [cv2.addWeighted(piece[k], 1 - s, flat, s, 0) for k, s in enumerate(shares[::-1])]
        film.frames = film.frames[:start] + out + hold + into + piece[half:]
        film.truth.append((start, start + 2 * half + len(hold)))


def _last_end(film: Composed) -> int:
    last = film.truth[-1] if film.truth else 0
    return last if isinstance(last, int) else last[1]


def _window(frame: np.ndarray, share: float, x: float, y: float) -> np.ndarray:
    """Part of a picture, `share` of its size, its corner at (x, y) of it."""
    width, height = SIZE
    matrix = np.float32([[share, 0, x * width], [0, share, y * height]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(frame, matrix, SIZE, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _with_event(piece: list[np.ndarray], rng) -> list[np.ndarray]:
    """Put into the middle of a piece what is no boundary."""
    at, kind = len(piece) // 2, str(rng.choice(["flash", "black", "pan", "wing", "light"]))
    frames, flat = list(piece), np.full_like(piece[0], 255)
    if len(piece) < 24:
        return frames
    if kind == "flash":
        for k in range(int(rng.integers(1, 4))):
            frames[at + k] = cv2.addWeighted(frames[at + k], 0.35, flat, 0.65, 0)
    elif kind == "black":
        frames[at] = np.zeros_like(flat)
    elif kind == "pan":
        places = np.clip(np.arange(len(piece)) - at + 6, 0, 12) / 12
        frames = [_window(f, 0.5, 0.5 * p, 0.25) for f, p in zip(frames, places, strict=True)]
    elif kind == "wing":
        for k in range(-6, 7):
            x = int((k + 6) / 12 * 2.2 * SIZE[0] - 0.6 * SIZE[0])
            corners = [(x, -9), (x + 90, -9), (x + 60, 99), (x - 20, 99)]
            frames[at + k] = cv2.fillPoly(frames[at + k].copy(), [np.int32(corners)], (35, 30, 25))
    else:
        rise = np.clip((np.arange(len(piece)) - at) / int(rng.integers(1, 20)), 0, 1)
        frames = [cv2.convertScaleAbs(f, alpha=0.45 + 0.55 * r)
                  for f, r in zip(frames, rise, strict=True)]  # fmt: skip
    return frames


def _grain(frames, rng):
    noise = [rng.normal(0, GRAIN, (*SIZE[::-1], 1)) for _ in range(25)]
    return [np.clip(f + noise[int(rng.integers(25))], 0, 255).astype(np.uint8) for f in frames]


def _dark(frames, rng):
    noise = [rng.normal(0, 2, (*SIZE[::-1], 1)) for _ in range(25)]
    return [
        np.clip(DARK * f + noise[int(rng.integers(25))], 0, 255).astype(np.uint8) for f in frames
    ]


def _grey(frames, rng):
    return [cv2.merge([cv2.cvtColor(f, cv2.COLOR_RGB2GRAY)] * 3) for f in frames]


def _held(num):
    """Drawn on twos or threes: a picture stays."""

    def hold(frames, rng):
        return [frames[i - i % num] for i in range(len(frames))]

    return hold


def _shake(frames, rng):
    moves = np.clip(rng.normal(0, SHAKE_PX / 2, (len(frames), 2)), -SHAKE_PX, SHAKE_PX)
    width, height = SIZE
    return [_window(f, 0.9, 0.05 + dx / width, 0.05 + dy / height)
            for f, (dx, dy) in zip(frames, moves, strict=True)]  # fmt: skip


def _fields(frames, rng):
    """Two moments woven, as interlaced video holds them."""
    woven = []
    for one, two in zip(frames, frames[1:] + frames[-1:], strict=True):
        both = one.copy()
        both[1::2] = two[1::2]
        woven.append(both)
    return woven


_LOOK = {
    "grain": _grain, "dark": _dark, "grey": _grey, "twos": _held(2), "threes": _held(3),
    "shake": _shake, "fields": _fields,
}  # fmt: skip
