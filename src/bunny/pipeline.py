"""Order of the stages: run them, and say which are done, stale (and why) or never ran."""

import importlib
import json
import logging
import os
import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from bunny.contract import fingerprint, result, row_count, state_cache
from bunny.contract.progress import REPORT, RunProgress, StageCost, num_pictures, read_costs
from bunny.contract.result import StageResult, StageState
from bunny.core import atomic, film_file, log, telemetry, workspace
from bunny.core.config import Config
from bunny.core.error import BunnyError, UserError
from bunny.core.workspace import Workspace

if TYPE_CHECKING:  # it imports Polars, which takes longer than to say that nothing is to be done
    from bunny.contract.stage import BaseStage

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
    "clip": "bunny.stage.clip:Clip",
    "pair": "bunny.stage.pair:PairStage",
    "finetune": "bunny.stage.finetune:Finetune",
    "evaluate": "bunny.stage.evaluate:Evaluate",
    "generate": "bunny.stage.generate:Generate",
}

TRAINING = ("finetune", "evaluate", "generate")  # all that a joint set of many films is run by


def _stages_of(space: Workspace) -> tuple[str, ...]:
    """Stages that a workspace can have run: all, or of a joint set those that train and draw."""
    return TRAINING if space.is_series else tuple(STAGE)


def make_stage(name: str, space: Workspace, config: Config) -> "BaseStage":
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

    Without a base model nothing is trained, evaluated or drawn unless `only` or `until` names it.

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
    if not config.models.base_model:
        chosen = [n for n in chosen if n not in TRAINING or n in only or until in TRAINING]
    return tuple(chosen)


def run_stage(name: str, space: Workspace, config: Config) -> StageResult:
    """Run one stage under the film's lock; does nothing when it is up to date."""
    with workspace.lock(space, config.pipeline.lock_wait_seconds), log.context(film=space.film_id):
        return _run_stage(name, space, config)


def run(space: Workspace, config: Config, stages: Iterable[str] | None = None) -> list[StageResult]:
    """Run stages in order under the film's lock."""
    names = list(stages or config.pipeline.stages)
    with (
        workspace.lock(space, config.pipeline.lock_wait_seconds),
        log.context(film=space.film_id),
        telemetry.span("run", film=space.film_id),
    ):
        if is_up_to_date(space, config, names):
            return [_skip(name, space) for name in names]
        return _run_stages(names, space, config)


def is_distributed_worker() -> bool:
    """Whether this is a further process of a multi-GPU run, which only trains."""
    return int(os.environ.get("RANK", "0")) > 0


def run_distributed_worker(
    space: Workspace, config: Config, stages: Iterable[str]
) -> list[StageResult]:
    """The part of a further process: it waits for the first one's fine-tune and trains with it.

    The first process has the film's lock and writes everything.
    """
    return [make_stage(name, space, config).execute() for name in stages if name == "finetune"]


def status(space: Workspace, config: Config) -> list[StageState]:
    """State of every stage; a stage whose input will be made anew is stale too.

    It is kept in the film's folder: while no file changes, the next call looks at nothing else.
    """
    stamp = state_cache.stamp(space, config)
    known = state_cache.read(space, stamp)
    if known is not None:
        return known
    states = _find_states(space, config)
    if state_cache.stamp(space, config) == stamp:
        state_cache.write(space, stamp, states)
    return states


def _find_states(space: Workspace, config: Config) -> list[StageState]:
    """State of every stage by its tables and files."""
    states: list[StageState] = []
    stale: dict[str, str] = {}  # table to the stale stage that makes it
    for name in _stages_of(space):
        stage = make_stage(name, space, config)
        state = _state(stage, stale)
        if state.state != "done":
            stale |= dict.fromkeys(stage.writes, name)
        states.append(state)
    return states


def to_json(space: Workspace, results: Iterable[StageResult], seconds: float) -> str:
    """The one line that `bunny run --json` ends with."""
    return json.dumps(
        {
            "film_id": space.film_id,
            "workspace": str(space.root),
            "seconds": round(seconds, 3),
            "stages": {r.name: asdict(r) for r in results},
        }
    )


