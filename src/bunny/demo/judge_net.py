"""Network of the toy judge: a small residual net with one head an attribute.

The judge tells what is in a picture of the sample world. Who is in it may be several, so species,
colours and clothes are yes or no each; place, light, framing and number exclude one another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bunny.demo import world

if TYPE_CHECKING:
    import torch
    from torch import nn

INPUT_PX = 128
NOBODY = "nobody"
WEAR_COLOURS = (*world.WEAR_COLOURS, "teal")  # teal is worn in the sample film alone
MULTI_LABEL = {  # heads with a sigmoid a word
    "species": (*world.SPECIES, NOBODY),
    "colour": world.COLOURS,
    "garment": ("none", *world.GARMENTS),
    "wear_colour": WEAR_COLOURS,
}
SINGLE_CHOICE = {  # heads with a softmax over the words
    "place": tuple(world.PLACES),
    "light": world.LIGHTS,
    "size": world.SHOT_SIZES,
    "count": ("0", "1", "2"),
}
WORDS = MULTI_LABEL | SINGLE_CHOICE


def make_net(widths: tuple[int, ...] = (32, 64, 104)) -> nn.Module:
    """An untrained residual network with one output a word.

    Parameters
    ----------
    widths : tuple of int
        Channels at 32x32, 16x16, 8x8 and so on; one residual block each.

    Returns
    -------
    torch.nn.Module
        float (n, 3, 128, 128) in [-1, 1] to logits (n, number of words of all heads), in the order
        of `WORDS`.

    Notes
    -----
    Basic blocks of He et al. 2016. Mean and maximum of the last map go to the heads: a small figure
    fills little of the mean.
    """
    from torch import nn

    layers: list[nn.Module] = [nn.PixelUnshuffle(2), _conv(12, widths[0], 2), nn.ReLU()]
    for before, width in zip((widths[0], *widths), widths, strict=False):
        if len(layers) > 3:
            layers += [_conv(before, width, 2), nn.ReLU()]
        layers.append(_block(width))
    return nn.Sequential(*layers, _pool(), nn.Linear(2 * widths[-1], sum(map(len, WORDS.values()))))


def split(logits: Any) -> dict[str, Any]:
    """Cut the last axis of the network's output into one array a head."""
    parts, start = {}, 0
    for name, words in WORDS.items():
        parts[name] = logits[..., start : start + len(words)]
        start += len(words)
    return parts


def _conv(before: int, after: int, stride: int = 1) -> nn.Module:
    """3x3 convolution with batch normalisation."""
    from torch import nn

    conv = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after))


def _block(width: int) -> nn.Module:
    """Two convolutions beside a short cut."""
    from torch import nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.way = nn.Sequential(_conv(width, width), nn.ReLU(), _conv(width, width))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.relu(x + self.way(x))

    return Block()


def _pool() -> nn.Module:
    """Mean and maximum over the map, side by side."""
    import torch
    from torch import nn

    class Pool(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)

    return Pool()
