"""What `bunny generate` does: pictures of one's own, beside those of stage generate.

The stage's pictures and tables are left alone; what is drawn here goes to a folder with an index of
its own, one JSON object a line.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bunny.command import generate_request
from bunny.command import run as command_run
from bunny.command.generate_request import Wish
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.generation import plan, request
from bunny.generation.plan import Column
from bunny.generation.request import Drawing

logger = logging.getLogger(__name__)

INDEX, GRID = "index.jsonl", "grid.png"
SLUG_MAX = 40  # characters of the prompt in a file's name


@dataclass(frozen=True, kw_only=True)
class Generated:
    """What was drawn."""

    output: Path
    files: Sequence[Path]
    errors: Sequence[str] = ()
    notes: Sequence[str] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """1 when nothing could be drawn."""
        return 0 if self.files else 1

    def to_text(self) -> str:
        """Lines for a person."""
        word = "picture" if len(self.files) == 1 else "pictures"
        lines = [f"{len(self.files)} {word} in {self.output}"]
        lines += [f"  {path.name}" for path in self.files]
        lines += [f"  not drawn: {error}" for error in self.errors]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    def to_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps(asdict(self), default=str)


def draw(
    film: str | None,
    wish: Wish,
    *,
    output: Path | None = None,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
) -> Generated:
    """Draw pictures with a film's adapter.

    Parameters
    ----------
    film : str or None
        A film_id or how it begins; None: the newest.
    wish : Wish
        ``{trigger}`` in prompts becomes the character's words. Strength 0 is the base alone.
    output : Path or None
        None: ``picture/own`` of the film.
    data_dir, overrides
        As everywhere.

    Returns
    -------
    Generated

    Raises
    ------
    UserError
        For what this film or base cannot draw; before anything is drawn.
    """
    from bunny.training import base as base_model

    space, config = command_run.open_film(film, data_dir, overrides)
    run = generate_request.run_of(space, wish.character)
    columns, notes = generate_request.columns(space, config, wish, run)
    drawings = generate_request.drawings(space, config, wish, run)
    models = config.models
    loaded = base_model.load_base(
        models.base_model, family=models.family, precision=models.precision
    )
    if loaded.hash != run["base_hash"] and any(c.adapters for c in columns):
        raise UserError(
            f"models.base_model: expected the base that {run['character']} was trained on "
            f"({run['base_model']}), got {loaded.name}; fine-tune on this one first"
        )
    place = output or space.root / "picture" / "own"
    made = _draw_columns(loaded, config, drawings, columns, place, _about(space, run))
    cut = request.cut_prompts(loaded, [d.prompt for d in drawings])
    notes += [f"too long, the end is not read: {prompt}" for prompt in cut]
    is_checked = config.generation.has_safety_checker
    state = request.checker_state(loaded, is_checked)
    notes += [f"safety checker: {state}"] if is_checked else []
    return Generated(output=place, files=made[0], errors=made[1], notes=notes)


def _draw_columns(
    loaded: Any,
    config: Config,
    drawings: Sequence[Drawing],
    columns: Sequence[Column],
    place: Path,
    about: dict[str, Any],
) -> tuple[list[Path], list[str]]:
    """Draw and write pictures as they come; the files and what went wrong."""
    from tqdm.auto import tqdm

    from bunny.generation import grid, provenance, sampler

    is_checked = config.generation.has_safety_checker
    batches = sampler.split(drawings, config.generation.batch_size)
    files: list[Path] = []
    errors: list[str] = []
    pictures: dict[tuple[int, str], Any] = {}
    with tqdm(total=len(drawings) * len(columns), desc="generate ", unit="picture") as bar:
        for column in columns:
            made = sampler.draw_batches(
                loaded, drawings, batches, column.adapters, has_safety_checker=is_checked
            )
            for drawn in (one for part in made for one in part):
                bar.update()
                if drawn.picture is None:
                    errors.append(f"{drawings[drawn.index].prompt}: {drawn.error}")
                    continue
                step = column.checkpoint.step if column.checkpoint else None
                facts = provenance.provenance_of(
                    loaded,
                    drawings[drawn.index],
                    column.adapters,
                    drawn,
                    has_safety_checker=is_checked,
                )
                facts |= about | {"step": step}
                path = place / _file_name(facts)
                provenance.save_png(path, drawn.picture, facts)
                _note_in_index(place / INDEX, path.name, facts)
                files.append(path)
                pictures[drawn.index, column.key] = drawn.picture
    if len(pictures) > 1:
        table = plan.table_of(pictures, drawings, columns)
        provenance.save_png(place / GRID, grid.draw_grid(**table), about)
    return files, errors


def _file_name(facts: dict[str, Any]) -> str:
    """The prompt's words, the seed, and a hash of all that decides the picture."""
    words = re.sub(r"\W+", "-", facts["prompt"])[:SLUG_MAX].strip("-_").lower()
    key = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
    return f"{words or 'picture'}-{facts['seed']}-{key[:8]}.png"


def _note_in_index(path: Path, name: str, facts: dict[str, Any]) -> None:
    """Append one line; short enough to be written at once, so that two runs do not mix."""
    line = json.dumps({"file": name, **facts}, ensure_ascii=False) + "\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def _about(space: Workspace, run: dict[str, Any]) -> dict[str, Any]:
    return {"film_id": space.film_id, "run_id": run["run_id"], "character": run["character"]}
