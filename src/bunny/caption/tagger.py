"""WD14 taggers in ONNX: booru tags of a picture, each with its probability.

Folder, list of tags and preparation of the picture as SmilingWolf publishes them
(https://huggingface.co/SmilingWolf/wd-swinv2-tagger-v3): a square padded with white, BGR, 0 to 255.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from bunny.caption.answer import CaptionAnswer, CaptionQuestion
from bunny.caption.question import decode_jpeg
from bunny.character.drawn import onnx_model
from bunny.character.drawn.onnx_model import ModelFolder, PublishedModel
from bunny.core import onnx_session
from bunny.core.error import UserError

KEY = "captioning.tagger.model"
PUBLISHED = PublishedModel(repository="SmilingWolf/wd-swinv2-tagger-v3", model="")
MODEL, TAGS = "model.onnx", "selected_tags.csv"
GENERAL, CHARACTER = 0, 4  # categories of selected_tags.csv; 9 are ratings
KAOMOJI_LENGTH = 3  # ">_<", "0_0": their underscores are no spaces


@dataclass(frozen=True, kw_only=True)
class TaggerSettings:
    """Settings of a tagger; thresholds are probabilities in [0, 1]."""

    model: str
    general_threshold: float = 0.35
    character_threshold: float = 0.85
    batch_size: int = 4


class Tagger:
    """A loaded tagger.

    Parameters
    ----------
    settings : TaggerSettings

    Raises
    ------
    UserError
        If a file is missing, or is no such model or list.
    """

    def __init__(self, settings: TaggerSettings) -> None:
        self._settings = settings
        self.batch_size = settings.batch_size
        folder = onnx_model.find_folder(KEY, settings.model, PUBLISHED, (MODEL, TAGS))
        self._tags = _read_tags(folder)
        try:
            self._session = onnx_session.load_session(folder.path / MODEL)
        except Exception as error:  # the runtime's own errors share no other class
            raise UserError(
                f"{KEY}: expected an ONNX model in {folder.path / MODEL}, could not load it "
                f"({' '.join(str(error).split())[:160]}); download it again"
            ) from error
        self._side_px, self._is_single = self._read_shape(folder)

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
        value = np.stack([_to_square(picture, self._side_px) for picture in pictures])
        calls = [value[i : i + 1] for i in range(len(value))] if self._is_single else [value]
        output = [self._session.get_outputs()[0].name]
        found = [onnx_session.run_session(self._session, output, call)[0] for call in calls]
        return [self._choose(row) for row in np.concatenate(found)]

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
        least = {
            GENERAL: self._settings.general_threshold,
            CHARACTER: self._settings.character_threshold,
        }
        chosen: dict[int, list[str]] = {GENERAL: [], CHARACTER: []}
        for i in np.argsort(-probabilities, kind="stable"):
            name, category = self._tags[i]
            if category in least and probabilities[i] >= least[category]:
                chosen[category].append(name)
        return chosen[GENERAL], chosen[CHARACTER]

    def _read_shape(self, folder: ModelFolder) -> tuple[int, bool]:
        """Side of the square and whether one picture a call is all that the network takes."""
        taken = [one.shape for one in self._session.get_inputs()]
        given = self._session.get_outputs()[0].shape
        is_right = len(taken) == 1 and len(taken[0]) == 4 and taken[0][3] == 3
        if not is_right or taken[0][1] != taken[0][2] or given[-1] != len(self._tags):
            raise UserError(
                f"{KEY}: expected {folder.path / MODEL} to take (batch, side, side, 3) and give "
                f"{len(self._tags)} probabilities as {TAGS} lists tags, found that it takes "
                f"{taken} and gives {given}; download both files of one model"
            )
        return int(taken[0][1]), taken[0][0] == 1


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
