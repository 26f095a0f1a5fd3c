"""Training sets on the board: what is in them, who approved them, and decisions about them.

Every answer is read anew from the film's folder, since a run may write another set at any moment.
A decision names the hash of the set that the page showed and how much had been said of it by then;
`approval.decide` refuses it where either has changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypedDict

import polars as pl

from bunny.core import safe_path
from bunny.core.error import UserError
from bunny.dataset import approval, rights
from bunny.dataset.approval import SetState
from bunny.table import store
from bunny.view.board import thumbnail
from bunny.view.board.thumbnail import ThumbnailSource

MAX_PICTURES = 60  # in one answer
RIGHTS = Path("dataset") / rights.FILE
COLUMNS = ("image_id", "caption", "split", "role", "repeats", "mask_file")


class SentSet(TypedDict):
    """A character's training set as a board is sent it."""

    character: str
    set_hash: str
    num_said: int
    state: str  # see `approval.SetState`
    by: str
    at: str
    pictures: list[dict]  # columns `COLUMNS`


class SentUpdate(TypedDict):
    """Changes that training sets lack, and the run that applies them, as sent to a board."""

    text: str  # "3 corrections not yet in the set"; "": they are up to date
    is_running: bool
    share: float  # how far the run is, in [0, 1]
    progress: str  # its stage and time left
    error: str  # why the last run failed; "": it did not


class SetUpdater(Protocol):
    """Says whether the training sets of a film are out of date, and makes them again."""

    def check(self) -> None:
        """Raise a UserError where they are out of date."""

    def describe(self) -> SentUpdate:
        """Say what they lack and how far the run is."""
        ...

    def start(self) -> None:
        """Begin to make them again."""


def exists(root: Path) -> bool:
    """Whether stage dataset has made a set of the film in this folder."""
    return store.exists(root / "table", "dataset")


def read(root: Path) -> pl.DataFrame:
    """Table `dataset` in the order in which it is shown: to train on, held out, class pictures.

    Raises
    ------
    UserError
        If there is none.
    """
    if not exists(root):
        raise UserError(f"{root.name}: expected a training set, found none; run stage dataset")
    order = ("character", pl.col("role") == "class", pl.col("split") == "held-out", "file")
    return store.read(root / "table", "dataset").sort(*order, nulls_last=False)


def list_sets(root: Path) -> list[SentSet]:
    """List the sets of all characters of a film's folder, by name."""
    table = read(root)
    found: list[SentSet] = []
    for name in table["character"].unique().sort():
        state = approval.describe(table, root, name)
        rows = table.filter(pl.col("character") == name)
        found.append(
            {
                "character": name,
                "set_hash": state.set_hash,
                "num_said": state.num_said,
                "state": state.state,
                "by": state.last.by if state.last else "",
                "at": state.last.at if state.last else "",
                "pictures": rows.select(COLUMNS).to_dicts(),
            }
        )
    return found


def list_rights(root: Path) -> list[str]:
    """What is known of the rights of the film's sets, a sentence each."""
    path = safe_path.join(root, RIGHTS.as_posix())
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        film, consent, notes = known["film"], known["consent"], known["notes"]
        title = film["title"] or film["file"]
        lines = [f"Film: {title}, {film['licence'] or 'licence not given'}"]
    except FileNotFoundError:
        return ["Nothing is known of the rights of this set."]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path.name}: expected a rights record, could not read it ({error!r}); run stage "
            "dataset again"
        ) from error
    if consent:
        lines.append(f"Consent: {consent}")
    return lines + [f"{note[:1].upper()}{note[1:]}." for note in notes]


def cut_pictures(root: Path, image_ids: list[str]) -> list[bytes]:
    """Small JPEGs of pictures of a set, read from disk each time; empty where there is none."""
    table = read(root)
    known = {row["image_id"]: row for row in table.iter_rows(named=True)}
    rows = [known.get(image_id) for image_id in image_ids[:MAX_PICTURES]]
    with ThreadPoolExecutor(thumbnail.THREADS, "set") as pool:
        return list(pool.map(lambda row: _cut(root, row), rows))


def _cut(root: Path, row: Mapping[str, Any] | None) -> bytes:
    """Small JPEG of a picture of the set."""
    if row is None:
        return b""
    size = {"width_px": row["width_px"], "height_px": row["height_px"]}
    return thumbnail.cut(ThumbnailSource(file=safe_path.join(root, row["file"]), **size))


def decide(root: Path, message: Mapping[str, Any], user: str) -> str:
    """Note a person's decision about a set, and say what was noted.

    Parameters
    ----------
    root : Path
        The film's folder.
    message : mapping
        `character`, `set_hash` and `num_said` as `list_sets` gave them, and `is_withdrawn`.
    user : str
        Who decides.

    Raises
    ------
    UserError
        See `approval.decide`.
    """
    name = str(message["character"])
    shown = SetState(
        character=name,
        set_hash=str(message["set_hash"]),
        num_images=0,
        state="open",
        last=None,
        num_said=int(message["num_said"]),
    )
    at = datetime.now(UTC).isoformat(timespec="seconds")
    is_withdrawn = bool(message.get("is_withdrawn", False))
    made = approval.decide(read(root), root, shown, by=user, at=at, is_withdrawn=is_withdrawn)
    if is_withdrawn:
        return f"withdrew the approval of the training set of {name}"
    return f"approved {made.num_images} pictures of {name}"
