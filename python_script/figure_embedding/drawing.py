"""Windows of made-up films with drawings by people, of what `collect.py` wrote.

A film has figures of one source, places of its own and one grade, so that figures have to be told
apart by what they are. Everything that film does to drawings changes from view to view: head, bust
or all of a figure, mirror, pose, light, lines, compression, size, what hides it or stands beside.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import creature
import cv2
import numpy as np

MIN_FIGURES = 4  # sources with fewer identities lend theirs to no film
NUM_PLACES = 4  # backgrounds in a film
DRAWN_PLACE = 0.6  # share of places that people drew
# Chances by view; none was measured alone in the network (memory_bank/progress.md).
CROP, WARP, LINE, FLAT, NIGHT = 0.45, 0.5, 0.25, 0.15, 0.15
SMALL, OCCLUSION, BESIDE, SUBTITLE, BLUR = 0.2, 0.2, 0.3, 0.12, 0.15
TWIN, LEVEL = 0.15, 0.25  # chances by figure, of a recoloured double; by film, of one palette
MIN_TURN = 25  # out of 180, by which a double's hues differ


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Files of figures by source and identity, and of places by source."""

    figure: Mapping[str, Mapping[str, list[Path]]]
    place: Mapping[str, list[Path]]


def find(pictures: Path, places: Path, left_out: str = r"^$") -> Collection:
    """List the files of all sources but those that a pattern matches."""
    figure = {
        source.name: {one.name: sorted(one.iterdir()) for one in sorted(source.iterdir())}
        for source in sorted(pictures.iterdir())
        if not re.search(left_out, source.name)
    }
    place = {
        source.name: sorted(source.iterdir())
        for source in sorted(places.iterdir())
        if not re.search(left_out, source.name)
    }
    return Collection(figure=figure, place=place)


