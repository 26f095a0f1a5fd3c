"""What shows a forgotten person beside others: listed, or removed and painted over.

With `--others` pictures of other characters' sets, clips and pairs that show the person go, and the
adapters that were trained on such sets with what they drew. The film's own pictures stay and are
painted over at the person's places, since all of the others' tables hang on them. The places are
read from the film's record, so that the same command finishes after a kill, and later runs keep to
them: stage extract paints again what it writes, stages dataset, clip and pair leave out what shows
one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bunny.character import forgotten
from bunny.character.forgotten import ForgottenTrack
from bunny.core import atomic, image_file, jsonl, safe_path
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.dataset import image_folder
from bunny.library import forget, hide_person
from bunny.library.hide_person import ShownRows
from bunny.table import store
from bunny.table.box import BOX
from bunny.video import image_writer

NOBODY = "\0"  # stands for the name of somebody who is known by a place alone; nothing has it
HandBox = tuple[str, float, float, float, float]  # frame_id and a box in pixels of its picture


def read_box(text: str) -> HandBox:
    """A place named by hand.

    Parameters
    ----------
    text : str
        A frame_id and four numbers.

    Raises
    ------
    UserError
        If it is anything else.

    Examples
    --------
    >>> read_box("reel-1a2b-00000012 10 20 110 220.5")
    ('reel-1a2b-00000012', 10.0, 20.0, 110.0, 220.5)
    """
    try:
        frame_id, x0, y0, x1, y1 = text.split()
        return frame_id, float(x0), float(y0), float(x1), float(y1)
    except ValueError:
        raise UserError(f"--box: expected FRAME_ID X0 Y0 X1 Y1, got {text or 'nothing'}") from None


def find_by_hand(tables: Mapping[str, pl.DataFrame], boxes: Sequence[HandBox]) -> list[Any]:
    """Places that a person named, one entry a shot.

    Parameters
    ----------
    tables : mapping
        frame, extra_frame and shot.
    boxes : sequence of (str, float, float, float, float)
        Of frames that the film does not have nothing is given back.

    Raises
    ------
    UserError
        If a box is empty or does not lie in its picture.
    """
    shot = tables["shot"].select("shot_index", "start_s", "end_s")
    frames = {
        row["frame_id"]: row
        for name in ("extra_frame", "frame")
        for row in tables[name].join(shot, on="shot_index").iter_rows(named=True)
    }
    rows: dict[int, list[dict[str, Any]]] = {}
    for frame_id, *box in boxes:
        if frame_id in frames:
            frame = frames[frame_id]
            _check_box(box, frame)
            row = {"frame_id": frame_id, **dict(zip(BOX, box, strict=True))}
            rows.setdefault(frame["shot_index"], []).append(row)
    return [forgotten.make_track(own, frames) for own in rows.values()]


def _check_box(box: Sequence[float], frame: Mapping[str, Any]) -> None:
    width, height = frame["width_px"], frame["height_px"]
    x0, y0, x1, y1 = box
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise UserError(
            f"--box {frame['frame_id']}: expected X0 Y0 X1 Y1 with X0 < X1 <= {width} and Y0 < Y1 "
            f"<= {height}, pixels of the frame's picture, got {x0:g} {y0:g} {x1:g} {y1:g}"
        )


def find_under(
    tables: Mapping[str, pl.DataFrame], places: Sequence[ForgottenTrack]
) -> forget.Person:
    """Nameless faces, regions and figures whose middle lies in a place, and their tracks."""
    label = tables["label_corrected"] if tables["label_corrected"].height else tables["label"]
    named = set(label.drop_nulls("character")["subject_id"])
    frames = {
        row["frame_id"]: row
        for name in ("extra_frame", "frame")
        for row in tables[name].iter_rows(named=True)
    }
    subjects: set[str] = set()
    tracks: set[str] = set()
    for table, key in forget.FOUND_IN.items():
        for row in tables[table].iter_rows(named=True):
            x, y = (row["x0_px"] + row["x1_px"]) / 2, (row["y0_px"] + row["y1_px"]) / 2
            frame = frames.get(row["frame_id"])
            inside = forgotten.boxes_in(frame, places) if frame else ()
            if row[key] not in named and any(
                x0 <= x < x1 and y0 <= y < y1 for x0, y0, x1, y1 in inside
            ):
                subjects.add(row[key])
                tracks |= {row["track_id"]} - {None}
    own = frozenset(subjects)
    return forget.Person(name=NOBODY, subjects=own, tracks=frozenset(tracks), runs=frozenset())


def list_shown(tables: Mapping[str, pl.DataFrame], shown: ShownRows) -> dict[str, int]:
    """How much of others shows the person, by kind."""
    own = tables["dataset"].filter(pl.col("image_id").is_in(shown.images))
    counts = {
        f"training pictures of {name} with them": own.filter(character=name).height
        for name in shown.characters
    }
    counts["clips of others with them"] = len(shown.clips)
    counts["pairs of others with them"] = len(shown.pairs)
    for name in shown.characters:
        adapters = tables["adapter"].filter(pl.col("character") == name).height
        counts[f"adapters of {name}, trained on such pictures"] = adapters
    return counts


def remove_shown(
    space: Workspace, tables: dict[str, pl.DataFrame], shown: ShownRows
) -> dict[str, pl.DataFrame]:
    """Remove what shows the person: files first, then the rows that name them.

    Returns
    -------
    dict
        The tables as they are now.
    """
    runs = forget.Person(
        name=NOBODY, subjects=frozenset(), tracks=frozenset(), runs=frozenset(shown.runs)
    )
    after = {
        name: forget.erase(hide_person.drop_rows(name, one, shown), runs)
        for name, one in tables.items()
    }
    after["candidate"] = hide_person.exclude_candidates(
        tables["candidate"], tables["dataset"], shown
    )
    for name in ("dataset", "clip", "training_pair"):
        _remove_files(space.root, tables[name], after[name])
    kept = {file for name in ("dataset", "frame") for file in _files(after[name])}
    for name in shown.characters:
        _rewrite_metadata(space.root, name, after["dataset"])
    for name, one in tables.items():
        home = space.checkpoint if name in ("adapter", "training_run") else space.root
        for file in forget.files_of(one, runs):
            if file not in kept:  # the evaluation names pictures of the set beside its own
                atomic.remove_file(safe_path.join(home, file))
    for run in shown.runs:
        atomic.remove_folder(safe_path.join(space.log / "tensorboard", run))
    for name in shown.characters:
        folder = image_folder.folder_name(name)
        atomic.remove_folder(space.checkpoint / folder)
        atomic.remove_folder(space.root / "picture" / folder)
    changed = [name for name in after if after[name] is not tables[name] and name != "dataset"]
    for name in (*changed, "dataset"):  # whose pictures show the person is told by this one
        if after[name] is not tables[name]:
            store.write(space.table, name, after[name])
    return after


def _remove_files(root: Path, before: pl.DataFrame, after: pl.DataFrame) -> None:
    """Remove files that only dropped rows name."""
    kept = set(_files(after))
    for file in (one for one in _files(before) if one not in kept):
        named = safe_path.join(root, file)
        for path in (named, named.with_suffix(".txt")):
            atomic.remove_file(path)


def _files(table: pl.DataFrame) -> list[str]:
    found = [one for key in ("file", "mask_file") if key in table.columns for one in table[key]]
    if "files" in table.columns:
        found += [name for names in table["files"].drop_nulls() for name in names]
    return [one for one in found if one is not None]


def _rewrite_metadata(root: Path, character: str, dataset: pl.DataFrame) -> None:
    """Leave the lines of pictures in `metadata.jsonl` that are in the set still."""
    path = root / "dataset" / image_folder.folder_name(character) / "metadata.jsonl"
    kept = {Path(file).name for file in dataset.filter(character=character)["file"]}
    jsonl.rewrite(
        path, "one picture", lambda entries: [e for e in entries if e.get("file_name") in kept]
    )
    atomic.remove_file(path.with_name(f".{path.stem}.lock"))


def paint_frames(space: Workspace, frame: pl.DataFrame, quality: int) -> int:
    """Paint the film's stored pictures over at the hidden places; gives how many show one.

    Parameters
    ----------
    frame : pl.DataFrame
        Table of that name.
    quality : int
        As of stage extract, of jpg and webp. A picture that is painted already is left as it is.
    """
    places, number = forgotten.hidden(space.root), 0
    for row in frame.drop_nulls("file").iter_rows(named=True):
        if not forgotten.boxes_in(row, places):
            continue
        number += 1
        path = safe_path.join(space.root, row["file"])
        image = image_file.read(path) if path.is_file() else None
        if image is None or forgotten.is_painted(image, row, places):
            continue
        painted = forgotten.hide(image, row, places)
        if painted is not None:
            data = image_writer.encode_picture(painted, path.suffix, quality)
            atomic.write_bytes(path, data)
    return number
