import polars as pl
import pytest
import table_row

from bunny.dataset import gap
from bunny.table import store

BASE = {"pose": "frontal", "shot_size": "medium", "place": "scene-000", "light": "medium"}
GAP = {"character": "anna", "axis": "light", "value": "dark"}


def make_candidate(*rows: dict) -> pl.DataFrame:
    """Views, chosen unless they have a reason; view i is of frame i and second i."""
    made = [
        {"subject_id": f"f{n}-f0", "character": "anna", "frame_id": f"f{n}", "shot_index": n}
        | {"frame_index": 24 * n, "timestamp_s": float(n), "size_px": 64.0, "sharpness": 50.0}
        | {"is_chosen": "reason" not in row, **BASE, **row}
        for n, row in enumerate(rows)
    ]
    return table_row.table("candidate", made)


def make_dataset(candidate: pl.DataFrame) -> pl.DataFrame:
    """A picture of each chosen view."""
    columns = ("character", "frame_id", "subject_id", "shot_index", *table_row.BOX, *BASE)
    chosen = candidate.filter("is_chosen").select(*columns, image_id="subject_id")
    return table_row.table("dataset", [{"role": "subject", **row} for row in chosen.to_dicts()])


def find(*rows: dict, axis: str | None = None) -> pl.DataFrame:
    candidate = make_candidate(*rows)
    found = gap.find_gaps(candidate, make_dataset(candidate))
    return found if axis is None else found.filter(pl.col("axis") == axis)


def test_who_would_fill_a_gap_by_hand():
    blurred = {"pose": "left-profile", "reason": "filtered", "detail": "blurred"}
    soft = {"pose": "left-profile", "reason": "soft", "detail": "8.1, x.y is 10"}
    rows = [{}] * 10 + [
        blurred | {"shot_index": 12, "sharpness": 3.0},
        blurred | {"shot_index": 12, "sharpness": 9.0, "detail": "blurred, but less"},
        soft | {"shot_index": 5},
    ]
    found = find(*rows, axis="pose").filter(pl.col("value") == "left-profile")
    assert found.select("num_pictures", "num_wanted", "num_seen").unique().rows() == [(0, 1, 3)]
    columns = ("shot_index", "reason", "detail", "num_dropped", "subject_id", "timestamp_s")
    assert found.select(columns).rows() == [
        (12, "filtered", "blurred, but less", 2, "f11-f0", 11.0),
        (5, "soft", "8.1, x.y is 10", 1, "f12-f0", 12.0),
    ]
    assert found["setting"].to_list() == [
        "filtering.blur_threshold",
        "dataset.min_subject_sharpness",
    ]


def test_wanted_is_half_an_even_share():
    """Of 20 pictures each of five poses should have 4; two are wanted."""
    rows = [{}] * 17 + [{"pose": "left"}] + [{"pose": "right"}] * 2
    found = find(*rows, axis="pose")
    assert dict(found.select("value", "num_wanted").iter_rows()) == {
        "left-profile": 2,
        "right-profile": 2,
        "left": 2,
    }
    assert found["value"].to_list()[-1] == "left"  # the narrowest gap last


def test_what_the_film_never_shows_has_nobody_to_fill_it():
    found = find(*[{}] * 4, axis="light")
    assert found["value"].to_list() == ["dark", "bright"]
    assert found["num_seen"].to_list() == [0, 0]
    assert found["shot_index"].null_count() == 2 and found["num_dropped"].to_list() == [0, 0]


def test_a_place_needs_one_picture():
    rows = [{}] * 9 + [{"place": "scene-001"}]
    dropped = {"place": "scene-002", "reason": "surplus"}
    found = find(*rows, dropped, axis="place")
    assert found["value"].to_list() == ["scene-002"]
    assert found["setting"].to_list() == ["models.max_images"]


def test_look_alikes_fill_nothing():
    twin = {"pose": "left", "reason": "duplicate", "duplicate_of": "f0-f0"}
    found = find({}, twin, axis="pose").filter(pl.col("value") == "left")
    assert found.select("num_seen", "num_dropped").rows() == [(1, 0)]
    assert found["setting"].to_list() == [None]


def test_cells_are_named_only_where_no_axis_explains_them():
    rows = [{}] * 4 + [{"pose": "left", "shot_size": "close-up"}] * 4
    left_medium = {"pose": "left", "reason": "soft"}
    left_wide = {"pose": "left", "shot_size": "wide", "reason": "soft"}  # there is no wide at all
    found = find(*rows, left_medium, left_wide, axis=gap.POSE_AND_SIZE)
    assert found.select("value", "num_dropped").rows() == [("left, medium", 1)]


@pytest.mark.parametrize(
    ("reason", "detail", "setting"),
    [
        ("filtered", "dark", "filtering.min_brightness"),
        ("filtered", "credit", "filtering.drop_kinds"),
        ("filtered", "blurred (subject sharpness 0.15 < 0.17)", "filtering.blur_threshold"),
        ("filtered", "something new", None),
        ("filtered", None, None),
        ("doubtful", "confidence 0.52, dataset.min_confidence is 0.6", "dataset.min_confidence"),
        ("doubtful", None, "dataset.min_confidence"),
        ("doubtful", "only 0.010 ahead of the second best character", None),
        ("small", "20 px", "dataset.min_subject_px"),
        ("small", "enlarged 3.0 times, dataset.max_upscale is 2", "dataset.max_upscale"),
        ("soft", None, "dataset.min_subject_sharpness"),
        ("surplus", None, "models.max_images"),
        ("crowded", "500 were wanted", "models.max_images"),
        ("crowded", "ben covers more than half of the box", None),
        ("unreadable", None, None),
    ],
)
def test_which_setting_brings_a_view_in(reason, detail, setting):
    found = find({}, {"pose": "left", "reason": reason, "detail": detail}, axis="pose")
    assert found.filter(pl.col("value") == "left")["setting"].to_list() == [setting]


