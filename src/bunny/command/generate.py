"""`bunny generate`: pictures from prompts, or one picture again from its PNG.

The stage's pictures and tables are left alone; what is drawn here goes to a folder with an index of
its own, one JSON object a line. Options that are not given are as the settings say.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from bunny.command import film_workspace
from bunny.command.option.model import GenerateOptions
from bunny.core import config as configuration
from bunny.core import exit_code, input_path, jsonl, safe_path, workspace
from bunny.core.config import Config, GenerationConfig
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.dataset.crop_caption import CaptionWords
from bunny.generation import plan, request
from bunny.generation.plan import GridColumn
from bunny.generation.request import GenerationRequest, InitImage
from bunny.table import store

if TYPE_CHECKING:
    from PIL import Image

    from bunny.training.base import Base


SEEDS_DEFAULT = (1,)
logger = logging.getLogger(__name__)

PARTS = (*workspace.ADAPTERS, "frame/*", "dataset/*", "picture/*")
INDEX, GRID = "index.jsonl", "grid.png"
SLUG_MAX = 40  # characters of the prompt in a file's name


def read_prompts(path: Path) -> list[str]:
    """Prompts of a text file, one a line; empty lines and those that begin with # are left out.

    Raises
    ------
    UserError
        If it is no readable text, or has no prompt.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: expected a text file with one prompt per line, could not read it"
        ) from error
    found = [line.strip() for line in text.splitlines()]
    found = [line for line in found if line and not line.startswith("#")]
    if not found:
        raise UserError(f"{path}: expected one prompt per line, found none; add at least one")
    return found


def _merge(options: GenerateOptions, settings: GenerationConfig) -> GenerationConfig:
    """The settings with the options in their place; seeds are the options' own."""
    width, height = plan.parse_size(options.size) if options.size else (None, None)
    firsts = options.seeds or SEEDS_DEFAULT
    plan.check_number(len(firsts) * options.count)
    seeds = [seed + i for seed in firsts for i in range(options.count)]
    given = {
        "prompts": tuple(options.prompts) or None,
        "seeds": tuple(dict.fromkeys(seeds)),
        "strengths": tuple(options.strengths) or None,
        "scheduler": options.scheduler,
        "num_steps": options.num_steps,
        "guidance_scale": options.guidance_scale,
        "width": width,
        "height": height,
        "negative_prompt": options.negative_prompt,
        "init_frames": tuple(options.frames) or None,
        "init_strength": options.init_strength,
        "blend": tuple(options.blend) or None,
        "checkpoints": options.checkpoint,
    }
    return settings.model_copy(update={k: v for k, v in given.items() if v is not None})


def _find_training_run(space: Workspace, character: str | None) -> dict[str, Any]:
    """The fine-tune that is meant."""
    table = store.read_or_empty(space.table, "training_run").filter(pl.col("status") == "done")
    names = table["character"].sort().to_list()
    if not names:
        raise UserError(
            f"{space.film_id}: expected a finished fine-tune, found none; run stage finetune first"
        )
    if character is None and len(names) == 1:
        character = names[0]
    if character not in names:
        got = "none given" if character is None else f"got {character}"
        raise UserError(
            f"--character: expected a character with an adapter ({', '.join(names)}), {got}"
        )
    return table.filter(pl.col("character") == character).row(0, named=True)


def choose_columns(
    space: Workspace, config: Config, options: GenerateOptions, run: dict[str, Any]
) -> tuple[list[GridColumn], list[str]]:
    """What draws: checkpoints at strengths; strength 0 is the base alone.

    Parameters
    ----------
    run : dict
        As `_find_training_run` gives it.

    Returns
    -------
    list of GridColumn
    list of str
        What the user should know.

    Raises
    ------
    UserError
        For a strength, a checkpoint or a blend that there is not.
    """
    settings = _merge(options, config.generation)
    strengths = settings.strengths or (settings.lora_strength,)
    wrong = [s for s in strengths if not 0 <= s <= plan.STRENGTH_MAX]
    if wrong:
        raise UserError(
            f"--strength {wrong[0]:g}: expected a number from 0 to {plan.STRENGTH_MAX:g}"
        )
    which = settings.checkpoints
    if which not in ("chosen", "last", "all") and not which.isdecimal():
        raise UserError(f"--checkpoint {which}: expected chosen, last, all or a step, e.g. 300")
    made, note = plan.run_columns(
        settings,
        run,
        [s for s in strengths if s > 0],
        space.checkpoint,
        store.read_or_empty(space.table, "adapter"),
        store.read_or_empty(space.table, "evaluation"),
    )
    return (made if 0 in strengths else made[1:]), [note] if note else []


def make_requests(
    space: Workspace, config: Config, options: GenerateOptions, run: dict[str, Any]
) -> list[GenerationRequest]:
    """Prompts, starts and seeds of the options; what they leave open is as the settings say.

    Parameters
    ----------
    run : dict
        As `_find_training_run` gives it; its character's words stand for ``{trigger}``.

    Raises
    ------
    UserError
        For a size or a picture to start from that cannot be used.
    """
    settings = _merge(options, config.generation)
    words = CaptionWords.of(config.captioning, run["character"])
    return plan.requests(settings, words.subject, _starts(space, settings))


