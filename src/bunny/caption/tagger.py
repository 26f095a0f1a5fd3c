"""WD14 taggers in ONNX or of timm: booru tags of a picture, each with its probability.

Folder, list of tags and preparation of the picture as SmilingWolf publishes them
(https://huggingface.co/SmilingWolf/wd-swinv2-tagger-v3): a square padded with white, BGR, 0 to 255
for ONNX, standardised as `config.json` says for timm.
"""

import csv
import json
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Protocol

import cv2
import numpy as np

from bunny.caption.answer import CaptionAnswer, CaptionQuestion
from bunny.caption.question import decode_jpeg
from bunny.character.drawn import onnx_model
from bunny.character.drawn.onnx_model import ModelFolder, PublishedModel
from bunny.core import onnx_session
from bunny.core.config.captioning import TaggerCaptionConfig
from bunny.core.error import UserError

KEY = "captioning.tagger.model"
PUBLISHED = PublishedModel(repository="SmilingWolf/wd-swinv2-tagger-v3", model="")
MODEL, TAGS = "model.onnx", "selected_tags.csv"
TIMM_CONFIG, TIMM_WEIGHTS = "config.json", "model.safetensors"
GENERAL, CHARACTER = 0, 4  # categories of selected_tags.csv; 9 are ratings
KAOMOJI_LENGTH = 3  # ">_<", "0_0": their underscores are no spaces


class Tagger:
    """A loaded tagger.

    Raises
    ------
    UserError
        If a file is missing, or is no such model or list.
    """

    batch_size = 4

    def __init__(self, config: TaggerCaptionConfig) -> None:
        self._least = {GENERAL: config.general_threshold, CHARACTER: config.character_threshold}
        folder = _find_folder(config.model)
        self._tags = _read_tags(folder)
        is_onnx = (folder.path / MODEL).is_file()
        load = OnnxNetwork if is_onnx else TimmNetwork
        self._network: TagNetwork = load(folder, len(self._tags))

    def tag(self, pictures: Sequence[np.ndarray]) -> list[tuple[list[str], list[str]]]:
        """General tags and character tags of pictures.

        Parameters
        ----------
        pictures : sequence of np.ndarray, shape (height, width, 3), uint8, BGR

        Returns
        -------
        list of (list of str, list of str)
            Of each picture those from the thresholds on, the surest first.
        """
        side_px = self._network.side_px
        value = np.stack([_to_square(picture, side_px) for picture in pictures])
        return [self._choose(row) for row in self._network.estimate(value)]

    def caption_batch(self, questions: Sequence[CaptionQuestion]) -> list[CaptionAnswer]:
        """Who is seen and the general tags, comma-separated; character tags are tags alone."""
        pictures = [decode_jpeg(question.picture) for question in questions]
        answers = []
        for question, (general, characters) in zip(questions, self.tag(pictures), strict=True):
            if general:
                text = ", ".join(filter(None, (question.subject, *general)))
                tags = (*general, *characters)
                answers.append(CaptionAnswer(status="done", text=text, tags=tags, is_answered=True))
            else:
                why = "no tag reaches captioning.tagger.general_threshold"
                answers.append(CaptionAnswer(status="failed", error=why, is_answered=True))
        return answers

    def _choose(self, probabilities: np.ndarray) -> tuple[list[str], list[str]]:
        chosen: dict[int, list[str]] = {GENERAL: [], CHARACTER: []}
        for i in np.argsort(-probabilities, kind="stable"):
            name, category = self._tags[i]
            if category in chosen and probabilities[i] >= self._least[category]:
                chosen[category].append(name)
        return chosen[GENERAL], chosen[CHARACTER]


class TagNetwork(Protocol):
    """What gives the probabilities of tags."""

    side_px: int

    def estimate(self, squares: np.ndarray) -> np.ndarray:
        """Probabilities (n, tags) of squares (n, side, side, 3), float32, BGR in [0, 255]."""
        ...


