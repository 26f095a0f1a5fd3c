"""Random cartoon figures: people, animals and odd shapes in random colours, poses and styles.

Figures are what the embedding of drawn figures is trained on (`train_network.py`). An `Identity` is
what stays: proportions, colours, hair, hat, garment, ears, tail. A `Style` belongs to a film:
outline, shading, grey. Everything else (pose, turn, expression, size, framing) changes from view to
view.
Drawn with OpenCV; a picture of 224 px takes about 3 ms.
"""

import colorsys
from dataclasses import dataclass, replace

import cv2
import numpy as np

SHIFT = 4  # fractional bits of coordinates given to OpenCV
KINDS = ("human", "human", "human", "animal", "animal", "bird", "blob", "robot", "quadruped")
EARS = ("none", "round", "long", "pointy", "horns", "side", "antenna")
HAIR = ("none", "none", "spiky", "cap", "long", "bun", "bob", "mohawk", "curly")
HATS = ("none", "none", "none", "straw", "cap", "cone", "band", "top", "crown")
NOSES = ("none", "dot", "ball", "snout", "beak", "line")
EYES = ("dot", "white", "pie", "big", "joined", "slit")
TOPS = ("bare", "plain", "stripes", "collar", "dots", "vest", "straps", "halves")
BOTTOMS = ("bare", "trousers", "shorts", "skirt", "dress", "wide")


@dataclass(frozen=True, kw_only=True)
class Style:
    """What all pictures of a film share."""

    outline_px: float  # at 224 px, 0 for none
    outline: tuple[int, int, int]
    shading: str  # flat | step | soft
    is_grey: bool
    wobble: float
    texture: float  # strength of paper or brush
    grading: tuple[float, float, float, float]  # gain of B, G, R and saturation


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a figure is known by."""

    kind: str
    skin: tuple
    second: tuple  # belly, muzzle, inner ears
    hair_colour: tuple
    top_colour: tuple
    top_second: tuple
    bottom_colour: tuple
    shoe: tuple
    hat_colour: tuple
    glove: tuple
    ears: str
    hair: str
    hat: str
    nose: str
    nose_colour: tuple
    eyes: str
    iris: tuple
    top: str
    bottom: str
    has_belly: bool
    has_beard: bool
    has_glasses: bool
    has_gloves: bool
    has_cape: bool
    has_bow: bool
    has_tail: bool
    has_sash: bool
    head: tuple[float, float]  # half width and height, in units of the body's height
    body: tuple[float, float, float]  # half width at the shoulders, at the hips, height
    leg: float
    arm: float
    limb: float  # thickness
    ear_size: float
    hair_size: float
    eye_size: float
    is_shaved_flat: float  # squareness of head and body, 0 round to 1 square


def random_style(rng: np.random.Generator) -> Style:
    """A film's way of drawing."""
    outline = rng.choice([0, 1.0, 1.5, 2.2, 3.2], p=[0.2, 0.25, 0.25, 0.2, 0.1])
    is_dark = rng.random() < 0.8
    ink = tuple(int(v) for v in (rng.integers(0, 45, 3) if is_dark else rng.integers(30, 120, 3)))
    is_grey = rng.random() < 0.18
    grade = np.r_[rng.normal(1, 0.08, 3), np.clip(rng.normal(0.95, 0.2), 0.3, 1.5)]
    return Style(
        outline_px=float(outline),
        outline=ink,
        shading=str(rng.choice(["flat", "step", "soft"])),
        is_grey=bool(is_grey),
        wobble=float(rng.choice([0, 0.006, 0.015])),
        texture=float(rng.choice([0, 0, 6, 14])),
        grading=tuple(float(v) for v in grade),
    )


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    hue, saturation, value = rng.random(), rng.beta(2, 1.5), 0.12 + 0.88 * rng.beta(2, 1.2)
    if rng.random() < 0.22:  # near black, white or grey
        saturation, value = rng.random() * 0.12, rng.choice([0.06, 0.15, 0.5, 0.9, 0.98])
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return (int(blue * 255), int(green * 255), int(red * 255))


def _skin(rng: np.random.Generator) -> tuple[int, int, int]:
    base = np.array([[170, 205, 245], [140, 185, 235], [110, 150, 205], [70, 105, 160]])
    return tuple(int(v) for v in np.clip(base[rng.integers(4)] + rng.normal(0, 10, 3), 20, 255))


