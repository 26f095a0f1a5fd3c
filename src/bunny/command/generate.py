"""`bunny generate`: pictures from prompts, or one picture again from its PNG.

The stage's pictures and tables are left alone; what is drawn here goes to a folder with an index of
its own, one JSON object a line.
"""

import hashlib
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from bunny.command import film_workspace, generate_request
from bunny.command.generate_request import GenerateOptions
from bunny.core import config as configuration
from bunny.core import jsonl, workspace
from bunny.core.config import Config
from bunny.core.workspace import Workspace
from bunny.generation import plan, request
from bunny.generation.plan import GridColumn
from bunny.generation.request import GenerationRequest
from bunny.table import store

logger = logging.getLogger(__name__)

INDEX, GRID = "index.jsonl", "grid.png"
SLUG_MAX = 40  # characters of the prompt in a file's name


@dataclass(frozen=True, kw_only=True)
class GenerateResult:
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
        lines += [f"  not generated: {error}" for error in self.errors]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    def to_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps(asdict(self), default=str)


def generate(
    film: str | None,
    options: GenerateOptions,
    *,
    output: Path | None = None,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
) -> GenerateResult:
    """Draw pictures with a film's adapter.

    Parameters
    ----------
    film : str or None
        A film_id or how it begins; None: the newest.
    options : GenerateOptions
        ``{trigger}`` in prompts becomes the character's words. Strength 0 is the base alone.
    output : Path or None
        None: ``picture/own`` of the film.
    data_dir, overrides
        As everywhere.

    Returns
    -------
    GenerateResult

    Raises
    ------
    UserError
        For what this film or base cannot draw; before anything is drawn.
    """
    from bunny.training import base as base_model

    space, config = film_workspace.open_film(film, data_dir, overrides)
    run = generate_request.find_training_run(space, options.character)
    columns, notes = generate_request.columns(space, config, options, run)
    drawings = generate_request.drawings(space, config, options, run)
    models = config.models
    loaded = base_model.load_base(
        models.base_model, family=models.family, precision=models.precision
    )
    if any(c.adapters for c in columns):
        plan.check_run_base(loaded, run)
    place = output or space.root / "picture" / "own"
    made = _draw_columns(loaded, config, drawings, columns, place, _about(space, run))
    cut = request.truncated_prompts(loaded, [d.prompt for d in drawings])
    notes += [f"too long for the text encoder, the end is ignored: {prompt}" for prompt in cut]
    is_checked = config.generation.has_safety_checker
    state = request.safety_checker_state(loaded, is_checked)
    notes += [f"safety checker: {state}"] if is_checked else []
    return GenerateResult(output=place, files=made[0], errors=made[1], notes=notes)


def _draw_columns(
    loaded: Any,
    config: Config,
    drawings: Sequence[GenerationRequest],
    columns: Sequence[GridColumn],
    place: Path,
    about: dict[str, Any],
) -> tuple[list[Path], list[str]]:
    """Draw and write pictures as they come; the files and what went wrong."""
    from tqdm.auto import tqdm

    from bunny.generation import grid, provenance, sampler

    files: list[Path] = []
    errors: list[str] = []
    pictures: dict[tuple[int, str], Any] = {}
    with tqdm(total=len(drawings) * len(columns), desc="generate ", unit="picture") as bar:
        for column in columns:
            for drawn in sampler.generate(
                loaded,
                drawings,
                column.adapters,
                batch_size=config.generation.batch_size,
                has_safety_checker=config.generation.has_safety_checker,
            ):
                bar.update()
                if drawn.picture is None:
                    errors.append(f"{drawings[drawn.index].prompt}: {drawn.error}")
                    continue
                step = column.checkpoint.step if column.checkpoint else None
                facts = drawn.provenance | about | {"step": step}
                path = place / _file_name(facts)
                drawn.save(path, facts)
                jsonl.append(place / INDEX, [{"file": path.name, **facts}])
                files.append(path)
                pictures[drawn.index, column.key] = drawn.picture
    if len(pictures) > 1:
        table = plan.grid_arguments(pictures, drawings, columns)
        provenance.save_png(place / GRID, grid.draw_grid(**table), about)
    return files, errors


