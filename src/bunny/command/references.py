"""`bunny references`: quality of reference pictures before a film is run with them."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from bunny.character import reference, reference_check, reference_measure
from bunny.character.drawn import figure_embedding, figure_search, region_search
from bunny.character.drawn.figure_embedding import FigureNet
from bunny.character.model_set import DetectionModels
from bunny.command import film_workspace
from bunny.core import image_file, input_path, safe_path
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.table import corrected, store

HEAD = ("picture", "medium", "px", "own", "other", "bank", "film", "")


@dataclass(frozen=True, kw_only=True)
class ReferenceReport:
    """Every reference picture, judged, and what would help."""

    folder: Path
    film_id: str | None
    judged: Sequence[reference_check.JudgedReference]

    @property
    def advice(self) -> list[str]:
        """What would help, in sentences."""
        return reference_check.advise(self.judged)

    def to_json(self) -> str:
        """One JSON object on one line."""
        report = {
            "folder": self.folder.as_posix(),
            "film_id": self.film_id,
            "num_better": reference_check.count_better(self.judged),
            "references": [dataclasses.asdict(one) for one in self.judged],
            "advice": self.advice,
        }
        return json.dumps(report, ensure_ascii=False)

    def to_text(self) -> str:
        """Lines for a person: a table, then what would help."""
        rows = [HEAD, *(_cells(one) for one in self.judged)]
        if self.film_id is None:
            rows = [(*row[:6], row[7]) for row in rows]
        width = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        lines = [
            "  ".join(cell.ljust(size) for cell, size in zip(row, width, strict=True)).rstrip()
            for row in rows
        ]
        num, total = reference_check.count_better(self.judged), len(self.judged)
        end = (
            f"{num} of {total} could be improved"
            if num
            else f"{total} pictures, nothing to improve"
        )
        return "\n".join([*lines, f"{end}{':' if num else ''}", *(f"  {s}" for s in self.advice)])


def check(
    folder: Path | str,
    film: str | None = None,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
) -> ReferenceReport:
    """Judge the pictures of a folder.

    Parameters
    ----------
    folder : Path or str
        With `<name>.jpg` or `<name>/*.jpg`.
    film : str or None
        A film_id or how it begins: what all its windows share is taken off, and its own figures
        count as impostors too.

    Raises
    ------
    UserError
        If the folder is missing or holds no picture, or there is no such film.
    """
    folder = Path(folder)
    input_path.check_references(folder)
    sources = reference.list_files(folder)
    if not sources:
        raise UserError(
            f"{folder}: expected <name>.jpg or <name>/*.jpg, found pictures in deeper folders "
            "only; put them into one folder per character"
        )
    space, (_, config) = None, film_workspace.load_settings(data_dir, overrides)
    if film is not None:
        space, config = film_workspace.open_film(
            film, data_dir, overrides, ("frame/*", "stage/detect/*")
        )
    judged = _judge(sources, config, space)
    return ReferenceReport(
        folder=folder, film_id=None if space is None else space.film_id, judged=judged
    )


def _judge(
    sources: Sequence[reference.ReferenceFile], config: Config, space: Workspace | None
) -> list[reference_check.JudgedReference]:
    """Judge the pictures, beside a film where one is given."""
    models = DetectionModels(config.detection)
    if space is None:
        return reference_measure.judge_files(sources, config.detection, models)
    film = reference_measure.FilmFigures(
        shot_medium=store.read_or_empty(space.table, "shot_medium"),
        figure=store.read_or_empty(space.table, "figure"),
        label=corrected.read_or_empty(space.table, "label"),
        mean_window=partial(_mean_window, space),
    )
    return reference_measure.judge_files(sources, config.detection, models, film)


def _mean_window(space: Workspace, net: FigureNet) -> np.ndarray:
    """As stage detect left it behind, else measured on kept frames; (RAW,)."""
    kept = space.stage("detect").glob("shard/figure/*/mean.npy")
    newest = max(kept, key=lambda path: path.stat().st_mtime, default=None)
    if newest is not None:
        return np.load(newest)
    frame = store.read_or_empty(space.table, "frame").filter(pl.col("file").is_not_null())
    if not frame.height:
        raise UserError(
            f"{space.film_id}: expected kept frames, found none; run stage extract first"
        )
    frame = frame.sort("frame_index")
    return region_search.measure_mean(
        frame,
        lambda row: image_file.read(safe_path.join(space.root, row["file"])),
        partial(figure_search.mean_window, net),
        figure_embedding.RAW,
    )


def _cells(one: reference_check.JudgedReference) -> tuple[str, ...]:
    """A row of the table in words."""
    other = "-"
    if one.other_similarity is not None:
        other = f"{one.other_similarity:.2f} {one.other_character}"
    remarks = [
        *(["two figures"] if one.has_two else []),
        *(["small"] if one.is_small else []),
        *([f"cut at the {' and '.join(one.cut)}"] if one.cut else []),
        *([one.text] if one.text else []),
        *([one.error.split(";")[0]] if one.error else []),
    ]
    return (
        one.reference_id,
        one.medium,
        str(one.size_px),
        "-" if one.own_similarity is None else f"{one.own_similarity:.2f}",
        other,
        _percent(one.impostor_share),
        _percent(one.film_share),
        ", ".join(remarks),
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
