"""Differences of two runs: settings, counts, seconds, scores, and items with another label."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from bunny.contract import fingerprint
from bunny.core import reference_folder, safe_path
from bunny.core.reference_folder import SourceRecord
from bunny.table import corrected
from bunny.table.box import BOX, Box
from bunny.view.report import scene_difference
from bunny.view.report.scene_difference import SceneDifference

ABSENT, UNKNOWN, NOBODY = "absent", "unknown", "nobody"
SUBJECT = {"f": "face", "g": "figure", "r": "figure"}  # last part of a subject_id, to the kind
KINDS = ("frame", "face", "figure", "shot", "set picture")
SCORE_KEYS = ("character", "step", "prompt_set", "metric", "about")


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """One of two runs: the folder of a film."""

    name: str  # as it is called in the comparison
    root: Path

    @cached_property
    def source(self) -> SourceRecord:
        """What the film's folder was made from."""
        return reference_folder.read_source(self.root)

    @cached_property
    def records(self) -> dict[str, fingerprint.StageRecord]:
        """The stage.json of each stage that ran, by its name."""
        paths = sorted((self.root / "stage").glob("*/stage.json"))
        found = {p.parent.name: fingerprint.read_record(self.root, p.parent.name) for p in paths}
        return {name: record for name, record in found.items() if record}

    def table(self, name: str) -> pl.DataFrame:
        """Read a table, corrected if people did; an empty one when it was never written."""
        return corrected.read_or_empty(self.root / "table", name)

    def key(self, item_id: str) -> str:
        """An id without the film's, so that runs of one film under two names can be compared."""
        return item_id.removeprefix(f"{self.root.name}-")

    def file(self, name: str | None) -> Path | None:
        """A picture of the run; None where there is none."""
        path = safe_path.join(self.root, name) if name else None
        return path if path and path.is_file() else None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A value that differs between two runs; None where a run has none."""

    where: str  # a stage, table or character
    what: str
    one: Any
    other: Any


@dataclass(frozen=True, kw_only=True)
class ItemDifference:
    """An item with another label in each run."""

    kind: str  # of KINDS
    key: str
    one: str  # label; "absent" where the run has no such item
    other: str
    file: Path | None  # a picture of it, of either run
    box: Box | None  # what of the picture shows it, in pixels

    def to_dict(self) -> dict[str, str]:
        """As in JSON, without its picture."""
        return {key: getattr(self, key) for key in ("kind", "key", "one", "other")}


@dataclass(frozen=True, kw_only=True)
class RunDifference:
    """All that differs between two runs."""

    names: tuple[str, str]
    notes: tuple[str, ...]  # what could not be compared, and why
    settings: tuple[Difference, ...]
    counts: tuple[Difference, ...]
    seconds: tuple[Difference, ...]
    scores: tuple[Difference, ...]
    items: tuple[ItemDifference, ...]
    num_compared: Mapping[str, int]  # items of each kind that at least one run has
    scenes: SceneDifference | None = None  # None: of two films, or a run without scenes
    scene_files: Mapping[str, Path] = field(
        default_factory=dict
    )  # a picture of each shot and scene

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(
            {
                "runs": list(self.names),
                "notes": list(self.notes),
                "settings": [asdict(one) for one in self.settings],
                "counts": [asdict(one) for one in self.counts],
                "seconds": [asdict(one) for one in self.seconds],
                "scores": [asdict(one) for one in self.scores],
                "items": [one.to_dict() for one in self.items],
                "num_compared": dict(self.num_compared),
                "scenes": self.scenes and asdict(self.scenes),
            }
        )


def compare(one: ComparedRun, other: ComparedRun) -> RunDifference:
    """Find what differs between two runs.

    Notes
    -----
    Items are matched by their ids, which name a frame of the film and the number of the face or
    figure in it; shots by the frame they begin with, scenes by the frames in them. A detector that
    finds one more face to the left of another moves the numbers of those after it.
    """
    notes, items, counted = [], [], {}
    scenes: SceneDifference | None = None
    if one.source.get("content_hash") == other.source.get("content_hash"):
        found = [(kind, *_match(kind, one, other)) for kind in KINDS]
        items = [item for _, differing, _ in found for item in differing]
        counted = {kind: number for kind, _, number in found}
        scenes = _compare_scenes(one, other)
    else:
        films = " and ".join(Path(run.source.get("film", "")).name for run in (one, other))
        notes.append(
            f"the films differ ({films}): frames, faces, shots and pictures of the sets "
            "are not compared one by one"
        )
    for name in sorted(one.records.keys() ^ other.records.keys()):
        has, lacks = (one, other) if name in one.records else (other, one)
        notes.append(f"stage {name} ran in {has.name} alone, not in {lacks.name}")
    for run in (one, other):
        states = {name: record.get("status") for name, record in run.records.items()}
        left = [f"{name} ({state})" for name, state in states.items() if state != "done"]
        notes += [f"{run.name}: not done: {', '.join(left)}"] if left else []
    return RunDifference(
        names=(one.name, other.name),
        notes=tuple(notes),
        settings=_differences(_settings(one), _settings(other), is_common=True),
        counts=_differences(_counts(one), _counts(other)),
        seconds=_differences(_seconds(one), _seconds(other)),
        scores=_differences(_scores(one), _scores(other)),
        items=tuple(items),
        num_compared=counted,
        scenes=scenes,
        scene_files=_scene_files(scenes, one, other),
    )


def _compare_scenes(one: ComparedRun, other: ComparedRun) -> SceneDifference | None:
    """How the scenes of the runs correspond; None where one has none."""
    before, after = (_frame_scenes(run) for run in (one, other))
    if not (before and after):
        return None
    first = dict(one.table("shot").select("shot_index", "first_frame_index").iter_rows())
    frames = one.table("frame").select("frame_id", "shot_index").iter_rows()
    shots = {one.key(f): f"from frame {first[s]:08d}" for f, s in frames if s in first}
    return scene_difference.compare_scenes(before, after, shots)


def _frame_scenes(run: ComparedRun) -> dict[str, str | None]:
    """Scene of each frame by the frame's key."""
    rows = run.table("cluster").filter(pl.col("level") == "scene")
    return {run.key(f): scene for f, scene in rows.select("item_id", "cluster_id").iter_rows()}


