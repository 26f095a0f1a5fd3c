"""Embeddings of drawn figures: features of a trained EfficientNet-Lite0, colours and a head.

A cell (32 x 32 px) of a picture is described by the network's last and middle layers and by which
colours it has. Three similarities make one: the last layer as it is, its 64 strongest directions
made equally strong, and a head, which also weights cells by how much of a figure they show. The
first two are taken less what all windows of the film share. Network and head were trained on
figures that people drew and on creatures drawn by a program (`python_script/figure_embedding`).

Everything is linear in the cells, so a window is a sum over an integral image, and all windows of
a picture cost little more than the picture itself.
"""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from bunny.character.drawn.efficientnet import CELL_PX, DIMENSION, EfficientNet
from bunny.core import onnx_session
from bunny.core.vector import l2_normalize

NAME = "bunny-figure-2"
FOLDER = Path(__file__).parent / "weights"
NET_FILE, HEAD_FILE = "figure_network.safetensors", "figure_embedding.safetensors"
BANK_FILE = "figure_bank.safetensors"
BINS = 4  # of each colour channel
SAMPLE_PX = 8  # side a cell is shrunk to before its colours are counted
REFERENCE_LONG_PX = (160, 224, 288)  # longer sides a reference is scaled to; 128 to 192 in training
BASIS, STRONG, HEAD = 256, 64, 128  # numbers of the three parts
RAW = BASIS + HEAD + 1  # of a cell: its basis, its weighted head vector, its figureness
UNIT = BASIS + STRONG + HEAD
PART_WEIGHT = (1.0, 0.5, 1.0)  # of the three cosines


