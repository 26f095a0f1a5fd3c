"""Stage review on tables made here: what people say reaches labels, captions and the set."""

from dataclasses import replace

import bare_film
import cv2
import numpy as np
import plain_row
import polars as pl
import pytest

from bunny import pipeline
from bunny.command import learn
from bunny.command.correct import open_state
from bunny.contract import fingerprint
from bunny.core import workspace
from bunny.core.config import Config
from bunny.review import asset_table as review_asset
from bunny.review import create_event, event_log
from bunny.review.create_event import EventContext
from bunny.review.learn import item, linear_map, method, threshold_rule, version
from bunny.stage.caption import Caption
from bunny.stage.dataset import Dataset
from bunny.stage.review import Review
from bunny.table import metadata, store

ANA = EventContext(user="ana")
WIDTH, HEIGHT, SHOTS = 128, 96, 4
# Of each shot: who is labelled in its two frames, and how its scene vectors lie, in degrees.
WHO = ("bunny", "bunny", "pip", "pip")
ANGLE = (0, 10, 80, 90)
CROP = {f"crop_{key}": v for key, v in plain_row.box(0, 0, 2 * WIDTH, 2 * HEIGHT).items()}


def _tables() -> dict[str, list[dict]]:
    rows: dict[str, list[dict]] = {
        name: []
        for name in (
            *review_asset.TABLES,
            "embedding",
            "subject_vector",
            "quality",
            "measure",
            "reference",
            "shot_medium",
            "drawn_face",
        )
    }
    rows["film"].append(plain_row.film(24 * SHOTS, (2 * WIDTH, 2 * HEIGHT)))
    for shot in range(SHOTS):
        first = 24 * shot
        rows["shot"].append(plain_row.shot(shot))
        for step in (6, 18):
            _add_frame(rows, shot, first + step)
    return rows


def _add_frame(rows: dict, shot: int, index: int) -> None:
    frame_id = f"film-{index:08d}"
    region_id, angle = f"{frame_id}-r0", np.radians(ANGLE[shot])
    box = plain_row.box(20.0, 18.0, 60.0, 78.0)
    place = {"frame_id": frame_id, "shot_index": shot}
    rows["frame"].append(plain_row.frame(index, shot, (WIDTH, HEIGHT), **CROP))
    rows["quality"].append(plain_row.quality(frame_id, index, brightness=0.5))
    vector = [np.cos(angle), np.sin(angle)]
    rows["embedding"].append({"frame_id": frame_id, "model": "plane", "vector": vector})
    rows["subject_vector"].append({"subject_id": region_id, "model": "net", "vector": vector})
    rows["region"].append(
        {
            **place,
            **box,
            "region_id": region_id,
            "candidate": WHO[shot],
            "similarity": 0.8,
            "margin": 0.3,
            "support": 0.8,
            "track_id": f"film-f{shot:05d}",
            "model": "net",
        }
    )
    rows["label"].append(
        plain_row.label(region_id, WHO[shot], **place, **box, distance=0.2, margin=0.3)
    )
    scene = f"scene-00{1 + (ANGLE[shot] > 45)}"
    rows["cluster"] += [
        plain_row.scene(frame_id, shot, scene, similarity=1.0),
        {
            "item_id": region_id,
            "level": "character",
            "shot_index": shot,
            "cluster_id": f"{scene}/{WHO[shot]}",
            "scene_id": scene,
            "character": WHO[shot],
            "is_noise": False,
        },
    ]


@pytest.fixture
def space(tmp_path):
    """A film as stage cluster leaves it."""
    space = workspace.locate(tmp_path, str(tmp_path / "data"), "film")
    space.frame.mkdir(parents=True)
    for name, rows in _tables().items():
        store.write(space.table, name, store.from_rows(name, rows))
    for file in store.read(space.table, "frame")["file"]:
        cv2.imwrite(str(space.root / file), np.full((HEIGHT, WIDTH, 3), 120, np.uint8))
    bare_film.write_source(space.root)
    return space


def _run(stage, space, **config):
    made = stage(Config.model_validate(config), space.root, space.root)
    return made, made.execute()


def _say(space, make_event, *args, **say):
    """Say something of the library as it is."""
    state = open_state(space, Config())
    event = make_event(state, ANA, *args, **say)
    event_log.append(space.root, [event])
    return event


def _identity(space) -> dict[int, set]:
    """Names and sources by shot."""
    table = store.read(space.table, "label_corrected")
    return {
        shot: set(own.select("character", pl.col("source").cast(pl.String)).rows())
        for (shot,), own in table.partition_by("shot_index", as_dict=True).items()
    }


