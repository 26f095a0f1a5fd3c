"""Views of a character: the labelled box in a frame with pose, framing and light."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bunny.table.box import Box, crop_box

FACE_CLOSE_UP, FACE_MEDIUM = 0.25, 0.1  # of the window's height: head and shoulders, half body
WHOLE_HEIGHT = 0.95  # a region as high as the picture is a figure that does not fit into it
STEADY_VIEWS, STEADY_RATIO = 3, 0.15  # fewest boxes of a shot, difference from their median
FIGURE_IN_REGION = 0.7  # regions are windows with air around the figure
FIGURE_MEDIUM = 0.42  # figure over the window's height; below it is wide
FIGURE_MOST = 2.0  # figure over its region: the best match is at times the head alone (0.7 to 2.0)
FRONTAL_YAW, PROFILE_YAW = 0.25, 0.65  # of [-1, 1]: the nose a quarter off the middle of the eyes
DARK_LUMA, BRIGHT_LUMA = 0.27, 0.60  # one stop under and over middle grey, 9 and 36 %, BT.709 coded
SIGNATURE_PX = 32  # side of column `signature`


@dataclass(frozen=True, kw_only=True)
class OtherCharacter:
    """Somebody else in the frame; `character` null: unknown."""

    character: str | None
    box: Box
    is_face: bool = False
    is_seen: bool = True  # false: a face so dark or faint that a viewer may not see it


@dataclass(frozen=True, kw_only=True)
class CharacterView:
    """One labelled view of a character."""

    subject_id: str
    character: str
    is_face: bool  # else a region
    frame_id: str
    shot_index: int
    frame_index: int
    timestamp_s: float
    box: Box
    frame_size: tuple[int, int]  # width, height of the frame's picture
    area: tuple[int, int, int, int]  # of the frame without its bars
    confidence: float
    margin: float | None = None
    pose: str = "unknown"
    shot_size: str = "medium"  # how the film frames it
    place: str | None = None
    light: str | None = None
    sharpness: float | None = None
    yaw: float | None = None
    mouth: float | None = None  # its width over the distance of the eyes
    others: tuple[OtherCharacter, ...] = ()
    hidden: tuple[Box, ...] = ()  # places of people who were forgotten: in no window
    phash: int | None = None
    file: str | None = None  # null: the frame's picture is not stored
    text: str | None = None  # caption of the frame, or of a like one of its shot
    variants: tuple[tuple[str, str], ...] = ()  # further captions of that frame, by name
    # Words of what is sure (view, clothes, beside, place, light), where the caption is composed of
    # them; None: a model or a person wrote it.
    statements: Mapping[str, str] | None = None
    # Colours of the whole frame, see `quality.colour_cell`; None: not measured.
    colour_cells: Sequence[int] | None = field(default=None, compare=False, repr=False)
    is_steady: bool = False  # the character's other boxes of the shot are about as high

    @property
    def height_share(self) -> float:
        """Height of the box over that of the picture without its bars."""
        return (self.box[3] - self.box[1]) / (self.area[3] - self.area[1])

    @property
    def side_px(self) -> float:
        """Shorter side of the box."""
        return min(self.box[2] - self.box[0], self.box[3] - self.box[1])


def pose_of(yaw: float | None) -> str:
    """Name a face's turn; left is the picture's left.

    Examples
    --------
    >>> pose_of(0.2), pose_of(-0.4), pose_of(0.9), pose_of(None)
    ('frontal', 'left', 'right-profile', 'unknown')
    """
    if yaw is None or np.isnan(yaw):
        return "unknown"
    if abs(yaw) < FRONTAL_YAW:
        return "frontal"
    side = "left" if yaw < 0 else "right"
    return f"{side}-profile" if abs(yaw) >= PROFILE_YAW else side


def light_of(luma: float | None) -> str | None:
    """Name the light on a subject by its mean luma in [0, 1]; null when it is not known.

    Notes
    -----
    Middle grey reflects 18 %; a stop down and up from it is coded as 0.27 and 0.60 by the curve of
    ITU-R BT.709.
    """
    if luma is None or np.isnan(luma):
        return None
    return "dark" if luma < DARK_LUMA else "bright" if luma > BRIGHT_LUMA else "medium"


def size_of(box: Box, is_face: bool, window_height: float, picture_height: float) -> str:
    """Name the framing of a window by the part of its height that the face or figure takes.

    Parameters
    ----------
    box : tuple
        The subject.
    is_face : bool
        A face; else a region, which is a window with air around a figure.
    window_height, picture_height : float
        Of the window, and of the picture that it lies in, pixels.
    """
    height = box[3] - box[1]
    if is_face:
        share = height / window_height
        return (
            "close-up" if share >= FACE_CLOSE_UP else "medium" if share >= FACE_MEDIUM else "wide"
        )
    if height >= WHOLE_HEIGHT * picture_height:
        return "close-up"
    return "medium" if FIGURE_IN_REGION * height / window_height >= FIGURE_MEDIUM else "wide"


def is_size_sure(box: Box, is_face: bool, window_height: float, picture_height: float) -> bool:
    """Whether `size_of` may be said in a caption: a region is now a whole figure, now its head.

    Parameters are those of `size_of`. Sure are faces, regions as high as the picture, and those so
    small in their window that the figure is, at most, a small one.

    Examples
    --------
    >>> is_size_sure((0, 0, 20, 100), False, 200, 400), is_size_sure((0, 0, 9, 20), False, 200, 400)
    (False, True)
    """
    height = box[3] - box[1]
    is_whole = height >= WHOLE_HEIGHT * picture_height
    return is_face or is_whole or FIGURE_MOST * height / window_height < FIGURE_MEDIUM


def is_steady(height_share: float, of_shot: Sequence[float]) -> bool:
    """Whether a figure's box is about as high as the character's other boxes of the shot.

    A box as high as the picture is often a window around a smaller figure: it is never steady.

    Examples
    --------
    >>> is_steady(0.4, [0.4, 0.42, 1.0]), is_steady(1.0, [1.0, 1.0, 1.0]), is_steady(0.4, [0.4])
    (True, False, False)
    """
    if len(of_shot) < STEADY_VIEWS or height_share >= WHOLE_HEIGHT:
        return False
    return abs(height_share / float(np.median(of_shot)) - 1) <= STEADY_RATIO


def share_inside(box: tuple[float, ...], area: tuple[float, ...]) -> float:
    """Part of a box's area that lies in `area`, in [0, 1].

    Examples
    --------
    >>> share_inside((0, 0, 10, 10), (5, 0, 100, 100))
    0.5
    """
    width = min(box[2], area[2]) - max(box[0], area[0])
    height = min(box[3], area[3]) - max(box[1], area[1])
    whole = (box[2] - box[0]) * (box[3] - box[1])
    return max(0.0, width) * max(0.0, height) / whole if whole > 0 else 0.0


def signature_in_box(signature: np.ndarray, box: Box, size: tuple[int, int]) -> np.ndarray:
    """The cells of a frame's small picture that a box covers, at least one.

    Parameters
    ----------
    signature : np.ndarray, shape (1024,), uint8
        Column `signature`: 32x32 luma of the frame, row-major.
    box : tuple
        In pixels of the frame.
    size : tuple
        Width and height of the frame.

    Returns
    -------
    np.ndarray, shape (rows, columns), uint8
    """
    grid = np.asarray(signature, np.uint8).reshape(SIGNATURE_PX, SIGNATURE_PX)
    x0, x1 = _cells(box[0], box[2], size[0])
    y0, y1 = _cells(box[1], box[3], size[1])
    return crop_box(grid, (x0, y0, x1, y1))


def _cells(start: float, end: float, side: int) -> tuple[int, int]:
    """Cells of the grid that an interval covers by their middle, at least one."""
    first = int(np.clip(round(start * SIGNATURE_PX / side), 0, SIGNATURE_PX - 1))
    last = int(np.clip(round(end * SIGNATURE_PX / side), first + 1, SIGNATURE_PX))
    return first, last