def _run_stages(names: list[str], space: Workspace, config: Config) -> list[StageResult]:
    """Run stages in order with one line that says how far the run is."""
    _check_versions(space)
    for folder in (space.root, space.checkpoint):
        atomic.remove_leftovers(folder)
    done = {state.name for state in _find_states(space, config) if state.state == "done"}
    is_forced = config.pipeline.force_rerun
    report = {} if config.pipeline.has_report else {REPORT: StageCost(fixed_s=0.0)}
    progress = RunProgress(
        [name for name in names if is_forced or name not in done],
        read_costs(space.root.parent) | report,
        pictures=num_pictures(fingerprint.read_record(space.root, "extract")),
        is_folder=film_file.locate(space.source()["film"]).is_dir(),
        is_shown=not is_distributed_worker(),
    )
    results: list[StageResult] = []
    began = time.time()
    try:
        for name in names:
            results.append(_run_stage(name, space, config, progress))
            if results[-1].status != "skipped":
                after = names[names.index(name) + 1 :][:1]
                kept = [one for n in after for one in make_stage(n, space, config).needs()]
                workspace.publish(space, kept)
    except KeyboardInterrupt:
        progress.close()
        logger.info("%s", _describe_kept(names[len(results)], results, space, began))
        raise
    finally:
        progress.close()
    return results


def _describe_kept(running: str, results: list[StageResult], space: Workspace, began: float) -> str:
    """Say what a run that was stopped leaves."""
    noted, share = space.stage(running) / "progress.json", 0.0
    if noted.exists() and noted.stat().st_mtime >= began:
        state = json.loads(noted.read_text(encoding="utf-8"))
        share = state["done"] / max(1, state["total"])
    kept = [done.name for done in results]
    kept += [f"about {share:.0%} of {running}"] if share else []
    return f"stopped during {running}; kept: {', '.join(kept) or 'nothing yet'}"


def is_up_to_date(space: Workspace, config: Config, names: Iterable[str]) -> bool:
    """Whether these stages were found to have nothing to do, and nothing changed since."""
    if config.pipeline.force_rerun:
        return False
    known = state_cache.read(space, state_cache.stamp(space, config)) or []
    return {state.name for state in known if state.state == "done"}.issuperset(names)


def _skip(name: str, space: Workspace) -> StageResult:
    """Result of a stage that has nothing to do."""
    record = fingerprint.read_record(space.root, name)
    done = result.from_record(record, record["tables"], "skipped", 0.0)
    _log_result(done, 0.0)
    return done


def _run_stage(
    name: str, space: Workspace, config: Config, progress: RunProgress | None = None
) -> StageResult:
    stage = make_stage(name, space, config)
    _check_inputs(stage, space)
    started = time.monotonic()
    stage.progress = progress
    if progress:
        progress.begin(name)
    try:
        done = stage.execute()
    except BunnyError:
        _write_metrics(space, config)
        raise
    if done.status != "skipped":
        _write_metrics(space, config)
    if progress:
        progress.end(done)
    with log.context(film=space.film_id, stage=name):
        _log_result(done, time.monotonic() - started)
    return done


def _write_metrics(space: Workspace, config: Config) -> None:
    """Write `metrics.prom` after a stage, if the settings want it."""
    if config.pipeline.has_metrics and not is_distributed_worker():
        from bunny.view import metric

        metric.write(space)


def _log_result(done: StageResult, seconds: float) -> None:
    logger.info(
        "%-9s %-10s %6.1f s  %s%s",
        done.name,
        "up to date" if done.status == "skipped" else done.status,
        seconds,
        row_count.describe(done.tables),
        f"; {done.failed:,} failed" if done.failed else "",
    )
    for line in done.note.splitlines():
        logger.info("          %s", line)


def _check_versions(space: Workspace) -> None:
    """Refuse a workspace with tables of a newer program before any of them is written over."""
    from bunny.table import store

    for path in sorted(space.table.glob("*.parquet")):
        store.check_not_newer(space.table, path.stem)


def _check_inputs(stage: "BaseStage", space: Workspace) -> None:
    missing = [t for t in stage.reads if not (space.table / f"{t}.parquet").exists()]
    if missing:
        makers = [n for n in STAGE if set(_kind(n).writes) & set(missing)]
        has_any = any(space.table.glob("*.parquet"))  # else a new film's workspace is removed
        film = space.film_id if has_any else shlex.quote(space.source()["film"])
        raise UserError(
            f"stage {stage.name}: expected tables {', '.join(missing)}, found none; "
            f"run {', '.join(makers)} first: `bunny run {film} --until {makers[-1]}`"
        )


def _kind(name: str) -> "type[BaseStage]":
    """The class of a stage."""
    module, _, kind = STAGE[name].partition(":")
    return getattr(importlib.import_module(module), kind)


def _state(stage: "BaseStage", stale: dict[str, str]) -> StageState:
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
