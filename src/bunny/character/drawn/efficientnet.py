"""EfficientNet-Lite0 feature maps, pooled over windows.

One pass over a picture gives a map with one cell each 32 pixels; the mean over a rectangle of cells
describes that window. Two thousand windows cost no more than the passes at three sizes do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from bunny.character import model_file
from bunny.core import onnx_session

CELL_PX = 32  # total stride of the network
DIMENSION = 1280
INPUT_PX = 224  # the side it was trained at
MEAN, SCALE = 127.0, 128.0  # preprocessing of the Lite family (TensorFlow TPU models)
NAME = "efficientnet-lite0"
STYLE_PX = (224, 352)  # heights at which a style is measured: old films are soft, lines are thin
MIDDLE_BLOCK, LAST_BLOCK = 10, 15  # of 112 channels at 16 px, of 320 at 32 px
LAYERS = DIMENSION + 320 + 2 * 112
STRIDED_BLOCKS = (1, 3, 5, 11)  # of 16; these halve the picture, as the stem does
MIDDLE_POOLS = ("AveragePool", "MaxPool")  # of block 10, down to the cells of the last
NORM_EPSILON = 1e-3  # of the Lite family's batch norms
STYLE_BLOCK = (10, 14)  # of 16: 112 and 192 channels, at a stride of 16 and 32 pixels


@dataclass(frozen=True, kw_only=True)
class WindowFeatures:
    """Windows of one picture: `box` (n, 4) in shares of width and height, `feature` (n, 1280).

    `is_small` (n,) bool marks those too coarse to tell by; None: none is.
    """

    box: np.ndarray
    feature: np.ndarray
    is_small: np.ndarray | None = None


class EfficientNet:
    """The network in ONNX Runtime, loaded once; any number of threads may ask it.

    Parameters
    ----------
    weight : mapping of str to np.ndarray, optional
        The package's parameters by name, trained on; ImageNet's by default.
    """

    def __init__(self, weight: Mapping[str, np.ndarray] | None = None) -> None:
        if weight is None:
            path = model_file.path_of(model_file.MODELS[NAME])
            weight = model_file.read_torch_weights(path)
        self._session = onnx_session.load_session(_build_model(weight))

    def map_features(self, image: np.ndarray, height_px: int) -> np.ndarray:
        """Describe a picture as a grid.

        Parameters
        ----------
        image : np.ndarray, shape (height, width, 3), uint8, BGR
        height_px : int
            Height it is scaled to, a multiple of 32; the width follows, rounded to one.

        Returns
        -------
        np.ndarray, shape (rows, columns, 1280), float32
            Non-negative.
        """
        (found,) = self._run(["last"], image, height_px)
        return np.ascontiguousarray(found.transpose(1, 2, 0))

    def map_layers(self, image: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
        """Describe a picture by the last layer and by two layers before it.

        Parameters
        ----------
        image : np.ndarray, shape (height, width, 3), uint8, BGR
        height_px, width_px : int
            What it is scaled to, multiples of 32.

        Returns
        -------
        np.ndarray, shape (rows, columns, LAYERS), float32
            Of each cell the 1280 numbers of `map_features`, the 320 before them, then mean and
            maximum of the 112 of block 10, whose cells are half as wide.
        """
        layers = ["last", _block(LAST_BLOCK), *MIDDLE_POOLS]
        found = np.concatenate(self._run(layers, image, height_px, width_px))
        return np.ascontiguousarray(found.transpose(1, 2, 0))

    def embed(self, image: np.ndarray) -> np.ndarray:
        """Describe a whole picture by the mean of its grid at 224 pixels' height; (1280,)."""
        return self.map_features(image, INPUT_PX).mean(axis=(0, 1))

    def measure_style(
        self,
        image: np.ndarray,
        heights_px: Sequence[int] = STYLE_PX,
        blocks: Sequence[int] = STYLE_BLOCK,
    ) -> np.ndarray:
        """Describe how a picture is made rather than what it shows.

        Parameters
        ----------
        image : np.ndarray, shape (height, width, 3), uint8, BGR
            Scaled to each of the heights.
        blocks : sequence of int
            Of `STYLE_BLOCK`.

        Returns
        -------
        np.ndarray, shape (1216,) by default, float32
            At each height, means and standard deviations over the picture of the channels after
            each of the blocks.

        Notes
        -----
        Statistics of feature maps carry the style of a picture (Gatys, Ecker, Bethge 2016); mean
        and deviation do nearly as well as the Gram matrix (Li et al. 2017, "Demystifying neural
        style transfer").
        """
        wanted = [_block(index) for index in blocks]
        maps = [one for height_px in heights_px for one in self._run(wanted, image, height_px)]
        parts = [part for x in maps for part in (x.mean((1, 2)), x.std((1, 2), ddof=1))]
        return np.concatenate(parts)

    def _run(
        self, wanted: Sequence[str], image: np.ndarray, height_px: int, width_px: int | None = None
    ) -> list[np.ndarray]:
        """Layers of one picture, each (channels, rows, columns); its shape is kept by default."""
        size = (width_px or width_for(image.shape, height_px), height_px)
        is_smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
        mode = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
        pixels = cv2.resize(image, size, interpolation=mode)
        value = cv2.dnn.blobFromImage(pixels, 1 / SCALE, mean=(MEAN,) * 3, swapRB=True)
        return [found[0] for found in onnx_session.run_session(self._session, wanted, value)]