def _scene_files(
    scenes: SceneDifference | None, one: ComparedRun, other: ComparedRun
) -> dict[str, Path]:
    """A picture of each moved shot, and of each scene as ``1:`` or ``2:`` and its name."""
    if scenes is None or scenes.is_same():
        return {}
    found: dict[str, Path] = {}
    moved = {shot.frame: shot.shot for shot in scenes.moved}
    for number, run in (("1", one), ("2", other)):
        own = _frame_scenes(run)
        for frame_id, file in run.table("frame").select("frame_id", "file").sort("frame_id").rows():
            key, path = run.key(frame_id), run.file(file)
            if path is None:
                continue
            if own.get(key):
                found.setdefault(f"{number}:{own[key]}", path)
            if key in moved:
                found.setdefault(moved[key], path)
    return found


def _differences(
    one: Mapping[tuple[str, str], Any],
    other: Mapping[tuple[str, str], Any],
    *,
    is_common: bool = False,
) -> tuple[Difference, ...]:
    """Values that differ, in order of their keys; `is_common`: of what both have."""
    keys = one.keys() & other.keys() if is_common else one.keys() | other.keys()
    return tuple(
        Difference(where=key[0], what=key[1], one=one.get(key), other=other.get(key))
        for key in sorted(keys)
        if one.get(key) != other.get(key)
    )


def _settings(run: ComparedRun) -> dict[tuple[str, str], Any]:
    """Settings, versions and hashes of outside inputs of the stages that finished."""
    found: dict[tuple[str, str], Any] = {}
    for name, record in run.records.items():
        parts = record.get("parts")
        if not parts:
            continue
        found |= {(name, key): value for key, value in parts.get("settings", {}).items()}
        found |= {(name, f"({key})"): v[:12] for key, v in parts.get("outside", {}).items()}
        found[name, "(version of the code)"] = parts.get("version")
    return found