@pytest.mark.parametrize("noise_threshold", [0.2, 0.7])
def test_doubt_counts_from_the_threshold_of_noise_on(space, noise_threshold):
    """Frames of a scene lie 10 degrees apart, the next scene's middle 85 and 75 from the first's.

    Alike counts as a share of what lies between the threshold and 1, apart by the margin.
    """
    _run(Review, space, clustering={"noise_threshold": noise_threshold, "scene_threshold": 0.9})
    asset = store.read(space.table, "asset")
    first = asset.filter(level="scene").sort("shot_index").row(0, named=True)
    own, other = np.cos(np.radians([10, 85]))
    alike = (own - noise_threshold) / (1 - noise_threshold)
    apart = 1 - np.exp(-(own - other) / 0.1)
    assert first["doubt"] == pytest.approx(1 - np.sqrt(alike * apart), abs=1e-3)


def reject_elsewhere(space, name, angle, model="net"):
    """What people of another film said is not a character, as a vector."""
    vector = [np.cos(np.radians(angle)), np.sin(np.radians(angle))]
    row = {
        "said_in": "other",
        "asset_id": f"other-f{angle}",
        "character": name,
        "model": model,
        "vector": vector,
    }
    store.write(space.table, "rejected_elsewhere", store.from_rows("rejected_elsewhere", [row]))


def test_what_is_more_like_what_other_films_rejected_is_nobody_until_a_person_says_so(space):
    """The bunny's figures lie at 0 and 10 degrees; people said elsewhere that one at 12 is not."""
    _run(Review, space)
    before = _identity(space)
    reject_elsewhere(space, "pip", 12)
    _run(Review, space)
    assert _identity(space) == before  # nobody called pip is more like it than like pip
    reject_elsewhere(space, "bunny", 12, model="other net")
    _run(Review, space)
    assert _identity(space) == before
    reject_elsewhere(space, "bunny", 12)
    made, _ = _run(Review, space)
    assert made.can_resume()
    assert _identity(space) == before | {1: {(None, "reference")}}
    asset = store.read(space.table, "asset").filter(level="character").sort("shot_index")
    assert asset["cluster_id"].to_list() == ["bunny", None, "pip", "pip"]
    assert asset["rejected_from"].to_list() == [[]] * 4  # nobody said so in this film
    _say(space, create_event.assign, ["film-f00001"], "bunny")
    _run(Review, space)
    assert _identity(space)[1] == {("bunny", "person")}


def test_what_is_learned_goes_by_what_other_films_rejected(space):
    """It is among the examples, and thresholds that take anybody leave out who is barred."""
    own = method.FittedMethod(
        method="threshold",
        space=linear_map.identity(2),
        rule=threshold_rule.ThresholdRule(join=0.1, move=2.0),
    )
    checkpoint = workspace.from_film_dir(space.root).checkpoint
    version.save(checkpoint, {("character", "net"): own}, {"corrections": 12})
    version.use(checkpoint, 1)
    reject_elsewhere(space, "bunny", 12)
    _run(Review, space)
    asset = store.read(space.table, "asset").filter(level="character").sort("shot_index")
    assert asset["cluster_id"].to_list() == ["bunny", "pip", "pip", "pip"]
    asset, _, (_, vectors) = learn._read(space, Config())
    items = item.collect(asset, vectors)["character", "net"]
    known = items.asset_id.index("other/other-f12")
    assert [items.clusters[k] for k in np.flatnonzero(items.barred[known])] == ["bunny"]
    assert items.start[items.asset_id.index("film-f00001")] == item.NOBODY


def test_without_corrections_the_machines_tables_are_read_on(space):
    _run(Review, space)
    for one, other in (("label", "label_corrected"), ("cluster", "cluster_corrected")):
        assert store.read(space.table, one).equals(store.read(space.table, other))
    asset = store.read(space.table, "asset")
    assert asset["level"].cast(pl.String).to_list() == ["character"] * 4 + ["scene"] * 4
    figure = asset.row(0, named=True)
    assert (figure["asset_id"], figure["cluster_id"], figure["name"]) == (
        "film-f00000",
        "bunny",
        "bunny",
    )
    # The stored picture is half the film's: pixels 20 to 60 of 128 are shares 0.15625 to 0.46875.
    assert figure["boxes"][:5] == [0.25, 0.15625, 0.1875, 0.46875, 0.8125]
    assert (figure["start_s"], figure["end_s"]) == (0.25, 0.75 + 1 / 24)
    shot = asset.row(6, named=True)
    assert (shot["asset_id"], shot["cluster_id"], shot["who"]) == (
        "film-s00002",
        "scene-002",
        ["pip"],
    )
    # Shots 2 and 3 lie at 80 and 90 degrees, the other scene at 5: cosines of 10 and of 75.
    assert shot["similarity"] == pytest.approx(np.cos(np.radians(10)), abs=1e-6)
    assert shot["margin"] == pytest.approx(
        np.cos(np.radians(10)) - np.cos(np.radians(75)), abs=1e-6
    )
    assert store.read(space.table, "feedback").is_empty()