def random_identity(rng: np.random.Generator) -> Identity:
    """A figure nobody has seen before."""
    kind = str(rng.choice(KINDS))
    is_human = kind == "human"
    pick = lambda options: str(rng.choice(options))  # noqa: E731
    skin = _skin(rng) if is_human and rng.random() < 0.85 else _colour(rng)
    light = tuple(int(255 - (255 - c) * rng.uniform(0.2, 0.7)) for c in skin)
    wears = is_human or rng.random() < 0.6
    shoulders = rng.uniform(0.16, 0.5)
    return Identity(
        kind=kind,
        skin=skin,
        second=light if rng.random() < 0.6 else _colour(rng),
        hair_colour=_colour(rng),
        top_colour=_colour(rng),
        top_second=_colour(rng),
        bottom_colour=_colour(rng),
        shoe=_colour(rng),
        hat_colour=_colour(rng),
        glove=_colour(rng) if rng.random() < 0.5 else (245, 245, 245),
        ears="side" if is_human else pick(EARS),
        hair=pick(HAIR) if is_human or rng.random() < 0.3 else "none",
        hat=pick(HATS),
        nose=pick(NOSES[:3] + NOSES[5:]) if is_human else pick(NOSES),
        nose_colour=_colour(rng) if rng.random() < 0.6 else (20, 20, 20),
        eyes=pick(EYES),
        iris=_colour(rng),
        top=pick(TOPS) if wears else "bare",
        bottom=pick(BOTTOMS) if wears else "bare",
        has_belly=bool(not is_human and rng.random() < 0.6),
        has_beard=bool(rng.random() < 0.15),
        has_glasses=bool(rng.random() < 0.12),
        has_gloves=bool(rng.random() < 0.3),
        has_cape=bool(rng.random() < 0.08),
        has_bow=bool(rng.random() < 0.12),
        has_tail=bool(not is_human and rng.random() < 0.6),
        has_sash=bool(rng.random() < 0.2),
        head=(rng.uniform(0.16, 0.48), rng.uniform(0.18, 0.46)),
        body=(shoulders, shoulders * rng.uniform(0.5, 1.5), rng.uniform(0.35, 0.9)),
        leg=rng.uniform(0.15, 0.9),
        arm=rng.uniform(0.35, 0.8),
        limb=rng.uniform(0.05, 0.17),
        ear_size=rng.uniform(0.5, 1.5),
        hair_size=rng.uniform(0.6, 1.4),
        eye_size=rng.uniform(0.6, 1.6),
        is_shaved_flat=float(rng.choice([0, 0, 0.5, 0.9])) if kind != "robot" else 0.9,
    )


COLOURS = ("skin", "hair_colour", "top_colour", "bottom_colour", "hat_colour", "second")
SHAPES = ("ears", "hair", "hat", "top", "bottom", "nose", "eyes", "head", "body", "kind")


def look_alike(one: Identity, rng: np.random.Generator) -> Identity:
    """Another figure that shares much with one: most colours or most shapes."""
    other = random_identity(rng)
    names = COLOURS if rng.random() < 0.5 else SHAPES
    count = int(rng.integers(2, len(names)))
    changed = rng.choice(names, size=count, replace=False)
    return replace(one, **{name: getattr(other, name) for name in changed})


class _Pen:
    """Draws shapes in body coordinates (y down, feet at 0, a body's height is about 1)."""

    def __init__(self, size: int, style: Style, rng: np.random.Generator, matrix: np.ndarray):
        self.picture = np.zeros((size, size, 3), np.uint8)
        self.mask = np.zeros((size, size), np.uint8)
        self.style, self.rng, self.matrix = style, rng, matrix
        self.line_px = style.outline_px * size / 224

    def polygon(self, points: np.ndarray, colour: tuple, *, has_line: bool = True) -> None:
        points = np.asarray(points, np.float64)
        if self.style.wobble:
            points = points + self.rng.normal(0, self.style.wobble, points.shape)
        self._fill(points @ self.matrix[:, :2].T + self.matrix[:, 2], colour, has_line)

    def _fill(self, points: np.ndarray, colour: tuple, has_line: bool) -> None:
        fixed = np.round(points * (1 << SHIFT)).astype(np.int32)[:, None]
        cv2.fillPoly(self.mask, [fixed], 255, cv2.LINE_AA, SHIFT)
        cv2.fillPoly(self.picture, [fixed], colour, cv2.LINE_AA, SHIFT)
        if self.style.shading != "flat" and len(points) > 8:
            self._shade(points, colour)
        if has_line and self.line_px >= 0.5:
            width = max(1, round(self.line_px))
            for layer, ink in ((self.picture, self.style.outline), (self.mask, 255)):
                cv2.polylines(layer, [fixed], True, ink, width, cv2.LINE_AA, SHIFT)

    def _shade(self, points: np.ndarray, colour: tuple) -> None:
        middle = points.mean(axis=0)
        dark = tuple(int(c * 0.75) for c in colour)
        inner = middle + (points - middle) * 0.82 - (points.max(axis=0) - middle) * 0.12
        fixed = np.round(points * (1 << SHIFT)).astype(np.int32)[:, None]
        cv2.fillPoly(self.picture, [fixed], dark, cv2.LINE_AA, SHIFT)
        steps = (1.0,) if self.style.shading == "step" else (1.0, 0.75, 0.5, 0.3)
        for i, share in enumerate(steps):
            lit = 0.75 + 0.25 * (i + 1) / len(steps)
            fill = tuple(min(255, int(c * lit)) for c in colour)
            at = np.round((middle + (inner - middle) * share) * (1 << SHIFT)).astype(np.int32)
            cv2.fillPoly(self.picture, [at[:, None]], fill, cv2.LINE_AA, SHIFT)

    def ellipse(self, x, y, rx, ry, colour, *, square=0.0, has_line=True, tilt=0.0) -> None:
        angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        power = 1 - 0.75 * square
        c, s = np.cos(angle), np.sin(angle)
        px, py = np.sign(c) * np.abs(c) ** power * rx, np.sign(s) * np.abs(s) ** power * ry
        turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
        self.polygon(np.stack([px, py], 1) @ turn.T + [x, y], colour, has_line=has_line)

    def limb(self, start, joint, end, width: float, colour) -> None:
        start, joint, end = (np.asarray(p, float) for p in (start, joint, end))
        t = np.linspace(0, 1, 8)[:, None]
        line = (1 - t) ** 2 * start + 2 * t * (1 - t) * joint + t**2 * end
        along = np.gradient(line, axis=0)
        along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
        side = np.stack([-along[:, 1], along[:, 0]], 1) * width
        self.polygon(np.vstack([line + side, (line - side)[::-1]]), colour)


