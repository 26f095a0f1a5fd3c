"""Labelled views of a character, and the rules that make them candidates.

No pixel is read. A frame that is blurred while the subject in it is sharp stays in the running:
the measure that counts is the subject's. So does a frame that the filter dropped as a duplicate:
what is alike is decided between views, see `likeness`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from bunny.caption import metadata_facts, tags
from bunny.core.config import DatasetConfig, FilteringConfig
from bunny.dataset import view as view_module
from bunny.dataset.crop_caption import FrameCaptions
from bunny.dataset.view import Box, CharacterView, OtherCharacter
from bunny.table.box import BOX

# Tables that views are chosen from.
TABLES = ("frame", "extra_frame", "measure", "quality", "face", "label", "cluster", "caption")
HIDDEN = "hidden"  # beside them, of `forgotten.hidden_boxes`, where there are any
CONTENT = tuple(f"content_{side}" for side in BOX)
FACE = ("frame_id", *BOX, "yaw", "mouth", "sharpness", "size_px", *metadata_facts.FACE_MEASURES)
ROUNDING = 1e-6  # of numbers in [0, 1] that tables keep in 32 bits
WITHIN = 0.7  # of a face's box inside a region: it is that figure's face
COVERED = 0.5  # of the subject's box under another's: the picture is of both
MIN_MARGIN = 0.02  # of a label to the second best character, where it is known
MIN_AREA_PX = 24  # smaller content boxes are not believed
JUDGED_BY_SUBJECT = ("blurred", "smeared")  # reasons of the filter that the subject's measure lifts
JUDGED_BY_VIEW = ("kept", "duplicate")


@dataclass(frozen=True, kw_only=True)
class CandidateVerdict:
    """Reason why a view cannot be chosen; `reason` empty: it can."""

    reason: str = ""
    detail: str | None = None
    duplicate_of: str | None = None


def count_views(label: pl.DataFrame) -> pl.DataFrame:
    """Number of frames and of shots that show each character.

    Returns
    -------
    pl.DataFrame
        Columns character, num_shots, num_frames; most shots first, for neighbouring frames add
        little, then most frames, then in order of the name.
    """
    return (
        label.drop_nulls("character")
        .group_by("character")
        .agg(num_shots=pl.col("shot_index").n_unique(), num_frames=pl.col("frame_id").n_unique())
        .sort(["num_shots", "num_frames", "character"], descending=[True, True, False])
    )


def gather(
    character: str, tables: Mapping[str, pl.DataFrame], subject: pl.DataFrame
) -> list[CharacterView]:
    """All labelled views of a character with what is known of each.

    Parameters
    ----------
    tables : mapping
        Tables frame, extra_frame, quality, face, label, cluster, caption; all but `frame` and
        `label` may be empty. `HIDDEN` may be missing.
    subject : pl.DataFrame
        Columns subject_id, sharpness (variance of the Laplacian), luma (mean, in [0, 1]) of what
        lies inside the box; null where not known. Faces' own measures go before them.

    Returns
    -------
    list of CharacterView
        By frame index and subject_id.
    """
    label = tables["label"]
    own = label.filter(pl.col("character") == character).join(
        _frames(tables), on="frame_id", maintain_order="left"
    )
    faces = {row["face_id"]: row for row in tables["face"].select(FACE).iter_rows(named=True)}
    measured = {row["subject_id"]: row for row in subject.iter_rows(named=True)}
    present, in_frame = _group(label.iter_rows(named=True)), _group(faces.values())
    said = metadata_facts.subject_measures(tables["face"], tables.get("region"))
    place, words = _places(tables["cluster"]), FrameCaptions(tables)
    views, hidden = [], _hidden(tables)
    for row in own.sort("frame_index", "subject_id").iter_rows(named=True):
        around = present[row["frame_id"]]
        face = _face_of(row, faces, in_frame.get(row["frame_id"], ()))
        known = measured.get(row["subject_id"], {})
        made = _view(row, face, known, _others(row, around, said), place, words)
        statements = _statements(made, said.get(row["subject_id"]), words.light_of(row))
        views.append(replace(made, hidden=hidden.get(row["frame_id"], ()), statements=statements))
    return _with_steadiness(views)


def gather_frames(frames: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> list[CharacterView]:
    """Collect whole frames as views of no character, for pictures of places.

    Parameters
    ----------
    frames : pl.DataFrame
        Rows of table frame.
    tables : mapping
        Tables frame, quality, label, cluster, caption.
    """
    place, words = _places(tables["cluster"]), FrameCaptions(tables)
    measured = tables["quality"].select("frame_id", "phash", "brightness", *CONTENT)
    found, hidden = [], _hidden(tables)
    for row in frames.join(measured, on="frame_id", how="left", maintain_order="left").to_dicts():
        area = _area(row)
        nobody = {
            "subject_id": row["frame_id"],
            "character": "",
            "subject_type": "region",
            "confidence": 1.0,
            "margin": None,
            **dict(zip(BOX, area, strict=True)),
        }
        made = _view({**row, **nobody}, None, {}, (), place, words)
        found.append(replace(made, shot_size="wide", hidden=hidden.get(row["frame_id"], ())))
    return found


def judge(
    views: Sequence[CharacterView],
    quality: pl.DataFrame,
    score: Mapping[str, float | None],
    wanted: DatasetConfig,
    filtering: FilteringConfig,
) -> list[CandidateVerdict]:
    """Say of each view whether it is good enough.

    Parameters
    ----------
    quality : pl.DataFrame
        Table of that name; frames that it lacks were not filtered.
    score : mapping
        `blur_score` of each subject_id by the frame's own measure, where it is known.
    filtering : FilteringConfig
        Its `blur_threshold` holds for the subject where the frame is blurred.

    Returns
    -------
    list of CandidateVerdict
        In order of `views`.
    """
    reason = dict(quality.select("frame_id", pl.col("reason").cast(pl.String)).iter_rows())
    least = filtering.blur_threshold
    return [
        _judge(v, reason.get(v.frame_id, "kept"), score.get(v.subject_id), wanted, least)
        for v in views
    ]


def to_row(
    view: CharacterView, verdict: CandidateVerdict, gain: float | None = None
) -> dict[str, object]:
    """A row of table ``candidate``; a view without a reason against it is chosen."""
    return {
        "subject_id": view.subject_id,
        "character": view.character,
        "subject_type": "face" if view.is_face else "region",
        "frame_id": view.frame_id,
        "shot_index": view.shot_index,
        "frame_index": view.frame_index,
        "timestamp_s": view.timestamp_s,
        **dict(zip(BOX, view.box, strict=True)),
        "size_px": max(0.0, view.side_px),
        "pose": view.pose,
        "shot_size": view.shot_size,
        "place": view.place,
        "light": view.light,
        "sharpness": view.sharpness,
        "confidence": view.confidence,
        "num_others": len(view.others),
        "is_chosen": not verdict.reason,
        "reason": verdict.reason or "chosen",
        "detail": verdict.detail,
        "duplicate_of": verdict.duplicate_of,
        "gain": gain,
    }


def _judge(
    view: CharacterView,
    filtered: str,
    score: float | None,
    wanted: DatasetConfig,
    min_blur_score: float,
) -> CandidateVerdict:
    """The first thing that speaks against a view."""
    if view.confidence < wanted.min_confidence - ROUNDING:
        least = wanted.min_confidence
        what = f"confidence {view.confidence:.2f}, dataset.min_confidence is {least}"
        return CandidateVerdict(reason="doubtful", detail=what)
    if view.margin is not None and view.margin < MIN_MARGIN - ROUNDING:
        what = f"only {view.margin:.3f} ahead of the second best character"
        return CandidateVerdict(reason="doubtful", detail=what)
    if filtered == "unreadable":
        return CandidateVerdict(reason="unreadable", detail="the frame's picture cannot be read")
    if filtered in JUDGED_BY_SUBJECT:
        if score is None or score < min_blur_score:
            inside = "" if score is None else f" (subject sharpness {score:.2f} < {min_blur_score})"
            return CandidateVerdict(reason="filtered", detail=f"{filtered}{inside}")
    elif filtered not in JUDGED_BY_VIEW:
        return CandidateVerdict(reason="filtered", detail=filtered)
    if view.side_px < wanted.min_subject_px:
        what = f"{view.side_px:.0f} px, dataset.min_subject_px is {wanted.min_subject_px}"
        return CandidateVerdict(reason="small", detail=what)
    if view.sharpness is not None and view.sharpness < wanted.min_subject_sharpness:
        least = f"dataset.min_subject_sharpness is {wanted.min_subject_sharpness:g}"
        return CandidateVerdict(reason="soft", detail=f"{view.sharpness:.1f}, {least}")
    covering = [o for o in view.others if view_module.share_inside(view.box, o.box) > COVERED]
    if covering:
        who = covering[0].character or "somebody unknown"
        return CandidateVerdict(reason="crowded", detail=f"{who} covers more than half of the box")
    return CandidateVerdict()


def _view(
    row: dict,
    face: dict | None,
    known: dict,
    others: tuple[OtherCharacter, ...],
    place: dict,
    words: FrameCaptions,
) -> CharacterView:
    box: Box = tuple(row[side] for side in BOX)
    is_face = row["subject_type"] == "face"
    own = face if face and is_face else {}
    area = _area(row)
    luma, sharpness = own.get("brightness"), own.get("sharpness")
    luma = known.get("luma") if luma is None else luma
    height = area[3] - area[1]
    return CharacterView(
        subject_id=row["subject_id"],
        character=row["character"],
        is_face=is_face,
        frame_id=row["frame_id"],
        shot_index=row["shot_index"],
        frame_index=row["frame_index"],
        timestamp_s=row["timestamp_s"],
        box=box,
        frame_size=(row["width_px"], row["height_px"]),
        area=area,
        confidence=row["confidence"],
        margin=row["margin"],
        pose=view_module.pose_of(face["yaw"] if face else None),
        shot_size=view_module.size_of(box, is_face, height, height),
        place=place.get(row["frame_id"], place.get(row["shot_index"])),
        light=view_module.light_of(row["brightness"] if luma is None else luma),
        sharpness=known.get("sharpness") if sharpness is None else sharpness,
        yaw=face["yaw"] if face else None,
        mouth=face["mouth"] if face else None,
        others=others,
        phash=row["phash"],
        file=row["file"],
        text=words.of(row),
        variants=words.variants_of(row),
        colour_cells=row.get("colour_cells"),
    )


def _with_steadiness(views: Sequence[CharacterView]) -> list[CharacterView]:
    """The views, with whether the character's boxes of their shot are about as high as theirs."""
    heights: dict[int, list[float]] = {}
    for view in views:
        heights.setdefault(view.shot_index, []).append(view.height_share)
    return [
        replace(view, is_steady=view_module.is_steady(view.height_share, heights[view.shot_index]))
        for view in views
    ]


