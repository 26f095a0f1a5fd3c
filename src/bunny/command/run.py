"""What the commands do with one film: find its workspace, run it, describe it, export it."""

import getpass
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bunny import pipeline
from bunny.contract.stage import StageResult
from bunny.core import config as configuration
from bunny.core import log, workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace

logger = logging.getLogger(__name__)

# The demo's own choices, kept with its film so that every command knows them; --set wins.
DEMO_SETTINGS = (
    "models.characters=[bunny]",
    "extraction.extra_interval_seconds=0.5",
    "models.training_steps=400",
    "models.batch_size=8",
    "models.learning_rate=0.001",
    "models.checkpoint_every=200",
    # the film never shows the bunny on a mountain, in a street or in the desert
    'generation.prompts=["{trigger} on a mountain, medium shot, day",'
    '"{trigger} in a city street, close-up, day","{trigger} in a desert, medium shot, day",'
    '"{trigger} on a mountain, close-up, dusk"]',
    "generation.seeds=[1,2,3]",
    "generation.guidance_scale=2.5",  # the toy base frays at more
    "generation.lora_strength=1.2",
    "evaluation.guidance_scale=2.5",
    'evaluation.report_prompts=["{trigger} in a desert, close-up, day",'
    '"{trigger} in a city street, medium shot, day","{trigger} on a mountain, close-up, day",'
    '"{trigger} in a desert, medium shot, dusk"]',
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

    def to_json(self) -> str:
        """One JSON object on one line."""
        return pipeline.to_json(self.space, self.results, self.seconds)

    def to_text(self) -> str:
        """Lines for a person."""
        lines = [f"{self.space.film_id}: {self.seconds:.1f} s"]
        places = {
            "report": self.report,
            "training set": self.space.root / "dataset",
            "adapter": self.space.checkpoint,
            "pictures": self.space.root / "picture",
            "tables": self.space.table,
        }
        lines += [f"  {k:13}{v}" for k, v in places.items() if v is not None and v.exists()]
        return "\n".join(lines)


def run_film(
    film: Path,
    references: Path | None,
    *,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
    own: Sequence[str] | None = None,
    only: Sequence[str] = (),
    until: str | None = None,
    is_notebook: bool = False,
    is_debug: bool = False,
) -> RunReport:
    """Run the stages of a film and write its report.

    Parameters
    ----------
    film : Path
        A film, a folder of pictures, or a film_id or how it begins of one that was run before.
    own : sequence of str, optional
        Settings to keep with the film, see `workspace.keep_settings`; None: as they are.

    Raises
    ------
    UserError
        For a film, folder, setting or stage name that cannot be used.
    """
    started = time.monotonic()
    root, config = _root_and_config(data_dir, overrides)
    film = _film_file(film, root, config)
    space = workspace.create(root, config.project.data_dir, film, references)
    if own is not None:
        workspace.keep_settings(space, own)
    root, config = _root_and_config(data_dir, overrides, space)
    stages = pipeline.choose(config, only, until)
    log.configure(space.log / space.film_id, is_verbose=is_debug)
    configuration.load_secrets(root)
    if pipeline.trains_along():
        results = pipeline.train_along(space, config, stages)
        seconds = time.monotonic() - started
        return RunReport(space=space, results=results, seconds=seconds, report=None)
    if is_notebook:
        from bunny import notebook

        results = notebook.run(space, config, stages, overrides=overrides, data_dir=data_dir)
    else:
        results = pipeline.run(space, config, stages)
    report = space.root / "report.html"
    if not report.exists() or any(r.status != "skipped" for r in results):
        report = _write_report(space, config)
    seconds = time.monotonic() - started
    return RunReport(space=space, results=results, seconds=seconds, report=report)


def describe_status(film: str | None, data_dir: str | None, overrides: Sequence[str]) -> str:
    """Lines that say for each film which stages are done, stale or never ran."""
    root, config = _root_and_config(data_dir, overrides)
    spaces = workspace.find(root, config.project.data_dir, film)
    if not spaces:
        if film:
            raise _no_such_film(film, config)
        return "no film yet; run `bunny demo` or `bunny run FILM --references DIR`"
    return "\n".join(_describe(s, data_dir, overrides) for s in spaces)


def write_report(film: str | None, data_dir: str | None, overrides: Sequence[str]) -> str:
    """Write the report of a known film; returns its path as text."""
    space, config = open_film(film, data_dir, overrides)
    return str(_write_report(space, config))


def export_json(film: str | None, data_dir: str | None, output: Path | None) -> str:
    """Write metadata.json of a known film; returns its path as text."""
    from bunny.table import metadata, store

    space, _ = open_film(film, data_dir)
    path = output or space.root / "metadata.json"
    if path.is_dir():
        raise UserError(f"{path}: expected a file to write, got a folder; name a file in it")
    store.write_bytes(path, metadata.to_json(space.table).encode())
    return str(path)


def open_film(
    film: str | None, data_dir: str | None = None, overrides: Sequence[str] = ()
) -> tuple[Workspace, Config]:
    """Workspace and settings of a known film; the newest one when `film` is empty.

    Raises
    ------
    UserError
        If no film, or more than one, begins with `film`.
    """
    root, config = _root_and_config(data_dir, overrides)
    spaces = workspace.find(root, config.project.data_dir, film or None)
    if not spaces:
        raise _no_such_film(film, config)
    if film:
        _check_one(film, spaces)
    space = spaces[-1]
    return space, _root_and_config(data_dir, overrides, space)[1]


def login(otherwise: str) -> str:
    """The name that somebody is logged in by, or `otherwise`, as in a container without one."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # the last on Windows
        return otherwise


def _describe(space: Workspace, data_dir: str | None, overrides: Sequence[str]) -> str:
    _, config = _root_and_config(data_dir, overrides, space)
    lines = [f"{space.film_id}  ({space.root})"]
    for s in pipeline.status(space, config):
        rows = "" if s.rows is None else f"{s.rows} rows"
        seconds = "" if s.seconds is None else f"{s.seconds:.1f} s"
        lines.append(f"  {s.name:9} {s.state:10} {rows:>11} {seconds:>9}  {s.why}".rstrip())
    return "\n".join(lines)


def _film_file(film: Path, root: Path, config: Config) -> Path:
    """The film itself, also where a known one is named by its film_id or how that begins."""
    known = [] if film.exists() else workspace.find(root, config.project.data_dir, str(film))
    if not known:
        return film
    _check_one(str(film), known)
    return Path(known[0].source()["film"])


def _check_one(film: str, spaces: Sequence[Workspace]) -> None:
    if len(spaces) > 1:
        names = ", ".join(s.film_id for s in spaces)
        raise UserError(f"{film}: expected one film, {len(spaces)} begin so ({names}); give more")


def _no_such_film(film: str | None, config: Config) -> UserError:
    return UserError(
        f"expected a film{f' whose id begins with {film}' if film else ''} in "
        f"{config.project.data_dir}/output, found none; `bunny run FILM` makes one"
    )


def _write_report(space: Workspace, config: Config) -> Path:
    from bunny.view.report import page

    return page.write(space, config)


def _root_and_config(
    data_dir: str | None, overrides: Sequence[str], space: Workspace | None = None
) -> tuple[Path, Config]:
    """The project's folder and its settings, or those of a film; `--data-dir` wins over all."""
    root = workspace.project_root()
    last = [] if data_dir is None else [f"project.data_dir={json.dumps(data_dir)}"]
    if space is None:
        return root, configuration.load(root, [*overrides, *last])
    own = space.own_settings()
    return root, configuration.load(root, [*overrides, *last], film_id=space.film_id, own=own)
