"""Options of `bunny generate`: adapters, prompts, seeds and start frames they stand for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from bunny.core.config import Config, GenerationConfig
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.dataset.crop_caption import CaptionWords
from bunny.generation import plan, request
from bunny.generation.plan import GridColumn
from bunny.generation.request import GenerationRequest, InitImage
from bunny.table import store

SEEDS_DEFAULT = (1,)


@dataclass(frozen=True, kw_only=True)
class GenerateOptions:
    """What is asked for on the command line; None and empty: as the settings say."""

    prompts: Sequence[str] = ()
    seeds: Sequence[int] = ()
    count: int = 1  # pictures of each prompt, from the first seed on
    strengths: Sequence[float] = ()
    scheduler: str | None = None
    num_steps: int | None = None
    guidance_scale: float | None = None
    size: str | None = None  # <width>x<height>
    negative_prompt: str | None = None
    frames: Sequence[str] = ()  # frame_ids or files
    init_strength: float | None = None
    blend: Sequence[str] = ()
    checkpoint: str | None = None  # chosen, last, all, or a step
    character: str | None = None

    def merge(self, settings: GenerationConfig) -> GenerationConfig:
        """The settings with the options in their place; seeds are the options' own.

        Raises
        ------
        UserError
            For a size that cannot be read.
        """
        width, height = plan.parse_size(self.size) if self.size else (None, None)
        seeds = [seed + i for seed in self.seeds or SEEDS_DEFAULT for i in range(self.count)]
        given = {
            "prompts": tuple(self.prompts) or None,
            "seeds": tuple(dict.fromkeys(seeds)),
            "strengths": tuple(self.strengths) or None,
            "scheduler": self.scheduler,
            "num_steps": self.num_steps,
            "guidance_scale": self.guidance_scale,
            "width": width,
            "height": height,
            "negative_prompt": self.negative_prompt,
            "init_frames": tuple(self.frames) or None,
            "init_strength": self.init_strength,
            "blend": tuple(self.blend) or None,
            "checkpoints": self.checkpoint,
        }
        return settings.model_copy(update={k: v for k, v in given.items() if v is not None})


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


def find_training_run(space: Workspace, character: str | None) -> dict[str, Any]:
    """The fine-tune that is meant.

    Parameters
    ----------
    space : Workspace
    character : str or None
        None: the only one that has a finished fine-tune.

    Returns
    -------
    dict
        A row of table training_run.

    Raises
    ------
    UserError
        If there is none, or it is not said which.
    """
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


def columns(
    space: Workspace, config: Config, options: GenerateOptions, run: dict[str, Any]
) -> tuple[list[GridColumn], list[str]]:
    """What draws: checkpoints at strengths; strength 0 is the base alone.

    Parameters
    ----------
    space : Workspace
    config : Config
    options : GenerateOptions
    run : dict
        As `find_training_run` gives it.

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
    settings = options.merge(config.generation)
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


def drawings(
    space: Workspace, config: Config, options: GenerateOptions, run: dict[str, Any]
) -> list[GenerationRequest]:
    """Prompts, starts and seeds of the options; what they leave open is as the settings say.

    Parameters
    ----------
    space : Workspace
    config : Config
    options : GenerateOptions
    run : dict
        As `find_training_run` gives it; its character's words stand for ``{trigger}``.

    Returns
    -------
    list of GenerationRequest

    Raises
    ------
    UserError
        For a size or a picture to start from that cannot be used.
    """
    settings = options.merge(config.generation)
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