class OnnxNetwork:
    """A tagger's ONNX model.

    Raises
    ------
    UserError
        If the file is no such model.
    """

    def __init__(self, folder: ModelFolder, num_tags: int) -> None:
        try:
            self._session = onnx_session.load_session(folder.path / MODEL)
        except Exception as error:  # the runtime's own errors share no other class
            raise UserError(
                f"{KEY}: expected an ONNX model in {folder.path / MODEL}, could not load it "
                f"({' '.join(str(error).split())[:160]}); download it again"
            ) from error
        taken = [one.shape for one in self._session.get_inputs()]
        given = self._session.get_outputs()[0].shape
        is_right = len(taken) == 1 and len(taken[0]) == 4 and taken[0][3] == 3
        if not is_right or taken[0][1] != taken[0][2] or given[-1] != num_tags:
            raise UserError(
                f"{KEY}: expected {folder.path / MODEL} to take (batch, side, side, 3) and give "
                f"{num_tags} probabilities as {TAGS} lists tags, found that it takes "
                f"{taken} and gives {given}; download both files of one model"
            )
        self.side_px = int(taken[0][1])
        self._is_single = taken[0][0] == 1  # one picture a call is all that it takes

    def estimate(self, squares: np.ndarray) -> np.ndarray:
        """As `TagNetwork.estimate`."""
        calls = [squares[i : i + 1] for i in range(len(squares))] if self._is_single else [squares]
        output = [self._session.get_outputs()[0].name]
        found = [onnx_session.run_session(self._session, output, call)[0] for call in calls]
        return np.concatenate(found)


class TimmNetwork:
    """A tagger as timm publishes networks: `config.json` and `model.safetensors`.

    Raises
    ------
    UserError
        If timm is missing or the files are no such network.
    """

    def __init__(self, folder: ModelFolder, num_tags: int) -> None:
        if find_spec("timm") is None:
            raise UserError(
                f"{KEY}: {folder.path} holds a network of timm, which is not installed; install "
                f"it with `uv sync --extra vision`, or use a tagger that has {MODEL}"
            )
        self._net = _load_timm(folder, num_tags)
        about = self._net.pretrained_cfg
        self.side_px = int(about["input_size"][-1])
        # Listed for red, green, blue, though such a tagger is given blue, green, red.
        self._mean, self._deviation = (np.float32(about[key][::-1]) for key in ("mean", "std"))

    def estimate(self, squares: np.ndarray) -> np.ndarray:
        """As `TagNetwork.estimate`."""
        import torch

        value = (squares / np.float32(255) - self._mean) / self._deviation
        with torch.inference_mode():
            given = self._net(torch.from_numpy(np.ascontiguousarray(value.transpose(0, 3, 1, 2))))
        return given.sigmoid().numpy()


def _load_timm(folder: ModelFolder, num_tags: int) -> Any:
    import timm

    try:
        about = json.loads((folder.path / TIMM_CONFIG).read_text(encoding="utf-8"))
        found = about.get("num_classes")
        net = timm.create_model(f"local-dir:{folder.path}", pretrained=True).eval()
    except Exception as error:  # of timm, torch and safetensors, which share no class
        raise UserError(
            f"{KEY}: expected a network of timm in {folder.path}, could not load it "
            f"({' '.join(str(error).split())[:160]}); download it again"
        ) from error
    if found != num_tags:
        raise UserError(
            f"{KEY}: expected {num_tags} outputs as {TAGS} lists tags, found num_classes {found} "
            f"in {folder.path / TIMM_CONFIG}; download all files of one model"
        )
    return net


def _find_folder(model: str) -> ModelFolder:
    """The folder of the ONNX model, or of timm's where there is no ONNX."""
    try:
        return onnx_model.find_folder(KEY, model, PUBLISHED, (MODEL, TAGS))
    except UserError:
        try:
            wanted = (TAGS, TIMM_CONFIG, TIMM_WEIGHTS)
            return onnx_model.find_folder(KEY, model, PUBLISHED, wanted)
        except UserError:
            pass
        raise


def _read_tags(folder: ModelFolder) -> list[tuple[str, int]]:
    """Name and category of each output, in order."""
    path = folder.path / TAGS
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [(row["name"], int(row["category"])) for row in csv.DictReader(stream)]
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise UserError(
            f"{KEY}: expected columns name and category in {path}, could not read them "
            f"({error}); download it again"
        ) from error
    return [
        (name if len(name) <= KAOMOJI_LENGTH else name.replace("_", " "), n) for name, n in rows
    ]


def _to_square(picture: np.ndarray, side_px: int) -> np.ndarray:
    """Pad with white to a square and scale; (side, side, 3) float32, BGR in [0, 255]."""
    height, width = picture.shape[:2]
    longest = max(height, width)
    top, left = (longest - height) // 2, (longest - width) // 2
    square = np.full((longest, longest, 3), 255, np.uint8)
    square[top : top + height, left : left + width] = picture
    shrinks = longest > side_px
    scaled = cv2.resize(
        square, (side_px, side_px), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
    return scaled.astype(np.float32)