def width_for(shape: tuple[int, ...], height_px: int) -> int:
    """Width in whole cells that keeps a picture's shape at a height."""
    return max(1, round(shape[1] * height_px / shape[0] / CELL_PX)) * CELL_PX


def pool_windows(grid: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Mean of a grid over windows, by an integral image.

    Parameters
    ----------
    grid : np.ndarray, shape (rows, columns, d)
    window : np.ndarray, shape (n, 4), int
        x0 y0 x1 y1 in cells, half-open, not empty.

    Returns
    -------
    np.ndarray, shape (n, d), float32
    """
    rows, columns, dimension = grid.shape
    total = np.zeros((rows + 1, columns + 1, dimension), dtype=np.float32)
    total[1:, 1:] = grid.cumsum(axis=0, dtype=np.float32).cumsum(axis=1, dtype=np.float32)
    x0, y0, x1, y1 = np.asarray(window, dtype=np.int64).T
    area = ((x1 - x0) * (y1 - y0)).astype(np.float32)[:, None]
    return (total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0]) / area


def place_windows(rows: int, columns: int, sizes: list[tuple[int, int]]) -> np.ndarray:
    """Lay windows over a grid, a third of their shorter side apart, the last ones at the edge.

    Parameters
    ----------
    sizes : list of (rows, columns)
        In cells; cut to the grid.

    Returns
    -------
    np.ndarray, shape (n, 4), int
        x0 y0 x1 y1 in cells, each window once, in fixed order.
    """
    found = set()
    for wanted_rows, wanted_columns in sizes:
        tall, wide = min(wanted_rows, rows), min(wanted_columns, columns)
        step = max(1, min(tall, wide) // 3)
        for y in {*range(0, rows - tall + 1, step), rows - tall}:
            for x in {*range(0, columns - wide + 1, step), columns - wide}:
                found.add((x, y, x + wide, y + tall))
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 4)


def _build_model(weight: Mapping[str, np.ndarray]) -> bytes:
    """EfficientNet-Lite0 (Tan, Le 2019; Liu 2020) as an ONNX model, made from its weights.

    Outputs are `last`, the blocks that are asked for, and block 10 at half its size by mean and by
    maximum. Strides and paddings are those of TensorFlow's "same" at the size it was trained at:
    where a stride is 2 all padding that is odd goes to the right and below.
    """
    from onnx import helper

    graph = _GraphBuilder(weight)
    x = graph.convolve("input", "_conv_stem", "_bn0", stride=2)
    for index in range(LAST_BLOCK + 1):
        skip, stem = x, f"_blocks.{index}."
        if f"{stem}_expand_conv.weight" in graph.weight:
            x = graph.convolve(x, f"{stem}_expand_conv", f"{stem}_bn0")
        stride = 2 if index in STRIDED_BLOCKS else 1
        x = graph.convolve(x, f"{stem}_depthwise_conv", f"{stem}_bn1", stride=stride)
        is_kept = stride == 1 and graph.channels(skip) == len(graph.weight[f"{stem}_bn2.bias"])
        inner = _block(index) if not is_kept else f"projected_{index}"
        x = graph.convolve(x, f"{stem}_project_conv", f"{stem}_bn2", inner, is_clipped=False)
        if is_kept:
            x = graph.add("Add", [x, skip], _block(index))
    graph.convolve(x, "_conv_head", "_bn1", "last")
    for name in MIDDLE_POOLS:
        graph.add(name, [_block(MIDDLE_BLOCK)], name, kernel_shape=[2, 2], strides=[2, 2])
    outputs = ["last", *MIDDLE_POOLS, *map(_block, {MIDDLE_BLOCK, LAST_BLOCK, *STYLE_BLOCK})]
    picture = helper.make_tensor_value_info("input", 1, ["n", 3, "height", "width"])
    made = helper.make_graph(
        graph.nodes,
        NAME,
        [picture],
        [helper.make_tensor_value_info(name, 1, None) for name in outputs],
        graph.initializers,
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(made, opset_imports=opset, ir_version=8).SerializeToString()


def _block(index: int) -> str:
    """Name of a block's output."""
    return f"block_{index}"


class _GraphBuilder:
    """Nodes and weights of an ONNX graph in the making; batch norms are folded in."""

    def __init__(self, weight: Mapping[str, np.ndarray]) -> None:
        self.weight = weight
        self.nodes: list = []
        self.initializers: list = []
        self._channels: dict[str, int] = {}
        self._limits = [
            self._keep(name, np.array(limit, np.float32))
            for name, limit in (("low", 0), ("high", 6))
        ]

    def channels(self, name: str) -> int:
        """Channels of a value that is there already."""
        return self._channels[name]

    def convolve(
        self,
        x: str,
        convolution: str,
        norm: str,
        name: str = "",
        *,
        stride: int = 1,
        is_clipped: bool = True,
    ) -> str:
        """Add a convolution with its batch norm folded in, clipped to [0, 6] where asked."""
        kernel, *statistics = (
            self.weight[key].astype(np.float64)
            for key in (
                f"{convolution}.weight",
                *(f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")),
            )
        )
        gain, offset, mean, variance = statistics
        factor = gain / np.sqrt(variance + NORM_EPSILON)
        folded = (kernel * factor[:, None, None, None]).astype(np.float32)
        bias = (offset - mean * factor).astype(np.float32)
        side, before = kernel.shape[2], (kernel.shape[2] - stride) // 2
        after = side - stride - before
        inner = f"{convolution}_sum" if is_clipped else name
        inputs = [x, self._keep(f"{convolution}.w", folded), self._keep(f"{convolution}.b", bias)]
        is_depthwise = kernel.shape[1] == 1 and x != "input"
        self.add(
            "Conv",
            inputs,
            inner,
            strides=[stride] * 2,
            pads=[before, before, after, after],
            group=len(kernel) if is_depthwise else 1,
        )
        self._channels[inner] = len(kernel)
        if not is_clipped:
            return inner
        return self.add("Clip", [inner, *self._limits], name or f"{convolution}_out")

    def add(self, kind: str, inputs: list[str], output: str, **options: Any) -> str:
        """Add a node of one output, whose channels are those of its first input."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], **options))
        self._channels.setdefault(output, self._channels.get(inputs[0], 0))
        return output

    def _keep(self, name: str, value: np.ndarray) -> str:
        from onnx import numpy_helper

        self.initializers.append(numpy_helper.from_array(value, name))
        return name
