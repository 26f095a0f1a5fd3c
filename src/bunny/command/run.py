"""`bunny run`: the stages of one film or several, and their reports."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bunny import pipeline
from bunny.command import film_workspace, run_check
from bunny.command.option.common import FilmOptions
from bunny.command.option.film import RunOptions
from bunny.contract import progress
from bunny.contract.result import StageResult
from bunny.core import config as configuration
from bunny.core import disk_full, exit_code, film_file, input_path, log, workspace
from bunny.core.config import Config
from bunny.core.error import BunnyError, UserError
from bunny.core.film_file import FilmAddress, FilmPlace
from bunny.core.workspace import Workspace

logger = logging.getLogger(__name__)

# The demo's own choices, kept with its film so that every command knows them; --set wins.
DEMO_SETTINGS = (
    "models.base_model=toy",
    "models.characters=[bunny]",
    "extraction.extra_interval_seconds=0.5",
    "clip.preset=wan",
    "models.training_steps=400",
    "models.batch_size=8",
    "models.learning_rate=0.001",
    "models.checkpoint_every=200",
    # the film never shows the bunny on a mountain, in a street or in the desert
    'generation.prompts=["{trigger} on a mountain, medium shot, day",'
    '"{trigger} in a city street, close-up, day","{trigger} in a desert, medium shot, day",'
    '"{trigger} on a mountain, close-up, dusk"]',
    "generation.seeds=[1,2,3]",
    "captioning.has_background_colours=true",  # as the captions that the toy base was trained on
    "captioning.has_sides=false",  # which those do not say
    "generation.guidance_scale=2.5",  # the toy base frays at more
    "generation.lora_strength=1.2",
    "evaluation.guidance_scale=2.5",
    'evaluation.report_prompts=["{trigger} in a desert, close-up, day",'
    '"{trigger} in a city street, medium shot, day","{trigger} on a mountain, close-up, day",'
    '"{trigger} in a desert, medium shot, dusk","{trigger} in a city street, close-up, day",'
    '"{trigger} on a mountain, medium shot, dusk","{trigger} in a desert, medium shot, day",'
    '"{trigger} in a city street, medium shot, dusk"]',
    'evaluation.choose_prompts=["{trigger} in a forest, medium shot, day",'
    '"{trigger} in a bedroom, close-up, day","{trigger} on a mountain, medium shot, night"]',
)


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """How a run of one film ended and where its results are."""

    space: Workspace
    results: Sequence[StageResult]
    seconds: float
    report: Path | None
    advice: Sequence[str] = ()  # what to do next, and what would make the captions better

    def to_json(self) -> str:
        """One JSON object on one line."""
        return pipeline.to_json(self.space, self.results, self.seconds)

    def to_text(self) -> str:
        """Lines for a person."""
        took = {r.name: r.seconds for r in self.results if r.status == "done"}
        rest = {"the rest": max(0.0, self.seconds - sum(took.values()))}
        shares = f" ({progress.describe_shares(took | rest)})" if took else ""
        lines = [f"{self.space.film_id}: {self.seconds:.1f} s{shares}"]
        places = {
            "report": self.report,
            "training set": self.space.root / "dataset",
            "adapter": self.space.checkpoint,
            "pictures": self.space.root / "picture",
            "tables": self.space.table,
        }
        lines += [f"  {k:13}{v}" for k, v in places.items() if v is not None and v.exists()]
        return "\n".join([*lines, *self.advice])


@dataclass(frozen=True, kw_only=True)
class FilmFailure:
    """Why one of several films could not be run; the others are."""

    film: FilmPlace
    error: Exception

    @property
    def exit_code(self) -> int:
        """The code that a run of this film alone would end with."""
        return exit_code.of_error(self.error)

    def to_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps({"film": str(self.film), "error": self._sentence()})

    def to_text(self) -> str:
        """One line for a person, which names the film."""
        sentence = self._sentence()
        is_named = sentence.startswith((f"{self.film}:", f"{self.film.resolve()}:"))
        return sentence if is_named else f"{self.film}: {sentence}"

    def _sentence(self) -> str:
        if isinstance(self.error, BunnyError):
            return str(self.error)
        if disk := disk_full.describe(self.error):
            return disk
        return f"unexpected {type(self.error).__name__}: {self.error}"


def pair_references(
    films: Sequence[FilmPlace], references: Sequence[Path]
) -> list[tuple[FilmPlace, Path | None]]:
    """Each film with its folder of references: one folder for all, or one a film, in order.

    Raises
    ------
    UserError
        For another number of folders.
    """
    if len(references) > 1 and len(references) != len(films):
        raise UserError(
            f"--references: expected one folder for all films, or one for each of {len(films)}, "
            f"got {len(references)}"
        )
    folders = list(references) if len(references) > 1 else [*references, None][:1] * len(films)
    return list(zip(films, folders, strict=True))


def run_films(
    films: Sequence[FilmPlace],
    references: Sequence[Path],
    options: RunOptions,
    *,
    is_debug: bool = False,
) -> Iterator[RunReport | FilmFailure]:
    """Run several films one after the other; one that fails does not stop the rest.

    Parameters
    ----------
    references : sequence of Path
        See `pair_references`.
    is_debug : bool
        Log tracebacks.

    Yields
    ------
    RunReport or FilmFailure
        As each film ends, in order.

    Raises
    ------
    UserError
        Before the first film, for what is wrong for all: references, settings, stage names.
    """
    pairs = pair_references(films, references)
    config = film_workspace.load_settings(options.data_dir, options.overrides)[1]
    pipeline.choose_stages(config, options.stages, options.until)
    for film, folder in pairs:
        try:
            yield run_film(film, folder, options, is_debug=is_debug)
        except KeyboardInterrupt:  # one that came while a film was read is an `Exception` too
            raise
        except Exception as error:
            logger.debug("%s failed", film, exc_info=is_debug)
            yield FilmFailure(film=film, error=error)


def run_film(
    film: FilmPlace,
    references: Path | None,
    options: RunOptions,
    *,
    own: Sequence[str] | None = None,
    is_debug: bool = False,
) -> RunReport:
    """Run the stages of a film and write its report, where the settings want one.

    Parameters
    ----------
    film : Path or FilmAddress
        A film, a folder of pictures, an address of S3, or a film_id or how it begins of one
        that was run before.
    own : sequence of str, optional
        Settings to keep with the film, see `workspace.save_settings`; None: as they are.

    Raises
    ------
    UserError
        For a film, folder, setting or stage name that cannot be used.
    """
    started = time.monotonic()
    data_dir, overrides = options.data_dir, options.overrides
    root, config = film_workspace.load_settings(data_dir, overrides)
    pipeline.choose_stages(config, options.stages, options.until)  # refuses wrong names
    input_path.check_references(references)
    film = find_film_file(film, root, config)
    space = workspace.of_film(root, config.project.data_dir, film)
    with workspace.discard_unused(space):
        if own is not None:
            workspace.save_settings(space, own)
        config = film_workspace.load_settings(data_dir, overrides, space)[1]
        stages = pipeline.choose_stages(config, options.stages, options.until)
        if not pipeline.is_up_to_date(space, config, stages):
            run_check.check_settings(config, stages)
        workspace.create(root, config.project.data_dir, film, references)
        log.configure(space.log / space.film_id, is_verbose=is_debug)
        configuration.load_secrets(root)
        results = _run_stages(space, config, stages, options)
    if pipeline.is_distributed_worker():
        seconds = time.monotonic() - started
        return RunReport(space=space, results=results, seconds=seconds, report=None)
    report = space.root / "report.html"
    is_there = workspace.has_files(space, [report.name])
    is_old = not is_there or any(r.status != "skipped" for r in results)
    if config.pipeline.has_report and is_old:
        from bunny.view.report import page

        workspace.fetch(space, workspace.PICTURES)
        report = page.write(space, config)
        workspace.publish(space)
    pipeline.status(space, config)  # kept, so that the next run need not look
    advice = _ways_on(space, config) if any(r.status != "skipped" for r in results) else []
    seconds = time.monotonic() - started
    return RunReport(space=space, results=results, seconds=seconds, report=report, advice=advice)


def _run_stages(
    space: Workspace, config: Config, stages: Sequence[str], options: RunOptions
) -> list[StageResult]:
    """Run the stages of a film, or with ``--notebooks`` their notebooks."""
    if pipeline.is_distributed_worker():
        return pipeline.run_distributed_worker(space, config, stages)
    if not options.is_notebook:
        return pipeline.run(space, config, stages)
    from bunny import notebook

    overrides, data_dir = options.overrides, options.data_dir
    return notebook.run(space, config, stages, overrides=overrides, data_dir=data_dir)


def _ways_on(space: Workspace, config: Config) -> list[str]:
    """Advice on better captions and models, and on a training set while no base model is set."""
    from bunny.character.drawn import medium
    from bunny.command import caption, models
    from bunny.dataset import image_folder
    from bunny.table import store
    from bunny.training.family import known_base

    pictures = store.read_or_empty(space.table, "dataset")
    found = [models.hint(space, config)]
    if pictures.height:
        found.append(caption.hint(space, config))
    hints = [f"  {one}" for one in found if one]
    if pictures.is_empty() or config.models.base_model:
        return hints
    is_drawn = medium.is_mostly_drawn(store.read_or_empty(space.table, "shot_medium"))
    sizes = list(pictures.select("width_px", "height_px").iter_rows())
    large = image_folder.count_enough(
        sizes, known_base.FAMILY_PX["sdxl"], config.dataset.max_upscale
    )
    large_base = "illustrious" if is_drawn else "sdxl"
    base = known_base.BY_NAME[large_base if 2 * large >= len(sizes) else "sd15"]
    what = "drawn" if is_drawn else "photographed"
    own = config.models
    num_images = own.training_steps * own.batch_size * own.gradient_accumulation
    again = f"bunny run {space.film_id} --set models.base_model="
    return [
        *hints,
        "no base model is set, so the run ended at the training set; next you can:",
        f"  train        {again}{base.hub_id}   ({base.title}, for {what} film;",
        f"               {base.needs(num_images)})",
        f"  export       bunny export kohya {space.film_id} --base {base.name}   (another trainer)",
        f"  try          {again}toy   (128 px, on a CPU in minutes, to see every stage)",
    ]


def write_report(chosen: FilmOptions) -> str:
    """Write the report of a known film again; gives its path as text."""
    from bunny.view.report import page

    given = (chosen.film, chosen.data_dir, chosen.overrides)
    space, config = film_workspace.open_film(*given, workspace.PICTURES)
    report = page.write(space, config)
    workspace.publish(space)
    return str(report)


def find_film_file(film: FilmPlace, root: Path, config: Config) -> FilmPlace:
    """Find the film itself, also where a known one is named by its film_id or how that begins.

    Raises
    ------
    UserError
        For a path that cannot be used, or more than one film that begins so.
    """
    input_path.check_path(film)
    if isinstance(film, FilmAddress):
        return film
    if film.exists():
        return film
    known = workspace.find(root, config.project.data_dir, str(film), has_series=True)
    if not known:
        return film
    film_workspace.check_one(str(film), known)
    if known[0].is_series:
        raise UserError(
            f"{film}: expected a film, found a set built from many films; `bunny library "
            "train` runs it"
        )
    return film_file.locate(known[0].source()["film"])
