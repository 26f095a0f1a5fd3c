"""Crop windows around a subject: size, aspect and position.

A view gives up to five windows, each clearly larger than the one before: the subject alone, with a
margin, large enough for trainers of 512 and of 1024 px, and as high as the picture. A window has
the aspect of one of the trainers' buckets, is moved into the frame, and off other people where it
can be.

Crops are cut from stored pictures, or from frames of the film decoded again, and keep the film's
pixels: which size they are read at is the trainer's affair.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from bunny.core import image_file, safe_path
from bunny.core.config import DatasetConfig, ModelsConfig
from bunny.dataset import view as view_module
from bunny.dataset.crop_caption import CaptionVariant, CaptionWords, crop_caption
from bunny.dataset.view import CharacterView
from bunny.video.extra_frame import CROP, ExtraFrameReader

Size = tuple[int, int]  # width, height, pixels
MIN_SHARE, MAX_SHARE = 0.5, 2.0  # of the resolution: shortest and longest side of a bucket
FACE_MARGIN = 0.9  # of the face's size on each side: head and shoulders come along
WIDER_GAIN = 1.25  # another window is taken when it is at least this much larger
SEEN_MIN = 0.3  # share of another's box inside the window from which the caption keeps them
HEAD_LINE = 1 / 3  # of a window's height, where a face lies in medium and wide ones
READ_PX = (128, 512, 1024)  # sides that trainers read: the toy base's, SD 1.5's, SDXL's
SHAPE_PX = READ_PX[-1]  # side of the square whose buckets give windows their aspects
SHIFTS = 9  # places tried a side, to leave others out
FREE = 0.05  # share of another's box that may stay in a window that is free of them
HIDDEN_COST = 100.0  # of a part of somebody who was forgotten; more than of all others
ASIDE = 0.15  # of the subject's size, kept around it when the window is moved off others


def sizes(resolution_px: int, step_px: int) -> list[Size]:
    """Buckets of at most the area of the resolution's square.

    Parameters
    ----------
    resolution_px : int
        Side of the square.
    step_px : int
        Sides are multiples of it; larger than half the resolution only the square is left.

    Returns
    -------
    list of (width, height)
        Sorted; from half to twice the resolution a side, the square among them.

    Notes
    -----
    The rule of NovelAI's aspect-ratio bucketing (2022) and of kohya's `make_bucket_resolutions`.

    Examples
    --------
    >>> sizes(256, 64)
    [(128, 512), (192, 320), (256, 256), (320, 192), (512, 128)]
    """
    least = max(step_px, math.ceil(MIN_SHARE * resolution_px / step_px) * step_px)
    most = int(MAX_SHARE * resolution_px)
    found = {(resolution_px, resolution_px)}
    for width in range(least, most + 1, step_px):
        height = min(most, resolution_px**2 // width // step_px * step_px)
        if height >= least:
            found |= {(width, height), (height, width)}
    return sorted(_tallest(found, resolution_px))


def nearest(width: float, height: float, choices: Sequence[Size]) -> Size:
    """The bucket whose aspect is nearest to that of a window; the larger one of equals.

    Examples
    --------
    >>> nearest(1.0, 1.9, [(128, 512), (192, 320), (256, 256)])
    (192, 320)
    """
    wanted = math.log(width / height)
    return min(choices, key=lambda s: (abs(math.log(s[0] / s[1]) - wanted), -s[0] * s[1], s))


def _tallest(found: set[Size], resolution_px: int) -> set[Size]:
    """Of buckets of one width the tallest, and of one height the widest."""
    square = (resolution_px, resolution_px)
    return {
        (w, h)
        for w, h in found
        if (w, h) == square
        or (h == max(b for a, b in found if a == w) and w == max(a for a, b in found if b == h))
    }


@dataclass(frozen=True, kw_only=True)
class CropSetting:
    """Aspects of crops, and the sections of the settings that shape windows."""

    shapes: tuple[Size, ...]  # buckets whose aspects windows have; one: always that
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    models: ModelsConfig = field(default_factory=ModelsConfig)


def shapes(wanted: DatasetConfig) -> tuple[Size, ...]:
    """Aspects of crops by `aspect` and `bucket_step_px`: the square, or buckets of 1024 px."""
    if wanted.aspect == "square":
        return ((SHAPE_PX, SHAPE_PX),)
    return tuple(sizes(SHAPE_PX, wanted.bucket_step_px))


@dataclass(frozen=True, kw_only=True)
class CropWindow:
    """One window of a frame and the size that it is written in."""

    index: int  # 0 is the tightest
    x0_px: int
    y0_px: int
    x1_px: int
    y1_px: int
    size: Size
    shot_size: str
    others: tuple[str | None, ...] = ()  # who else is seen in it

    @property
    def upscale(self) -> float:
        """Written height over the window's, at most about 1."""
        return self.size[1] / (self.y1_px - self.y0_px)