def film(
    rng: np.random.Generator,
    drawings: Collection,
    num_figures: int,
    num_views: int,
    size: int,
    without: frozenset[str] = frozenset(),
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Windows of one film.

    Parameters
    ----------
    without : frozenset of str
        Of crop, warp, line, flat, night, small, occlusion, beside, subtitle, blur, twin, level:
        what is left out.

    Returns
    -------
    picture : np.ndarray, shape (figures, num_views, size, size, 3), uint8, BGR
        View 0 is cropped as a reference, the others as windows.
    empty : np.ndarray, shape (num_views, size, size, 3)
        Windows with nobody in them.
    names : list of str
        `source/identity` of each figure; a recoloured double has `+` behind its name.
    """
    sources = [name for name, own in drawings.figure.items() if len(own) >= MIN_FIGURES]
    weight = np.sqrt([len(drawings.figure[name]) for name in sources])
    source = sources[rng.choice(len(sources), p=weight / weight.sum())]
    style = creature.random_style(rng)
    cast = _cast(rng, drawings.figure[source], num_figures, "twin" not in without)
    palette = _palette(rng) if rng.random() < LEVEL and "level" not in without else None
    places = [_place(rng, drawings, source, size) for _ in range(NUM_PLACES)]
    out = np.empty((len(cast), num_views, size, size, 3), np.uint8)

    def is_wanted(name: str, chance: float) -> bool:
        return rng.random() < chance and name not in without

    for i, one in enumerate(cast):
        order = rng.permutation(len(one.files))
        for k in range(num_views):
            part, mask = _view(rng, one, order[k % len(order)], palette, is_wanted)
            place = places[int(rng.integers(len(places)))]
            if is_wanted("beside", BESIDE):
                other = cast[int(rng.integers(len(cast)))]
                figure, shape = _view(rng, other, 0, palette, lambda *_: False)
                place = creature.beside(place, _fit(figure, size), _fit(shape, size), rng)
            window = creature.compose(part, mask, place, rng, 0.0 if k == 0 else 1.0)
            if k > 0 and is_wanted("occlusion", OCCLUSION):
                _hide(rng, window, places)
            if is_wanted("blur", BLUR):
                window = _blur(rng, window)
            if is_wanted("night", NIGHT):
                window = _darken(rng, window)
            if k > 0 and is_wanted("subtitle", SUBTITLE):
                _write(rng, window)
            if k > 0 and is_wanted("small", SMALL):
                side = int(rng.integers(24, 72))
                window = cv2.resize(window, (side, side), interpolation=cv2.INTER_AREA)
                window = cv2.resize(window, (size, size), interpolation=cv2.INTER_LINEAR)
            out[i, k] = creature.finish(window, style, rng)
    empty = [_place(rng, drawings, source, size) for _ in range(num_views)]
    empty = np.stack([creature.finish(one, style, rng) for one in empty])
    return out, empty, [f"{source}/{one.name}" for one in cast]


# -- cast -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Figure:
    name: str
    files: list[Path]
    turn: int  # shift of its hues, 0 to 179


def _cast(rng, identities: Mapping[str, list[Path]], count: int, has_twins: bool) -> list[_Figure]:
    """Figures of one source, now and then one beside its recoloured double."""
    names = rng.permutation(sorted(identities))[:count]
    cast = [_Figure(name=str(name), files=identities[name], turn=0) for name in names]
    for i in range(1, len(cast)):
        if has_twins and rng.random() < TWIN:
            turn = int(rng.integers(MIN_TURN, 180 - MIN_TURN))
            one = cast[i - 1]
            if one.turn == 0:
                cast[i] = _Figure(name=f"{one.name}+", files=one.files, turn=turn)
    return cast


def _palette(rng) -> np.ndarray:
    """Mean and deviation in Lab that all figures of a film are drawn to."""
    return np.array([[rng.uniform(90, 180), *rng.normal(128, 14, 2)], [45, *rng.uniform(8, 20, 2)]])


def _place(rng, drawings: Collection, source: str, size: int) -> np.ndarray:
    """A crop of a drawn place, of the source's own where it has some, or one that a script drew."""
    if rng.random() > DRAWN_PLACE or not drawings.place:
        return creature.background(rng, size)
    names = sorted(drawings.place)
    own = source if source in drawings.place and rng.random() < 0.5 else str(rng.choice(names))
    files = drawings.place[own]
    image = cv2.imread(str(files[int(rng.integers(len(files)))]))
    side = int(min(image.shape[:2]) * rng.uniform(0.3, 1))
    y, x = (int(rng.integers(0, n - side + 1)) for n in image.shape[:2])
    cut = cv2.resize(image[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(cut[:, ::-1] if rng.random() < 0.5 else cut)


# -- a view -----------------------------------------------------------------------------------


def _view(rng, one: _Figure, number: int, palette, is_wanted) -> tuple[np.ndarray, np.ndarray]:
    """A view of a figure and its mask, recoloured, cut, bent, with other lines."""
    image = cv2.imread(str(one.files[number]), cv2.IMREAD_UNCHANGED)
    has_alpha = image.shape[2] == 4
    mask = image[..., 3].copy() if has_alpha else np.full(image.shape[:2], 255, np.uint8)
    part = np.ascontiguousarray(image[..., :3])
    if one.turn:
        hsv = cv2.cvtColor(part, cv2.COLOR_BGR2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + one.turn) % 180
        part = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    if palette is not None:
        part = _level(part, mask, palette)
    if is_wanted("crop", CROP):
        part, mask = _crop(rng, part, mask)
    if is_wanted("flat", FLAT):
        part = _flatten(rng, part)
    if is_wanted("line", LINE):
        part = _change_lines(rng, part)
    if is_wanted("warp", WARP):
        part, mask = _bend(rng, part, mask, has_alpha)
    return part, mask


def _crop(rng, part: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Head or bust of a tall figure, a piece of another."""
    height, width = part.shape[:2]
    if height > 1.25 * width:
        low = int(height * rng.uniform(0.3, 0.9))
        shown = np.flatnonzero((mask[:low] > 127).any(axis=0))
        left, right = (shown[0], shown[-1] + 1) if len(shown) > 4 else (0, width)
        return part[:low, left:right].copy(), mask[:low, left:right].copy()
    tall, wide = (int(n * rng.uniform(0.65, 1)) for n in (height, width))
    y, x = int(rng.integers(0, (height - tall) // 2 + 1)), int(rng.integers(0, width - wide + 1))
    cut = np.s_[y : y + tall, x : x + wide]
    if (mask[cut] > 127).mean() < 0.2:
        return part, mask
    return part[cut].copy(), mask[cut].copy()


def _level(part: np.ndarray, mask: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Move colours towards a palette by mean and deviation (Reinhard et al. 2001)."""
    lab = cv2.cvtColor(part, cv2.COLOR_BGR2LAB).astype(np.float32)
    shown = lab[mask > 127]
    if len(shown) < 20:
        return part
    middle, spread = shown.mean(axis=0), shown.std(axis=0) + 4
    moved = (lab - middle) * np.clip(palette[1] / spread, 0.4, 1.6) + palette[0]
    moved[..., 0] = 0.3 * moved[..., 0] + 0.7 * lab[..., 0]
    return cv2.cvtColor(np.clip(moved, 0, 255).astype(np.uint8), cv2.COLOR_LAB2BGR)


def _flatten(rng, part: np.ndarray) -> np.ndarray:
    """Few flat colours, or smooth ones."""
    if rng.random() < 0.5:
        return cv2.bilateralFilter(part, 7, float(rng.uniform(20, 70)), 5)
    step = int(rng.integers(24, 64))
    return (part // step * step + step // 2).clip(0, 255).astype(np.uint8)


def _change_lines(rng, part: np.ndarray) -> np.ndarray:
    """Thicker or thinner dark lines."""
    side = 2 if max(part.shape[:2]) < 160 else int(rng.integers(2, 5))
    change = cv2.erode if rng.random() < 0.6 else cv2.dilate
    return change(part, np.ones((side, side), np.uint8))


def _bend(rng, part: np.ndarray, mask: np.ndarray, is_cut_out: bool) -> tuple:
    """Turn, shear and bend a little, as a pose changes."""
    if is_cut_out:
        edge = max(part.shape[:2]) // 6
        part = cv2.copyMakeBorder(part, *[edge] * 4, cv2.BORDER_CONSTANT, value=(0, 0, 0))
        mask = cv2.copyMakeBorder(mask, *[edge] * 4, cv2.BORDER_CONSTANT, value=0)
    height, width = part.shape[:2]
    angle, shear, squash = rng.normal(0, 0.12), rng.normal(0, 0.08), rng.normal(1, 0.07)
    cos, sin = np.cos(angle), np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) @ [[squash, shear], [0, 1 / squash]]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    cx, cy = width / 2, height / 2
    at = np.stack([x - cx, y - cy], axis=-1) @ linear.T.astype(np.float32)
    grid = rng.normal(0, 0.03 * max(height, width), (4, 3, 2)).astype(np.float32)
    at += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    at_x, at_y = (np.ascontiguousarray(at[..., k] + c) for k, c in enumerate((cx, cy)))
    border = cv2.BORDER_CONSTANT if is_cut_out else cv2.BORDER_REFLECT
    bent = [cv2.remap(one, at_x, at_y, cv2.INTER_LINEAR, borderMode=border) for one in (part, mask)]
    return bent[0], bent[1]


# -- a window ---------------------------------------------------------------------------------


def _fit(image: np.ndarray, size: int) -> np.ndarray:
    """A picture in the middle of a square, nothing around it."""
    factor = 0.95 * size / max(image.shape[:2])
    tall, wide = (max(2, int(n * factor)) for n in image.shape[:2])
    out = np.zeros((size, size, *image.shape[2:]), np.uint8)
    y, x = (size - tall) // 2, (size - wide) // 2
    out[y : y + tall, x : x + wide] = cv2.resize(image, (wide, tall), interpolation=cv2.INTER_AREA)
    return out


def _hide(rng, window: np.ndarray, places: list[np.ndarray]) -> None:
    """Lay a piece of a place over one side."""
    size = len(window)
    cover = places[int(rng.integers(len(places)))]
    cut = int(size * rng.uniform(0.15, 0.45))
    side = int(rng.integers(3))
    where = (np.s_[size - cut :], np.s_[:, :cut], np.s_[:, size - cut :])[side]
    window[where] = cover[where]


def _blur(rng, window: np.ndarray) -> np.ndarray:
    """Out of focus, or moved."""
    if rng.random() < 0.5:
        return cv2.GaussianBlur(window, (0, 0), float(rng.uniform(0.6, 2.2)))
    length = int(rng.integers(3, 12))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    end = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    middle = np.array([length / 2, length / 2])
    ends = [tuple(int(v) for v in middle + k * end) for k in (-1, 1)]
    cv2.line(kernel, *ends, 1.0)
    return cv2.filter2D(window, -1, kernel / max(kernel.sum(), 1))


def _darken(rng, window: np.ndarray) -> np.ndarray:
    """Night or another light."""
    gain = np.array([rng.uniform(0.5, 1.1), rng.uniform(0.35, 0.9), rng.uniform(0.25, 0.9)])
    curve = (window / 255.0) ** rng.uniform(0.8, 1.6) * 255 * gain
    return np.clip(curve, 0, 255).astype(np.uint8)


def _write(rng, window: np.ndarray) -> None:
    """A line of subtitles at the foot."""
    size = len(window)
    text = "".join(chr(int(c)) for c in rng.integers(97, 123, 24))
    at = (int(-rng.uniform(0, 0.6) * size), int(size * rng.uniform(0.84, 0.97)))
    scale = size / 224 * rng.uniform(0.5, 1.0)
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(window, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, width, cv2.LINE_AA)
