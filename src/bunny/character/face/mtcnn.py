"""MTCNN face detection (Zhang et al. 2016): a cascade of three networks, in PyTorch.

The weights come inside the package `mtcnn`; its own code needs TensorFlow, so the networks are
built here in PyTorch. Thresholds and steps are the authors'.
"""

import io
from itertools import takewhile
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from bunny.character import model_file
from bunny.character.detection import RawFace, RawFaceDetector, merge, non_max_suppression, shrink

if TYPE_CHECKING:
    import torch

LONGER_PX = 1920  # larger pictures are made smaller first
LEAST_PX = 40  # smallest face looked for; each halving costs four times as much
LEAST_SMALL_PX = 20
STEP = 0.709  # between two scales: half the area (authors)
THRESHOLD = (0.6, 0.7, 0.7)  # of the three networks (authors)
CELL_PX, STRIDE_PX = 12, 2  # what one score of the first network sees, and how far they lie apart
MAX_CELLS = 2000  # a scale; surest first
WIDTHS = {"p": (10, 16, 32), "r": (28, 48, 64), "o": (32, 64, 64, 128)}
KERNELS = {"p": (3, 3, 3), "r": (3, 3, 2), "o": (3, 3, 3, 2)}
POOLS = {"p": (2,), "r": (3, 3), "o": (3, 3, 2)}
HEADS = {"p": (4, 2), "r": (4, 2), "o": (4, 10, 2)}  # box, landmarks, not a face or a face
DENSE = {"r": (576, 128), "o": (1152, 256)}


def load(*, has_small_faces: bool = True) -> RawFaceDetector:
    """Load the three networks.

    Parameters
    ----------
    has_small_faces : bool
        Faces from `LEAST_SMALL_PX` instead of `LEAST_PX`.

    Returns
    -------
    callable
        From a BGR picture to what was found.

    Raises
    ------
    UserError
        If the package with the weights is not installed.
    """
    nets = {key: _read(key) for key in "pro"}
    least_px = LEAST_SMALL_PX if has_small_faces else LEAST_PX

    def look(image: np.ndarray) -> list[RawFace]:
        small, factor = shrink(image, LONGER_PX)
        rgb = np.ascontiguousarray(small[:, :, ::-1])
        boxes = _propose(nets["p"], rgb, least_px)
        boxes, _ = _refine(nets["r"], rgb, boxes, 24, THRESHOLD[1])
        boxes, points = _refine(nets["o"], rgb, boxes, 48, THRESHOLD[2])
        return merge(
            [
                RawFace(
                    (box[:4] / factor).astype(np.float32), place.astype(np.float32), float(box[4])
                )
                for box, place in zip(boxes, points / factor, strict=True)
            ]
        )

    return look


def _read(key: str) -> "torch.nn.ModuleDict":
    """One network with its weights; `key` is p, r or o."""
    path = model_file.path_of(model_file.MODELS["mtcnn"]).with_name(f"{key}net.lz4")
    import joblib
    from lz4 import frame

    # joblib.load(path) leaves its lz4 file to the garbage collector, which closes it in no order
    return _build(key, iter(joblib.load(io.BytesIO(frame.decompress(path.read_bytes())))))


def _build(key: str, weights) -> "torch.nn.ModuleDict":
    """Layers in the order of the file: convolutions, a dense layer, heads."""
    import torch
    from torch import nn

    def fill(layer, axes: tuple[int, ...]):
        layer.weight.data = torch.from_numpy(np.ascontiguousarray(next(weights).transpose(axes)))
        layer.bias.data = torch.from_numpy(next(weights))
        return layer

    def rectify(width: int):
        layer = nn.PReLU(width)
        layer.weight.data = torch.from_numpy(next(weights).reshape(-1))
        return layer

    body, width = nn.Sequential(), 3
    for i, (wide, kernel) in enumerate(zip(WIDTHS[key], KERNELS[key], strict=True)):
        body.append(fill(nn.Conv2d(width, wide, kernel), (3, 2, 0, 1)))
        body.append(rectify(wide))
        width = wide
        if i < len(POOLS[key]):
            body.append(nn.MaxPool2d(POOLS[key][i], 2, ceil_mode=True))
    heads = nn.ModuleList()
    if key == "p":
        heads.extend(fill(nn.Conv2d(width, n, 1), (3, 2, 0, 1)) for n in HEADS[key])
    else:
        body.append(_transpose())
        body.append(nn.Flatten())
        body.append(fill(nn.Linear(*DENSE[key]), (1, 0)))
        body.append(rectify(DENSE[key][1]))
        heads.extend(fill(nn.Linear(DENSE[key][1], n), (1, 0)) for n in HEADS[key])
    return nn.ModuleDict({"body": body, "heads": heads}).eval().requires_grad_(False)


