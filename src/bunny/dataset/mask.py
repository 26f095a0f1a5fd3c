"""Subject masks without a model: GrabCut from the subject's box, and how good each mask is.

A mask is kept only where two measures agree that it is right, since a wrong one teaches the
background, or that the subject has no ears. Larger boxes must give the same outline: what was cut
off at the edge of the box, or hung on it, changes it. And what lies inside must not have the
colours of the background in the character's other shots: a tree behind a head is in front of none
elsewhere.

Masks are written as trainers read them: 8 bits, one channel, white where the loss counts. kohya's
`masked_loss` reads a folder of pictures of the same names, OneTrainer `<name>-masklabel.png`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import cv2
import numpy as np

from bunny.dataset.view import Box

ROUNDS = 4  # of GrabCut; it settles in 3 to 5
LONGEST_PX = 320  # side at which it is computed; larger pictures are shrunk for it
LEAST_SHARE, MOST_SHARE = 0.15, 0.97  # of the box: beyond these it has found nothing
CORE = 0.3  # of the box's sides: the ellipse in its middle that is surely the subject
AIR = 0.02  # of the picture that counts as surely background at its edge, outside the box
WIDER = (0.1, 0.2)  # shares of the box's sides by which it is enlarged to see what changes
MIN_SHOTS = 3  # other shots of the character, without which its colours are not known
MIN_LUMA = 0.5  # mean of the picture, in [0, 1]; by eye all masks of darker ones were wrong
COLOUR_STEPS = (24, 16, 16)  # bin widths in OpenCV's 8-bit L*, a*, b*
NUM_COLOURS = 11 * 16 * 16
FOREIGN_BELOW = 0.4  # a colour's share of subject, among subject and background, in other shots
COLOUR_FLOOR = 1e-3  # added to both shares: rare colours say nothing
SPOT_PX = 5  # over which that share is averaged, at working size
HEAD_AIR = (0.4, 0.25, 1.5)  # of a face's size around it: sides, above, below: hair, shoulders


@dataclass(frozen=True, kw_only=True)
class Cutout:
    """A subject's mask and how far it stays the same when its box is larger."""

    mask: np.ndarray  # (height, width), uint8: 255 where the subject is, else 0
    # Least intersection over union with the masks of larger boxes, in [0, 1]; once it is below what
    # was asked for, no further box is tried.
    agreement: float


def cut_out(picture: np.ndarray, box: Box, least: float = 0.0) -> Cutout | None:
    """Find the subject of a picture.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint8
    box : tuple
        x0, y0, x1, y1 of the subject in pixels of the picture; it may reach outside.
    least : float
        Agreement that is asked for, in [0, 1].

    Returns
    -------
    Cutout or None
        None when the picture is dark, when what was found covers under 15 % or over 97 % of the
        box, or when the box leaves no background to learn from. A larger box that leaves none
        agrees with nothing.

    Notes
    -----
    Rother, Kolmogorov, Blake 2004, "GrabCut: interactive foreground extraction using iterated
    graph cuts".
    """
    height, width = picture.shape[:2]
    small = _at_working_size(picture)
    if cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).mean() < 255 * MIN_LUMA:
        return None
    scale = small.shape[1] / width, small.shape[0] / height
    size = small.shape[1], small.shape[0]
    area = _rectangle(box, scale, size)
    subject = _subject(small, area)
    if subject is None:
        return None
    x0, y0, x1, y1 = area
    if not LEAST_SHARE <= subject[y0:y1, x0:x1].mean() <= MOST_SHARE:
        return None
    agreement = 1.0
    for share in WIDER:
        across, down = share * (box[2] - box[0]), share * (box[3] - box[1])
        wider = (box[0] - across, box[1] - down, box[2] + across, box[3] + down)
        other = _subject(small, _rectangle(wider, scale, size))
        agreement = min(agreement, 0.0 if other is None else _overlap(subject, other))
        if agreement < least:
            break
    whole = cv2.resize(subject.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return Cutout(mask=np.where(whole >= 0.5, 255, 0).astype(np.uint8), agreement=agreement)


@dataclass(frozen=True, kw_only=True)
class SubjectColours:
    """Colours inside and outside a character's masks, by shot."""

    share: dict[int, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))

    def add(self, shot_index: int, picture: np.ndarray, mask: np.ndarray) -> None:
        """Count the colours of a picture (height, width, 3), RGB, and its mask."""
        code, inside = _colour_codes(picture, mask)
        counts = [np.bincount(code[part], minlength=NUM_COLOURS) for part in (inside, ~inside)]
        self.share[shot_index].append(np.stack([c / max(1, c.sum()) for c in counts]))

    def own_share(self, shot_index: int, picture: np.ndarray, mask: np.ndarray) -> float:
        """Share of a mask whose colours are not those of the background in other shots.

        Parameters
        ----------
        shot_index : int
            The picture's own shot, whose colours do not count.

        Returns
        -------
        float
            In [0, 1]; 0 where fewer than `MIN_SHOTS` other shots are known.
        """
        others = [np.mean(own, axis=0) for shot, own in self.share.items() if shot != shot_index]
        if len(others) < MIN_SHOTS:
            return 0.0
        subject, ground = np.sum(others, axis=0) + COLOUR_FLOOR
        code, inside = _colour_codes(picture, mask)
        likely = (subject / (subject + ground))[code].astype(np.float32)
        foreign = cv2.blur(likely, (SPOT_PX, SPOT_PX)) < FOREIGN_BELOW
        return 1.0 - float(foreign[inside].mean()) if inside.any() else 0.0


