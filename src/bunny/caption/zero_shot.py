"""Zero-shot captions by CLIP or SigLIP: the likeliest words of a vocabulary file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bunny.caption import clip, style
from bunny.caption.answer import CaptionAnswer, CaptionQuestion
from bunny.caption.question import decode_jpeg
from bunny.core.config.captioning import ClipCaptionConfig
from bunny.core.config.layer import read_yaml
from bunny.core.error import UserError

OWN_VOCABULARY = Path(__file__).with_name("vocabulary.yaml")
KEY = "captioning.clip.vocabulary"
GROUPS = ("action", "place", "clothes", "light")  # in the order of the sentence


@dataclass(frozen=True, kw_only=True)
class WordGroup:
    """Words of which at most one is true of a picture."""

    name: str
    template: str  # of the sentence that is compared, with {word}
    says: str  # of the caption, with {word}
    words: tuple[str, ...]


class ZeroShot:
    """A loaded CLIP with the vectors of its vocabulary.

    Raises
    ------
    UserError
        If the model or the vocabulary cannot be read.
    """

    batch_size = 16

    def __init__(self, config: ClipCaptionConfig) -> None:
        self._least = config.min_probability
        self.groups = read_vocabulary(Path(config.vocabulary or OWN_VOCABULARY))
        self._encoder = clip.load(
            config.model,
            setting="captioning.clip.model",
            otherwise="leave clip out of captioning.providers",
        )
        self._vectors = [
            self._encoder.embed_text([group.template.format(word=word) for word in group.words])
            for group in self.groups
        ]

    def choose(self, pictures: Sequence[np.ndarray]) -> list[dict[str, str]]:
        """The likeliest word of each group, where it is likely enough.

        Parameters
        ----------
        pictures : sequence of np.ndarray, shape (height, width, 3), uint8, BGR

        Returns
        -------
        list of dict
            Word by name of the group, of each picture.
        """
        seen = self._encoder.embed_picture(pictures)
        found: list[dict[str, str]] = [{} for _ in pictures]
        for group, vectors in zip(self.groups, self._vectors, strict=True):
            shares = _softmax(self._encoder.logit_scale * seen @ vectors.T)
            for words, row in zip(found, shares, strict=True):
                best = int(row.argmax())
                if row[best] >= self._least:
                    words[group.name] = group.words[best]
        return found

    def caption_batch(self, questions: Sequence[CaptionQuestion]) -> list[CaptionAnswer]:
        """Sentences of who is seen, the words of the groups, and what the tables are sure of."""
        pictures = [decode_jpeg(question.picture) for question in questions]
        chosen = self.choose(pictures)
        return [self._write(q, words) for q, words in zip(questions, chosen, strict=True)]

    def _write(self, question: CaptionQuestion, words: dict[str, str]) -> CaptionAnswer:
        """A caption; a light that was measured goes before the guessed one."""
        says = {group.name: group.says for group in self.groups}
        said = {name: says[name].format(word=word) for name, word in words.items()}
        if question.light:
            said["light"] = question.light
        if not question.subject:  # nobody is seen who could do or wear something
            said = {name: text for name, text in said.items() if name in ("place", "light")}
        parts = {name: said[name] for name in GROUPS if name in said}
        parts |= {"subject": question.subject, "framing": question.framing}
        parts = {name: text for name, text in parts.items() if text}
        more = [said[name] for name in said if name not in GROUPS]
        text = ", ".join(filter(None, (style.compose(parts), *more)))
        if not words or not text:
            why = "no word reaches captioning.clip.min_probability"
            return CaptionAnswer(status="failed", error=why, is_answered=True)
        tags = tuple(words[name] for name in words if name in said and said[name] != question.light)
        return CaptionAnswer(status="done", text=text, tags=tags, parts=parts, is_answered=True)


def read_vocabulary(path: Path) -> tuple[WordGroup, ...]:
    """Groups of words from a YAML file.

    Raises
    ------
    UserError
        If it is missing, no YAML, or a group lacks `template`, `says` or `words`.
    """
    if not path.is_file():
        raise UserError(
            f"{KEY}: expected a YAML file, found no file {path}; leave it empty for ours"
        )
    return tuple(_read_group(path, name, value) for name, value in read_yaml(path).items())


def _read_group(path: Path, name: str, value: Any) -> WordGroup:
    value = value if isinstance(value, dict) else {}
    texts = {key: value.get(key) for key in ("template", "says")}
    words = value.get("words")
    is_right = all(isinstance(t, str) and "{word}" in t for t in texts.values())
    if not is_right or not isinstance(words, list) or not words:
        raise UserError(
            f"{KEY}: expected template and says with {{word}} and a list words in group {name} of "
            f"{path}; see src/bunny/caption/vocabulary.yaml"
        )
    return WordGroup(
        name=name,
        template=str(texts["template"]),
        says=str(texts["says"]),
        words=tuple(str(word) for word in words),
    )


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Shares that sum to 1 over the last axis."""
    weight = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weight / weight.sum(axis=-1, keepdims=True)
