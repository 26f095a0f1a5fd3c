"""Questions about pictures, the answers of caption providers, and where answers are kept."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired, Protocol, TypedDict

from bunny.contract.shard import Shards
from bunny.core import atomic

PARTS = ("subject", "clothes", "action", "place", "light", "framing")  # columns of table caption
ANSWER_COLUMNS = ("status", "text", "error", "input_tokens", "output_tokens", "cost_usd")


@dataclass(frozen=True, kw_only=True)
class CaptionQuestion:
    """Question about one picture for a provider."""

    frame_id: str
    picture: bytes  # JPEG
    facts: tuple[str, ...]
    names: tuple[str, ...]  # of the characters that are seen
    subject: str = ""  # who is seen, as captions say it: "bunny and a person"
    framing: str = ""  # "medium shot"; empty where nobody is seen
    light: str = ""  # "day"; empty where the measures do not tell
    other_names: tuple[str, ...] = ()  # of characters that are not seen: no tag has them


@dataclass(frozen=True, kw_only=True)
class CaptionAnswer:
    """Answer to a question, or its error."""

    status: str  # done, refused, failed
    text: str | None = None
    tags: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)  # of `PARTS`, those that it gave
    error: str | None = None
    is_answered: bool = False  # the model spoke, so it may have been paid
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    latency_s: float | None = None  # from question to answer, with retries and pauses


class KeptAnswer(TypedDict):
    """An answer about a picture as `AnswerStore` keeps it for stage caption."""

    frame_id: str
    version: int
    characters: list[str]
    provider: str
    model: str | None
    prompt_hash: str | None
    status: str
    text: str | None
    error: str | None
    tags: list[str]
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    latency_s: NotRequired[float | None]


class ProviderStopped(Exception):  # noqa: N818 no error: what was asked for has come
    """A provider is asked no more in this run; says why."""


class CaptionProvider(Protocol):
    """A model that is ready to be asked, from several threads if it says so."""

    batch_size: int  # most questions a call

    def caption_batch(self, questions: Sequence[CaptionQuestion]) -> list[CaptionAnswer]:
        """Answers in the order of the questions.

        Raises
        ------
        UserError
            If no other question would fare better, e.g. a key that was rejected.
        ProviderStopped
            If it was asked as much as the settings allow.
        """
        ...


class AnswerStore:
    """Answers on disk, one JSON file each, under a number made of all that was asked.

    Parameters
    ----------
    folder : Path
        E.g. `stage/caption/answer`; answers that earlier versions kept as tables are in its `v1`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "v2"
        self._shards = Shards(folder, "v1")

    def get(self, key: int) -> CaptionAnswer | None:
        """The kept answer; None when this was never asked."""
        try:
            row = json.loads(self._path(key).read_text(encoding="utf-8"))
        except FileNotFoundError:
            if not self._shards.is_done(key):
                return None
            row = self._shards.get(key, "caption").row(0, named=True)
        known = {name: row[name] for name in ANSWER_COLUMNS}
        return CaptionAnswer(
            **known,
            tags=tuple(row["tags"] or ()),
            parts={name: row[name] for name in PARTS if row.get(name)},
            is_answered=True,
            latency_s=row.get("latency_s"),
        )

    def put(self, key: int, answer: CaptionAnswer, row: Mapping[str, object]) -> None:
        """Keep an answer with the other columns of its row; it is on disk when this returns."""
        whole = {**row, **answer_columns(answer), "latency_s": answer.latency_s}
        atomic.write_bytes(self._path(key), json.dumps(whole, ensure_ascii=False).encode())

    def every(self) -> list[KeptAnswer]:
        """All kept answers of stage caption, the oldest first; v1 is left out."""
        files = sorted(self._folder.glob("*.json"), key=lambda file: (file.stat().st_mtime, file))
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]

    def _path(self, key: int) -> Path:
        return self._folder / f"{key:018d}.json"


def answer_columns(answer: CaptionAnswer) -> dict[str, Any]:
    """The columns of table `caption` that an answer fills."""
    own = {name: getattr(answer, name) for name in ANSWER_COLUMNS}
    parts = {name: answer.parts.get(name) for name in PARTS}
    return own | parts | {"tags": list(answer.tags)}


def question_key(parts: Sequence[Any]) -> int:
    """Number of a question, from JSON values that its answer depends on; in [0, 2**60)."""
    return int(hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()[:15], 16)