def _transpose() -> "torch.nn.Module":
    """The authors' networks read a map column by column."""
    from torch import nn

    class Transpose(nn.Module):
        def forward(self, maps):
            return maps.permute(0, 3, 2, 1)

    return Transpose()


def _run(net: "torch.nn.ModuleDict", pictures: np.ndarray) -> list[np.ndarray]:
    """Heads' outputs for pictures (n, height, width, 3) uint8 RGB; the last one as probability."""
    import torch

    with torch.inference_mode():
        scaled = (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - 127.5) / 128
        body = net["body"](scaled)
        heads = cast("torch.nn.ModuleList", net["heads"])
        *places, score = (head(body) for head in heads)
        return [one.numpy() for one in (*places, score.softmax(dim=1)[:, 1])]


def pyramid_scales(height: int, width: int, least_px: int) -> list[float]:
    """Factors at which a face of `least_px` and larger ones fill a cell."""
    first = CELL_PX / least_px
    factors = (first * STEP**i for i in range(100))
    return list(takewhile(lambda factor: min(height, width) * factor >= CELL_PX, factors))


def _propose(net: "torch.nn.ModuleDict", rgb: np.ndarray, least_px: int) -> np.ndarray:
    """Boxes (n, 5) with scores from the first network over the pyramid."""
    height, width = rgb.shape[:2]
    found = [np.empty((0, 5))]
    for factor in pyramid_scales(height, width, least_px):
        size = (max(CELL_PX, int(width * factor + 1)), max(CELL_PX, int(height * factor + 1)))
        small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        move, score = (one[0] for one in _run(net, small[None]))
        rows, columns = np.nonzero(score >= THRESHOLD[0])
        sure = score[rows, columns]
        order = np.argsort(-sure, kind="stable")[:MAX_CELLS]
        rows, columns, sure = rows[order], columns[order], sure[order]
        corner = np.stack([columns, rows], axis=1) * STRIDE_PX
        boxes = np.hstack([corner, corner + CELL_PX]) / factor
        kept = non_max_suppression(boxes, 0.5)
        moved = move_boxes(boxes[kept], move[:, rows[kept], columns[kept]].T)
        found.append(np.column_stack([moved, sure[kept]]))
    return _thin(np.vstack(found))


def _refine(
    net: "torch.nn.ModuleDict", rgb: np.ndarray, boxes: np.ndarray, side: int, least: float
) -> tuple[np.ndarray, np.ndarray]:
    """Look at each box made square, `side` pixels wide; gives boxes (m, 5) and points (m, 5, 2)."""
    if not len(boxes):
        return np.empty((0, 5)), np.empty((0, 5, 2))
    square = square_boxes(boxes[:, :4])
    pictures = np.stack([crop_square(rgb, box, side) for box in square])
    move, *points, score = _run(net, pictures)
    good = score >= least
    square, move, score = square[good], move[good], score[good]
    place = np.zeros((len(square), 5, 2))
    if points:
        place = points[0][good].reshape(-1, 2, 5).transpose(0, 2, 1)
        place = square[:, None, :2] + place * (square[:, None, 2:] - square[:, None, :2])
    moved = np.column_stack([move_boxes(square, move), score])
    order = np.argsort(-score, kind="stable")
    kept = order[non_max_suppression(moved[order, :4], 0.7)]
    return moved[kept], place[kept]


def _thin(boxes: np.ndarray) -> np.ndarray:
    """Merge what several scales propose."""
    boxes = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    return boxes[non_max_suppression(boxes[:, :4], 0.7)]


def move_boxes(boxes: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Shift corners by shares of the box's sides."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes + by * np.hstack([sides, sides])


def square_boxes(boxes: np.ndarray) -> np.ndarray:
    """Widen the shorter side about the middle."""
    middle = (boxes[:, :2] + boxes[:, 2:4]) / 2
    half = np.max(boxes[:, 2:4] - boxes[:, :2], axis=1, keepdims=True) / 2
    return np.hstack([middle - half, middle + half])


def crop_square(rgb: np.ndarray, box: np.ndarray, side: int) -> np.ndarray:
    """Cut a box out and bring it to `side`; outside the picture is black."""
    x0, y0, x1, y1 = np.round(box).astype(int)
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    cut = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
    inside = rgb[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)]
    top, left = max(0, -y0), max(0, -x0)
    cut[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA)