def figure_box(box: Box, is_face: bool) -> Box:
    """The box that a mask starts from: of a face, the head with hair and shoulders.

    Examples
    --------
    >>> figure_box((10, 10, 20, 20), False)
    (10, 10, 20, 20)
    >>> figure_box((100, 100, 200, 200), True)
    (60.0, 75.0, 240.0, 350.0)
    """
    if not is_face:
        return box
    width, height = box[2] - box[0], box[3] - box[1]
    side, above, below = HEAD_AIR
    return (
        box[0] - side * width,
        box[1] - above * height,
        box[2] + side * width,
        box[3] + below * height,
    )


def _at_working_size(picture: np.ndarray) -> np.ndarray:
    """The picture, at most `LONGEST_PX` wide and high."""
    height, width = picture.shape[:2]
    factor = min(1.0, LONGEST_PX / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _colour_codes(picture: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of each pixel's colour, and whether it is inside the mask, at working size."""
    small = _at_working_size(picture)
    steps = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.int64) // COLOUR_STEPS
    inside = cv2.resize(mask, small.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    return steps @ np.array([256, 16, 1]), inside


def _subject(small: np.ndarray, area: tuple[int, int, int, int]) -> np.ndarray | None:
    """Segment an area with GrabCut; None if the area is empty or leaves no background."""
    x0, y0, x1, y1 = area
    height, width = small.shape[:2]
    if min(x1 - x0, y1 - y0) < 4 or (x1 - x0) * (y1 - y0) >= (1 - AIR) * width * height:
        return None
    mask = np.full((height, width), cv2.GC_BGD, np.uint8)
    mask[y0:y1, x0:x1] = cv2.GC_PR_FGD
    middle = (x0 + x1) // 2, (y0 + y1) // 2
    axes = max(1, round(CORE * (x1 - x0) / 2)), max(1, round(CORE * (y1 - y0) / 2))
    cv2.ellipse(mask, middle, axes, 0, 0, 360, cv2.GC_FGD, -1)
    models = np.zeros((2, 1, 65))
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(small, mask, (0, 0, 0, 0), models[0], models[1], ROUNDS, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # one colour only: no mixture can be learned
        return None
    return _without_holes(_part_at(np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)), middle))


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union."""
    return float((one & other).sum() / max(1, (one | other).sum()))


def _rectangle(
    box: Box, scale: tuple[float, float], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The box at working size, inside the picture."""
    x0, x1 = (int(np.clip(round(v * scale[0]), 0, size[0])) for v in (box[0], box[2]))
    y0, y1 = (int(np.clip(round(v * scale[1]), 0, size[1])) for v in (box[1], box[3]))
    return x0, y0, x1, y1


def _part_at(subject: np.ndarray, middle: tuple[int, int]) -> np.ndarray:
    """The connected part that holds the middle of the box, without specks."""
    _, labels = cv2.connectedComponents(subject.astype(np.uint8))
    x, y = min(middle[0], subject.shape[1] - 1), min(middle[1], subject.shape[0] - 1)
    return (labels == labels[y, x]) & subject


def _without_holes(subject: np.ndarray) -> np.ndarray:
    """The part with all that its outline goes around: eyes are no background."""
    outlines, _ = cv2.findContours(
        subject.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    filled = cv2.drawContours(np.zeros(subject.shape, np.uint8), outlines, -1, 1, cv2.FILLED)
    return filled > 0