@dataclass(frozen=True, kw_only=True)
class Crop:
    """One training picture to be: a window of a view with its words and side of the split."""

    image_id: str
    view: CharacterView
    window: CropWindow
    caption: str
    variants: tuple[CaptionVariant, ...] = ()
    split: str = "train"
    role: str = "subject"


def windows(view: CharacterView, rule: CropSetting) -> list[CropWindow]:
    """Windows around a view's subject, the tightest first.

    Returns
    -------
    list of CropWindow
        Inside `view.area`, none with a part of `view.hidden`. Empty when even the largest would be
        enlarged more than allowed at the least side of `READ_PX`.
    """
    found: list[CropWindow] = []
    for width, height, least in _wanted(view, rule):
        bucket = nearest(width, height, rule.shapes)
        shape = _fit(width, height, bucket, view.area, least)
        if shape is None:
            continue
        size = _written(shape, rule.dataset.max_px)
        is_larger = not found or shape[1] >= WIDER_GAIN * (found[-1].y1_px - found[-1].y0_px)
        if is_larger and (rule.dataset.has_wider_crops or not found):
            window = _place(view, shape, size, len(found))
            if not any(view_module.share_inside(box, box_of(window)) for box in view.hidden):
                found.append(window)
    return found


def min_upscale(view: CharacterView, rule: CropSetting) -> float:
    """By how much the largest window of a view would be enlarged at the least side read."""
    wide, high = view.area[2] - view.area[0], view.area[3] - view.area[1]
    return READ_PX[0] / SHAPE_PX * min(max(w / wide, h / high) for w, h in rule.shapes)


def caption_of(view: CharacterView, window: CropWindow, words: CaptionWords) -> str:
    """The frame's caption for a window of it: who is outside goes, the trigger is in.

    A framing that is not sure is not said: wrong words would unlearn what the base knows of them.
    """
    text = words.own_first(words.without(view.text or "", absent_from(view, window)))
    return crop_caption(text, words, certain_shot_size(view, window))


def variants_of(
    view: CharacterView, window: CropWindow, words: CaptionWords, shares: Mapping[str, float]
) -> tuple[CaptionVariant, ...]:
    """Further captions for a window, fitted to it as `caption_of` does.

    Parameters
    ----------
    shares : mapping
        Of each variant's name; where a frame lacks one, the others share its pictures.
    """
    known = [(text, shares[name]) for name, text in view.variants if shares.get(name)]
    total = sum(share for _, share in known)
    return tuple(
        CaptionVariant(text=caption_of(replace(view, text=text), window, words), share=part / total)
        for text, part in known
    )


def absent_from(view: CharacterView, window: CropWindow) -> list[str]:
    """Named others of the frame who are not seen in a window of it, in alphabetical order."""
    return sorted({o.character for o in view.others if o.character} - set(window.others))


def certain_shot_size(view: CharacterView, window: CropWindow) -> str | None:
    """The window's framing where it may be said in a caption, else None."""
    heights = window.y1_px - window.y0_px, view.area[3] - view.area[1]
    is_sure = view_module.is_size_sure(view.box, view.is_face, *heights)
    return window.shot_size if is_sure else None


def pick_windows(
    windows_of: Sequence[Sequence[CropWindow]], number: int
) -> list[tuple[int, CropWindow]]:
    """Say which windows of the chosen views are cut, so that framings are about equally many.

    Parameters
    ----------
    windows_of : sequence of sequence of CropWindow
        Of each view, in the order in which the views were chosen; none is empty.
    number : int
        Pictures wanted.

    Returns
    -------
    list of (int, Window)
        View and window. Each view gives one before any gives a second.
    """
    taken: list[tuple[int, CropWindow]] = []
    count: dict[str, int] = {}
    left = [list(found) for found in windows_of]
    for _ in range(max((len(found) for found in left), default=0)):
        for row, found in enumerate(left):
            if not found or len(taken) >= number:
                continue
            best = min(found, key=lambda w: (bool(w.others), count.get(w.shot_size, 0), w.index))
            found.remove(best)
            taken.append((row, best))
            count[best.shot_size] = count.get(best.shot_size, 0) + 1
    return taken