def _starts(space: Workspace, settings: GenerationConfig) -> list[InitImage]:
    """Pictures to start from: files, else frames of the film."""
    strength, names = settings.init_strength, settings.init_frames
    if not 0 < strength <= 1:
        raise UserError(f"--init-strength {strength:g}: expected a number above 0 and at most 1")
    if not names:
        return []
    frame = store.read_or_empty(space.table, "frame")
    return [
        request.load_init_image(Path(name).expanduser(), strength)
        if Path(name).expanduser().is_file()
        else plan.load_init_frames(space.root, frame, [name], strength)[0]
        for name in names
    ]


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
        return exit_code.DONE if self.files else exit_code.FAILED

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

    Raises
    ------
    UserError
        For what this film or base cannot draw; before anything is drawn.
    """
    from bunny.training import base as base_model

    if output is not None:
        input_path.check_output_folder(output)
    if options.prompt_file is not None:
        listed = read_prompts(options.prompt_file)
        options = replace(options, prompts=[*options.prompts, *listed])
    space, config = film_workspace.open_film(film, data_dir, overrides, PARTS)
    run = _find_training_run(space, options.character)
    columns, notes = choose_columns(space, config, options, run)
    drawings = make_requests(space, config, options, run)
    models = config.models
    loaded = base_model.load_base(
        models.base_model, family=models.family, precision=models.precision
    )
    if any(c.adapters for c in columns):
        plan.check_run_base(loaded, run)
    place = output or space.root / "picture" / "own"
    about = {"film_id": space.film_id, "run_id": run["run_id"], "character": run["character"]}
    made = _draw_columns(loaded, config, drawings, columns, place, about)
    cut = request.truncated_prompts(loaded, [d.prompt for d in drawings])
    notes += [f"too long for the text encoder; its end is ignored: {prompt}" for prompt in cut]
    is_checked = config.generation.has_safety_checker
    state = request.safety_checker_state(loaded, is_checked)
    notes += [f"safety checker: {state}"] if is_checked else []
    return GenerateResult(output=place, files=made[0], errors=made[1], notes=notes)


def _draw_columns(
    loaded: Base,
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
    pictures: dict[tuple[int, str], Image.Image] = {}
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
        drawn_grid = grid.draw_grid(grid.arrange(pictures, drawings, columns))
        provenance.save_png(place / GRID, drawn_grid, about)
    return files, errors


def _file_name(facts: dict[str, Any]) -> str:
    """The prompt's words, the seed, and a hash of all that decides the picture."""
    words = re.sub(r"\W+", "-", facts["prompt"])[:SLUG_MAX].strip("-_").lower()
    key = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
    return f"{words or 'picture'}-{facts['seed']}-{key[:8]}.png"


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
    from bunny.generation import reproduce

    if output is not None:
        input_path.check_output_folder(output)
    facts = reproduce.read_reproducible(picture)
    spaces, configured = _spaces(facts, data_dir, overrides)
    files = [*adapters, *(f for s in spaces for f in sorted(s.checkpoint.rglob("*.safetensors")))]
    worn = reproduce.find_adapters(facts, files) if facts["adapters"] else []
    drawing = reproduce.to_request(facts, frame or _frame_file(facts, spaces))
    loaded = reproduce.load_base(facts, configured)
    drawn = reproduce.draw_again(loaded, facts, drawing, worn)
    if drawn.picture is None:
        return GenerateResult(output=picture.parent, files=[], errors=[drawn.error or ""])
    path = (output or picture.parent) / f"{picture.stem}-again.png"
    drawn.save(path, {k: v for k, v in facts.items() if k not in drawn.provenance})
    note, largest = reproduce.compare(picture, drawn.picture, reproduce.differences(loaded, facts))
    return GenerateResult(
        output=path.parent,
        files=[path],
        notes=[note],
        facts={"is_same": not largest, "largest_difference": largest},
    )


def _spaces(
    facts: dict[str, Any], data_dir: str | None, overrides: Sequence[str]
) -> tuple[list[Workspace], str]:
    """Workspaces that may have a picture's adapters and frames, and the base of the settings.

    The picture's own film comes first.
    """
    root = workspace.project_root()
    last = [] if data_dir is None else [f"project.data_dir={json.dumps(data_dir)}"]
    config = configuration.load(root, [*overrides, *last])
    found = workspace.find(root, config.project.data_dir, has_series=True)
    own_first = sorted(found, key=lambda space: space.film_id != facts.get("film_id"))
    return own_first, config.models.base_model


def _frame_file(facts: dict[str, Any], spaces: Sequence[Workspace]) -> Path | None:
    """The frame that a drawing started from, where its film is known."""
    for space in spaces:
        frame = store.read_or_empty(space.table, "frame")
        rows = frame.filter(pl.col("frame_id") == (facts.get("init_frame") or ""))
        if rows.height and rows["file"][0]:
            return safe_path.join(space.root, rows["file"][0])
    return None
