"""Metrics of films and batches in the text format of Prometheus.

After each stage the film is measured once, from its stage.json, tables and corrections, and kept in
`<log>/metric/`; `<log>/metrics.prom` joins what was kept of all films and batches, for the textfile
collector of Prometheus' node exporter. The review board serves those of its own film at `/metrics`.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from bunny.contract import fingerprint, progress
from bunny.core import atomic
from bunny.core.error import BunnyError
from bunny.core.workspace import Workspace
from bunny.review import event_log
from bunny.table import store

logger = logging.getLogger(__name__)

FILE, KEPT = "metrics.prom", "metric"  # in the folder of logs
PAID = {"caption": "caption", "identification": "identification"}  # tables, to label `task`
# Name, what it is, labels besides the film.
FILM_METRICS = {
    "bunny_stage_done": ("1 if the stage's last run succeeded, else 0", ("stage",)),
    "bunny_stage_seconds": ("Duration of the stage's last run in seconds", ("stage",)),
    "bunny_stage_items": ("Items in the stage's last run, including failed ones", ("stage",)),
    "bunny_stage_failed_items": ("Items in the stage's last run that failed", ("stage",)),
    "bunny_stage_frames_per_second": (
        "Frames per second in the last run: decoded frames for stage extract, extracted ones for "
        "the others; high when the run reused work of an earlier one",
        ("stage",),
    ),
    "bunny_stage_peak_memory_bytes": ("Peak resident memory of the stage's process", ("stage",)),
    "bunny_table_rows": ("Rows of a table", ("stage", "table")),
    "bunny_model_answers": ("Model answers and captions", ("task", "provider", "status")),
    "bunny_model_cost_usd": (
        "Cost of these answers in US dollars, where known",
        ("task", "provider"),
    ),
    "bunny_model_input_tokens": ("Input tokens of these answers", ("task", "provider")),
    "bunny_model_output_tokens": ("Output tokens of these answers", ("task", "provider")),
    "bunny_corrections": ("Recorded corrections, including undone ones", ("kind", "origin")),
}
BATCH_METRICS = {
    "bunny_batch_films": (
        "Films by status; put_aside: failed three times; refused: needs a fix by a person",
        ("status",),
    ),
    "bunny_batch_failed_attempts": ("Failed runs of films that have ended", ()),
    "bunny_batch_seconds_left": ("Estimated seconds until the batch ends, where known", ()),
    "bunny_batch_film_share": (
        "Elapsed share of the run time, for each film that is running",
        ("running_film", "node", "attempt"),
    ),
}
STATUS = {"failed": "put_aside"}  # of table batch_film, where another word is clearer
SUMS = ("cost_usd", "input_tokens", "output_tokens")
Sample = tuple[str, list[str], float]  # metric, values of its labels, value


def _measure_film(film_dir: Path) -> list[Sample]:
    """Samples of one film: `FILM_METRICS` with the values of their labels.

    Tables that cannot be read are left out: whoever runs the film is told about them.
    """
    samples = [*_stages(film_dir)]
    for part in (_paid, _corrections):
        try:
            samples += part(film_dir)
        except (BunnyError, OSError) as error:
            logger.debug("metrics of %s: %s", film_dir.name, error)
    return samples


def write(space: Workspace) -> None:
    """Measure a film, keep that, and write `metrics.prom` anew; a full disk is no error."""
    _keep(space.log, "film", space.film_id, _measure_film(space.root), space.root.parent)


def write_batch(
    space: Workspace,
    batch_dir: Path,
    counts: Mapping[str, int],
    failed: int,
    *,
    seconds_left: float | None = None,
    running: Iterable[Mapping[str, Any]] = (),
) -> None:
    """Keep how far a batch is, and write `metrics.prom` anew.

    Parameters
    ----------
    space : Workspace
        Of any film beside those of the batch.
    batch_dir : Path
        Folder of the batch, ``<data_dir>/batch/<id>``.
    counts : mapping
        Films by status: waiting, running, done, refused, failed, stopped.
    failed : int
        Attempts that failed.
    seconds_left : float, optional
        Until the batch ends; None: not known.
    running : iterable of mapping
        Films that run: `film`, `node`, `attempt` and `share` of each.
    """
    films = [
        ("bunny_batch_films", [STATUS.get(status, status)], float(number))
        for status, number in counts.items()
    ]
    samples = [*films, ("bunny_batch_failed_attempts", [], float(failed))]
    if seconds_left is not None:
        samples.append(("bunny_batch_seconds_left", [], seconds_left))
    for one in running:
        labels = [one["film"], one["node"], str(one["attempt"])]
        samples.append(("bunny_batch_film_share", labels, one["share"]))
    _keep(space.log, "batch", batch_dir.name, samples, space.root.parent)


def film_text(film_dir: Path) -> bytes:
    """Metrics of one film as it is now, as Prometheus reads them."""
    return _to_text({("film", film_dir.name): _measure_film(film_dir)})


def _keep(log: Path, kind: str, name: str, samples: Iterable[Sample], output: Path) -> None:
    """Put samples down and join them with those of other films and batches that still exist."""
    try:
        kept = json.dumps(list(samples)).encode()
        atomic.write_bytes(log / KEPT / f"{kind}-{name}.json", kept)
        atomic.write_bytes(log / FILE, _to_text(dict(_read_kept(log / KEPT, output))))
    except (BunnyError, OSError) as error:
        logger.debug("metrics: %s", error)


def _read_kept(folder: Path, output: Path) -> Iterator[tuple[tuple[str, str], list[Sample]]]:
    """What was kept, by kind and name; of films and batches that are gone it is forgotten."""
    home = {"film": output, "batch": output.parent / "batch"}
    for path in sorted(folder.glob("*.json")):
        kind, _, name = path.stem.partition("-")
        if kind not in home:
            continue
        if not (home[kind] / name).is_dir():
            atomic.remove_file(path)
            continue
        try:
            yield (kind, name), json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            logger.debug("%s: %s", path, error)


def _to_text(samples: Mapping[tuple[str, str], Iterable[Sample]]) -> bytes:
    """Samples by kind and name of what they are about, in the text format of Prometheus."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import GaugeMetricFamily

    families = {
        name: GaugeMetricFamily(name, about, labels=(kind, *labels))
        for kind, metrics in (("film", FILM_METRICS), ("batch", BATCH_METRICS))
        for name, (about, labels) in metrics.items()
    }
    for (_, whose), own in samples.items():
        for name, labels, value in own:
            if name in families:  # else of another version
                families[name].add_metric([whose, *labels], value)

    class Collector:
        """Gives what was measured."""

        def collect(self) -> Iterator[GaugeMetricFamily]:
            """Families that have samples."""
            return (family for family in families.values() if family.samples)

    registry = CollectorRegistry()
    registry.register(Collector())  # pyright: ignore[reportArgumentType] it has what is called
    return generate_latest(registry)


