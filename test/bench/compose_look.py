"""What a composed film looks like, and what happens in its shots that is no boundary.

Each look and each event is a function from frames and a random generator to frames; pictures are
RGB, uint8, all of one size.
"""

import io
from fractions import Fraction

import av
import cv2
import numpy as np

DARK, NIGHT = 0.22, 0.14  # of the light that a dark film, a film at night keeps
GRAIN = 14  # grey levels of a grainy film at this size
SHAKE_PX, HEAVY_PX = 4, 9  # of a hand-held film; of one that is run with
SCOPE = 0.75  # share of the height that a wide picture fills between its bars
LOW_BITRATE = {"crf": "40", "preset": "veryfast", "sc_threshold": "0", "g": "250"}
STEADY = ("pan", "whip", "zoom", "light")
QUICK = ("burst", "push")  # these happen in shots of any length
EVENT_EVERY = 40  # frames of a shot in which one event happens


def crop(frame: np.ndarray, share: float, x: float, y: float) -> np.ndarray:
    """Part of a picture, `share` of its size, its corner at (x, y) of it, filling the picture."""
    height, width = frame.shape[:2]
    matrix = np.float32([[share, 0, x * width], [0, share, y * height]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        frame, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )


def with_events(piece: list[np.ndarray], kinds: tuple[str, ...], rng) -> list[np.ndarray]:
    """Put into a piece what is no boundary: one event in about each `EVENT_EVERY` frames.

    What the camera or the light does goes through the whole piece: it must not begin at once.
    """
    frames, start, first = [], 0, str(rng.choice(kinds))
    if first in QUICK:
        return EVENT[first](piece, rng)
    if first in STEADY:
        return EVENT[first](piece, rng) if len(piece) >= 24 else piece
    kinds = tuple(kind for kind in kinds if kind not in STEADY)
    parts = max(1, len(piece) // EVENT_EVERY)
    ends = [len(piece) * (k + 1) // parts for k in range(parts)]
    for end in ends:
        part, start = piece[start:end], end
        is_long = len(part) >= 24
        frames += EVENT[str(rng.choice(kinds))](part, rng) if is_long else part
    return frames


def at_rate(frames: list[np.ndarray], one: Fraction, two: Fraction) -> list[np.ndarray]:
    """Frames of one rate shown at another: some dropped, or some doubled."""
    count = len(frames) * two // one
    return [frames[int(i * one / two)] for i in range(count)]


def _flash(frames, rng):
    at, flat = len(frames) // 2, np.full_like(frames[0], 255)
    changed = list(frames)
    for k in range(int(rng.integers(1, 4))):
        changed[at + k] = cv2.addWeighted(frames[at + k], 0.35, flat, 0.65, 0)
    return changed


def _black(frames, rng):
    at = len(frames) // 2
    return [*frames[:at], np.zeros_like(frames[0]), *frames[at + 1 :]]


def _pan(frames, rng):
    places = np.clip(np.arange(len(frames)) - len(frames) // 2 + 6, 0, 12) / 12
    return [crop(f, 0.5, 0.5 * p, 0.25) for f, p in zip(frames, places, strict=True)]


def _whip(frames, rng):
    """A pan of a few frames, smeared along its way."""
    num = int(rng.integers(4, 9))
    places = np.clip(np.arange(-1, len(frames)) - len(frames) // 2, 0, num) / num
    made = []
    for frame, before, here in zip(frames, places[:-1], places[1:], strict=True):
        way = np.linspace(before, here, 6) if here > before else [here]
        made.append(np.mean([crop(frame, 0.5, 0.5 * p, 0.25) for p in way], 0).astype(np.uint8))
    return made


def _burst(frames, rng):
    """Shots are fired: one bright frame here and there, one perhaps right after the cut."""
    flat, changed = np.full_like(frames[0], 255), list(frames)
    for at in rng.integers(0, len(frames), int(rng.integers(1, 4))):
        share = float(rng.uniform(0.3, 0.8))
        changed[at] = cv2.addWeighted(frames[at], 1 - share, flat, share, 0)
    return changed


def _push(frames, rng):
    """The camera runs into the picture, or sideways through half of it, smeared."""
    ways = np.linspace(0, 1, len(frames) + 1)[:: int(rng.choice([-1, 1]))]
    side = rng.random() < 0.5
    made = []
    for frame, one, two in zip(frames, ways[:-1], ways[1:], strict=True):
        way = np.linspace(one, two, 5)
        many = [
            crop(frame, 0.5, 0.5 * w, 0.25)
            if side
            else crop(frame, 1 - 0.5 * w, 0.25 * w, 0.25 * w)
            for w in way
        ]
        made.append(np.mean(many, 0).astype(np.uint8))
    return made


def _wipe(old, new, rng):
    """A straight edge goes through the picture, upright, level or slanting, hard or soft."""
    height, width = old[0].shape[:2]
    angle, soft = rng.uniform(0, 2 * np.pi), float(rng.choice([0.01, 0.1]))
    y, x = np.mgrid[:height, :width]
    place = (x / width - 0.5) * np.cos(angle) + (y / height - 0.5) * np.sin(angle)
    place = (place - place.min()) / np.ptp(place)
    made = []
    for k, (a, b) in enumerate(zip(old, new, strict=True)):
        edge = (k + 1) / (len(old) + 1)
        share = np.clip((edge - place) / soft + 0.5, 0, 1)[..., None]
        made.append((a * (1 - share) + b * share).astype(np.uint8))
    return made


def _whip_joint(old, new, rng):
    """The camera whips from one picture to the next: smeared more and more, then less."""
    num, width = len(old), old[0].shape[1]
    made = []
    for k in range(num):
        at = (k + 1) / (num + 1)
        smear = max(1, round(width * 0.6 * (1 - abs(2 * at - 1))))
        picture = old[k] if at < 0.5 else new[k]
        made.append(cv2.blur(picture, (smear, 1), borderType=cv2.BORDER_REFLECT))
    return made


def _zoom(frames, rng):
    num = int(rng.integers(10, 24))
    shares = 1 - 0.5 * np.clip((np.arange(len(frames)) - 4) / num, 0, 1)
    shares = shares[::-1] if rng.random() < 0.5 else shares
    return [crop(f, s, (1 - s) / 2, (1 - s) / 2) for f, s in zip(frames, shares, strict=True)]


def _wing(frames, rng):
    at, (height, width) = len(frames) // 2, frames[0].shape[:2]
    changed = list(frames)
    for k in range(-6, 7):
        x = int((k + 6) / 12 * 2.2 * width - 0.6 * width)
        corners = [(x, -9), (x + 90, -9), (x + 60, height + 9), (x - 20, height + 9)]
        changed[at + k] = cv2.fillPoly(frames[at + k].copy(), [np.int32(corners)], (35, 30, 25))
    return changed


def _light(frames, rng):
    rise = np.clip((np.arange(len(frames)) - len(frames) // 2) / int(rng.integers(1, 20)), 0, 1)
    return [
        cv2.convertScaleAbs(f, alpha=0.45 + 0.55 * r) for f, r in zip(frames, rise, strict=True)
    ]


def _strobe(frames, rng):
    """Light on and off, each for a few frames, through half of the frames."""
    period, first = int(rng.integers(2, 5)), len(frames) // 4
    lit = [not (first <= i < 3 * first and (i - first) // period % 2) for i in range(len(frames))]
    return [
        f if on else cv2.convertScaleAbs(f, alpha=0.3) for f, on in zip(frames, lit, strict=True)
    ]


def _lightning(frames, rng):
    """Bright at once, twice, and fading."""
    at, flat, changed = len(frames) // 2, np.full_like(frames[0], 235), list(frames)
    for k, share in enumerate((0.8, 0.3, 0.7, 0.5, 0.35, 0.2, 0.1)):
        changed[at + k] = cv2.addWeighted(frames[at + k], 1 - share, flat, share, 0)
    return changed


def _subtitle(frames, rng):
    """Two lines of text at the lower edge, there at once and gone at once."""
    height, width = frames[0].shape[:2]
    first, end = len(frames) // 4, 3 * len(frames) // 4
    changed = list(frames)
    words = ["".join(rng.choice(list("abcdefghiklmnorstuw  "), 22)) for _ in range(2)]
    for i in range(first, end):
        changed[i] = frames[i].copy()
        for line, text in enumerate(words):
            place = (width // 10, height - 16 + 11 * line)
            cv2.putText(changed[i], text, place, 0, 0.36, (250, 250, 250), 1, cv2.LINE_AA)
    return changed


def _split(frames, rng):
    """A third of the picture shows something else from one frame on."""
    at, width = len(frames) // 2, frames[0].shape[1]
    changed = list(frames)
    for i in range(at, len(frames)):
        changed[i] = frames[i].copy()
        changed[i][:, : width // 3] = cv2.flip(frames[i - at], -1)[:, : width // 3]
    return changed


def _blur(frames, rng):
    """Each picture smeared with the next, as a long exposure smears what moves."""
    return [
        cv2.addWeighted(a, 0.6, b, 0.4, 0)
        for a, b in zip(frames, frames[:1] + frames[:-1], strict=True)
    ]


def _grain(frames, rng):
    noise = [rng.normal(0, GRAIN, (*frames[0].shape[:2], 1)) for _ in range(25)]
    return [np.clip(f + noise[int(rng.integers(25))], 0, 255).astype(np.uint8) for f in frames]


def _dim(share):
    """Little light, and the noise that a camera has then."""

    def dim(frames, rng):
        noise = [rng.normal(0, 2, (*frames[0].shape[:2], 1)) for _ in range(25)]
        return [
            np.clip(share * f + noise[int(rng.integers(25))], 0, 255).astype(np.uint8)
            for f in frames
        ]

    return dim


def _grey(frames, rng):
    return [cv2.merge([cv2.cvtColor(f, cv2.COLOR_RGB2GRAY)] * 3) for f in frames]


def _held(num):
    """Drawn on twos or threes: a picture stays."""

    def hold(frames, rng):
        return [frames[i - i % num] for i in range(len(frames))]

    return hold


def _shake(most):
    def shake(frames, rng):
        height, width = frames[0].shape[:2]
        moves = np.clip(rng.normal(0, most / 2, (len(frames), 2)), -most, most)
        share = 1 - 2.2 * most / height
        edge = (1 - share) / 2
        return [
            crop(f, share, edge + dx / width, edge + dy / height)
            for f, (dx, dy) in zip(frames, moves, strict=True)
        ]

    return shake


def _fields(frames, rng):
    """Two moments woven, as interlaced video holds them."""
    woven = []
    for one, two in zip(frames, frames[1:] + frames[-1:], strict=True):
        both = one.copy()
        both[1::2] = two[1::2]
        woven.append(both)
    return woven


def _scope(frames, rng):
    """Black bars above and below."""
    height = frames[0].shape[0]
    bar = round(height * (1 - SCOPE) / 2)
    barred = [frame.copy() for frame in frames]
    for frame in barred:
        frame[:bar] = frame[height - bar :] = 0
    return barred


def _logo(frames, rng):
    marked = [frame.copy() for frame in frames]
    for frame in marked:
        cv2.putText(frame, "tv7", (4, 14), 0, 0.4, (235, 235, 235), 1, cv2.LINE_AA)
    return marked


def _encoded(frames, rng):
    """Through H.264 at a very low rate without key pictures at cuts: blocks, and smear."""
    held = io.BytesIO()
    with av.open(held, "w", format="matroska") as out:
        stream = out.add_stream("libx264", rate=24, options=dict(LOW_BITRATE))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 1
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))
    held.seek(0)
    with av.open(held) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


EVENT = {
    "flash": _flash,
    "black": _black,
    "pan": _pan,
    "wing": _wing,
    "light": _light,
    "whip": _whip,
    "zoom": _zoom,
    "strobe": _strobe,
    "lightning": _lightning,
    "subtitle": _subtitle,
    "split": _split,
    "none": lambda frames, _: frames,
    "burst": _burst,
    "push": _push,
}
JOINT = {"wipe": _wipe, "whip": _whip_joint}  # transitions that are no mix of two pictures
LOOK = {
    "grain": _grain,
    "dark": _dim(DARK),
    "night": _dim(NIGHT),
    "grey": _grey,
    "twos": _held(2),
    "threes": _held(3),
    "shake": _shake(SHAKE_PX),
    "run": _shake(HEAVY_PX),
    "fields": _fields,
    "scope": _scope,
    "logo": _logo,
    "low": _encoded,
    "blur": _blur,
}
HOLD = {"twos": 2, "threes": 3}  # frames that a drawing stays