class FigureNet:
    """The network and the head over it, loaded once.

    Parameters
    ----------
    folder : Path, optional
        Where the weights of both are; the packaged ones by default.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        from safetensors.numpy import load_file

        weights = load_file(folder / HEAD_FILE)
        weights = {name: value.astype(np.float32) for name, value in weights.items()}
        self._net, self._whiten = EfficientNet(load_file(folder / NET_FILE)), weights["whiten"]
        self._head = onnx_session.load_session(_build_head(weights))

    def map_cells(self, image: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
        """Describe a picture as a grid of cells.

        Parameters
        ----------
        image : np.ndarray, shape (height, width, 3), uint8, BGR
        height_px, width_px : int
            What it is scaled to, multiples of 32.

        Returns
        -------
        np.ndarray, shape (rows, columns, RAW), float32
            The mean over a window's cells describes the window; see `to_vector`, `figureness`.
        """
        layers = self._net.map_layers(image, height_px, width_px)
        colour = count_colours(image, *layers.shape[:2])
        feature = np.concatenate([layers, colour], axis=-1)
        return onnx_session.run_session(self._head, ["cells"], feature)[0]

    def map_whole(self, image: np.ndarray, long_px: int) -> np.ndarray:
        """As `map_cells`, at a longer side and in the picture's own shape; two cells at least."""
        factor = long_px / max(image.shape[:2])
        size = [max(2, round(side * factor / CELL_PX)) * CELL_PX for side in image.shape[:2]]
        return self.map_cells(image, *size)

    def describe_reference(self, image: np.ndarray) -> np.ndarray:
        """Describe a whole picture at three sizes, as it is and mirrored.

        Returns
        -------
        np.ndarray, shape (6, RAW), float32
        """
        found = []
        for long_px in REFERENCE_LONG_PX:
            for view in (image, np.ascontiguousarray(image[:, ::-1])):
                found.append(self.map_whole(view, long_px).mean(axis=(0, 1)))
        return np.stack(found)

    def to_vector(self, raw: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """Make vectors whose dot products are similarities.

        Parameters
        ----------
        raw : np.ndarray, shape (..., RAW)
            Means of cells.
        mean : np.ndarray, shape (RAW,)
            Of the windows of a film; zeros take nothing off.

        Returns
        -------
        np.ndarray, shape (..., UNIT), float32
            Unit length. The dot product of two is the weighted mean of three cosines.
        """
        centred = raw[..., :BASIS] - mean[:BASIS]
        parts = [centred, centred[..., :STRONG] * self._whiten, raw[..., BASIS:-1]]
        scale = np.sqrt(np.array(PART_WEIGHT) / sum(PART_WEIGHT))
        return np.concatenate(
            [l2_normalize(part) * share for part, share in zip(parts, scale, strict=True)], axis=-1
        ).astype(np.float32)


def figureness(raw: np.ndarray) -> np.ndarray:
    """Chance that a window shows a figure, by the head; (..., RAW) to (...), in [0, 1]."""
    return 1 / (1 + np.exp(-np.clip(raw[..., -1], -30, 30)))


def count_colours(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Count the colours of each cell.

    Parameters
    ----------
    image : np.ndarray, shape (height, width, 3), uint8, BGR

    Returns
    -------
    np.ndarray, shape (rows, columns, 64), float32
        Shares that sum to 1 over 4 x 4 x 4 colours; a pixel counts for the eight around its own by
        how near they are.
    """
    size = (columns * SAMPLE_PX, rows * SAMPLE_PX)
    place = cv2.resize(image, size, interpolation=cv2.INTER_AREA) * np.float32((BINS - 1) / 255)
    low = np.minimum(place.astype(np.int64), BINS - 2)
    share = place - low
    down, along = (np.arange(n) // SAMPLE_PX for n in size[::-1])
    cell = (down[:, None] * columns + along) * BINS**3
    first = cell + low @ BINS ** np.arange(2, -1, -1)
    blue, green, red = ((1 - share[..., k], share[..., k]) for k in range(3))
    total = np.zeros(rows * columns * BINS**3)
    for b, g, r in np.ndindex(2, 2, 2):
        index, weight = first + (b * BINS**2 + g * BINS + r), blue[b] * green[g] * red[r]
        total += np.bincount(index.ravel(), weight.ravel(), minlength=len(total))
    return (total.reshape(rows, columns, -1) / SAMPLE_PX**2).astype(np.float32)


def read_bank() -> np.ndarray:
    """Pictures of figures that are in no film, as impostors to compare with.

    Returns
    -------
    np.ndarray, shape (n, RAW), float32
    """
    from safetensors.numpy import load_file

    return load_file(FOLDER / BANK_FILE)["raw"].astype(np.float32)


@cache
def digest() -> str:
    """SHA-256 of network, head and bank, so that others describe anew."""
    files = (FOLDER / name for name in (NET_FILE, HEAD_FILE, BANK_FILE))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def stack_views(views: Iterable[np.ndarray]) -> np.ndarray:
    """References of one character: all views of all of its pictures, (m, RAW)."""
    return np.vstack([np.asarray(view, np.float32).reshape(-1, RAW) for view in views])


def _build_head(weight: Mapping[str, np.ndarray]) -> bytes:
    """The trained head as an ONNX model, from cells (rows, columns, features) to (.., .., RAW).

    The hidden layer is a rectifier; from it come a vector times a positive weight (softplus) and
    the figureness; before them stands the basis of the last layer. The features' scale is folded
    into the hidden layer.
    """
    from onnx import helper, numpy_helper

    flat = {name: value.T if value.ndim > 1 else value for name, value in weight.items()}
    flat["start"], flat["end"], flat["axis"] = (np.array([n]) for n in (0, DIMENSION, 2))
    node = helper.make_node
    nodes = [
        node("MatMul", ["cell", "hidden.weight"], ["hidden_product"]),
        node("Add", ["hidden_product", "hidden.bias"], ["hidden_sum"]),
        node("Relu", ["hidden_sum"], ["hidden"]),
        node("MatMul", ["hidden", "weight.weight"], ["amount_product"]),
        node("Add", ["amount_product", "weight.bias"], ["amount_sum"]),
        node("Softplus", ["amount_sum"], ["amount"]),
        node("MatMul", ["hidden", "vector.weight"], ["vector"]),
        node("Mul", ["vector", "amount"], ["weighted"]),
        node("MatMul", ["hidden", "figure.weight"], ["figure_product"]),
        node("Add", ["figure_product", "figure.bias"], ["figure"]),
        node("Slice", ["cell", "start", "end", "axis"], ["last"]),
        node("MatMul", ["last", "basis"], ["based"]),
        node("Concat", ["based", "weighted", "figure"], ["cells"], axis=2),
    ]
    used = {name for one in nodes for name in one.input}
    kept = [numpy_helper.from_array(flat[name], name) for name in sorted(used & set(flat))]
    cell = helper.make_tensor_value_info("cell", 1, ["rows", "columns", "features"])
    cells = helper.make_tensor_value_info("cells", 1, ["rows", "columns", RAW])
    made = helper.make_graph(nodes, NAME, [cell], [cells], kept)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(made, opset_imports=opset, ir_version=8).SerializeToString()
