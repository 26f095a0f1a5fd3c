"""Search for a picture's source: by id, file, metadata, content or similarity."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl

from bunny.core import file_hash, image_file, safe_path
from bunny.core.error import UserError
from bunny.library.timeline import locate
from bunny.library.timeline.locate import LocationAnswer, Place, SourceFilm
from bunny.quality import luma, perceptual_hash, sharpness
from bunny.table import store
from bunny.table.box import crop_box

CLIP_SUFFIX = ".mp4"
BITS_MAX = 10  # of 64 in which hashes of one picture, saved or scaled anew, differ; Zauner 2010
MARKER_FILE = "export.json"  # `trainer_format.export.folder` writes it into each exported set
EXPORT_DEPTH = 4  # folders above a picture in which an export's mark may be
# A part of a frame that was cut out and stored at another size; see `_by_crop`.
CROP_CORRELATION_MIN = 0.9
CROP_WORKING_PX, CROP_MIN_PX = 240, 12  # long side of the frame, short side of the part
CROP_SCALES = tuple(4.0 * 0.94**step for step in range(44))  # frame's pixels per pixel of it
FLAT = 4.0  # standard deviation in levels of luma
CORRELATION_MIN = 0.9  # of 32x32 luma: hashes of flat pictures agree by chance


def find_picture(what: str, sources: Sequence[SourceFilm]) -> LocationAnswer:
    """Find the source of a picture.

    Parameters
    ----------
    what : str
        A file; or an image_id, frame_id, subject_id, picture_id or pair_id.
    sources : sequence of SourceFilm
        Films that are searched, the last one first.

    Returns
    -------
    LocationAnswer
        Of the surest way that finds it: a file of the film's folder, what is written beside or
        inside the file, the same bytes, a look-alike.

    Raises
    ------
    UserError
        If the file is no picture, or no film has it.
    """
    path = Path(what).expanduser()
    searches = (
        (_by_file, _by_metadata, _by_content, _by_similarity, _by_crop)
        if path.is_file()
        else (_by_id,)
    )
    for search in searches:
        for source in reversed(sources):
            if found := search(what, path, source):
                return found
    raise _not_found(what, path, sources)


def _not_found(what: str, path: Path, sources: Sequence[SourceFilm]) -> UserError:
    films = ", ".join(one.film["film_id"] for one in sources)
    if not path.is_file():
        return UserError(
            f"{what}: expected a picture, image_id, frame_id or FILM@TIMECODE, found no such file "
            f"and no such id in {films}; check the spelling"
        )
    known = _recorded(path)
    if known is not None:
        return UserError(
            f"{what}: comes from {known.image_id} according to {known.record}, which is in none of "
            f"{films}; give the --data-dir of its film"
        )
    return UserError(
        f"{what}: expected a picture that comes from a known film, found neither it nor a similar "
        f"frame in {films}; give the --data-dir of its film"
    )


def _by_id(what: str, _path: Path, source: SourceFilm) -> LocationAnswer | None:
    """A training picture, frame, face, region or drawn picture by its id."""
    tables = source.tables
    for row in _clips(source).filter(clip_id=what).to_dicts():
        return _answer(source, what, "by its clip_id", [locate.locate_clip(source, row)])
    if place := locate.locate_picture(source, what):
        return _answer(source, what, "by its image_id", [place])
    if place := locate.locate_frame(source, what):
        return _answer(source, what, "by its frame_id", [place])
    for frame_id in tables["label"].filter(subject_id=what)["frame_id"]:
        return _answer(source, what, "by its subject_id", [locate.locate_frame(source, frame_id)])
    for name in ("evaluation_picture", "picture"):
        for row in tables[name].filter(picture_id=what).to_dicts():
            return _of_drawing(source, what, row)
    for row in tables["training_pair"].filter(pair_id=what).to_dicts():
        return _of_pair(source, what, row, "by its pair_id: the target, then its references")
    return None


def _of_pair(source: SourceFilm, what: str, row: dict[str, Any], how: str) -> LocationAnswer | None:
    """The frames of a pair: its target's, then its references'."""
    ids = [row["target_frame_id"], *row["reference_frame_ids"]]
    places = [locate.locate_frame(source, frame_id) for frame_id in ids]
    return _answer(source, what, how, places) if places[0] else None


def _by_file(what: str, path: Path, source: SourceFilm) -> LocationAnswer | None:
    """A file that the film's own tables name."""
    try:
        inside = path.resolve().relative_to(source.root.resolve()).as_posix()
    except ValueError:
        return None
    for row in _clips(source).filter(file=inside).to_dicts():
        place = locate.locate_clip(source, row)
        return _answer(source, what, "a clip in the film's folder", [place])
    for key, row in _stored(source, inside):
        return _of_stored(source, what, key, row, "a file in the film's folder")
    for row in source.tables["training_pair"].drop_nulls("files").to_dicts():
        if inside in row["files"]:
            ids = [row["target_frame_id"], *row["reference_frame_ids"]]
            place = locate.locate_frame(source, ids[row["files"].index(inside)])
            how = f"a picture of pair {row['pair_id']}"
            return _answer(source, what, how, [place]) if place else None
    return None