def test_a_correction_makes_review_stale_and_what_reads_it(space):
    _run(Review, space)
    _run(Caption, space)
    assert Caption(Config(), space.root, space.root).can_resume()
    _say(space, create_event.comment, ["film-s00000"], "nice")
    assert not Review(Config(), space.root, space.root).can_resume()
    _run(Review, space)
    assert Caption(Config(), space.root, space.root).can_resume()  # a comment changes no label
    _say(space, create_event.assign, ["film-f00000"], "pip")
    stale = Review(Config(), space.root, space.root)
    assert fingerprint.explain(stale.record()["parts"], stale.parts()) == "feedback changed"
    states = {s.name: s for s in pipeline.status(space, Config())}
    assert "review" in states["caption"].why
    _run(Review, space)
    assert not Caption(Config(), space.root, space.root).can_resume()
    assert Review(Config(), space.root, space.root).can_resume()


def test_names_are_corrected_and_rejected_ones_taken_away(space):
    _run(Review, space)
    _say(space, create_event.assign, ["film-f00000"], "pip")
    _say(space, create_event.reject, ["film-f00003"])
    _run(Review, space)
    assert _identity(space) == {
        0: {("pip", "person")},
        1: {("bunny", "reference")},
        2: {("pip", "reference")},
        3: {(None, "person")},
    }
    table = store.read(space.table, "label_corrected")
    assert table.filter(pl.col("shot_index") == 0)["confidence"].to_list() == [1.0, 1.0]
    rows = store.read(space.table, "cluster_corrected").filter(pl.col("level") == "character")
    assert set(rows["cluster_id"]) == {"scene-001/pip", "scene-001/bunny", "scene-002/pip"}
    who = store.read(space.table, "asset").filter(pl.col("level") == "scene")["who"].to_list()
    assert who == [["pip"], ["bunny"], ["pip"], []]


def test_a_renamed_character_has_its_name_everywhere(space):
    _run(Review, space)
    _say(space, create_event.rename, "pip", "paul", level="character")
    _run(Review, space)
    assert _identity(space)[2] == {("paul", "cluster")}
    assert _identity(space)[0] == {("bunny", "reference")}


def test_corrections_hold_when_everything_is_detected_and_clustered_anew(space):
    _run(Review, space)
    _say(space, create_event.rename, "scene-002", "kitchen", level="scene")
    _say(space, create_event.assign, ["film-s00000"], "kitchen")
    _say(space, create_event.reject, ["film-f00003"])
    swap = {"scene-001": "scene-002", "scene-002": "scene-001"}
    cluster = store.read(space.table, "cluster").with_columns(
        pl.col("cluster_id", "scene_id").replace(swap)
    )
    store.write(space.table, "cluster", cluster)
    region = store.read(space.table, "region").with_columns(
        track_id=pl.lit("film-g9") + pl.col("shot_index").cast(pl.String), x0_px=pl.col("x0_px") + 3
    )
    store.write(space.table, "region", region)
    label = store.read(space.table, "label").with_columns(x0_px=pl.col("x0_px") + 3)
    store.write(space.table, "label", label)
    _run(Review, space)
    asset = store.read(space.table, "asset")
    named = asset.filter(pl.col("name") == "kitchen")
    assert named["shot_index"].to_list() == [0, 2, 3]
    assert _identity(space)[3] == {(None, "person")}
    feedback = store.read(space.table, "feedback")
    assert feedback["is_lost"].to_list() == [False] * 3


def test_what_is_lost_is_kept_and_found_again(space):
    _run(Review, space)
    _say(space, create_event.assign, ["film-f00000"], "pip")
    region, label = (store.read(space.table, name) for name in ("region", "label"))
    for name, table in (("region", region), ("label", label)):
        store.write(space.table, name, table.filter(pl.col("shot_index") > 0))
    _, result = _run(Review, space)
    assert store.read(space.table, "feedback")["is_lost"].to_list() == [True]
    assert "1 correction refers to items that no longer exist" in result.note
    for name, table in (("region", region), ("label", label)):
        store.write(space.table, name, table)
    _run(Review, space)
    assert store.read(space.table, "feedback")["is_lost"].to_list() == [False]
    assert _identity(space)[0] == {("pip", "person")}


