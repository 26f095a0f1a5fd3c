"""What stage generate and `bunny generate` draw with: adapters and frames that the tables name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bunny.core.error import UserError
from bunny.generation import plan, request
from bunny.generation.plan import Checkpoint
from bunny.generation.request import Adapter, Start


def checkpoints(
    folder: Path, adapter: pl.DataFrame, evaluation: pl.DataFrame, run_id: str, which: str
) -> tuple[list[Checkpoint], str]:
    """The checkpoints of a fine-tune that are meant.

    Parameters
    ----------
    folder : Path
        Of the film's checkpoints, which the files are relative to.
    adapter, evaluation : pl.DataFrame
        The tables; `evaluation` may be empty.
    run_id : str
    which : str
        ``chosen`` (by the evaluation, else the last), ``last``, ``all``, or a step.

    Returns
    -------
    list of Checkpoint
        By step; empty where the run left none.
    str
        What the user should know; may be empty.

    Raises
    ------
    UserError
        If there is no checkpoint of the step.
    """
    rows = adapter.filter(pl.col("run_id") == run_id).sort("step")
    note = ""
    if which == "chosen":
        step = _chosen_step(evaluation, run_id)
        if step is None or step not in rows["step"]:
            note, which = "no evaluation chose a checkpoint, so the last is drawn with", "last"
        else:
            rows = rows.filter(pl.col("step") == step)
    if which == "last":
        rows = rows.filter(pl.col("is_last")) if rows["is_last"].any() else rows.tail(1)
    elif which.isdecimal():
        steps = rows["step"].to_list()
        rows = rows.filter(pl.col("step") == int(which))
        if rows.is_empty():
            words = ", ".join(map(str, steps)) or "none"
            raise UserError(f"checkpoint {which}: expected a step with an adapter ({words})")
    return [_checkpoint(folder, row) for row in rows.to_dicts()], note


def blended(
    folder: Path, adapter: pl.DataFrame, texts: Sequence[str], character: str
) -> list[Adapter]:
    """Adapters that are put on beside a character's own.

    Parameters
    ----------
    folder : Path
        Of the film's checkpoints.
    adapter : pl.DataFrame
        The table.
    texts : sequence of str
        ``<file or character>:<strength>``; the character that is drawn itself is left out.
    character : str

    Raises
    ------
    UserError
        If there is neither such a file nor such a character.
    """
    found = []
    for name, strength in map(plan.parse_blend, texts):
        path = Path(name).expanduser()
        rows = adapter.filter(pl.col("character") == name).sort("is_last", "step")
        if name == character:
            continue
        if path.is_file():
            found.append(Adapter(path=path, hash=request.hash_file(path), strength=strength))
        elif rows.height:
            last = rows.row(-1, named=True)
            file = folder / last["file"]
            found.append(Adapter(path=file, hash=last["hash"], strength=strength))
        else:
            names = ", ".join(adapter["character"].unique().sort()) or "none"
            raise UserError(
                f"blend {name}: expected an adapter's file or a character with one ({names})"
            )
    return found


def starts(root: Path, frame: pl.DataFrame, names: Sequence[str], strength: float) -> list[Start]:
    """Frames of the film that drawing starts from.

    Parameters
    ----------
    root : Path
        The film's folder.
    frame : pl.DataFrame
        The table.
    names : sequence of str
        Values of frame_id.
    strength : float
        In (0, 1]: the share that is drawn anew.

    Raises
    ------
    UserError
        If there is no such frame, or it has no picture.
    """
    files = dict(frame.select("frame_id", "file").iter_rows())
    missing = [name for name in names if not files.get(name)]
    if missing:
        example = next((name for name, file in files.items() if file), "none")
        raise UserError(
            f"frame {missing[0]}: expected a frame_id of the table frame with a picture, "
            f"e.g. {example}"
        )
    return [request.start_from(root / files[name], strength, name) for name in names]


def _chosen_step(evaluation: pl.DataFrame, run_id: str) -> int | None:
    """The step that the evaluation of a run chose."""
    is_it = (pl.col("run_id") == run_id) & (pl.col("metric") == "chosen")
    found = evaluation.filter(is_it, pl.col("value").is_not_null())["value"]
    return int(found[0]) if len(found) else None


def _checkpoint(folder: Path, row: dict[str, Any]) -> Checkpoint:
    adapter = Adapter(path=folder / row["file"], hash=row["hash"])
    return Checkpoint(step=row["step"], adapter=adapter, file=row["file"])