def _file_name(facts: dict[str, Any]) -> str:
    """The prompt's words, the seed, and a hash of all that decides the picture."""
    words = re.sub(r"\W+", "-", facts["prompt"])[:SLUG_MAX].strip("-_").lower()
    key = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
    return f"{words or 'picture'}-{facts['seed']}-{key[:8]}.png"


def _about(space: Workspace, run: dict[str, Any]) -> dict[str, Any]:
    return {"film_id": space.film_id, "run_id": run["run_id"], "character": run["character"]}


def regenerate(
    picture: Path,
    *,
    output: Path | None = None,
    adapters: Sequence[Path] = (),
    frame: Path | None = None,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
) -> GenerateResult:
    """Draw a picture once more from what stands in its PNG, and compare.

    Parameters
    ----------
    picture : Path
        As `bunny generate` or stage generate wrote it.
    output : Path or None
        A folder; None: beside the picture.
    adapters : sequence of Path
        Where its adapters lie, if not where they were.
    frame : Path or None
        The picture that it started from, if not where it was.
    data_dir, overrides
        As everywhere.

    Returns
    -------
    GenerateResult
        `notes` say whether it is the same, and if not, which version differs.

    Raises
    ------
    UserError
        If base, adapter or start are missing or changed.
    """
    import numpy as np
    from PIL import Image

    from bunny.generation import reproduce
    from bunny.training import base as base_model

    facts = reproduce.read_reproducible(picture)
    spaces = _spaces(facts, data_dir, overrides)
    files = [*adapters, *(f for s in spaces for f in sorted(s.checkpoint.rglob("*.safetensors")))]
    worn = reproduce.find_adapters(facts, files) if facts["adapters"] else []
    drawing = reproduce.to_request(facts, frame or _frame_file(facts, spaces))
    loaded = base_model.load_base(
        facts["base_model"], precision=_precision(facts), family=facts.get("base_family", "auto")
    )
    drawn = reproduce.draw_again(loaded, facts, drawing, worn)
    if drawn.picture is None:
        return GenerateResult(output=picture.parent, files=[], errors=[drawn.error or ""])
    path = (output or picture.parent) / f"{picture.stem}-again.png"
    drawn.save(path, {k: v for k, v in facts.items() if k not in drawn.provenance})
    with Image.open(picture) as before:
        off = np.abs(np.asarray(before, np.int16) - np.asarray(drawn.picture, np.int16))
    return GenerateResult(
        output=path.parent,
        files=[path],
        notes=[_compared(off, reproduce.differences(loaded, facts))],
        facts={"is_same": not off.any(), "largest_difference": int(off.max())},
    )


def _spaces(
    facts: dict[str, Any], data_dir: str | None, overrides: Sequence[str]
) -> list[Workspace]:
    """Workspaces that may have a picture's adapters and frames, its own film first."""
    root = workspace.project_root()
    last = [] if data_dir is None else [f"project.data_dir={json.dumps(data_dir)}"]
    config = configuration.load(root, [*overrides, *last])
    found = workspace.find(root, config.project.data_dir, None)
    return sorted(found, key=lambda space: space.film_id != facts.get("film_id"))


def _frame_file(facts: dict[str, Any], spaces: Sequence[Workspace]) -> Path | None:
    """The frame that a drawing started from, where its film is known."""
    for space in spaces:
        frame = store.read_or_empty(space.table, "frame")
        rows = frame.filter(pl.col("frame_id") == (facts.get("init_frame") or ""))
        if rows.height and rows["file"][0]:
            return space.root / rows["file"][0]
    return None


def _precision(facts: dict[str, Any]) -> str:
    """The settings' word for the numbers that a picture was drawn in."""
    words = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
    return words.get(facts.get("dtype", ""), "auto")


def _compared(off: Any, changed: Sequence[str]) -> str:
    """Whether it is the same picture; if not, why."""
    if not off.any():
        return "identical, bit for bit"
    words = (
        f"differs in {100 * (off.max(axis=-1) > 0).mean():.1f} % of the pixels, by at most "
        f"{off.max()} of 255"
    )
    return f"{words}; changed since: {', '.join(changed)}" if changed else f"{words}; same versions"
