"""Tuned prompts: instructions and examples that `bunny caption --optimize` found, as JSON files.

`program/<hash>.json` has a dspy program's state and its scores, `program/current.json` says which
of them is in use. Going back to our own prompt deletes that file alone.
"""

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bunny.core import atomic, json_file
from bunny.core.error import UserError

logger = logging.getLogger(__name__)

FOLDER, CURRENT = "program", "current.json"
FIELD_WORDS = ("prefix", "description")  # keys of a field in a program's state


@dataclass(frozen=True, kw_only=True)
class TunedPrompt:
    """A program that asks served models in the stead of ours."""

    kind: str  # what was tuned: "examples" or "instructions"
    base_hash: str  # of the prompt that it was tuned from; under another one it is not used
    state: Mapping[str, Any]  # state of a program of dspy; holds no picture
    # On the held-out pictures, in [0, 1], by kind; "ours" is our own prompt's.
    scores: Mapping[str, float] = field(default_factory=dict)
    num_train: int = 0  # pictures
    num_held_out: int = 0  # pictures

    @property
    def words(self) -> dict[str, Any]:
        """Instructions and examples of `state`, as dspy loads them.

        A program's state may also name a model with its address and key, settings of requests and
        pictures: whoever made the file would have questions sent there. They are left out.
        """
        signature = self.state["signature"]
        fields = [{key: str(one[key]) for key in FIELD_WORDS} for one in signature["fields"]]
        return {
            "signature": {"instructions": str(signature["instructions"]), "fields": fields},
            "demos": [
                {key: _plain(value) for key, value in demo.items() if key != "picture"}
                for demo in self.state["demos"]
            ],
            "lm": None,
        }

    @property
    def ignored(self) -> list[str]:
        """Keys of `state` that are not used."""
        return sorted(k for k, v in self.state.items() if v and k not in ("signature", "demos"))

    @property
    def prompt_hash(self) -> str:
        """Sixteen hex digits that change with any word of it; part of the key of every answer."""
        told = json.dumps([self.base_hash, self.state], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def write(stage_folder: Path, tuned: TunedPrompt, *, is_used: bool) -> Path:
    """Keep a tuned prompt, and put it into use or not; gives its file."""
    path = stage_folder / FOLDER / f"{tuned.prompt_hash}.json"
    text = json.dumps({**asdict(tuned), "is_better": is_used}, ensure_ascii=False, indent=1)
    atomic.write_bytes(path, text.encode())
    if is_used:
        chosen = json.dumps({"prompt_hash": tuned.prompt_hash}).encode()
        atomic.write_bytes(stage_folder / FOLDER / CURRENT, chosen)
    return path


def switch_off(stage_folder: Path) -> bool:
    """Go back to our own prompt; False if it is in use already."""
    path = stage_folder / FOLDER / CURRENT
    was_used = path.exists()
    path.unlink(missing_ok=True)
    return was_used


def read_current(stage_folder: Path) -> TunedPrompt | None:
    """The tuned prompt in use; None if there is none.

    Raises
    ------
    UserError
        If a file was changed by hand, so that it is no tuned prompt, or another one.
    """
    chosen = stage_folder / FOLDER / CURRENT
    if not chosen.exists():
        return None
    try:
        number = json_file.read_object(chosen)["prompt_hash"]
        path = stage_folder / FOLDER / f"{int(number, 16):016x}.json"
        values = json_file.read_object(path)
        values.pop("is_better", None)
        tuned = TunedPrompt(**values)
        if tuned.prompt_hash != number:
            raise ValueError("its words were changed")
        _ = tuned.words  # they can be read
        ignored = tuned.ignored
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{chosen}: expected a tuned prompt, could not read it ({error}); go back to our own "
            "with `bunny caption FILM --no-optimize`"
        ) from error
    if ignored:
        logger.warning(
            "%s: only instructions and examples of a tuned prompt are used; ignored: %s",
            path.name,
            ", ".join(ignored),
        )
    return tuned


def _plain(value: Any) -> Any:
    """Words of an example without the mark by which dspy makes pictures of them."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if value is None else re.sub("<(?=<)", "", str(value))
