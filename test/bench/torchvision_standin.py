"""The five picture transforms that diffusers' example script takes from torchvision.

Used by `bench_train.py` where torchvision is not installed. Pillow and NumPy do the work, as they
do in torchvision's own transforms of PIL pictures.
"""

import random
import sys
import types
from enum import Enum

import numpy as np
import torch
from PIL import Image


class InterpolationMode(Enum):
    """Names as torchvision has them."""

    NEAREST = Image.Resampling.NEAREST
    BILINEAR = Image.Resampling.BILINEAR
    BICUBIC = Image.Resampling.BICUBIC
    LANCZOS = Image.Resampling.LANCZOS


class Compose:
    """One transform after the other."""

    def __init__(self, steps):
        self.steps = steps

    def __call__(self, picture):
        for step in self.steps:
            picture = step(picture)
        return picture


class Resize:
    """Shorter side to `size`."""

    def __init__(self, size, interpolation=InterpolationMode.BILINEAR):
        self.size, self.interpolation = size, interpolation

    def __call__(self, picture):
        scale = self.size / min(picture.size)
        size = tuple(round(side * scale) for side in picture.size)
        return picture if size == picture.size else picture.resize(size, self.interpolation.value)


class CenterCrop:
    """The middle square."""

    def __init__(self, size):
        self.size = size

    def start(self, left):
        """Where along a side with `left` pixels to spare."""
        return left // 2

    def __call__(self, picture):
        x, y = (self.start(side - self.size) for side in picture.size)
        return picture.crop((x, y, x + self.size, y + self.size))


class RandomCrop(CenterCrop):
    """A square anywhere."""

    def start(self, left):
        """Where along a side with `left` pixels to spare."""
        return random.randint(0, left)


class ToTensor:
    """Channels first, float32 in [0, 1]."""

    def __call__(self, picture):
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous().float().div(255)


class Normalize:
    """Less the mean, over the deviation."""

    def __init__(self, mean, std):
        self.mean, self.std = mean[0], std[0]

    def __call__(self, picture):
        return picture.sub(self.mean).div(self.std)


def hflip(picture):
    """Mirror a picture."""
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def crop(picture, top, left, height, width):
    """Cut a box out."""
    return picture.crop((left, top, left + width, top + height))


class RandomHorizontalFlip:
    """Mirror with chance `p`."""

    def __init__(self, p=0.5):
        self.p = p

    def __call__(self, picture):
        return hflip(picture) if random.random() < self.p else picture


def install() -> None:
    """Be `torchvision` for what is imported from now on."""
    parts = {"torchvision": [], "torchvision.transforms": list(globals())}
    parts["torchvision.transforms.functional"] = ["crop", "hflip"]
    for name, names in parts.items():
        module = types.ModuleType(name)
        for one in names:
            setattr(module, one, globals()[one])
        sys.modules[name] = module
    sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]
    functional = sys.modules["torchvision.transforms.functional"]
    sys.modules["torchvision.transforms"].functional = functional