def draw(
    one: Identity, style: Style, rng: np.random.Generator, size: int = 224, framing: str = "any"
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a view of a figure.

    Parameters
    ----------
    framing : str
        full | bust | head | any

    Returns
    -------
    picture : np.ndarray, shape (size, size, 3), uint8, BGR
        Without background.
    mask : np.ndarray, shape (size, size), uint8
        255 where the figure is.
    """
    yaw = float(np.clip(rng.normal(0, 0.55), -1, 1))
    is_back = rng.random() < 0.05
    bw, hw, bh = one.body
    hx, hy = one.head
    is_four = one.kind == "quadruped"
    leg = one.leg * (0.6 if is_four else 1)
    lean = rng.normal(0, 0.12)
    head_x, neck_y = lean * (leg + bh), -(leg + bh)
    head_y = neck_y - hy * 0.85
    if one.kind == "blob":
        head_y, neck_y = -(leg + bh * 0.7), -(leg + bh)
    if is_four:
        head_x, head_y = (bh * 0.75 + hx * 0.5) * np.sign(yaw + 1e-6), -(leg + bw + hy * 0.6)
    top = head_y - hy * (1.9 if one.ears == "long" or one.hat != "none" else 1.3)
    framing = framing if framing != "any" else str(rng.choice(["full", "full", "bust", "head"]))
    low = {"full": 0.05, "bust": -(leg + bh * 0.35), "head": head_y + hy * 1.5}[framing]
    scale = size * rng.uniform(0.72, 1.0) / (low - top)
    squash = rng.normal(1, 0.06)
    tilt = rng.normal(0, 0.12)
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    linear = turn @ np.diag([scale * squash, scale / squash])
    middle = np.array([head_x * (0.5 if framing == "full" else 0.8), (low + top) / 2])
    origin = size / 2 - linear @ middle + rng.normal(0, 0.04, 2) * size
    pen = _Pen(size, style, rng, np.c_[linear, origin])
    wide = 1 - 0.35 * abs(yaw)
    _back(pen, one, rng, wide, leg, bh, bw, head_x, head_y)
    if is_four:
        _four_legs(pen, one, rng, leg, bw, bh, np.sign(yaw + 1e-6))
    else:
        _legs(pen, one, rng, wide, leg, hw)
        _arm(pen, one, rng, -1, wide, leg, bw, bh, lean)
        _body(pen, one, wide, leg, bw, hw, bh, lean, yaw, is_back)
    _head(pen, one, rng, head_x, head_y, hx * (1 - 0.15 * abs(yaw)), hy, yaw, is_back)
    if not is_four:
        _arm(pen, one, rng, 1, wide, leg, bw, bh, lean)
    return pen.picture, pen.mask


def _back(pen, one, rng, wide, leg, bh, bw, head_x, head_y) -> None:
    if one.has_cape:
        sway = rng.normal(0, 0.2)
        top = -(leg + bh)
        points = [
            [-bw, top],
            [bw, top],
            [bw * 1.4 + sway, -leg * 0.3],
            [-bw * 1.4 + sway, -leg * 0.3],
        ]
        pen.polygon(points, one.top_second)
    if one.has_tail:
        side = rng.choice([-1, 1])
        end = (side * (0.5 + 0.3 * rng.random()), -leg - rng.uniform(0, 0.6))
        pen.limb((0, -leg - 0.05), (side * 0.4, -leg + 0.1), end, 0.05 + one.limb * 0.5, one.skin)
    if one.hair == "long":
        hx, hy = one.head
        size = one.hair_size
        pen.ellipse(head_x, head_y + hy * 0.5 * size, hx * 1.2, hy * 1.4 * size, one.hair_colour)


def _legs(pen, one, rng, wide, leg, hw) -> None:
    stride = rng.normal(0, 0.35)
    has_trousers = one.bottom in ("trousers", "wide")
    width = one.limb * (1.8 if one.bottom == "wide" else 1.15 if has_trousers else 1)
    colour = one.bottom_colour if has_trousers else one.skin
    for side in (-1, 1):
        hip = np.array([side * hw * 0.55 * wide, -leg - 0.02])
        foot = np.array([hip[0] + side * 0.03 + stride * side * leg * 0.5, -abs(stride) * 0.06])
        knee = (hip + foot) / 2 + [rng.normal(0, 0.06), 0]
        pen.limb(hip, knee, foot, width, colour)
        direction = side * 0.5 + rng.normal(0, 0.5)
        pen.ellipse(foot[0] + 0.05 * direction, foot[1], one.limb * 1.7, one.limb * 0.85, one.shoe)


def _four_legs(pen, one, rng, leg, bw, bh, facing) -> None:
    for x in (-0.6, -0.45, 0.45, 0.6):
        foot = (x * bh + rng.normal(0, 0.08), 0)
        pen.limb((x * bh, -leg - bw * 0.3), (x * bh, -leg / 2), foot, one.limb, one.skin)
        pen.ellipse(*foot, one.limb * 1.2, one.limb * 0.7, one.shoe)
    pen.ellipse(0, -leg - bw * 0.6, bh * 0.85, bw, one.skin)
    if one.has_belly:
        pen.ellipse(0, -leg - bw * 0.3, bh * 0.6, bw * 0.5, one.second, has_line=False)
    if one.top != "bare":
        pen.ellipse(facing * 0.1, -leg - bw * 0.75, bh * 0.45, bw * 0.85, one.top_colour)


def _outline_of_body(wide, leg, bw, hw, bh, lean, square):
    """Points of the trunk from shoulders to hips, (n, 2)."""
    t = np.linspace(0, 1, 7)
    width = (bw * (1 - t) + hw * t) * (1 + (0.18 - 0.15 * square) * np.sin(np.pi * t)) * wide
    y = -(leg + bh) + t * (bh * 1.05)
    x = lean * -y
    return np.vstack([np.c_[x - width, y], np.c_[x + width, y][::-1]])


def _body(pen, one, wide, leg, bw, hw, bh, lean, yaw, is_back) -> None:
    whole = _outline_of_body(wide, leg, bw, hw, bh, lean, one.is_shaved_flat)
    pen.polygon(whole, one.skin if one.top == "bare" else one.top_colour)
    half = len(whole) // 2
    left, right = whole[:half], whole[half:][::-1]

    def band(a, b, colour, inner=1.0, shift=0.0):
        t = np.linspace(0, half - 1, half)
        at = np.linspace(a, b, 4) * (half - 1)
        low = np.stack([np.interp(at, t, left[:, k]) for k in (0, 1)], 1)
        high = np.stack([np.interp(at, t, right[:, k]) for k in (0, 1)], 1)
        m = (low + high) / 2 + (high - low) / 2 * shift
        pen.polygon(np.vstack([m + (low - m) * inner, (m + (high - m) * inner)[::-1]]), colour)

    shift = yaw * 0.4
    if one.has_belly and not is_back and one.top in ("bare", "vest"):
        band(0.2, 0.95, one.second, 0.6, shift)
    if one.top == "stripes":
        for a in (0.08, 0.32, 0.56, 0.8):
            band(a, a + 0.12, one.top_second)
    elif one.top == "collar":
        band(0.0, 0.2, one.top_second)
    elif one.top == "halves":
        band(0.5, 1.0, one.top_second)
    elif one.top == "vest":
        band(0.0, 0.8, one.skin if not one.has_belly else one.second, 0.4, shift)
    elif one.top == "straps":
        band(0.0, 0.45, one.top_second, 0.98)
        band(0.2, 1.0, one.top_colour, 0.7, shift)
    elif one.top == "dots":
        middle = whole.mean(axis=0)
        for dx, dy in ((-0.4, -0.5), (0.35, -0.3), (-0.1, 0.1), (0.4, 0.4), (-0.5, 0.5)):
            x, y = middle[0] + dx * bw * wide, middle[1] + dy * bh * 0.5
            pen.ellipse(x, y, 0.05, 0.05, one.top_second, has_line=False)
    if one.bottom in ("trousers", "shorts", "wide"):
        band(0.72, 1.05, one.bottom_colour)
    elif one.bottom in ("skirt", "dress"):
        y0 = -(leg + bh * (0.3 if one.bottom == "skirt" else 0.55))
        y1 = -leg * (0.55 if one.bottom == "skirt" else 0.25)
        flare = max(bw, hw) * 1.3
        points = [
            [lean * -y0 - hw * wide, y0],
            [lean * -y0 + hw * wide, y0],
            [flare * wide, y1],
            [-flare * wide, y1],
        ]
        pen.polygon(points, one.bottom_colour)
    if one.has_sash:
        band(0.62, 0.74, one.hat_colour)
    if one.has_bow:
        y, x = -(leg + bh * 0.97), lean * (leg + bh) + shift * 0.2
        for side in (-1, 1):
            pen.polygon(
                [[x, y], [x + side * 0.14, y - 0.07], [x + side * 0.14, y + 0.07]], one.glove
            )


def _arm(pen, one, rng, side, wide, leg, bw, bh, lean) -> None:
    shoulder = np.array([side * bw * 0.9 * wide + lean * (leg + bh), -(leg + bh * 0.9)])
    angle = rng.uniform(-0.4, 2.6) if rng.random() < 0.7 else rng.uniform(-0.3, 0.4)
    reach = np.array([side * np.sin(angle), np.cos(angle)]) * one.arm
    hand = shoulder + reach
    elbow = shoulder + reach * 0.5 + rng.normal(0, 0.12, 2)
    has_sleeve = one.top not in ("bare", "vest")
    pen.limb(shoulder, elbow, hand, one.limb * 0.85, one.top_colour if has_sleeve else one.skin)
    if has_sleeve and one.top in ("straps", "halves", "collar"):
        pen.limb((shoulder + hand) / 2, elbow * 0.3 + hand * 0.7, hand, one.limb * 0.8, one.skin)
    colour = one.glove if one.has_gloves else one.skin
    pen.ellipse(*hand, one.limb * 1.1, one.limb * 1.1, colour)


def _head(pen, one, rng, x, y, hx, hy, yaw, is_back) -> None:
    s = one.ear_size
    for side in (-1, 1):
        ear_x = x + side * hx * (0.75 - 0.3 * yaw * side)
        if one.ears == "round":
            pen.ellipse(ear_x, y - hy * 0.8, hx * 0.42 * s, hx * 0.42 * s, one.skin)
            pen.ellipse(
                ear_x, y - hy * 0.8, hx * 0.22 * s, hx * 0.22 * s, one.second, has_line=False
            )
        elif one.ears == "long":
            tilt = side * rng.uniform(0.0, 0.5)
            pen.ellipse(
                ear_x * 0.6 + x * 0.4,
                y - hy * 1.5 * s,
                hx * 0.24,
                hy * 0.8 * s,
                one.skin,
                tilt=tilt,
            )
        elif one.ears == "pointy":
            points = [
                [ear_x - hx * 0.3, y - hy * 0.6],
                [ear_x + hx * 0.3, y - hy * 0.6],
                [ear_x + side * 0.05, y - hy * (1 + 0.5 * s)],
            ]
            pen.polygon(points, one.skin)
        elif one.ears == "horns":
            points = [
                [ear_x - hx * 0.15, y - hy * 0.7],
                [ear_x + hx * 0.15, y - hy * 0.7],
                [ear_x + side * 0.15 * s, y - hy * (1 + 0.4 * s)],
            ]
            pen.polygon(points, one.second)
        elif one.ears == "side":
            pen.ellipse(
                x + side * hx * (1 - 0.25 * yaw * side),
                y + hy * 0.1,
                hx * 0.2 * s,
                hy * 0.22 * s,
                one.skin,
            )
        elif one.ears == "antenna":
            pen.limb(
                (ear_x, y - hy * 0.7),
                (ear_x, y - hy),
                (ear_x, y - hy * (1 + 0.5 * s)),
                0.02,
                one.second,
            )
            pen.ellipse(ear_x, y - hy * (1 + 0.5 * s), 0.06, 0.06, one.hat_colour)
    pen.ellipse(x, y, hx, hy, one.skin, square=one.is_shaved_flat)
    if not is_back:
        _face(pen, one, rng, x, y, hx, hy, yaw)
    _hair(pen, one, rng, x, y, hx, hy, yaw, is_back)
    _hat(pen, one, x, y, hx, hy, yaw)


def _face(pen, one, rng, x, y, hx, hy, yaw) -> None:
    fx = x + yaw * hx * 0.45
    if one.nose == "snout":
        pen.ellipse(fx + yaw * hx * 0.3, y + hy * 0.4, hx * 0.55, hy * 0.4, one.second)
    if one.has_beard:
        pen.ellipse(fx, y + hy * 0.75, hx * 0.75, hy * 0.55, one.hair_colour)
    gap, size = hx * 0.38 * (1 - 0.3 * abs(yaw)), hx * 0.17 * one.eye_size
    is_shut = rng.random() < 0.12
    look = rng.normal(0, 0.25, 2) * size
    for side in (-1, 1):
        ex, ey = fx + side * gap, y - hy * 0.1
        if is_shut or one.eyes == "slit":
            pen.polygon(
                [[ex - size, ey], [ex, ey - size * 0.4], [ex + size, ey]],
                (20, 20, 20),
                has_line=False,
            )
        elif one.eyes == "dot":
            pen.ellipse(ex, ey, size * 0.5, size * 0.7, (15, 15, 15), has_line=False)
        elif one.eyes == "big":
            pen.ellipse(ex, ey, size * 0.95, size * 1.35, (250, 250, 250))
            pen.ellipse(ex + look[0] * 0.5, ey, size * 0.75, size * 1.1, one.iris, has_line=False)
            pen.ellipse(
                ex + look[0] * 0.5, ey, size * 0.4, size * 0.6, (15, 15, 15), has_line=False
            )
        elif one.eyes == "joined":
            pen.ellipse(
                fx + side * size * 0.8, ey - hy * 0.1, size * 0.85, size * 1.5, (250, 250, 250)
            )
            pen.ellipse(
                fx + side * size * 0.7 + look[0],
                ey,
                size * 0.25,
                size * 0.45,
                (15, 15, 15),
                has_line=False,
            )
        else:
            pen.ellipse(ex, ey, size, size * 1.1, (250, 250, 250))
            pen.ellipse(
                ex + look[0], ey + look[1], size * 0.45, size * 0.5, (15, 15, 15), has_line=False
            )
    if one.has_glasses:
        for side in (-1, 1):
            _ring(pen, fx + side * gap, y - hy * 0.1, size * 1.5)
    mouth, width = y + hy * 0.52, hx * rng.uniform(0.2, 0.5)
    if one.nose == "beak":
        tip = fx + yaw * hx * 0.9
        points = [
            [fx - hx * 0.35, y + hy * 0.05],
            [fx + hx * 0.35, y + hy * 0.05],
            [tip, y + hy * 0.6],
        ]
        pen.polygon(points, one.nose_colour)
    elif rng.random() < 0.4:
        pen.ellipse(fx, mouth, width * 0.7, hy * rng.uniform(0.06, 0.28), (40, 30, 110))
    else:
        bend = rng.normal(0, 0.06)
        pen.polygon(
            [
                [fx - width, mouth],
                [fx, mouth + bend + 0.015],
                [fx + width, mouth],
                [fx, mouth + bend - 0.01],
            ],
            (20, 20, 40),
            has_line=False,
        )
    if one.nose in ("ball", "snout"):
        pen.ellipse(fx + yaw * hx * 0.5, y + hy * 0.2, hx * 0.22, hx * 0.18, one.nose_colour)
    elif one.nose == "dot":
        pen.ellipse(
            fx + yaw * hx * 0.3, y + hy * 0.2, hx * 0.08, hx * 0.07, one.nose_colour, has_line=False
        )
    elif one.nose == "line":
        pen.polygon(
            [[fx, y], [fx + hx * 0.12 * np.sign(yaw + 1e-6), y + hy * 0.25], [fx, y + hy * 0.25]],
            (60, 80, 120),
            has_line=False,
        )


def _ring(pen, x, y, r) -> None:
    angle = np.linspace(0, 2 * np.pi, 20)
    outer = np.c_[x + r * np.cos(angle), y + r * np.sin(angle)]
    inner = np.c_[x + r * 0.75 * np.cos(angle), y + r * 0.75 * np.sin(angle)]
    pen.polygon(np.vstack([outer, inner[::-1]]), (25, 25, 25), has_line=False)


def _hair(pen, one, rng, x, y, hx, hy, yaw, is_back) -> None:
    s, colour = one.hair_size, one.hair_colour
    if one.hair == "none":
        return
    if is_back:
        pen.ellipse(x, y, hx * 1.05, hy * 1.02, colour)
    if one.hair in ("cap", "bob", "long", "bun", "curly"):
        angle = np.linspace(np.pi, 2 * np.pi, 14)
        top = np.c_[x + hx * 1.06 * np.cos(angle), y - hy * 0.1 + hy * 1.0 * np.sin(angle)]
        fringe = y - hy * rng.uniform(0.35, 0.5)
        pen.polygon(
            np.vstack(
                [
                    top,
                    [
                        [x + hx * 0.5, fringe],
                        [x + yaw * hx * 0.3, fringe - 0.03],
                        [x - hx * 0.5, fringe],
                    ],
                ]
            ),
            colour,
        )
    if one.hair in ("bob", "long"):
        for side in (-1, 1):
            pen.ellipse(x + side * hx * 0.98, y + hy * 0.25 * s, hx * 0.24, hy * 0.7 * s, colour)
    if one.hair == "bun":
        pen.ellipse(x, y - hy * (1 + 0.2 * s), hx * 0.35 * s, hx * 0.35 * s, colour)
    if one.hair == "curly":
        for t in np.linspace(np.pi * 0.9, 2.1 * np.pi, 7):
            pen.ellipse(
                x + hx * 0.95 * np.cos(t),
                y + hy * 0.9 * np.sin(t),
                hx * 0.28 * s,
                hx * 0.28 * s,
                colour,
                has_line=False,
            )
    if one.hair == "spiky":
        t = np.linspace(np.pi * 0.92, 2.08 * np.pi, 15)
        radius = np.where(np.arange(15) % 2, 1.0 + 0.45 * s, 0.9)
        points = np.c_[x + hx * radius * np.cos(t), y - hy * 0.05 + hy * radius * np.sin(t)]
        fringe = np.linspace(0.75, -0.75, 7)
        zig = np.c_[x + hx * fringe, y - hy * np.where(np.arange(7) % 2, 0.15, 0.55)]
        pen.polygon(np.vstack([points, zig]), colour)
    if one.hair == "mohawk":
        pen.ellipse(x, y - hy * 1.05, hx * 0.25, hy * 0.45 * s, colour)


def _hat(pen, one, x, y, hx, hy, yaw) -> None:
    colour, brim = one.hat_colour, y - hy * 0.55
    if one.hat in ("straw", "top"):
        height = hy * (0.6 if one.hat == "straw" else 1.0)
        wide = hx * (0.85 if one.hat == "straw" else 0.7)
        pen.ellipse(
            x,
            brim - height * 0.5,
            wide,
            height * 0.75,
            colour,
            square=0.5 if one.hat == "top" else 0,
        )
        pen.ellipse(x, brim, hx * (1.6 if one.hat == "straw" else 1.15), hy * 0.16, colour)
        pen.polygon(
            [
                [x - wide, brim - hy * 0.08],
                [x + wide, brim - hy * 0.08],
                [x + wide, brim - hy * 0.25],
                [x - wide, brim - hy * 0.25],
            ],
            one.top_second,
        )
    elif one.hat == "cap":
        pen.ellipse(x, brim - hy * 0.15, hx * 1.02, hy * 0.5, colour)
        pen.ellipse(x + (yaw + 0.2) * hx, brim + hy * 0.15, hx * 0.7, hy * 0.12, colour)
    elif one.hat == "cone":
        pen.polygon(
            [[x - hx * 0.8, brim], [x + hx * 0.8, brim], [x + 0.1, brim - hy * 1.4]], colour
        )
    elif one.hat == "band":
        pen.polygon(
            [
                [x - hx, brim - hy * 0.02],
                [x + hx, brim - hy * 0.02],
                [x + hx * 0.95, brim - hy * 0.25],
                [x - hx * 0.95, brim - hy * 0.25],
            ],
            colour,
        )
    elif one.hat == "crown":
        points = [
            [x - hx * 0.7, brim],
            [x + hx * 0.7, brim],
            [x + hx * 0.75, brim - hy * 0.6],
            [x + hx * 0.35, brim - hy * 0.3],
            [x, brim - hy * 0.65],
            [x - hx * 0.35, brim - hy * 0.3],
            [x - hx * 0.75, brim - hy * 0.6],
        ]
        pen.polygon(points, colour)


def background(rng: np.random.Generator, size: int = 224) -> np.ndarray:
    """A painted place: sky and ground or walls, with hills, boards, boxes, clouds and brush."""
    one, two = (np.array(_colour(rng), float) for _ in range(2))
    if rng.random() < 0.6:  # places are paler than figures
        grey = rng.uniform(60, 220)
        one, two = one * 0.5 + grey * 0.5, two * 0.5 + grey * 0.5
    t = np.linspace(0, 1, size)[:, None, None]
    picture = np.broadcast_to(one * (1 - t) + two * t, (size, size, 3)).astype(np.uint8).copy()
    for _ in range(int(rng.integers(2, 12))):
        colour = tuple(int(v) for v in np.clip(np.array(_colour(rng)) * 0.5 + one * 0.5, 0, 255))
        kind = rng.integers(4)
        x, y = rng.uniform(-0.2, 1.2, 2) * size
        w, h = rng.uniform(0.05, 0.8, 2) * size
        if kind == 0:
            cv2.ellipse(
                picture,
                (int(x), int(y)),
                (int(w / 2), int(h / 2)),
                0,
                0,
                360,
                colour,
                -1,
                cv2.LINE_AA,
            )
        elif kind == 1:
            cv2.rectangle(picture, (int(x), int(y)), (int(x + w), int(y + h)), colour, -1)
        elif kind == 2:
            points = np.stack(
                [rng.uniform(-0.2, 1.2, 6) * size, rng.uniform(0.2, 1.3, 6) * size], 1
            )
            cv2.fillPoly(picture, [cv2.convexHull(points.astype(np.int32))], colour, cv2.LINE_AA)
        else:
            for k in np.linspace(-0.2, 1.2, int(rng.integers(3, 14))) * size:
                cv2.line(
                    picture,
                    (int(k), 0),
                    (int(k + rng.normal(0, 5)), size),
                    colour,
                    int(rng.integers(1, 5)),
                    cv2.LINE_AA,
                )
    if rng.random() < 0.6:
        cells = int(rng.choice([4, 8, 16, 48]))
        noise = cv2.resize(
            rng.normal(0, rng.uniform(5, 30), (cells, cells, 1)).astype(np.float32),
            (size, size),
            interpolation=cv2.INTER_CUBIC,
        )
        picture = np.clip(picture + noise[..., None], 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 4))
    return picture


def finish(picture: np.ndarray, style: Style, rng: np.random.Generator) -> np.ndarray:
    """A film's grading, paper, blur and compression."""
    out = picture.astype(np.float32)
    grey = out @ np.float32([0.114, 0.587, 0.299])
    out = grey[..., None] + (out - grey[..., None]) * style.grading[3]
    out *= np.float32(style.grading[:3]) * rng.normal(1, 0.05)
    if style.texture:
        out += cv2.GaussianBlur(
            rng.normal(0, style.texture, out.shape[:2]).astype(np.float32), (0, 0), 0.8
        )[..., None]
    if rng.random() < 0.15:  # another light than elsewhere in the film
        out = out * np.float32(rng.uniform(0.6, 1.1, 3)) * rng.uniform(0.5, 1)
    if style.is_grey:
        out[:] = (out @ np.float32([0.114, 0.587, 0.299]))[..., None]
    out = np.clip(out, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        side = int(out.shape[0] * rng.uniform(0.3, 1))
        out = cv2.resize(
            cv2.resize(out, (side, side), interpolation=cv2.INTER_AREA), out.shape[1::-1]
        )
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(18, 95))]
    return cv2.imdecode(cv2.imencode(".jpg", out, quality)[1], cv2.IMREAD_COLOR)


