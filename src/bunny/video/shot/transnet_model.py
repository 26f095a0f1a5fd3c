"""TransNetV2 (Soucek and Lokoc 2020, arXiv:2008.04838) as an ONNX model, made from its weights.

Frames are the batch: convolutions in space are two-dimensional, those along time are three 1 x 1
convolutions whose results are moved by the dilation and added. Batch norms are folded in. Results
are those of the PyTorch network of the package to 1e-6, in a fifth less time on one core.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

WINDOW = 100  # frames of one look
DILATIONS = (1, 2, 4, 8)  # frames
STACKS = 3
LOOKUP = 101  # frames around each that it is compared with
NORM_EPSILON = 1e-3
BINS = 8  # of each colour in the histogram
FRAMES, HISTOGRAM, OUTPUT = "frames", "histogram", "likelihood"


def build(weight: Mapping[str, np.ndarray]) -> bytes:
    """Make the model.

    Parameters
    ----------
    weight : mapping of str to np.ndarray
        As in the package's file.

    Returns
    -------
    bytes
        Serialised; from `frames` (100, 3, 27, 48) in grey levels and their `histogram` (100, 512)
        to `likelihood` (100, 2) in [0, 1]: to be the last frame before a boundary, and to lie in a
        transition.
    """
    return _GraphBuilder(weight).build()


def colour_histogram(frames: np.ndarray) -> np.ndarray:
    """Colour histograms of unit length, shape (frames, 512), of RGB (frames, 27, 48, 3), uint8."""
    level = (frames // (256 // BINS)).astype(np.int64)
    place = (level[..., 0] * BINS + level[..., 1]) * BINS + level[..., 2]
    place += np.arange(len(frames))[:, None, None] * BINS**3
    count = np.bincount(place.ravel(), minlength=len(frames) * BINS**3).astype(np.float32)
    count = count.reshape(len(frames), BINS**3)
    return count / np.linalg.norm(count, axis=1, keepdims=True)


class _GraphBuilder:
    """Nodes and weights of the graph in the making; values are named by where they come from."""

    def __init__(self, weight: Mapping[str, np.ndarray]) -> None:
        self._weight = weight
        self._nodes: list[Any] = []
        self._initializers: list[Any] = []

    def build(self) -> bytes:
        """The whole network, serialised."""
        from onnx import helper

        x, means = FRAMES, []
        for stack in range(STACKS):
            first = self._block(x, stack, 0)
            last = self._block(first, stack, 1)
            x = self._add("Add", [last, first], f"{stack}.sum")
            size = {"kernel_shape": [2, 2], "strides": [2, 2]}
            x = self._add("AveragePool", [x], f"{stack}.pooled", **size)
            axes = self._keep(f"{stack}.axes", np.array([2, 3]))
            means.append(self._add("ReduceMean", [x, axes], f"{stack}.mean", keepdims=0))
        self._head(x, self._add("Concat", means, "means", axis=1))
        values = ((FRAMES, [WINDOW, 3, 27, 48]), (HISTOGRAM, [WINDOW, BINS**3]))
        graph = helper.make_graph(
            self._nodes,
            "transnetv2",
            [helper.make_tensor_value_info(name, 1, shape) for name, shape in values],
            [helper.make_tensor_value_info(OUTPUT, 1, [WINDOW, 2])],
            self._initializers,
        )
        opset = [helper.make_opsetid("", 18)]
        return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()

    def _block(self, x: str, stack: int, block: int) -> str:
        """Convolutions in space, then along time at each dilation, side by side."""
        place = f"SDDCNN.{stack}.DDCNN.{block}"
        kernels = [self._weight[f"{place}.Conv3D_{d}.layers.0.weight"][:, :, 0] for d in DILATIONS]
        kernel = np.concatenate(kernels)
        if x == FRAMES:
            kernel = kernel / 255  # grey levels come in
        inputs = [x, self._keep(f"{place}.space", kernel)]
        x = self._add("Conv", inputs, f"{place}.in_space", pads=[1, 1, 1, 1])
        parts = self._split(x, len(kernels[0]), len(DILATIONS))
        gain = self._weight[f"{place}.bn.weight"]
        gain = gain / np.sqrt(self._weight[f"{place}.bn.running_var"] + NORM_EPSILON)
        shift = self._weight[f"{place}.bn.bias"] - self._weight[f"{place}.bn.running_mean"] * gain
        size = len(gain) // len(DILATIONS)
        along = [
            self._along_time(part, place, d, gain[i : i + size], shift[i : i + size])
            for i, d, part in zip(range(0, len(gain), size), DILATIONS, parts, strict=True)
        ]
        return self._add("Relu", [self._add("Concat", along, f"{place}.all", axis=1)], place)

    def _along_time(self, x: str, place: str, dilation: int, gain, shift) -> str:
        """Convolution over three frames, with its part of the batch norm folded in."""
        place = f"{place}.Conv3D_{dilation}"
        kernel = self._weight[f"{place}.layers.1.weight"][..., 0, 0] * gain[:, None, None]
        stacked = np.concatenate([kernel[..., k] for k in range(3)])[..., None, None]
        bias = np.concatenate([0 * shift, shift, 0 * shift])
        inputs = [x, self._keep(f"{place}.w", stacked), self._keep(f"{place}.b", bias)]
        before, here, after = self._split(self._add("Conv", inputs, f"{place}.t"), len(gain), 3)
        moved = [self._move(before, dilation), here, self._move(after, -dilation)]
        return self._add("Sum", moved, place)

    def _move(self, x: str, by: int) -> str:
        """Frames so much later, zeros where none comes from."""
        pads = self._keep(f"{x}.by", np.array([by, 0, 0, 0, -by, 0, 0, 0]))
        return self._add("Pad", [x, pads], f"{x}.moved")

    def _head(self, x: str, means: str) -> None:
        """Compare each frame with its neighbours, and decide on all that is known of it."""
        vector = self._linear(means, "frame_sim_layer.projection")
        vector = self._add("LpNormalization", [vector], "vector", axis=1, p=2)
        colour = self._compare(HISTOGRAM, "color_hist_layer")
        alike = self._compare(vector, "frame_sim_layer")
        flat = self._add("Transpose", [x], "channels_last", perm=[0, 2, 3, 1])
        flat = self._add("Flatten", [flat], "flat")
        known = self._add("Concat", [colour, alike, flat], "known", axis=1)
        known = self._add("Relu", [self._linear(known, "fc1")], "hidden")
        heads = [self._linear(known, f"cls_layer{head}") for head in (1, 2)]
        both = self._add("Concat", heads, "logits", axis=1)
        self._add("Sigmoid", [both], OUTPUT)

    def _compare(self, x: str, layer: str) -> str:
        """Likenesses of each frame to those around it; 0 beyond the window."""
        turned = self._add("Transpose", [x], f"{layer}.turned", perm=[1, 0])
        alike = self._add("MatMul", [x, turned], f"{layer}.alike")
        half = LOOKUP // 2
        pads = self._keep(f"{layer}.pads", np.array([0, half, 0, half]))
        wide = self._add("Pad", [alike, pads], f"{layer}.wide")
        around = np.arange(WINDOW)[:, None] + np.arange(LOOKUP)
        inputs = [wide, self._keep(f"{layer}.around", around)]
        near = self._add("GatherElements", inputs, f"{layer}.near", axis=1)
        return self._add("Relu", [self._linear(near, f"{layer}.fc")], f"{layer}.out")

    def _linear(self, x: str, layer: str) -> str:
        parts = [
            self._keep(f"{layer}.{p}", self._weight[f"{layer}.{p}"]) for p in ("weight", "bias")
        ]
        return self._add("Gemm", [x, *parts], layer, transB=1)

    def _split(self, x: str, size: int, count: int) -> list[str]:
        """Equal groups of channels."""
        from onnx import helper

        names = [f"{x}.{k}" for k in range(count)]
        sizes = self._keep(f"{x}.sizes", np.full(count, size))
        self._nodes.append(helper.make_node("Split", [x, sizes], names, axis=1))
        return names

    def _add(self, kind: str, inputs: list[str], output: str, **options: Any) -> str:
        from onnx import helper

        self._nodes.append(helper.make_node(kind, inputs, [output], **options))
        return output

    def _keep(self, name: str, value: np.ndarray) -> str:
        from onnx import numpy_helper

        kind = np.int64 if value.dtype.kind == "i" else np.float32
        value = np.ascontiguousarray(value, kind)
        self._initializers.append(numpy_helper.from_array(value, name))
        return name