def _counts(run: ComparedRun) -> dict[tuple[str, str], int]:
    """Rows by table, failed items by stage, and pictures of the set by character."""
    found: dict[tuple[str, str], int] = {}
    for name, record in run.records.items():
        for table, known in record.get("tables", {}).items():
            found["rows", table] = known["rows"]
        if record.get("failed") is not None:
            found["failed items", name] = record["failed"]
    sets = run.table("dataset").group_by("character", "split").len()
    return found | {
        ("set pictures", f"{row['character']}, {row['split']}"): row["len"]
        for row in sets.to_dicts()
    }


def _seconds(run: ComparedRun) -> dict[tuple[str, str], float]:
    return {
        ("seconds", name): record["seconds"]
        for name, record in run.records.items()
        if record.get("seconds") is not None
    }


def _scores(run: ComparedRun) -> dict[tuple[str, str], float]:
    """Means of the evaluation, last losses, doubts of the audit of captions."""
    found: dict[tuple[str, str], float] = {}
    for row in run.table("evaluation").filter(pl.col("value").is_not_null()).to_dicts():
        name = [f"step {row['step']}", *(str(row[key]) for key in SCORE_KEYS[2:] if row[key])]
        found[f"evaluation of {row['character']}", ", ".join(name)] = row["value"]
    for row in run.table("training_run").to_dicts():
        for key in ("loss_last", "held_out_loss_last"):
            if row[key] is not None:
                found[f"fine-tune of {row['character']}", key] = row[key]
    audit = run.table("caption_audit")
    if audit.height:
        found["audit of captions", "mean doubt"] = float(audit["doubt"].to_numpy().mean())
        rules = audit["rules"].explode().drop_nulls().value_counts()
        found |= {("audit of captions", row["rules"]): row["count"] for row in rules.to_dicts()}
    return found


def _match(kind: str, one: ComparedRun, other: ComparedRun) -> tuple[list[ItemDifference], int]:
    """Items of a kind whose labels differ, and how many at least one run has."""
    first, second = dict(_items(kind, one)), dict(_items(kind, other))
    found = []
    for key in sorted(first.keys() | second.keys()):
        label, file, box = first.get(key, (ABSENT, None, None))
        other_label, other_file, other_box = second.get(key, (ABSENT, None, None))
        if label != other_label:
            place = (file, box) if file else (other_file, other_box)
            found.append(
                ItemDifference(
                    kind=kind, key=key, one=label, other=other_label, file=place[0], box=place[1]
                )
            )
    return found, len(first.keys() | second.keys())


Item = tuple[str, tuple[str, Path | None, Box | None]]  # key; label, picture, box


def _items(kind: str, run: ComparedRun) -> Iterator[Item]:
    """Items of a kind by their keys."""
    frame = run.table("frame")
    files = dict(frame.select("frame_id", "file").iter_rows())
    if kind == "frame":
        reason = dict(run.table("quality").select("frame_id", "reason").iter_rows())
        for name, file in files.items():
            yield run.key(name), (str(reason.get(name, "extracted")), run.file(file), None)
    elif kind == "shot":
        yield from _shots(run, frame)
    elif kind == "set picture":
        for row in run.table("dataset").to_dicts():
            key = f"{row['character']}: {run.key(row['image_id'])}"
            yield key, (row["split"], run.file(row["file"]), None)
    else:
        for row in run.table("label").to_dicts():
            if SUBJECT.get(row["subject_id"].rpartition("-")[2][:1]) == kind:
                box = tuple(row[column] for column in BOX)
                place = run.file(files.get(row["frame_id"]))
                yield run.key(row["subject_id"]), (row["character"] or UNKNOWN, place, box)


def _shots(run: ComparedRun, frame: pl.DataFrame) -> Iterator[Item]:
    """Shots by the frame that they begin with: where they end, and who is in them."""
    shown = dict(
        frame.sort("frame_index").group_by("shot_index").agg(pl.col("file").first()).iter_rows()
    )
    label = run.table("label").filter(pl.col("character").is_not_null())
    who: Mapping[int, Iterable[str]] = dict(
        label.group_by("shot_index").agg(pl.col("character").unique().sort()).iter_rows()
    )
    for row in run.table("shot").to_dicts():
        names = ", ".join(who.get(row["shot_index"], ())) or NOBODY
        text = f"to frame {row['end_frame_index']}: {names}"
        picture = run.file(shown.get(row["shot_index"]))
        yield f"from frame {row['first_frame_index']:08d}", (text, picture, None)