def test_captions_have_peoples_words_names_and_places(space):
    _run(Review, space)
    _say(space, create_event.caption_edit, ["film-s00001"], "somebody hops away")
    _say(space, create_event.rename, "scene-002", "kitchen", level="scene")
    _run(Review, space)
    _run(Caption, space)
    caption = store.read(space.table, "caption")
    mine = caption.filter(pl.col("provider") == "person")
    assert mine["version"].to_list() == [2, 2]
    assert set(mine["text"]) == {"bunny, somebody hops away"}  # the trigger word put in front
    assert "kitchen" in caption.filter(pl.col("frame_id") == "film-00000054")["tags"][0].to_list()
    shown = metadata.view(space.table).collect()
    assert shown.filter(pl.col("shot_index") == 1)["caption"].to_list() == list(mine["text"])
    assert set(shown["scene_id"]) == {"scene-001", "kitchen"}


def test_the_words_of_one_picture_hold_through_all_reruns_until_they_are_undone(space):
    def edited() -> dict[str, str]:
        _run(Review, space)
        _run(Caption, space)
        rows = store.read(space.table, "caption").filter(pl.col("provider") == "person")
        return dict(rows.select("frame_id", "text").iter_rows())

    _run(Review, space)
    frame = store.read(space.table, "frame")
    own = create_event.frame_captions(frame, {"film-00000030": "bunny waves"})
    assert [one.time_s for one in own] == [frame.filter(frame_id="film-00000030")["timestamp_s"][0]]
    event = _say(space, create_event.frame_caption_edit, own)
    assert edited() == {"film-00000030": "bunny waves"}  # the other picture of its shot has not
    swap = {"scene-001": "scene-002", "scene-002": "scene-001"}
    cluster = store.read(space.table, "cluster").with_columns(
        pl.col("cluster_id", "scene_id").replace(swap)
    )
    store.write(space.table, "cluster", cluster)
    assert edited() == {"film-00000030": "bunny waves"}
    quality = store.read(space.table, "quality")
    is_kept = pl.col("is_kept") & (pl.col("frame_id") != "film-00000030")
    store.write(space.table, "quality", quality.with_columns(is_kept=is_kept))
    assert edited() == {}  # it is not kept now
    store.write(space.table, "quality", quality)
    assert edited() == {"film-00000030": "bunny waves"}
    _say(space, create_event.undo, event.event_id)
    assert edited() == {}


def test_the_training_set_follows(space):
    settings = {"models": {"characters": ["pip"]}, "dataset": {"cut_from": "picture"}}
    settings["dataset"] |= {"min_subject_px": 8, "min_subject_sharpness": 0}
    _run(Review, space)
    _run(Caption, space)
    _run(Dataset, space, **settings)
    shots = set(store.read(space.table, "candidate")["shot_index"])
    assert shots == {2, 3}
    _say(space, create_event.assign, ["film-f00000"], "pip")
    _say(space, create_event.reject, ["film-f00003"])
    _say(space, create_event.rename, "scene-001", "beach", level="scene")
    for stage in (Review, Caption):
        _run(stage, space)
    _run(Dataset, space, **settings)
    candidate = store.read(space.table, "candidate")
    assert set(candidate["shot_index"]) == {0, 2}
    assert set(candidate.filter(pl.col("shot_index") == 0)["place"]) == {"beach"}


def test_two_copies_of_an_event_and_any_order_are_one_record(space):
    _run(Review, space)
    first = _say(space, create_event.assign, ["film-f00000"], "pip")
    before = Review(Config(), space.root, space.root).fingerprint()
    event_log.append(space.root, [first])
    assert Review(Config(), space.root, space.root).fingerprint() == before
    event_log.append(space.root, [replace(first, event_id="other")])
    assert Review(Config(), space.root, space.root).fingerprint() != before


def test_a_film_in_which_nobody_is_seen_has_shots_alone(space):
    for name in ("label", "region", "subject_vector", "embedding", "cluster"):
        store.write(space.table, name, store.from_rows(name, []))
    _run(Review, space)
    asset = store.read(space.table, "asset")
    assert asset["level"].cast(pl.String).to_list() == ["scene"] * 4
    assert asset["cluster_id"].to_list() == [None] * 4
    assert asset["frame_id"].to_list()[0] == "film-00000018"  # of two frames the later middle one
    assert store.read(space.table, "figure_vector").is_empty()
    _say(space, create_event.assign, ["film-s00001"], "kitchen")
    _run(Review, space)
    assert store.read(space.table, "asset")["name"].to_list() == [None, "kitchen", None, None]


@pytest.mark.parametrize(("threshold", "place"), [(0.2, "scene-001"), (0.3, None)])
def test_a_rejected_shot_falls_to_a_place_that_is_like_it(space, threshold, place):
    """Shot 2 lies 75 degrees from the middle of the other place: a cosine of 0.26."""
    _run(Review, space)
    _say(space, create_event.reject, ["film-s00002"])
    _run(Review, space, clustering={"noise_threshold": threshold})
    asset = store.read(space.table, "asset").filter(pl.col("asset_id") == "film-s00002")
    assert asset["cluster_id"].to_list() == [place]
