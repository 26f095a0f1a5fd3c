"""`bunny library train`: a LoRA trained on a character's set from all films.

The set is a workspace of its own, `output/series-<name>-<hash>/`, so that stages finetune, evaluate
and generate, their notebooks, `bunny generate`, `bunny approve` and the others work on it as on a
film's. It is drawn anew where anything changed that it follows from; the stages then resume, or
have nothing to do, as ever.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from bunny import pipeline
from bunny.command import film_workspace, library_set, text_table
from bunny.command.library_set import SetSource
from bunny.command.run import RunReport
from bunny.contract import fingerprint
from bunny.core import atomic, file_hash, log, workspace
from bunny.core import config as configuration
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.dataset import image_folder, rights
from bunny.series import joint_workspace, picture_set
from bunny.series.joint_workspace import JointOrigin
from bunny.stage.dataset import Dataset
from bunny.table import store
from bunny.training.family import folder as family_folder

logger = logging.getLogger(__name__)

UNTIL = ("dataset", *pipeline.TRAINING)
VERSION = 1  # of what is drawn; raise it when the same films give another set


@dataclass(frozen=True, kw_only=True)
class TrainReport:
    """A joint set, and what was trained on it."""

    run: RunReport
    character: str
    coverage: pl.DataFrame  # of `picture_set.coverage`
    is_drawn: bool  # False: it was there already
    notes: Sequence[str]

    def to_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps(
            {
                **json.loads(self.run.to_json()),
                "character": self.character,
                "is_drawn": self.is_drawn,
                "coverage": self.coverage.to_dicts(),
                "notes": list(self.notes),
            },
            ensure_ascii=False,
        )

    def to_text(self) -> str:
        """Lines for a person."""
        return "\n".join([*text_table.lines(self.coverage), *self.notes, self.run.to_text()])


def train(
    character: str | None,
    *,
    split_by: str = picture_set.SHOT,
    films: Sequence[str] = (),
    until: str | None = None,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
) -> TrainReport:
    """Draw a character's joint set into a workspace, train on it, evaluate and draw pictures.

    Parameters
    ----------
    character : str or None
        A name or identity of the library; None: the only named one.
    split_by : {"shot", "film"}
        What is held out as a whole.
    films : sequence of str
        film_ids or how they begin; none: all.
    until : str or None
        Last stage: dataset (the set alone), finetune, evaluate or generate; None: as
        `pipeline.stages` says.

    Raises
    ------
    UserError
        If nobody is called so, no film shows a picture that serves, or `review.needs_approval` is
        set and nobody approved the set as it is.
    """
    started = time.monotonic()
    library_set.check_split(split_by)
    if until is not None and until not in UNTIL:
        raise UserError(f"--until: expected one of {', '.join(UNTIL)}, got {until}; choose one")
    source = library_set.open_source(character, films, data_dir, overrides)
    origin = JointOrigin(
        identity_id=source.identity_id,
        character=source.name,
        split=split_by,
        films={one.space.film_id: one.name for one in source.films},
        only=[one.space.film_id for one in source.films] if films else [],
    )
    root, common = film_workspace.load_settings(data_dir, overrides)
    film_id = workspace.make_film_id(Path(f"series {source.name}.set"), origin.digest())
    space = workspace.locate(root, common.project.data_dir, film_id)
    config = film_workspace.load_settings(data_dir, overrides, space)[1]
    log.configure(space.log / space.film_id)
    configuration.load_secrets(root)
    if not config.models.base_model and until != "dataset":
        raise UserError(family_folder.NO_BASE)
    with workspace.lock(space, config.pipeline.lock_wait_seconds):
        errors = _draw(space, config, source, origin)
    chosen = pipeline.choose_stages(config, (), until)
    stages = [name for name in chosen if name in pipeline.TRAINING]
    results = pipeline.run(space, config, stages) if stages else []
    report = space.root / "report.html"
    is_old = not report.exists() or any(one.status != "skipped" for one in results)
    if config.pipeline.has_report and is_old and results:
        from bunny.view.report import page

        report = page.write(space, config)
    pipeline.status(space, config)  # kept, so that the next command need not look
    return TrainReport(
        run=RunReport(
            space=space, results=results, seconds=time.monotonic() - started, report=report
        ),
        character=source.name,
        coverage=picture_set.coverage(library_set.read_manifest(space.root)),
        is_drawn=errors is not None,
        notes=[*source.notes, *(errors or ())],
    )


def _draw(
    space: Workspace, config: Config, source: SetSource, origin: JointOrigin
) -> list[str] | None:
    """Draw the set; gives what could not be cut, or None where the set is there already."""
    origin = replace(origin, state=_state(config, source, origin))
    if joint_workspace.read_origin(space.root / workspace.SERIES) == origin and _is_whole(
        space.root
    ):
        logger.info("set       up to date")
        return None
    merged, chosen = source.choose(config, origin.split)
    joint_workspace.write_origin(space.root / workspace.SERIES, replace(origin, state=""))
    written = image_folder.write_dataset(
        space.root,
        source.name,
        library_set.cut(source.films, merged, chosen.crops),
        min_mask_quality=config.dataset.mask_threshold,
    )
    manifest = library_set.origins(written.rows, chosen.crops, merged, source.films, space.root)
    library_set.write_manifest(space.root, manifest, below="dataset")
    record = json.dumps(source.rights(), indent=1).encode()
    atomic.write_bytes(space.root / "dataset" / rights.FILE, record)
    reference = joint_workspace.copy_references(
        space.root,
        source.name,
        [
            (film.space.film_id, _references(film), _reference_folder(film.space))
            for film in source.films
        ],
    )
    frame = joint_workspace.choose_frames(merged, source.name)
    folders = {one.space.film_id: one.space.root for one in source.films}
    joint_workspace.copy_frames(space.root, frame, folders)
    tables = joint_workspace.make_tables(merged, source.name, chosen, written, reference)
    for name in joint_workspace.TABLES:
        store.write(space.table, name, tables[name])
    path = space.root / library_set.MANIFEST
    workspace.write_source(
        space,
        str(path),
        file_hash.hash_file(path),
        space.root / joint_workspace.REFERENCES if reference.height else None,
    )
    joint_workspace.write_origin(space.root / workspace.SERIES, origin)
    logger.info("set       done       %d pictures of %d films", len(written.rows), len(folders))
    return [f"{image_id}: {error}" for image_id, error in written.errors.items()]


def _state(config: Config, source: SetSource, origin: JointOrigin) -> str:
    """Hash of all that a set follows from: settings, and each film's tables and corrections."""
    first = source.films[0].space.root
    films = {
        one.space.film_id: [
            Dataset(one.config, one.space.root, one.space.root).parts(),
            one.space.source()["content_hash"],
            one.space.source()["reference_hash"],
        ]
        for one in source.films
    }
    own = Dataset(config, first, first).settings()
    return fingerprint.digest([VERSION, own, films, dict(origin.films), origin.split])


def _is_whole(root: Path) -> bool:
    """Whether the files that a set consists of are still there."""
    table = store.read_or_empty(root / "table", "dataset")
    files = [*table["file"], *table["mask_file"].drop_nulls(), f"dataset/{rights.FILE}"]
    frames = store.read_or_empty(root / "table", "frame")["file"]
    tables = [f"table/{name}.parquet" for name in joint_workspace.TABLES]
    wanted = [*files, *frames, *tables, library_set.MANIFEST, "source.json"]
    return table.height > 0 and all((root / file).is_file() for file in wanted)


def _references(film: library_set.SetFilm) -> pl.DataFrame:
    """A film's reference pictures of the character."""
    table = store.read_or_empty(film.space.table, "reference")
    return table.filter(pl.col("character") == film.name, pl.col("error").is_null())


def _reference_folder(space: Workspace) -> Path | None:
    folder = space.source().get("references")
    return None if folder is None else Path(folder)
