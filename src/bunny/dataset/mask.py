"""Subject masks without a model: GrabCut from the subject's box.

Masks are written as trainers read them: 8 bits, one channel, white where the loss counts. kohya's
`masked_loss` reads a folder of pictures of the same names, OneTrainer `<name>-masklabel.png`.
"""

from __future__ import annotations

import cv2
import numpy as np

from bunny.dataset.view import Box

ROUNDS = 4  # of GrabCut; it settles in 3 to 5
LONGEST_PX = 320  # side at which it is computed; larger pictures are shrunk for it
LEAST_SHARE, MOST_SHARE = 0.15, 0.97  # of the box: beyond these it has found nothing
CORE = 0.3  # of the box's sides: the ellipse in its middle that is surely the subject
AIR = 0.02  # of the picture that counts as surely background at its edge, outside the box
HEAD_AIR = (0.4, 0.25, 1.5)  # of a face's size around it: sides, above, below: hair, shoulders


def cut_out(picture: np.ndarray, box: Box) -> np.ndarray | None:
    """Find the subject of a picture.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint8
    box : tuple
        x0, y0, x1, y1 of the subject in pixels of the picture; it may reach outside.

    Returns
    -------
    np.ndarray, shape (height, width), uint8, or None
        255 where the subject is, else 0; None when what was found covers under 15 % or over 97 %
        of the box, or when the box leaves no background to learn from.

    Notes
    -----
    Rother, Kolmogorov, Blake 2004, "GrabCut: interactive foreground extraction using iterated
    graph cuts".
    """
    height, width = picture.shape[:2]
    factor = min(1.0, LONGEST_PX / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    x0, y0, x1, y1 = _rectangle(box, (size[0] / width, size[1] / height), size)
    if min(x1 - x0, y1 - y0) < 4 or (x1 - x0) * (y1 - y0) >= (1 - AIR) * size[0] * size[1]:
        return None
    mask = np.full(size[::-1], cv2.GC_BGD, np.uint8)
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
    subject = _without_holes(_part_at(np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)), middle))
    share = subject[y0:y1, x0:x1].mean()
    if not LEAST_SHARE <= share <= MOST_SHARE:
        return None
    whole = cv2.resize(subject.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where(whole >= 0.5, 255, 0).astype(np.uint8)


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
