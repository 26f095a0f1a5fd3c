"""`bunny run --assist`: share the work of a run of the same film in another process."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bunny import pipeline
from bunny.command import film_workspace
from bunny.command.run import find_film_file, pair_references
from bunny.contract.shard import NoLongerWantedError
from bunny.contract.stage import BaseStage
from bunny.core import log, workspace
from bunny.core.error import UserError
from bunny.core.film_file import FilmPlace
from bunny.core.workspace import Workspace

logger = logging.getLogger(__name__)

STAGES = ("extract", "detect")
PATIENCE_S = 60.0  # for the run to begin
GRACE_S = 2.0  # for a run that ended to begin again
POLL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class AssistReport:
    """Pieces of work that a process did for another's run, by stage."""

    film_id: str
    num_shards: dict[str, int]

    def to_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps({"film_id": self.film_id, "assisted": self.num_shards})

    def to_text(self) -> str:
        """One line for a person."""
        done = ", ".join(f"{count} of {name}" for name, count in self.num_shards.items() if count)
        return f"{self.film_id}: shards measured for another run: {done or 'none'}"


def assist_films(
    films: Sequence[FilmPlace],
    references: Sequence[Path],
    *,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
    is_debug: bool = False,
) -> AssistReport:
    """Measure for the run of a film that goes on elsewhere, until it needs no more.

    Parameters
    ----------
    references : sequence of Path
        One film, and its folder of references if it has one.

    Raises
    ------
    UserError
        For a film or folder that cannot be used, more than one film, a data folder in object
        storage, or settings with which work is not shared.

    Notes
    -----
    Both take the same film, references and settings, and see the same data folder. This process
    writes no table and ends with the run, or after a minute in which there was none.
    """
    [(film, folder), *more] = pair_references(films, references)
    if more:
        raise UserError(f"--assist: expected one film, got {len(films)}")
    root, config = film_workspace.load_settings(data_dir, overrides)
    if "://" in config.project.data_dir:
        raise UserError(
            "--assist: expected a data folder that both processes see, got "
            f"{config.project.data_dir}; give one on a shared disk"
        )
    film = find_film_file(film, root, config)
    space = workspace.of_film(root, config.project.data_dir, film)
    config = film_workspace.load_settings(data_dir, overrides, space)[1]
    if config.pipeline.num_parts == 1 or config.pipeline.force_rerun:
        raise UserError(
            "--assist: expected pipeline.num_parts of 2 or more and no --force, as in the run to "
            f"help, got {config.pipeline.num_parts}"
            + (" with --force" if config.pipeline.force_rerun else "")
        )
    workspace.create(root, config.project.data_dir, film, folder)
    log.configure(space.log / space.film_id, is_verbose=is_debug)
    done: dict[str, int] = {}
    for name in STAGES:
        stage = pipeline.make_stage(name, space, config)
        done[name] = 0
        if not _wait_for(stage, space):
            continue
        try:
            stage.assist(_make_check(stage, space))
        except NoLongerWantedError:
            logger.debug("%s ended or was restarted", name)
        done[name] = stage.num_shards_done
    return AssistReport(film_id=space.film_id, num_shards=done)


def _wait_for(stage: BaseStage, space: Workspace) -> bool:
    """Wait until a run has come to a stage; False where it has passed it or does not come."""
    started, seen = time.monotonic(), None
    while True:
        now = time.monotonic()
        is_held = workspace.read_holder(space) is not None
        record = stage.record()
        if is_held:
            seen = now
            if record.get("status") == "running":
                return True
        if record.get("status") == "done" and stage.can_resume():
            return False
        if now - (seen or started) > (PATIENCE_S if seen is None else GRACE_S):
            return False
        time.sleep(POLL_S)


def _make_check(stage: BaseStage, space: Workspace) -> Callable[[], bool]:
    """What tells, now and then looking anew, whether the same run is still at the stage."""
    begun = stage.record().get("started_at")
    known = [time.monotonic(), True]

    def is_wanted() -> bool:
        if time.monotonic() - known[0] > POLL_S:
            record = stage.record()
            is_same = (record.get("status"), record.get("started_at")) == ("running", begun)
            known[:] = [time.monotonic(), is_same and workspace.read_holder(space) is not None]
        return bool(known[1])

    return is_wanted