def compose(
    figure: np.ndarray, mask: np.ndarray, place: np.ndarray, rng: np.random.Generator, tight: float
) -> np.ndarray:
    """Lay a figure over a place as a window holds it: off the middle, larger or smaller.

    Parameters
    ----------
    tight : float
        0 for crops as people make references, 1 for windows that lie where they happen to.
    """
    size = place.shape[0]
    ys, xs = np.nonzero(mask)
    out = place.copy()
    if len(ys) < 20:
        return out
    x0, x1, y0, y1 = xs.min(), xs.max() + 1, ys.min(), ys.max() + 1
    part, alpha = figure[y0:y1, x0:x1], mask[y0:y1, x0:x1]
    if rng.random() < 0.5:
        part, alpha = part[:, ::-1], alpha[:, ::-1]
    share = rng.uniform(0.85, 1.1) if tight < 0.5 else rng.uniform(0.5, 1.3)
    factor = share * size / max(part.shape[:2])
    w, h = max(4, round(part.shape[1] * factor)), max(4, round(part.shape[0] * factor))
    mode = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    part, alpha = (
        cv2.resize(np.ascontiguousarray(a), (w, h), interpolation=mode) for a in (part, alpha)
    )
    jitter = 0.05 + 0.15 * tight
    cx, cy = size / 2 + rng.normal(0, jitter) * size, size / 2 + rng.normal(0, jitter) * size
    left, top = round(cx - w / 2), round(cy - h / 2)
    a0, b0, a1, b1 = max(0, left), max(0, top), min(size, left + w), min(size, top + h)
    if a1 - a0 < 4 or b1 - b0 < 4:
        return out
    weight = alpha[b0 - top : b1 - top, a0 - left : a1 - left, None].astype(np.float32) / 255
    cut = part[b0 - top : b1 - top, a0 - left : a1 - left]
    out[b0:b1, a0:a1] = (cut * weight + out[b0:b1, a0:a1] * (1 - weight)).astype(np.uint8)
    return out