def _stages(film_dir: Path) -> Iterator[Sample]:
    """Samples of the stages that ran, by their stage.json."""
    for path in sorted((film_dir / "stage").glob("*/stage.json")):
        stage = path.parent.name
        record = fingerprint.read_record(film_dir, stage)
        yield "bunny_stage_done", [stage], float(record.get("status") == "done")
        seconds = record.get("seconds")
        if seconds is None:  # it runs, or failed before it had anything
            continue
        yield "bunny_stage_seconds", [stage], float(seconds)
        yield "bunny_stage_items", [stage], float(record["num_items"])
        yield "bunny_stage_failed_items", [stage], float(record["failed"])
        yield "bunny_stage_peak_memory_bytes", [stage], record["peak_memory_mb"] * 2**20
        frames = _num_frames(film_dir, stage)
        if frames and seconds:
            yield "bunny_stage_frames_per_second", [stage], frames / seconds
        for table, known in record["tables"].items():
            yield "bunny_table_rows", [stage, table], float(known["rows"])


def _num_frames(film_dir: Path, stage: str) -> int:
    """Frames that a stage looked at; 0 where that is not known."""
    if stage == "extract":
        try:
            return int(store.read(film_dir / "table", "film")["num_frames"].sum())
        except BunnyError as error:
            logger.debug("metrics of %s: %s", film_dir.name, error)
            return 0
    return progress.num_pictures(fingerprint.read_record(film_dir, "extract")) or 0


def _paid(film_dir: Path) -> Iterator[Sample]:
    """What models answered, and what that took."""
    for table, task in PAID.items():
        rows = store.read_or_empty(film_dir / "table", table)
        newest = rows
        if table == "caption":
            newest = rows.sort("version").unique("frame_id", keep="last", maintain_order=True)
        else:
            is_done = pl.col("error").is_null()
            newest = rows.with_columns(
                status=pl.when(is_done).then(pl.lit("done")).otherwise(pl.lit("failed"))
            )
        for row in (
            newest.group_by("provider", "status").len().sort("provider", "status").to_dicts()
        ):
            labels = [task, row["provider"], str(row["status"])]
            yield "bunny_model_answers", labels, float(row["len"])
        sums = pl.col(*SUMS).sum()
        for row in rows.group_by("provider").agg(sums).sort("provider").to_dicts():
            for column in SUMS:
                yield f"bunny_model_{column}", [task, row["provider"]], float(row[column])


def _corrections(film_dir: Path) -> Iterator[Sample]:
    """People's corrections by kind and where they were made."""
    counts = Counter((event.kind, event.origin) for event in event_log.read(film_dir))
    for (kind, origin), number in sorted(counts.items()):
        yield "bunny_corrections", [kind, origin], float(number)