def _by_metadata(what: str, path: Path, source: SourceFilm) -> LocationAnswer | None:
    """What an exported set says of it beside it, or a drawing inside it."""
    if known := _recorded(path):
        how = f"by {known.record}"
        if place := locate.locate_picture(source, known.image_id):
            return _answer(source, what, how, [place])
        place = locate.locate_frame(source, known.frame_id)
        if place := place or locate.locate_dropped_frame(source, known.frame_id):
            return _answer(source, what, f"{how}; it is no longer in the training set", [place])
    facts = _provenance(path)
    return _of_provenance(source, what, facts) if facts else None


def _by_content(what: str, path: Path, source: SourceFilm) -> LocationAnswer | None:
    """The same bytes under another name."""
    if path.suffix == CLIP_SUFFIX:
        for row in _clips(source).filter(sha256=file_hash.hash_file(path)).to_dicts():
            place = locate.locate_clip(source, row)
            return _answer(source, what, "identical to a clip", [place])
        return None
    files = {key: (row, safe_path.join(source.root, row["file"])) for key, row in _stored(source)}
    same = locate.same_content(path, ((key, file) for key, (_, file) in files.items()))
    for key in same:
        return _of_stored(source, what, key, files[key][0], "identical to a stored picture")
    return None


def _by_similarity(what: str, path: Path, source: SourceFilm) -> LocationAnswer | None:
    """A stored picture that looks alike: training pictures, then frames of the film."""
    look = _picture_hash(path)
    if look is None:
        raise UserError(f"{what}: expected a picture, could not read it; save it as PNG or JPEG")
    pictures = source.tables["dataset"].to_dicts()
    looks = [(row, _picture_hash(safe_path.join(source.root, row["file"]))) for row in pictures]
    rows = [row for row, seen in looks if seen]
    if found := _nearest(look, [seen for _, seen in looks if seen]):
        place = locate.locate_picture(source, rows[found.index]["image_id"])
        return _answer(source, what, f"looks like a training picture{_likeness(found)}", [place])
    measure = store.read_or_empty(source.root / "table", "measure").drop_nulls(
        ("phash", "signature")
    )
    if measure.is_empty():
        return None
    found = nearest(look, measure["phash"].to_numpy(), measure["signature"].to_numpy())
    if found is None:
        return None
    place = locate.locate_frame(source, measure["frame_id"][found.index])
    return _answer(source, what, f"looks like a frame of the film{_likeness(found)}", [place])


def _by_crop(what: str, path: Path, source: SourceFilm) -> LocationAnswer | None:
    """The frame that has the picture as a part of it, however large it was stored."""
    image = image_file.read(path)
    if image is None:
        return None
    picture, frames = luma.to_luma(image), source.tables["frame"].drop_nulls("file")
    for scales in ((1.0,), CROP_SCALES):  # most pictures are stored at the frame's own scale
        best, best_id = CROP_CORRELATION_MIN, ""
        for frame_id, file in frames.select("frame_id", "file").iter_rows():
            frame = image_file.read(safe_path.join(source.root, file))
            score = 0.0 if frame is None else _match_crop(luma.to_luma(frame), picture, scales)
            if score > best:
                best, best_id = score, frame_id
        if place := locate.locate_frame(source, best_id):
            how = f"looks like a part of a frame of the film (correlation {best:.3f})"
            return _answer(source, what, how, [place])
    return None


