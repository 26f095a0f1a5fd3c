"""EfficientNet-Lite0 feature maps, pooled over windows.

One pass over a picture gives a map with one cell each 32 pixels; the mean over a rectangle of cells
describes that window. Two thousand windows cost no more than the passes at three sizes do.
"""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np

from bunny.character import model_file

CELL_PX = 32  # total stride of the network
DIMENSION = 1280
INPUT_PX = 224  # the side it was trained at
MEAN, SCALE = 127.0, 128.0  # preprocessing of the Lite family (TensorFlow TPU models)
NAME = "efficientnet-lite0"
STYLE_PX = (224, 352)  # heights at which a style is measured: old films are soft, lines are thin
MIDDLE_BLOCK, LAST_BLOCK = 10, 15  # of 112 channels at 16 px, of 320 at 32 px
LAYERS = DIMENSION + 320 + 2 * 112
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
    """The network, loaded once; batch norms are folded into the convolutions."""

    def __init__(self) -> None:
        import torch
        from efficientnet_lite_pytorch import EfficientNet

        weights = torch.load(
            model_file.path_of(model_file.MODELS[NAME]), map_location="cpu", weights_only=True
        )
        net = EfficientNet.from_name(NAME)
        net.load_state_dict(weights)
        self._torch = torch
        self._net = _fold(net.eval()).to(memory_format=torch.channels_last)

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
        with self._torch.inference_mode():
            found = _forward(self._net, self._tensor(image, height_px))[0]
        return np.ascontiguousarray(found.permute(1, 2, 0).numpy())

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
        torch = self._torch
        pool = torch.nn.functional
        with torch.inference_mode():
            tensor = self._tensor(image, height_px, width_px)
            blocks = _blocks(self._net, tensor, (MIDDLE_BLOCK, LAST_BLOCK))
            middle, late = (x.clone() for x in blocks)
            last = _pointwise(late, self._net._conv_head).clamp_(0, 6)
            parts = [last, late, pool.avg_pool2d(middle, 2), pool.max_pool2d(middle, 2)]
            found = torch.cat(parts, dim=1)[0]
        return np.ascontiguousarray(found.permute(1, 2, 0).numpy())

    def embed(self, image: np.ndarray) -> np.ndarray:
        """Describe a whole picture by the mean of its grid at 224 pixels' height; (1280,)."""
        return self.map_features(image, INPUT_PX).mean(axis=(0, 1))

    def measure_style(self, image: np.ndarray) -> np.ndarray:
        """Describe how a picture is made rather than what it shows.

        Parameters
        ----------
        image : np.ndarray, shape (height, width, 3), uint8, BGR
            Scaled to each of `STYLE_PX`.

        Returns
        -------
        np.ndarray, shape (1216,), float32
            At each height, means and standard deviations over the picture of the channels after
            each of `STYLE_BLOCK`.

        Notes
        -----
        Statistics of feature maps carry the style of a picture (Gatys, Ecker, Bethge 2016); mean
        and deviation do nearly as well as the Gram matrix (Li et al. 2017, "Demystifying neural
        style transfer").
        """
        with self._torch.inference_mode():
            tensors = (self._tensor(image, height_px) for height_px in STYLE_PX)
            maps = [x for tensor in tensors for x in _blocks(self._net, tensor, STYLE_BLOCK)]
            parts = [part for x in maps for part in (x.mean((2, 3))[0], x.std((2, 3))[0])]
            return self._torch.cat(parts).numpy()

    def _tensor(self, image: np.ndarray, height_px: int, width_px: int | None = None):
        """A picture as the network takes it, (1, 3, h, w); by default its shape is kept."""
        size = (width_px or width_for(image.shape, height_px), height_px)
        is_smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
        mode = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
        pixels = cv2.resize(image, size, interpolation=mode)[:, :, ::-1].astype(np.float32)
        tensor = self._torch.from_numpy((pixels - MEAN) / SCALE).permute(2, 0, 1)[None]
        return tensor.contiguous(memory_format=self._torch.channels_last)


@contextmanager
def worker_pool(num_workers: int) -> Iterator[Executor]:
    """Threads that describe pictures side by side, each on one core.

    Notes
    -----
    One picture spread over cores waits at every layer, and on a busy machine burns most of its
    time there; pictures side by side do not, and give the same numbers on any number of cores.
    """
    import torch

    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(
            max(1, num_workers), initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


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


def _forward(net, x):
    """The network's convolutions, 1.3 times as fast as its own forward and equal to 1e-5.

    With channels last, a 1x1 convolution is one matrix product over all pixels; the library's way
    copies the data there and back.
    """
    *_, x = _blocks(net, x, (len(net._blocks) - 1,))
    return _pointwise(x, net._conv_head).clamp_(0, 6)


def _blocks(net, x, wanted: tuple[int, ...]):
    """Outputs of the blocks `wanted`, in their order; those after the last are not run."""
    x = net._conv_stem(x).clamp_(0, 6)
    for index, block in enumerate(net._blocks[: wanted[-1] + 1]):
        skip = x
        if hasattr(block, "_expand_conv"):
            x = _pointwise(x, block._expand_conv).clamp_(0, 6)
        x = block._depthwise_conv(x).clamp_(0, 6)
        x = _pointwise(x, block._project_conv)
        arguments = block._block_args
        is_same = arguments.input_filters == arguments.output_filters
        if block.id_skip and arguments.stride in (1, [1]) and is_same:
            x = x.add_(skip)
        if index in wanted:
            yield x


def _pointwise(x, convolution):
    """A 1x1 convolution of (1, c, h, w) in channels-last order."""
    _, channels, height, width = x.shape
    flat = x.permute(0, 2, 3, 1).reshape(-1, channels)
    found = (flat @ convolution.weight.flatten(1).t()).add_(convolution.bias)
    return found.view(1, height, width, -1).permute(0, 3, 1, 2)


def _fold(net):
    """Fold each batch norm into the convolution before it; the same numbers in less time."""
    from torch.nn import Identity, ZeroPad2d
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    pairs = [(net, "_conv_stem", "_bn0"), (net, "_conv_head", "_bn1")]
    for block in net._blocks:
        if hasattr(block, "_expand_conv"):
            pairs.append((block, "_expand_conv", "_bn0"))
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
    for owner, convolution, norm in pairs:
        folded = fuse_conv_bn_eval(getattr(owner, convolution), getattr(owner, norm))
        setattr(owner, convolution, folded)
        setattr(owner, norm, Identity())
    for module in net.modules():  # even padding can be done by the convolution itself
        padding = getattr(module, "static_padding", None)
        if isinstance(padding, ZeroPad2d) and len(set(padding.padding)) == 1:
            module.padding = (padding.padding[0],) * 2
            module.static_padding = Identity()
    return net
