"""Which shots would fill a gap, and what it takes."""

import polars as pl
import pytest

from bunny.dataset import gap_fill
from bunny.table import store

BOX = {"x0_px": 0.0, "y0_px": 0.0, "x1_px": 64.0, "y1_px": 64.0}
GAP = {"character": "anna", "axis": "light", "value": "dark"}


def make_candidate(*rows: dict) -> pl.DataFrame:
    """Views of anna, chosen unless they have a reason; view i is of frame and shot i."""
    base = {
        "character": "anna",
        "subject_type": "face",
        "size_px": 64.0,
        "pose": "frontal",
        "shot_size": "medium",
        "place": "scene-000",
        "light": "medium",
        "sharpness": 50.0,
        "confidence": 0.9,
        "num_others": 0,
        **BOX,
    }
    made = [
        {
            **base,
            "subject_id": f"f{n}-f0",
            "frame_id": f"f{n}",
            "shot_index": n,
            "frame_index": 24 * n,
            "timestamp_s": float(n),
            "is_chosen": "reason" not in row,
            "reason": "chosen",
            **row,
        }
        for n, row in enumerate(rows)
    ]
    return store.from_rows("candidate", made)


def ways(*rows: dict, gap: dict = GAP, sparse: pl.DataFrame | None = None) -> list[tuple]:
    views = make_candidate(*[{k: v for k, v in r.items() if k != "word"} for r in rows])
    words = [r.get("word") for r in rows]  # reasons that table candidate does not know
    reason = pl.Series("word", words, pl.String).fill_null(views["reason"].cast(pl.String))
    found = gap_fill.find_ways(pl.DataFrame([gap]), views.with_columns(reason=reason), sparse)
    return found.select("shot_index", "reason", "num_views", "needs").rows()


def test_ways_by_hand():
    dark = {"light": "dark"}
    rows = [
        dark,  # chosen
        {"reason": "soft"},  # in another light
        {**dark, "reason": "soft", "shot_index": 9},
        {**dark, "reason": "soft", "shot_index": 9},
        {**dark, "reason": "doubtful", "shot_index": 9},
        {**dark, "reason": "duplicate", "shot_index": 3},
        {**dark, "reason": "unreadable", "shot_index": 2},
        {**dark, "reason": "soft", "word": "unlabelled", "shot_index": 4},
        {**dark, "reason": "small", "shot_index": 8},
    ]
    assert ways(*rows) == [
        (9, "soft", 2, None),
        (8, "small", 1, None),
        (4, "unlabelled", 1, "sure"),
        (9, "doubtful", 1, "sure"),
        (3, "duplicate", 1, "duplicates"),
        (2, "unreadable", 1, "never"),
    ]
    everything = ways(*rows, gap={"character": "anna", "axis": "any", "value": ""})
    assert sum(number for _, _, number, _ in everything) == 8
    assert ways(*rows, gap={**GAP, "character": "bo"}) == []


def test_what_an_addition_would_bring():
    table = pl.DataFrame({"needs": [None, "sure", "duplicates", "frames", "never"]})

    def kept(**flags):
        return gap_fill.select_ways(table, **flags)["needs"].to_list()

    assert kept(is_sure=False, has_duplicates=False) == [None, "frames"]
    assert kept(is_sure=True, has_duplicates=True) == [None, "sure", "duplicates", "frames"]


@pytest.mark.parametrize(("num_frames", "is_sparse"), [(2, True), (3, False), (8, False)])
def test_a_shot_is_sparse_from_three_quarters_of_a_second(num_frames, is_sparse):
    """Shot 0 takes two seconds: with two frames one a second, with three one in 0.67."""
    views = make_candidate({})
    frame = pl.DataFrame({"shot_index": [0] * num_frames, "timestamp_s": [0.0] * num_frames})
    shot = pl.DataFrame({"shot_index": [0, 1], "start_s": [0.0, 2.0], "end_s": [2.0, 9.0]}).cast(
        {"shot_index": pl.Int32}
    )
    frame = frame.cast({"shot_index": pl.Int32})
    found = gap_fill.find_sparse(views, frame, shot)
    assert found["shot_index"].to_list() == [0] * is_sparse  # shot 1 has no view of anybody
    drawn = make_candidate({"subject_type": "region"})
    assert gap_fill.find_sparse(drawn, frame, shot).is_empty()
    if is_sparse:
        assert found["detail"].to_list() == ["a frame every 1.0 s"]
        pose = {"character": "anna", "axis": "pose", "value": "left"}
        assert ways({}, gap=pose, sparse=found) == [(0, "not looked at", 0, "frames")]
        assert ways({}, gap=GAP, sparse=found) == []


def proof(prompt: str, *identity: float | None, **changes) -> list[dict]:
    return [
        {
            "picture_id": f"{prompt}-{number}-{len(changes)}",
            "run_id": "r",
            "character": "anna",
            "step": 100,
            "prompt_set": "report",
            "prompt": prompt,
            "identity": value,
            **changes,
        }
        for number, value in enumerate(identity)
    ]


def test_prompts_that_are_drawn_badly_point_at_a_gap():
    good = proof("anna in a wood, medium shot", 0.8, 0.9, 0.85, 0.9)
    weak = proof("anna on a hill, close-up", 0.2, None)
    table = store.from_rows("evaluation_picture", [*good, *weak])
    found = gap_fill.find_weak(table)
    assert found.rows() == [
        ("anna", "shot_size", "close-up", "prompts with 'close-up': identity 0.10, others 0.86")
    ]
    base = table.with_columns(step=pl.lit(0, pl.Int32))
    assert gap_fill.find_weak(base).is_empty()
    same = proof("anna on a hill, close-up", 0.8, 0.9)
    assert gap_fill.find_weak(store.from_rows("evaluation_picture", [*good, *same])).is_empty()
    assert gap_fill.find_weak(store.from_rows("evaluation_picture", [])).is_empty()


def test_names_of_gaps():
    assert gap_fill.gap_name("light", "dark") == "light:dark"
    assert gap_fill.gap_name("shot_size", "wide") == "size:wide"
    assert gap_fill.gap_name("pose and size", "left, wide") == "pose+size:left,wide"


def test_notes_say_what_cannot_be_judged():
    faces = gap_fill.notes(make_candidate({}))
    assert len(faces) == 1 and "from behind" in faces[0]
    drawn = gap_fill.notes(make_candidate({"subject_type": "region", "pose": "unknown"}))
    assert "to judge its poses" in drawn[1] and "kept frames only" in drawn[2]