def _match_crop(frame: np.ndarray, picture: np.ndarray, scales: Sequence[float]) -> float:
    """Highest correlation of a picture with a part of a frame, at any of some scales."""
    shrink = min(1.0, CROP_WORKING_PX / max(frame.shape))
    frame = cv2.resize(frame, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    best = 0.0
    for scale in scales:
        sides = [max(1, round(side * shrink * scale)) for side in picture.shape[:2]]
        if min(sides) < CROP_MIN_PX or sides[0] > frame.shape[0] or sides[1] > frame.shape[1]:
            continue
        part = cv2.resize(picture, sides[::-1], interpolation=cv2.INTER_AREA)
        if part.std() > FLAT:  # a flat picture is a part of everything
            best = max(best, float(cv2.matchTemplate(frame, part, cv2.TM_CCOEFF_NORMED).max()))
    return best


def _clips(source: SourceFilm) -> pl.DataFrame:
    """Table `clip` of a film; empty where it has none."""
    return store.read_or_empty(source.root / "table", "clip")


def _nearest(look: PictureHash, looks: list[PictureHash]) -> HashMatch | None:
    if not looks:
        return None
    hashes = np.array([one.phash for one in looks], np.uint64)
    return nearest(look, hashes, np.stack([one.signature for one in looks]))


def _likeness(found: HashMatch) -> str:
    return f" ({found.bits} of 64 bits differ, correlation {found.correlation:.3f})"


def _stored(source: SourceFilm, inside: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of stored pictures by what they are; those of one file where it is given."""
    ids = {
        "dataset": "image_id",
        "evaluation_picture": "picture_id",
        "picture": "picture_id",
        "frame": "frame_id",
    }
    for name, key in ids.items():
        rows = source.tables[name].drop_nulls("file")
        if inside is not None:
            rows = rows.filter(file=inside)
        for row in rows.to_dicts():
            yield f"{name}:{row[key]}", row


def _of_stored(
    source: SourceFilm, what: str, key: str, row: dict[str, Any], how: str
) -> LocationAnswer | None:
    """The answer for a row of a stored picture."""
    name, _, value = key.partition(":")
    if name in ("picture", "evaluation_picture"):
        return _of_drawing(source, what, row)
    of = locate.locate_picture if name == "dataset" else locate.locate_frame
    place = of(source, value)
    return _answer(source, what, how, [place]) if place else None


def _of_drawing(source: SourceFilm, what: str, row: dict[str, Any]) -> LocationAnswer | None:
    """A drawn picture: the training picture nearest to it where it was measured, else the set."""
    near = row.get("nearest_id")
    if near and (place := locate.locate_picture(source, near)):
        how = f"generated; most similar training picture (cosine similarity {row['nearest']:.3f})"
        return _answer(source, what, how, [place])
    return _of_set(source, what, row.get("character"), row["run_id"] or "the base model alone")


def _of_provenance(source: SourceFilm, what: str, facts: dict[str, Any]) -> LocationAnswer | None:
    """A drawn picture by what it says of its adapter."""
    if frame_id := facts.get("init_frame"):
        place = locate.locate_frame(source, frame_id)
        if place:
            return _answer(
                source, what, "generated from this frame, according to its provenance", [place]
            )
    hashes = {a.get("hash") for a in facts.get("adapters") or []} - {None}
    hashes |= {facts["adapter_hash"]} if facts.get("adapter_hash") else set()
    for name, column in (("adapter", "hash"), ("training_run", "adapter_hash")):
        for row in store.read_or_empty(source.root / "table", name).to_dicts():
            if row[column] in hashes:
                return _of_set(source, what, row["character"], row["run_id"])
    return None


def _of_set(
    source: SourceFilm, what: str, character: str | None, run: str
) -> LocationAnswer | None:
    """All training pictures of a run's character."""
    rows = source.tables["dataset"].filter(split="train", character=character or "")
    places = [locate.locate_picture(source, i) for i in rows["image_id"]]
    if not places:
        return None
    how = f"generated with {run}, which was trained on these {len(places)} training pictures"
    return _answer(source, what, how, places)


def _answer(
    source: SourceFilm, what: str, how: str, places: Sequence[Place | None]
) -> LocationAnswer:
    """Places in film order; those that the film no longer has are left out."""
    here = sorted((p for p in places if p is not None), key=lambda p: p["frame"])
    return locate.make_answer(source, what, how, here)


@dataclass(frozen=True, kw_only=True)
class RecordedSource:
    """The records that the files of an export have of a picture."""

    image_id: str
    frame_id: str
    record: str  # the file that says it, for a sentence


def _recorded(path: Path) -> RecordedSource | None:
    """The training picture that an export's files name for a picture; None where they do not."""
    beside = path.with_suffix(".json")  # record of an unpacked WebDataset
    rows = {"the metadata.jsonl next to it": _listed(path), f"{beside.name}": _read_json(beside)}
    for record, row in rows.items():
        if image_id := row.get("image_id"):
            frame_id = row.get("frame_id") or _frame_of(image_id)
            return RecordedSource(image_id=image_id, frame_id=frame_id, record=record)
    path = path.resolve()
    for folder in path.parents[:EXPORT_DEPTH]:
        sources = _read_json(folder / MARKER_FILE).get("sources")
        name = path.relative_to(folder).as_posix()
        if isinstance(sources, dict) and (image_id := sources.get(name)):
            record = f"the {MARKER_FILE} of its export"
            return RecordedSource(image_id=image_id, frame_id=_frame_of(image_id), record=record)
    return None


def _frame_of(image_id: str) -> str:
    """The frame that a training picture was cut from, by the picture's id.

    Examples
    --------
    >>> _frame_of("reel-d3ceaa8a-00000074-f00-c0"), _frame_of("reel-d3ceaa8a-00000074-r00bird")
    ('reel-d3ceaa8a-00000074', 'reel-d3ceaa8a-00000074')
    """
    found = re.match(r".*?-[0-9a-f]{8}-\d{8}(?=-|$)", image_id)
    return found.group() if found else image_id.rsplit("-r", 1)[0].rsplit("-f", 1)[0]


def _listed(path: Path) -> dict[str, Any]:
    """The row of the metadata.jsonl beside a picture that names it; empty without one."""
    listing = path.parent / "metadata.jsonl"
    if not listing.is_file():
        return {}
    for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and row.get("file_name") == path.name:
            return row
    return {}


def _read_json(path: Path) -> dict[str, Any]:
    """An object of a JSON file; empty where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _picture_hash(path: Path) -> PictureHash | None:
    """Hashes that a picture is compared by, as stage extract measures frames; None: no picture."""
    image = image_file.read(path)
    if image is None:
        return None
    grey = luma.to_luma(image)
    work = luma.shrink(crop_box(grey, luma.content_box(grey)), sharpness.WORKING_PX)
    return PictureHash(
        phash=perceptual_hash.phash(work), signature=perceptual_hash.luma_signature(work)
    )


def _provenance(path: Path) -> dict[str, Any]:
    """Provenance inside a drawn PNG; empty for other files."""
    from bunny.generation import provenance  # it imports torch

    try:
        return provenance.read_provenance(path)
    except (OSError, ValueError, SyntaxError):  # PIL's, of files that are no picture
        return {}


@dataclass(frozen=True, kw_only=True)
class PictureHash:
    """Hashes by which pictures are compared."""

    phash: int  # 64 bits
    signature: np.ndarray  # (1024,) uint8


@dataclass(frozen=True, kw_only=True)
class HashMatch:
    """Similarity of the best match."""

    index: int  # which of the known ones
    bits: int  # in which the hashes differ
    correlation: float


def nearest(look: PictureHash, phash: np.ndarray, signature: np.ndarray) -> HashMatch | None:
    """The known picture that looks most like this one; None where none is near.

    Parameters
    ----------
    phash : np.ndarray, shape (n,), uint64
    signature : np.ndarray, shape (n, 1024), uint8

    Returns
    -------
    HashMatch or None
        Within `BITS_MAX` bits and of a correlation of at least `CORRELATION_MIN`; the highest
        correlation of those, the first of equals.
    """
    if not len(phash):
        return None
    bits = np.bitwise_count(phash ^ np.uint64(look.phash))
    near = np.flatnonzero(bits <= BITS_MAX)
    if not len(near):
        return None
    correlation = _correlate(signature[near], look.signature)
    best = int(np.argmax(correlation))
    if correlation[best] < CORRELATION_MIN:
        return None
    at = int(near[best])
    return HashMatch(index=at, bits=int(bits[at]), correlation=float(correlation[best]))


def _correlate(many: np.ndarray, one: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each row with a vector; flat ones have none."""
    rows = many.astype(np.float64)
    rows -= rows.mean(axis=1, keepdims=True)
    column = one.astype(np.float64) - one.mean()
    norm = np.linalg.norm(rows, axis=1) * np.linalg.norm(column)
    return np.divide(rows @ column, norm, out=np.zeros(len(rows)), where=norm > 0)
