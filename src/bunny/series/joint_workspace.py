"""A joint set of many films as a workspace of its own, so that it is trained on as a film's set is.

Its tables are those that stages finetune, evaluate and generate read, cut out of the films' tables
read as one (`picture_set.merge`). Its frames are few, copied from the films: places without the
character and others, which an evaluation tells the character from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from bunny.core import atomic, safe_path
from bunny.dataset import image_folder
from bunny.dataset.image_folder import WrittenDataset
from bunny.series.picture_set import MergedFilms, PictureChoice
from bunny.table import store

TABLES = ("candidate", "cluster", "dataset", "frame", "label", "quality", "reference")
REFERENCES = "reference_given"  # folder of copies of the films' reference pictures
MAX_AWAY = 24  # frames without the character; as many as an evaluation looks at
MAX_OTHERS = 48  # frames that show other characters
MAX_SHOWN = 24  # frames that show the character, for what stands beside it


@dataclass(frozen=True, kw_only=True)
class JointOrigin:
    """What a joint set is drawn from; `series.json` of its workspace."""

    identity_id: str
    character: str
    split: str  # shot or film
    films: Mapping[str, str]  # film_id to what the film calls the character
    only: Sequence[str] = ()  # film_ids that were asked for; empty: all that show it
    state: str = ""  # of all that the set follows from; empty: not drawn to its end

    def digest(self) -> str:
        """SHA-256, in hex, of what names the workspace; which films show the character is no part.

        Examples
        --------
        >>> own = JointOrigin(identity_id="identity-0001", character="anna", split="shot", films={})
        >>> own.digest()[:8]
        '18fb6040'
        """
        said = json.dumps([self.identity_id, self.split, sorted(self.only)])
        return hashlib.sha256(said.encode()).hexdigest()


def read_origin(path: Path) -> JointOrigin | None:
    """What a workspace was drawn from, by its `series.json`; None where that cannot be read."""
    try:
        return JointOrigin(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_origin(path: Path, origin: JointOrigin) -> None:
    """Write `series.json`."""
    text = json.dumps(vars(origin), ensure_ascii=False, indent=1)
    atomic.write_bytes(path, text.encode())


def make_tables(
    merged: MergedFilms,
    character: str,
    chosen: PictureChoice,
    written: WrittenDataset,
    reference: pl.DataFrame,
) -> dict[str, pl.DataFrame]:
    """Tables of the workspace.

    Parameters
    ----------
    written : WrittenDataset
        Its rows have the films' own numbers of shots.
    reference : pl.DataFrame
        Reference pictures of the character.

    Returns
    -------
    dict
        Those of `TABLES`. `frame` names the files that its pictures are to be copied to.
    """
    shot = {one.image_id: one.view.shot_index for one in chosen.crops}
    rows = [row | {"shot_index": shot[row["image_id"]]} for row in written.rows]
    of_image = {one.image_id: one.view.subject_id for one in chosen.crops}
    failed = {of_image[image_id]: error for image_id, error in written.errors.items()}
    candidates = image_folder.candidate_rows(chosen.views, chosen.made, failed, rows)
    dataset = store.from_rows("dataset", rows)
    frame = choose_frames(merged, character)
    label, cluster = merged.tables["label"], merged.tables["cluster"]
    is_own = (pl.col("character") == character).fill_null(value=False)
    kept = pl.col("frame_id").is_in(frame["frame_id"].to_list())
    scene = (pl.col("level") == "scene") & pl.col("item_id").is_in(dataset["frame_id"].to_list())
    return {
        "candidate": store.from_rows("candidate", candidates),
        "cluster": cluster.filter(scene),
        "dataset": dataset,
        "frame": frame.with_columns(
            file=pl.concat_str(
                pl.lit("frame/"), "film_id", pl.lit("/"), pl.col("file").str.split("/").list.last()
            )
        ),
        "label": label.filter(is_own | kept),
        "quality": merged.tables["quality"].filter(kept),
        "reference": reference,
    }


def choose_frames(merged: MergedFilms, character: str) -> pl.DataFrame:
    """Frames that an evaluation of the character needs, evenly over the films.

    Returns
    -------
    pl.DataFrame
        Kept rows of table `frame`, `file` as in their films, by frame index.
    """
    label = merged.tables["label"].drop_nulls("character")
    own = label.filter(pl.col("character") == character)
    others = label.filter(pl.col("character") != character)["frame_id"].to_list()
    kept = merged.tables["quality"].filter("is_kept").select("frame_id")
    frame = merged.tables["frame"].filter(pl.col("error").is_null()).drop_nulls("file")
    frame = frame.join(kept, on="frame_id", how="semi").sort("frame_index")
    is_away = ~pl.col("shot_index").is_in(own["shot_index"].unique().to_list())
    shows_other = pl.col("frame_id").is_in(others)
    shows_own = pl.col("frame_id").is_in(own["frame_id"].to_list())
    parts = ((is_away & ~shows_other, MAX_AWAY), (shows_other, MAX_OTHERS), (shows_own, MAX_SHOWN))
    wanted = {
        one for which, most in parts for one in _spread(frame.filter(which)["frame_id"], most)
    }
    return frame.filter(pl.col("frame_id").is_in(list(wanted)))


def copy_frames(root: Path, frame: pl.DataFrame, folder_of: Mapping[str, Path]) -> None:
    """Copy the pictures of `choose_frames` into a workspace, and remove those of earlier sets.

    Parameters
    ----------
    root : Path
        Folder of the workspace.
    frame : pl.DataFrame
        From `choose_frames`.
    folder_of : mapping
        Folder of each film's workspace, by film_id.
    """
    wanted = set()
    for film_id, file in frame.select("film_id", "file").iter_rows():
        source = safe_path.join(folder_of[film_id], file)
        wanted.add(_copy(source, root / "frame" / film_id / source.name))
    _remove_others(root / "frame", wanted)


def copy_references(
    root: Path, character: str, films: Sequence[tuple[str, pl.DataFrame, Path | None]]
) -> pl.DataFrame:
    """Copy films' reference pictures of a character into a workspace.

    Parameters
    ----------
    root : Path
        Folder of the workspace.
    films : sequence of (str, pl.DataFrame, Path or None)
        Of each film its film_id, its rows of table `reference` and the folder that they name
        pictures in.

    Returns
    -------
    pl.DataFrame
        Rows of table `reference` for those that are there.
    """
    rows, wanted = [], set()
    for film_id, table, folder in films:
        if folder is None:
            continue
        for row in table.sort("reference_id").to_dicts():
            source = safe_path.join(folder, row["reference_id"])
            if source.is_file():
                name = f"{character}/{film_id}_{source.name}"
                wanted.add(_copy(source, safe_path.join(root / REFERENCES, name)))
                rows.append(row | {"reference_id": name, "character": character})
    _remove_others(root / REFERENCES, wanted)
    return store.from_rows("reference", rows)


def _copy(source: Path, target: Path) -> Path:
    """Make a file the same as another."""
    data = source.read_bytes()
    if not target.is_file() or target.read_bytes() != data:
        atomic.write_bytes(target, data)
    return target


def _remove_others(folder: Path, wanted: Collection[Path]) -> None:
    """Remove files of earlier sets."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path not in wanted:
            atomic.remove_file(path)


def _spread(items: pl.Series, most: int) -> Sequence[Any]:
    """At most so many, evenly."""
    if len(items) <= most:
        return items.to_list()
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]