def test_where_nothing_is_known_nothing_is_wanted():
    bare = {"pose": "unknown", "light": None, "place": None}
    found = find(*[bare] * 3)
    assert set(found["axis"]) == {"shot_size"}


def test_few_known_poses_give_no_gap_of_poses():
    found = find(
        {}, {"pose": "unknown"}, {"pose": "unknown"}, {"reason": "soft", "pose": "unknown"}
    )
    assert not {"pose", gap.POSE_AND_SIZE} & set(found["axis"])


def test_a_character_without_a_single_picture():
    found = find({"reason": "soft"})
    by_axis = dict(found.group_by("axis").agg(pl.col("value").n_unique()).iter_rows())
    assert by_axis == {"pose": 5, "shot_size": 3, "place": 1, "light": 3}
    assert set(found["num_wanted"]) == {1}


def test_characters_apart_and_no_candidates():
    candidate = make_candidate({}, {"character": "ben", "reason": "soft"})
    found = gap.find_gaps(candidate, make_dataset(candidate))
    assert found["character"].unique(maintain_order=True).to_list() == ["anna", "ben"]
    nothing = gap.find_gaps(store.from_rows("candidate", []), store.from_rows("dataset", []))
    assert nothing.is_empty() and nothing.columns == list(gap.SCHEMA)


def test_every_reason_of_the_filter_that_drops_has_a_setting():
    from bunny.table import schema

    reasons = set(schema.TABLE["quality"].columns()["reason"].categories)
    assert reasons - set(gap.FILTER_SETTING) == {"kept", "unreadable"}


def test_the_settings_named_are_real():
    from bunny.core.config import Config

    for key in {*gap.FILTER_SETTING.values(), *gap.SETTING.values()}:
        section, name = key.split(".")
        assert name in getattr(Config(), section).model_dump()


def ways(*rows: dict, wanted: dict = GAP, sparse: pl.DataFrame | None = None) -> list[tuple]:
    views = make_candidate(*[{k: v for k, v in r.items() if k != "word"} for r in rows])
    words = [r.get("word") for r in rows]  # reasons that table candidate does not know
    reason = pl.Series("word", words, pl.String).fill_null(views["reason"].cast(pl.String))
    found = gap.find_ways(pl.DataFrame([wanted]), views.with_columns(reason=reason), sparse)
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
    everything = ways(*rows, wanted={"character": "anna", "axis": "any", "value": ""})
    assert sum(number for _, _, number, _ in everything) == 8
    assert ways(*rows, wanted={**GAP, "character": "bo"}) == []


def test_what_an_addition_would_bring():
    table = pl.DataFrame({"needs": [None, "sure", "duplicates", "frames", "never"]})

    def kept(**flags):
        return gap.select_ways(table, **flags)["needs"].to_list()

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
    found = gap.find_sparse(views, frame, shot)
    assert found["shot_index"].to_list() == [0] * is_sparse  # shot 1 has no view of anybody
    drawn = make_candidate({"subject_type": "region"})
    assert gap.find_sparse(drawn, frame, shot).is_empty()
    if is_sparse:
        assert found["detail"].to_list() == ["a frame every 1.0 s"]
        pose = {"character": "anna", "axis": "pose", "value": "left"}
        assert ways({}, wanted=pose, sparse=found) == [(0, "not looked at", 0, "frames")]
        assert ways({}, wanted=GAP, sparse=found) == []


def proof(prompt: str, *identity: float | None) -> list[dict]:
    run = {"run_id": "r", "character": "anna", "step": 100, "prompt_set": "report"}
    return [
        {**run, "picture_id": f"{prompt}-{number}", "prompt": prompt, "identity": value}
        for number, value in enumerate(identity)
    ]


def test_prompts_that_are_drawn_badly_point_at_a_gap():
    good = proof("anna in a wood, medium shot", 0.8, 0.9, 0.85, 0.9)
    weak = proof("anna on a hill, close-up", 0.2, None)
    table = store.from_rows("evaluation_picture", [*good, *weak])
    found = gap.find_weak(table)
    assert found.rows() == [
        ("anna", "shot_size", "close-up", "prompts with 'close-up': identity 0.10, others 0.86")
    ]
    base = table.with_columns(step=pl.lit(0, pl.Int32))
    assert gap.find_weak(base).is_empty()
    same = proof("anna on a hill, close-up", 0.8, 0.9)
    assert gap.find_weak(store.from_rows("evaluation_picture", [*good, *same])).is_empty()
    assert gap.find_weak(store.from_rows("evaluation_picture", [])).is_empty()


def test_names_of_gaps():
    assert gap.gap_name("light", "dark") == "light:dark"
    assert gap.gap_name("shot_size", "wide") == "size:wide"
    assert gap.gap_name("pose and size", "left, wide") == "pose+size:left,wide"


def test_notes_say_what_cannot_be_judged():
    faces = gap.notes(make_candidate({}))
    assert len(faces) == 1 and "from behind" in faces[0]
    drawn = gap.notes(make_candidate({"subject_type": "region", "pose": "unknown"}))
    assert "to judge its poses" in drawn[1] and "kept frames only" in drawn[2]