def _wanted(view: CharacterView, rule: CropSetting) -> list[tuple[float, float, float]]:
    """Least width, height and side of windows in px, the tightest first."""
    width, height = view.box[2] - view.box[0], view.box[3] - view.box[1]
    margins = (FACE_MARGIN, 2 * FACE_MARGIN) if view.is_face else (0.0, rule.models.crop_margin)
    tight, wide = ((width * (1 + 2 * m), height * (1 + 2 * m)) for m in margins)
    sides = [side / rule.dataset.max_upscale for side in READ_PX]
    whole = (view.area[2] - view.area[0], view.area[3] - view.area[1])
    return [(*tight, sides[0]), *((*wide, side) for side in sides), (*whole, sides[0])]


def _fit(
    width: float, height: float, size: Size, area: tuple[int, int, int, int], least_px: float
) -> tuple[int, int] | None:
    """Width and height of a window of the aspect of `size`; None where the picture is too small."""
    wide, high = area[2] - area[0], area[3] - area[1]
    unit = max(width / size[0], height / size[1], least_px / SHAPE_PX)  # window over bucket
    unit = min(unit, wide / size[0], high / size[1])
    if unit * SHAPE_PX < least_px * (1 - 1e-9):
        return None
    shape = max(1, round(unit * size[0])), max(1, round(unit * size[1]))
    return min(shape[0], wide), min(shape[1], high)


def _written(shape: tuple[int, int], max_px: int) -> Size:
    """The size that a window is stored in: its own, or that of a square of `max_px`."""
    scale = min(1.0, max_px / math.sqrt(shape[0] * shape[1]))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _place(view: CharacterView, shape: tuple[int, int], size: Size, index: int) -> CropWindow:
    """Put a window around the subject, off others where that is possible."""
    area_height = view.area[3] - view.area[1]
    shot_size = view_module.size_of(view.box, view.is_face, shape[1], area_height)
    x0, y0 = _start(view, shape, shot_size)
    if view.others or view.hidden:
        x0, y0 = _off_others(view, shape, (x0, y0))
    inside = (x0, y0, x0 + shape[0], y0 + shape[1])
    seen = {o.character for o in view.others if view_module.share_inside(o.box, inside) >= SEEN_MIN}
    return CropWindow(
        index=index,
        x0_px=inside[0],
        y0_px=inside[1],
        x1_px=inside[2],
        y1_px=inside[3],
        size=size,
        shot_size=shot_size,
        others=tuple(sorted(seen, key=str)),
    )


def _start(view: CharacterView, shape: tuple[int, int], shot_size: str) -> tuple[int, int]:
    """Upper left corner: the subject in the middle, a face on the head line, heads whole."""
    x0, y0, x1, y1 = view.box
    left = (x0 + x1 - shape[0]) / 2
    if view.is_face:
        line = 0.5 if shot_size == "close-up" else HEAD_LINE
        top = min((y0 + y1) / 2 - line * shape[1], y0 - FACE_MARGIN / 2 * (y1 - y0))
        top = min(max(top, y1 - shape[1]), y0)  # air above must not cost the chin
    else:
        top = min((y0 + y1 - shape[1]) / 2, y0)  # a figure that does not fit loses its feet
    return _inside(left, shape[0], view.area[0::2]), _inside(top, shape[1], view.area[1::2])


def _off_others(
    view: CharacterView, shape: tuple[int, int], start: tuple[int, int]
) -> tuple[int, int]:
    """The nearest start that holds the subject and least of the others."""
    tries = [start, *itertools.product(*(_range(view, shape, axis) for axis in (0, 1)))]

    def cost(at: tuple[int, int]) -> tuple[float, float]:
        inside = (*at, at[0] + shape[0], at[1] + shape[1])
        shares = (view_module.share_inside(o.box, inside) for o in view.others)
        seen = sum(share for share in shares if share > FREE)
        seen += sum(HIDDEN_COST for box in view.hidden if view_module.share_inside(box, inside))
        return round(seen, 3), abs(at[0] - start[0]) + abs(at[1] - start[1])

    return min(tries, key=cost)


