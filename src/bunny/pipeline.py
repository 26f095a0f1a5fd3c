"""Order of the stages: run them, and say which are done, stale (and why) or never ran."""

import importlib
import json
import logging
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bunny.contract import stage as contract_stage
from bunny.core import workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace

logger = logging.getLogger(__name__)

# Stage name to "module:class"; imported only when used, so that the command line starts fast.
STAGE = {
    "extract": "bunny.stage.extract:Extract",
    "filter": "bunny.stage.filter:Filter",
    "detect": "bunny.stage.detect:Detect",
    "cluster": "bunny.stage.cluster:Cluster",
    "review": "bunny.stage.review:Review",
    "caption": "bunny.stage.caption:Caption",
    "dataset": "bunny.stage.dataset:Dataset",
    "finetune": "bunny.stage.finetune:Finetune",
    "evaluate": "bunny.stage.evaluate:Evaluate",
    "generate": "bunny.stage.generate:Generate",
}


@dataclass(frozen=True, kw_only=True)
class StageState:
    """What `bunny status` says of one stage of one film."""

    name: str
    state: str  # done, stale, failed, unfinished, never run
    why: str  # of stale and failed; empty otherwise
    progress: float
    rows: int | None
    seconds: float | None
    finished_at: str | None


def make_stage(name: str, space: Workspace, config: Config) -> contract_stage.BaseStage:
    """Build a stage of a film.

    Raises
    ------
    UserError
        If there is no stage of that name.
    """
    if name not in STAGE:
        raise UserError(f"stage {name}: expected one of {', '.join(STAGE)}")
    return _kind(name)(config, space.root, space.root)


def choose_stages(
    config: Config, only: Sequence[str] = (), until: str | None = None
) -> tuple[str, ...]:
    """Stages to run, in order: those of the settings, narrowed by `only` and `until`.

    Raises
    ------
    UserError
        If a name is no stage.
    """
    for name in (*only, *([until] if until else [])):
        if name not in STAGE:
            raise UserError(f"stage {name}: expected one of {', '.join(STAGE)}")
    order = list(STAGE)
    chosen = [n for n in order if n in (only or config.pipeline.stages)]
    if until:
        chosen = [n for n in chosen if order.index(n) <= order.index(until)]
    return tuple(chosen)


def run_stage(name: str, space: Workspace, config: Config) -> contract_stage.StageResult:
    """Run one stage under the film's lock; does nothing when it is up to date."""
    with workspace.lock(space):
        return _run_stage(name, space, config)


def run(
    space: Workspace, config: Config, stages: Iterable[str] | None = None
) -> list[contract_stage.StageResult]:
    """Run stages in order under the film's lock."""
    with workspace.lock(space):
        return [_run_stage(name, space, config) for name in (stages or config.pipeline.stages)]


def is_distributed_worker() -> bool:
    """Whether this is a further process of a multi-GPU run, which only trains."""
    return int(os.environ.get("RANK", "0")) > 0


def run_distributed_worker(
    space: Workspace, config: Config, stages: Iterable[str]
) -> list[contract_stage.StageResult]:
    """The part of a further process: it waits for the first one's fine-tune and trains with it.

    The first process has the film's lock and writes everything.
    """
    return [make_stage(name, space, config).execute() for name in stages if name == "finetune"]


def status(space: Workspace, config: Config) -> list[StageState]:
    """State of every stage; a stage whose input will be made anew is stale too."""
    states: list[StageState] = []
    stale: dict[str, str] = {}  # table to the stale stage that makes it
    for name in STAGE:
        stage = make_stage(name, space, config)
        state = _state(stage, stale)
        if state.state != "done":
            stale |= dict.fromkeys(stage.writes, name)
        states.append(state)
    return states


def to_json(space: Workspace, results: Iterable[contract_stage.StageResult], seconds: float) -> str:
    """The one line that `bunny run --json` ends with."""
    report: dict[str, Any] = {
        "film_id": space.film_id,
        "workspace": str(space.root),
        "seconds": round(seconds, 3),
        "stages": {r.name: asdict(r) for r in results},
    }
    return json.dumps(report)


def _run_stage(name: str, space: Workspace, config: Config) -> contract_stage.StageResult:
    stage = make_stage(name, space, config)
    _check_inputs(stage, space)
    started = time.monotonic()
    result = stage.execute()
    logger.info(
        "%-9s %-10s %6.1f s  %s%s",
        name,
        "up to date" if result.status == "skipped" else result.status,
        time.monotonic() - started,
        ", ".join(f"{rows} {table}" for table, rows in result.tables.items()),
        f"; {result.failed} failed" if result.failed else "",
    )
    if result.note:
        logger.info("          %s", result.note)
    return result


def _check_inputs(stage: contract_stage.BaseStage, space: Workspace) -> None:
    missing = [t for t in stage.reads if not (space.table / f"{t}.parquet").exists()]
    if missing:
        makers = [n for n in STAGE if set(_kind(n).writes) & set(missing)]
        raise UserError(
            f"stage {stage.name}: expected tables {', '.join(missing)}, found none; "
            f"run {', '.join(makers)} first"
        )


def _kind(name: str) -> type[contract_stage.BaseStage]:
    """The class of a stage."""
    module, _, kind = STAGE[name].partition(":")
    return getattr(importlib.import_module(module), kind)


def _state(stage: contract_stage.BaseStage, stale: dict[str, str]) -> StageState:
    record = stage.record()
    upstream = sorted({stale[t] for t in stage.inputs() if t in stale}, key=list(STAGE).index)
    state, why = "done", ""
    if not record:
        state = "never run"
    elif record["status"] in ("failed", "running"):
        state = record["status"] if record["status"] == "failed" else "unfinished"
        why = record.get("error", "")
    elif upstream:
        state, why = "stale", f"{', '.join(upstream)} will run again"
    elif not stage.can_resume():
        state, why = "stale", stage.why_stale()
    tables = record.get("tables", {})
    return StageState(
        name=stage.name,
        state=state,
        why=why,
        progress=1.0 if state == "done" else stage.get_progress(),
        rows=tables[stage.writes[0]]["rows"] if stage.writes and tables else None,
        seconds=record.get("seconds"),
        finished_at=record.get("started_at"),
    )
