"""Questions about kept pictures: the picture as it is sent, and what a provider is told of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from bunny.caption import tags
from bunny.caption.answer import CaptionQuestion
from bunny.caption.metadata_facts import Facts
from bunny.caption.trigger import TOLD_CLASS
from bunny.core import file_hash, safe_path

MAX_SIDE_PX = 768  # of a picture that is sent: vision models scale to about this themselves
JPEG_QUALITY = 85


@dataclass(frozen=True, kw_only=True)
class QuestionMaker:
    """Pictures of a film and their facts."""

    folder: Path  # the film's; `Facts.file` is relative to it
    facts: Sequence[Facts]  # one for each picture; questions go by their index
    is_cropped: bool = False  # models are shown the figures alone, not the whole frame
    _hashes: dict[int, str] = field(default_factory=dict, repr=False)

    def make(self, index: int) -> CaptionQuestion:
        """The question about a picture, which is opened now.

        Raises
        ------
        ValueError, OSError
            If the picture is missing or damaged, or is to be cropped and shows nobody.
        """
        known = self.facts[index]
        picture = decode_picture(self.folder, known.file, cv2.IMREAD_COLOR)
        if self.is_cropped:
            picture = _crop_to_subjects(picture, known.subjects)
        return CaptionQuestion(
            frame_id=known.frame_id,
            picture=encode_picture(picture),
            facts=tuple(self.told(index)),
            names=known.characters,
            subject=self.subject(index),
            framing=tags.SHOT_WORDS.get(known.shot_size or "", ""),
            light=known.light or "",
            other_names=self.other_names(index),
        )

    def other_names(self, index: int) -> tuple[str, ...]:
        """Names of the film's characters that are not seen in a picture, sorted."""
        seen = self.facts[index].characters
        return tuple(name for name in self._characters if name not in seen)

    @cached_property
    def _characters(self) -> tuple[str, ...]:
        return tuple(sorted({name for known in self.facts for name in known.characters}))

    def told(self, index: int) -> list[str]:
        """Facts that a model is told: nothing that a new clustering would number anew.

        Nor the words for characters in captions: other ones ask nothing again.
        """
        known = self.facts[index]
        who = [f"{name} is a {TOLD_CLASS}" for name in known.characters]
        where = [f"{name} is {side}" for name, side in tags.side_words(known).items()]
        return who + tags.framing_tags(known) + where

    def subject(self, index: int) -> str:
        """Who is seen, by their names."""
        return tags.subject_words(self.facts[index])

    def picture_hash(self, index: int) -> str:
        """SHA-256 of the stored picture; raises `OSError` when it is missing."""
        if index not in self._hashes:
            self._hashes[index] = file_hash.hash_file(
                safe_path.join(self.folder, str(self.facts[index].file))
            )
        return self._hashes[index]


def decode_picture(folder: Path, file: str | None, flags: int) -> np.ndarray:
    """Read a picture as BGR, (height, width, 3) uint8.

    Parameters
    ----------
    folder, file : Path, str or None
        None: the tables name no picture.
    flags : int
        Of `cv2.imdecode`.

    Raises
    ------
    ValueError, OSError
        If it is missing or damaged, in one sentence.
    """
    if file is None:
        raise ValueError("this frame has no picture in the tables; run stage extract again")
    data = np.frombuffer(safe_path.join(folder, file).read_bytes(), dtype=np.uint8)
    picture = cv2.imdecode(data, flags) if data.size else None
    if picture is None:
        raise ValueError(f"{file}: could not decode this picture; run stage extract again")
    return picture


def _crop_to_subjects(picture: np.ndarray, subjects: Sequence[tuple]) -> np.ndarray:
    """The part of a picture that holds all of its figures."""
    if not subjects:
        raise ValueError(
            "captioning.send crop: nobody is seen in this frame, so no crop of it is sent; "
            "put tags last in captioning.providers"
        )
    boxes = np.clip(np.array(subjects, dtype=float), 0, 1)
    height, width = picture.shape[:2]
    x0, y0 = (np.floor(boxes[:, i].min() * n) for i, n in ((0, width), (1, height)))
    x1, y1 = (np.ceil(boxes[:, i].max() * n) for i, n in ((2, width), (3, height)))
    return picture[int(y0) : max(int(y1), int(y0) + 1), int(x0) : max(int(x1), int(x0) + 1)]


def decode_jpeg(jpeg: bytes) -> np.ndarray:
    """Pixels of a question's picture as BGR, (height, width, 3) uint8; raises `ValueError`."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("expected a JPEG, could not decode it")
    return picture


def encode_picture(picture: np.ndarray, max_side_px: int = MAX_SIDE_PX) -> bytes:
    """JPEG of at most so many pixels a side, without any metadata of the stored file."""
    scale = min(1.0, max_side_px / max(picture.shape[:2]))
    if scale < 1:
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        picture = cv2.resize(picture, tuple(max(1, s) for s in size), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