def _frames(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Readable frames, kept and looked at besides, with what was measured on them."""
    columns = ("frame_id", "frame_index", "timestamp_s", "file", "width_px", "height_px")
    stored = tables["frame"].filter(pl.col("file").is_not_null())
    cells = tables["measure"].select("frame_id", "colour_cells")
    stored = stored.select(*columns, "error").join(cells, on="frame_id", how="left")
    more = tables["extra_frame"].select(*columns, "error", "colour_cells")
    both = pl.concat([stored, more])
    readable = both.filter(pl.col("error").is_null(), pl.col("width_px").is_not_null())
    measured = tables["quality"].select("frame_id", "phash", "brightness", *CONTENT)
    unique = readable.unique("frame_id", keep="first", maintain_order=True).drop("error")
    return unique.join(measured, on="frame_id", how="left", maintain_order="left")


def _hidden(tables: Mapping[str, pl.DataFrame]) -> dict[str, tuple[Box, ...]]:
    """Places of people who were forgotten, by frame_id."""
    table = tables.get(HIDDEN)
    found: dict[str, tuple[Box, ...]] = {}
    if table is not None:
        for frame_id, x0, y0, x1, y1 in table.select("frame_id", *BOX).iter_rows():
            found[frame_id] = (*found.get(frame_id, ()), (x0, y0, x1, y1))
    return found


def _group(rows: Iterable[dict]) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for row in rows:
        found.setdefault(row["frame_id"], []).append(row)
    return found


def _face_of(row: dict, faces: dict[str, dict], around: Sequence[dict]) -> dict | None:
    """The subject's own face, or the largest that lies inside a region."""
    if row["subject_type"] == "face":
        return faces.get(row["subject_id"])
    box = tuple(row[side] for side in BOX)
    inside = [f for f in around if _share(f, box) >= WITHIN]
    return max(inside, key=lambda f: (f["size_px"], f["face_id"]), default=None)


def _statements(
    view: CharacterView, measure: dict | None, light: str | None
) -> dict[str, str] | None:
    """Statements about a view; None where its caption is not composed of them."""
    if light is None:
        return None
    is_named = view.place and not metadata_facts.MACHINE_SCENE.fullmatch(view.place)
    place = tags.named_place(view.place) if view.place and is_named else ""
    return {**metadata_facts.subject_statements(measure), "place": place, "light": light}


def _others(
    row: dict, around: Sequence[dict], measured: dict[str, dict]
) -> tuple[OtherCharacter, ...]:
    """Other people and figures: not the character again, not its own face without a name."""
    own = tuple(row[side] for side in BOX)
    others = []
    for other in around:
        if other["subject_id"] == row["subject_id"] or other["character"] == row["character"]:
            continue
        is_unnamed_face = other["character"] is None and other["subject_type"] == "face"
        if row["subject_type"] == "region" and is_unnamed_face and _share(other, own) >= WITHIN:
            continue
        box = tuple(other[side] for side in BOX)
        is_seen = metadata_facts.is_seen(other, measured)
        is_face = other["subject_type"] == "face"
        others.append(
            OtherCharacter(character=other["character"], box=box, is_face=is_face, is_seen=is_seen)
        )
    return tuple(others)


def _share(row: dict, area: Box) -> float:
    return view_module.share_inside(tuple(row[side] for side in BOX), area)


def _area(row: dict) -> tuple[int, int, int, int]:
    """The picture without its bars, or all of it when that is not known."""
    box = tuple(row[side] for side in CONTENT)
    if any(v is None for v in box) or min(box[2] - box[0], box[3] - box[1]) < MIN_AREA_PX:
        return (0, 0, row["width_px"], row["height_px"])
    return box


def _places(cluster: pl.DataFrame) -> dict[str | int, str]:
    """Scene of each frame, and of each shot the one that most of its frames are in."""
    scenes = cluster.filter(pl.col("level") == "scene").drop_nulls("cluster_id")
    most = (
        scenes.group_by("shot_index", "cluster_id")
        .len()
        .sort("len", "cluster_id", descending=[True, False])
        .unique("shot_index", keep="first")
    )
    of_shot = dict(most.select("shot_index", "cluster_id").iter_rows())
    return of_shot | dict(scenes.select("item_id", "cluster_id").iter_rows())
