"""Who resembles a character without having its name."""

import math

import polars as pl
import pytest
import table_row

from bunny.dataset import lookalike
from bunny.table import store

BOX = {"x0_px": 0.0, "y0_px": 0.0, "x1_px": 10.0, "y1_px": 10.0}


def label(frame: int, character: str | None, kind: str = "region", **changes) -> dict:
    ids = {"subject_id": f"f{frame}-{kind[0]}0", "subject_type": kind, "character": character}
    usual = BOX | {"distance": 0.2, "frame_id": f"f{frame}", "shot_index": frame}
    return table_row.fill("label", changes, **ids, **usual)


def region(frame: int, similarity: float, number: int = 0, **changes) -> dict:
    ids = {"region_id": f"f{frame}-x{number}", "frame_id": f"f{frame}", "shot_index": frame}
    usual = BOX | {"candidate": "anna", "similarity": similarity, "margin": 0.1, "model": "m"}
    return table_row.fill("region", changes, **ids, **usual)


def find(labels, regions=(), best=None) -> pl.DataFrame:
    tables = {n: store.from_rows(n, r) for n, r in (("label", labels), ("region", regions))}
    return lookalike.find_by_similarity("anna", tables, best or {})


def test_windows_that_lead_in_frames_without_the_character():
    """Anna's own region is 0.8 like her: what is 0.6 like her or more resembles her."""
    regions = [
        region(0, 0.9, 1),  # anna is in that frame already
        region(1, 0.61),
        region(1, 0.65, 1),
        region(2, 0.59),
        region(3, 0.7, margin=-0.01),
        region(4, 0.7, candidate="bo"),
        region(5, 0.7),
    ]
    bo = label(5, "bo", **{**BOX, "y1_px": 8.0})  # most of the window is somebody else's
    found = find([label(0, "anna"), bo], regions)
    assert found["subject_id"].to_list() == ["f1-x1"]
    row = found.row(0, named=True)
    assert row["character"] == "anna" and abs(row["confidence"] - 0.65) < 1e-6


def test_faces_without_a_name_that_are_nearest_to_the_character():
    faces = [label(n, None, "face") for n in range(4)] + [label(3, "anna", subject_id="f3-a")]
    best = {
        "f0-f0": ("anna", 0.25, 0.1),
        "f1-f0": ("anna", 0.24, 0.1),
        "f2-f0": ("bo", 0.30, 0.1),
        "f3-f0": ("anna", 0.36, 0.1),
    }
    assert find(faces, best=best)["subject_id"].to_list() == ["f0-f0"]


def test_with_names_changes_no_other_row():
    labels = [label(0, "anna"), label(1, None, "face"), label(2, None, "face")]
    before = store.from_rows("label", labels)
    like = find(labels, best={"f1-f0": ("anna", 0.3, 0.1)})
    after = lookalike.with_names(before, like)
    assert after.height == 3 and after["character"].to_list() == ["anna", "anna", None]
    same = pl.col("subject_id") != "f1-f0"
    assert after.filter(same).equals(before.filter(same))
    region_like = find([label(0, "anna")], [region(1, 0.7)])
    assert lookalike.with_names(before, region_like).height == 4


def test_without_a_labelled_region_no_window_resembles():
    assert find([label(0, "anna", "face")], [region(1, 0.99)]).is_empty()


def figure(frame: int, angle: float, **changes) -> dict:
    ids = {"figure_id": f"f{frame}-g0", "frame_id": f"f{frame}", "shot_index": frame}
    vector = [math.cos(math.radians(angle)), math.sin(math.radians(angle))]
    return table_row.fill("figure", changes, **ids, **BOX, embedding=vector)


def drawn_face(frame: int) -> dict:
    ids = {"face_id": f"f{frame}-f0", "frame_id": f"f{frame}", "shot_index": frame}
    return table_row.fill("drawn_face", {}, **ids, **BOX)


BO = label(1, "bo")  # fills the box of frame 1


@pytest.mark.parametrize(
    ("labels", "more", "is_shown"),
    [
        ([], {}, False),
        ([label(1, None, "face")], {}, True),
        ([label(2, "anna", shot_index=1)], {}, True),  # in another frame of the shot
        ([], {"drawn_face": [drawn_face(1)]}, True),
        ([BO], {"drawn_face": [drawn_face(1)]}, False),
        # Where anna is labelled a region is 0.8 like her: 0.6 of that is 0.48.
        ([], {"region": [region(0, 0.8), region(1, 0.49)]}, True),
        ([], {"region": [region(0, 0.8), region(1, 0.47)]}, False),
        ([], {"region": [region(1, 0.41)]}, True),  # she is labelled by her face alone
        ([], {"region": [region(1, 0.39)]}, False),
        ([], {"region": [region(1, 0.9, candidate="bo")]}, False),
        ([BO], {"region": [region(1, 0.9)]}, False),
        # Her own figure points at 0 degrees; 0.6 is the cosine of 53 degrees.
        ([], {"figure": [figure(0, 0), figure(1, 52)]}, True),
        ([], {"figure": [figure(0, 0), figure(1, 54)]}, False),
        ([BO], {"figure": [figure(0, 0), figure(1, 10)]}, False),
        ([], {"figure": [figure(1, 0)]}, False),  # she has none to be held against
    ],
)
def test_who_is_unnamed_and_may_be_the_character_shows_it(labels, more, is_shown):
    frames = [{"frame_id": f"f{n}", "shot_index": n} for n in range(2)]
    rows = {"frame": [table_row.fill("frame", {}, **one) for one in frames]}
    rows |= {"label": [label(0, "anna", subject_id="f0-r0"), *labels]}
    rows |= {name: more.get(name, []) for name in ("face", "drawn_face", "region", "figure")}
    tables = {name: store.from_rows(name, own) for name, own in rows.items()}
    assert ("f1" in lookalike.frames_with("anna", tables)) == is_shown