def film(
    rng: np.random.Generator, num_figures: int, num_views: int, size: int = 192
) -> tuple[np.ndarray, np.ndarray]:
    """Windows of one made-up film.

    Returns
    -------
    picture : np.ndarray, shape (num_figures, num_views, size, size, 3), uint8, BGR
        View 0 is cropped as a reference, the others as windows. The figures share places, half of
        them look alike.
    empty : np.ndarray, shape (num_views, size, size, 3)
        Windows with nobody in them.
    """
    style = random_style(rng)
    cast: list[Identity] = []
    for i in range(num_figures):
        is_alike = i % 2 == 1 and rng.random() < 0.7
        cast.append(look_alike(cast[-1], rng) if is_alike else random_identity(rng))
    places = [background(rng, size) for _ in range(num_views + 1)]
    out = np.empty((num_figures, num_views, size, size, 3), np.uint8)
    for i, one in enumerate(cast):
        for k in range(num_views):
            framing = "any" if rng.random() < 0.8 else "full"
            figure, mask = draw(one, style, rng, size, framing)
            place = places[int(rng.integers(len(places)))]
            if rng.random() < 0.3:  # somebody else beside
                other = cast[int(rng.integers(num_figures))]
                neighbour, shape = draw(other, style, rng, size, "full")
                place = beside(place, neighbour, shape, rng)
            out[i, k] = finish(
                compose(figure, mask, place, rng, 0.0 if k == 0 else 1.0), style, rng
            )
    empty = np.stack(
        [
            finish(
                background(rng, size)
                if rng.random() < 0.3
                else places[int(rng.integers(len(places)))],
                style,
                rng,
            )
            for _ in range(num_views)
        ]
    )
    return out, empty


def beside(place, figure, mask, rng):
    """A neighbour that is cut by the window's edge."""
    size = place.shape[0]
    shift = int(size * rng.uniform(0.55, 0.9)) * rng.choice([-1, 1])
    moved = np.float32([[1, 0, shift], [0, 1, rng.normal(0, 0.1) * size]])
    figure, mask = (cv2.warpAffine(a, moved, (size, size)) for a in (figure, mask))
    weight = mask[..., None].astype(np.float32) / 255
    return (figure * weight + place * (1 - weight)).astype(np.uint8)