def _range(view: CharacterView, shape: tuple[int, int], axis: int) -> list[int]:
    """Starts along one axis at which the subject, with some air, is inside."""
    low, high = view.box[axis], view.box[axis + 2]
    air = min(ASIDE * (high - low), max(0.0, (shape[axis] - (high - low)) / 2))
    first, last = high + air - shape[axis], low - air
    if first > last:
        return [_inside((low + high - shape[axis]) / 2, shape[axis], view.area[axis::2])]
    step = (last - first) / (SHIFTS - 1)
    return sorted(
        {_inside(first + i * step, shape[axis], view.area[axis::2]) for i in range(SHIFTS)}
    )


def _inside(start: float, length: int, bounds: Sequence[int]) -> int:
    """Start of an interval of `length`, kept in the bounds."""
    return int(min(max(bounds[0], round(start)), bounds[1] - length))


def box_of(window: CropWindow) -> tuple[int, int, int, int]:
    """The window as a box."""
    return (window.x0_px, window.y0_px, window.x1_px, window.y1_px)


@dataclass(frozen=True, kw_only=True)
class CropSource:
    """A crop and the whole frame that it is cut from."""

    crop: Crop
    picture: np.ndarray | None  # (height, width, 3), uint8, BGR; None when there is none
    is_recovered: bool = False  # decoded again from the film
    error: str | None = None


def read_crops(film_dir: Path, crops: Iterable[Crop]) -> Iterator[CropSource]:
    """Crops with their frames as extract stored them; a frame is read once for its neighbours."""
    file, picture = None, None
    for one in crops:
        if one.view.file != file:
            file, picture = one.view.file, _read(film_dir, one.view.file)
        error = None if picture is not None else f"{file} cannot be read"
        yield CropSource(crop=one, picture=picture, error=error)


def _read(film_dir: Path, file: str | None) -> np.ndarray | None:
    """A stored frame, BGR; None when it cannot be read."""
    return None if file is None else image_file.read(safe_path.join(film_dir, file))


class CropReader:
    """Reads the frames of crops.

    Parameters
    ----------
    film_dir : Path
        That files of table `frame` lie in.
    tables : mapping
        frame and extra_frame.
    cut_from : {"auto", "picture", "film"}
        "auto" goes to the film, where it is there, for crops below 512 px, which most trainers
        enlarge.
    """

    def __init__(
        self,
        film_dir: Path,
        tables: Mapping[str, pl.DataFrame],
        film: ExtraFrameReader,
        cut_from: str = "auto",
    ) -> None:
        self._film_dir, self._tables, self._film = film_dir, tables, film
        self._cut_from = cut_from

    def read(self, crops: Sequence[Crop]) -> Iterator[CropSource]:
        """Crops with their frames: stored ones, or of the film where that is asked or needed.

        Parameters
        ----------
        crops : sequence of Crop
            By frame index.
        """
        has_film = self._film.is_present()
        wanted = [c for c in crops if self._is_from_film(c, has_film)]
        recovered = self._recovered(wanted)
        again = {c.image_id for c in wanted}
        kept = read_crops(self._film_dir, [c for c in crops if c.image_id not in again])
        for one in crops:
            yield next(recovered if one.image_id in again else kept)

    def _is_from_film(self, one: Crop, has_film: bool) -> bool:
        """Whether a crop is decoded again: asked for, nowhere stored, or small and film at hand."""
        if one.view.file is None:
            return True
        is_small = math.sqrt(math.prod(one.window.size)) < READ_PX[1]
        return self._cut_from == "film" or (self._cut_from == "auto" and is_small and has_film)

    def _recovered(self, crops: Sequence[Crop]) -> Iterator[CropSource]:
        """Crops of frames decoded again as extract decoded them; in order of the frame."""
        if not crops:
            return
        tables = [self._tables[name] for name in ("frame", "extra_frame")]
        both = pl.concat([table.select("frame_index", *CROP) for table in tables])
        box = {r[0]: None if None in r[1:] else r[1:] for r in both.iter_rows()}
        found = self._film.pictures({c.view.frame_index: box[c.view.frame_index] for c in crops})
        one = next(found, None)
        for item in crops:
            index = item.view.frame_index
            while one is not None and one.frame.index < index:
                one = next(found, None)
            if one is None or one.frame.index != index:
                lost = "this frame could not be decoded again"
                yield CropSource(crop=item, picture=None, error=lost)
            else:
                yield CropSource(crop=item, picture=one.picture, is_recovered=True, error=one.error)
