"""Anime face, head and person detection by DeepGHS' YOLO networks (ONNX).

They know human-like figures: of animals and robots they see few. Their cards say MIT; what
Ultralytics' exporter wrote into a file about its own licence (AGPL-3.0) is told beside that.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bunny.character import detection
from bunny.character.drawn import onnx_model
from bunny.character.drawn.onnx_model import ModelFolder, OnnxModel, PublishedModel
from bunny.core.error import UserError

KEY = "detection.drawn_detector"
FILE = "model.onnx"
SIDE_FILES = ("threshold.json", "labels.json", "model_type.json")
SIZE_PX = 640  # side of the square a picture is stretched to, where the file names no `imgsz`
MIN_SIDE = 1e-3  # of the picture; boxes thinner than that lie on its edge


@dataclass(frozen=True, kw_only=True)
class AnimeDetectorKind:
    """One of the detectors: where it is published and the thresholds of `imgutils.detect`."""

    published: PublishedModel
    min_score: float  # where no threshold.json says better
    iou: float  # above which two boxes are one figure


KINDS = {
    f"anime-{kind}": AnimeDetectorKind(
        published=PublishedModel(repository=f"deepghs/anime_{kind}_detection", model=model),
        min_score=min_score,
        iou=iou,
    )
    for kind, model, min_score, iou in (
        ("face", "face_detect_v1.4_s", 0.25, 0.7),
        ("head", "head_detect_v2.0_s", 0.4, 0.7),
        ("person", "person_detect_v1.1_m", 0.3, 0.5),
    )
}


@dataclass(frozen=True, kw_only=True)
class AnimeDetection:
    """One thing that was found."""

    box: np.ndarray  # (4,) float32: x0 y0 x1 y1 in shares of width and height
    kind: str  # by the file's own word: face, head, person
    score: float  # in [0, 1]


class AnimeDetector:
    """Finds anime faces, heads or persons in a picture.

    Parameters
    ----------
    setting : str
        One of `KINDS`, alone or followed by ``:`` and a folder or hub id.
    num_threads : int
        That one picture may use.

    Raises
    ------
    UserError
        If a file is missing or is no such model.

    Notes
    -----
    Preparation, outputs and thresholds as `imgutils.generic.yolo` of DeepGHS has them: the picture
    is stretched to the network's square (no bars), values in [0, 1]. Three kinds of output:
    (1, 4 + classes, n) of YOLOv8 and v11, centre and size in pixels of that square; (1, n, 6) of
    YOLOv10, corners, score and class; (1, n, 4 + classes) of RT-DETR, centre and size in shares.
    """

    def __init__(self, setting: str, *, num_threads: int = 1) -> None:
        word, _, source = setting.partition(":")
        kind = KINDS[word]
        folder = onnx_model.find_folder(KEY, source, kind.published, (FILE,), SIDE_FILES)
        self._net = OnnxModel(
            folder, FILE, input_name="images", output_name="output0", num_threads=num_threads
        )
        self._file, self._iou = folder.path / FILE, kind.iou
        self._size_px = self._net.size_px or _read_size(self._net, self._file)
        self._labels = _read_labels(self._net, folder, word)
        self._is_in_shares = _read_value(folder, "model_type.json", "model_type") == "rtdetr"
        best = _read_value(folder, "threshold.json", "threshold")
        self.min_score = float(best) if isinstance(best, int | float) else kind.min_score
        self.name = f"{word}-{folder.name}" if source else folder.name
        self.licence = self._net.licence

    def __call__(self, image: np.ndarray) -> list[AnimeDetection]:
        """Find figures.

        Parameters
        ----------
        image : np.ndarray, shape (height, width, 3), uint8, BGR

        Returns
        -------
        list of AnimeDetection
            The surest first; none less sure than `min_score`, no two overlapping by more than the
            kind's `iou`, none thinner than `MIN_SIDE`.
        """
        pixels = onnx_model.to_pixels(image, self._size_px, resample=Image.Resampling.BICUBIC)
        box, score = self._decode(self._net.run(pixels))
        best = score.max(axis=1, initial=0)
        sure = np.flatnonzero(best > self.min_score)
        sure = sure[np.argsort(-best[sure], kind="stable")]
        box = np.clip(box, 0, 1).astype(np.float32)
        sure = sure[(box[sure, 2:] - box[sure, :2]).min(axis=1, initial=1) >= MIN_SIDE]
        kept = sure[detection.non_max_suppression(box[sure], self._iou)]
        return [
            AnimeDetection(
                box=box[i], kind=self._labels[int(score[i].argmax())], score=float(best[i])
            )
            for i in kept
        ]

    def _decode(self, output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (n, 4) as corners in shares and scores (n, classes) of any kind of output."""
        num = len(self._labels)
        size = np.array(self._size_px * 2, np.float32)
        if output.ndim == 3 and output.shape[2] == 6 and not self._is_in_shares:
            rows = output[0]
            score = np.zeros((len(rows), num), np.float32)
            index = np.clip(rows[:, 5].astype(int), 0, num - 1)
            score[np.arange(len(rows)), index] = rows[:, 4]
            return rows[:, :4] / size, score
        if output.ndim == 3 and output.shape[1 + self._is_in_shares] == 4 + num:
            rows = output[0] if self._is_in_shares else output[0].T
            half = rows[:, 2:4] / 2
            box = np.hstack([rows[:, :2] - half, rows[:, :2] + half])
            return box if self._is_in_shares else box / size, rows[:, 4:]
        raise UserError(
            f"{KEY}: expected {self._file} to give boxes of shape (1, {4 + num}, n) "
            f"for {', '.join(self._labels)}, got {output.shape}; choose a YOLO model "
            "with this output"
        )


def is_named(setting: str) -> bool:
    """Whether a setting says one of `KINDS`, alone or with a folder or hub id behind ``:``."""
    return setting.partition(":")[0] in KINDS


def _read_size(net: OnnxModel, file: Path) -> tuple[int, int]:
    """Width and height the network was exported for."""
    said = net.metadata.get("imgsz", f"[{SIZE_PX}, {SIZE_PX}]")
    value = _literal(said)
    if isinstance(value, list | tuple) and len(value) == 2 and all(_is_side(v) for v in value):
        return value[0], value[1]
    raise UserError(
        f"{KEY}: expected imgsz in {file} to be two pixel sizes, found {said}; export "
        "the model again"
    )


def _read_labels(net: OnnxModel, folder: ModelFolder, word: str) -> list[str]:
    """What the classes are called: by the file, the list beside it or the setting."""
    said = _literal(net.metadata.get("names", ""))
    if isinstance(said, dict) and said:
        return [str(said[i]) for i in sorted(said)]
    beside = folder.read_json("labels.json")
    return [str(one) for one in beside] if beside else [word.partition("-")[2]]


def _read_value(folder: ModelFolder, file: str, name: str) -> object:
    """One value of a JSON file beside the model; None where there is none."""
    said = folder.read_json(file)
    return said.get(name) if isinstance(said, dict) else None


def _literal(text: str) -> object:
    """A Python or JSON literal, as exporters write them; None where it is none."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None


def _is_side(value: object) -> bool:
    return isinstance(value, int) and value > 0
