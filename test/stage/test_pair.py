"""Stage pair on a film of drawn frames: off, reference pairs, files and their reasons."""

import hashlib
import json

import cv2
import numpy as np
import plain_row
import polars as pl
import pytest

from bunny.core.config import Config
from bunny.stage.dataset import Dataset
from bunny.stage.pair import PairStage
from bunny.table import store


def make(film_dir, base_folder, **pair) -> PairStage:
    models = {"base_model": str(base_folder), "held_out_share": 0.0}
    share = {"max_failed_share": 1.0}
    config = Config.model_validate({"models": models, "pair": pair, "pipeline": share})
    return PairStage(config, film_dir, film_dir)


@pytest.fixture
def film_with_set(labelled_film, tiny_base_folder):
    """The film after stage dataset."""
    models = {"base_model": str(tiny_base_folder), "held_out_share": 0.0}
    Dataset(Config.model_validate({"models": models}), labelled_film, labelled_film).execute()
    frames = store.read(labelled_film / "table", "frame")
    rows = [  # each shot is a place of its own
        {"frame_id": f, "model": "m", "vector": np.eye(16, dtype=np.float32)[shot].tolist()}
        for f, shot in frames.select("frame_id", "shot_index").iter_rows()
    ]
    store.write(labelled_film / "table", "embedding", store.from_rows("embedding", rows))
    store.write(labelled_film / "table", "clip", store.from_rows("clip", []))
    return labelled_film


def pairs(film_dir):
    return store.read(film_dir / "table", "training_pair")


def test_off_it_writes_an_empty_table_and_no_file(film_with_set, tiny_base_folder):
    result = make(film_with_set, tiny_base_folder).execute()
    assert result.status == "done" and "off" in result.note
    assert pairs(film_with_set).is_empty()
    assert not (film_with_set / "pair").exists()
    assert make(film_with_set, tiny_base_folder).execute().status == "skipped"


SETTING = {"kinds": ["reference"], "min_gap_seconds": 0.0, "max_background_similarity": 0.5}


def test_reference_pairs_are_written_with_their_hashes(film_with_set, tiny_base_folder):
    result = make(film_with_set, tiny_base_folder, **SETTING).execute()
    assert result.status == "done", result
    found = pairs(film_with_set)
    taken = found.filter(pl.col("reason").is_null())
    assert taken.height > 0
    for row in taken.to_dicts():
        assert row["target_shot_index"] not in row["reference_shot_indices"]
        assert len(row["files"]) == 1 + len(row["reference_frame_ids"])
        for file, digest in zip(row["files"], row["sha256"], strict=True):
            assert file.startswith("pair/reference/bunny/")
            data = (film_with_set / file).read_bytes()
            assert hashlib.sha256(data).hexdigest() == digest
            assert cv2.imread(str(film_with_set / file)) is not None
    assert json.loads((film_with_set / "pair" / "rights.json").read_text())["film"]
    assert make(film_with_set, tiny_base_folder, **SETTING).execute().status == "skipped"


def test_a_second_run_gives_the_same_bytes(film_with_set, tiny_base_folder):
    make(film_with_set, tiny_base_folder, **SETTING).execute()
    first = {p: p.read_bytes() for p in (film_with_set / "pair").rglob("*") if p.is_file()}
    table = pairs(film_with_set)
    (film_with_set / table["files"].drop_nulls()[0][0]).unlink()  # so that it runs again
    make(film_with_set, tiny_base_folder, **SETTING).execute()
    assert first == {p: p.read_bytes() for p in (film_with_set / "pair").rglob("*") if p.is_file()}
    assert pairs(film_with_set).equals(table)


def test_clips_are_targets_with_references_of_other_shots(film_with_set, tiny_base_folder):
    """A clip of the first shot; its target is the file that is there, only references are cut."""
    shot = store.read(film_with_set / "table", "dataset")["shot_index"].min()
    clip = plain_row.clip(
        "bunny-0",
        (64, 32),
        character="bunny",
        shot_index=shot,
        also_shown=["bruno"],
        file="clip/bunny/bunny-0.mp4",
        caption="bunny walks",
    )
    (film_with_set / "clip" / "bunny").mkdir(parents=True)
    (film_with_set / clip["file"]).write_bytes(b"a clip")
    store.write(film_with_set / "table", "clip", store.from_rows("clip", [clip]))
    setting = {**SETTING, "kinds": ["clip"]}
    assert make(film_with_set, tiny_base_folder, **setting).execute().status == "done"
    [row] = pairs(film_with_set).iter_rows(named=True)
    assert (row["kind"], row["target_clip_id"], row["reason"]) == ("clip", "bunny-0", None)
    assert shot not in row["reference_shot_indices"] and row["reference_shot_indices"]
    assert (row["instruction"], row["also_shown"]) == ("bunny walks", ["bruno"])
    assert row["files"][0] == clip["file"] and row["sha256"][0] == "a" * 64
    written = sorted(p.name for p in (film_with_set / "pair" / "clip" / "bunny").iterdir())
    assert written == [
        f"bunny-clip-0000-reference-{n + 1}.png" for n in range(len(row["files"]) - 1)
    ]
    held = store.from_rows("clip", [clip | {"split": "held-out"}])
    store.write(film_with_set / "table", "clip", held)
    make(film_with_set, tiny_base_folder, **setting).execute()
    assert pairs(film_with_set)["reason"].to_list() == ["alone"]  # no reference crosses the split


def test_a_picture_that_is_gone_is_an_error_of_its_row(film_with_set, tiny_base_folder):
    rows = store.read(film_with_set / "table", "dataset")
    (film_with_set / rows.sort("image_id")["file"][0]).write_bytes(b"damaged")
    make(film_with_set, tiny_base_folder, **SETTING).execute()
    failed = pairs(film_with_set).filter(pl.col("error").is_not_null())
    assert failed["files"].null_count() == failed.height
    assert all("cannot be read" in error for error in failed["error"])


def test_references_stand_before_white_where_that_is_asked_for(film_with_set, tiny_base_folder):
    rows = store.read(film_with_set / "table", "dataset")
    for row in rows.iter_rows(named=True):
        mask = np.zeros((row["height_px"], row["width_px"]), np.uint8)
        mask[:, : row["width_px"] // 2] = 255  # the subject is the left half
        cv2.imwrite(str(film_with_set / f"{row['file']}-mask.png"), mask)
    named = rows.with_columns(mask_file=pl.col("file") + "-mask.png")
    store.write(film_with_set / "table", "dataset", named)
    make(film_with_set, tiny_base_folder, **SETTING, has_plain_background=True).execute()
    taken = pairs(film_with_set).filter(pl.col("reason").is_null())
    assert taken.height > 0
    for target, reference, *_ in taken["files"].to_list():
        picture = cv2.imread(str(film_with_set / reference))
        half = picture.shape[1] // 2
        assert (picture[:, half:] == 255).all() and not (picture[:, :half] == 255).all()
        whole = cv2.imread(str(film_with_set / target))
        assert not (whole[:, whole.shape[1] // 2 :] == 255).all()


def test_edit_pairs_say_the_trigger_word_that_is_set(film_with_set, tiny_base_folder):
    """In the first shot, whose ground has detail here, the bunny moves by 12 + 24 of 128 pixels."""
    label = store.read(film_with_set / "table", "label")
    label = label.with_columns(
        x0_px=pl.col("x0_px") + 24 * pl.col("frame_id").str.ends_with("1"),
        x1_px=pl.col("x1_px") + 24 * pl.col("frame_id").str.ends_with("1"),
    )
    store.write(film_with_set / "table", "label", label)
    ground = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    for row in label.head(2).iter_rows(named=True):
        picture = ground.copy()
        picture[18:78, int(row["x0_px"]) : int(row["x1_px"])] = (30, 30, 230)
        cv2.imwrite(str(film_with_set / "frame" / f"{row['frame_id'][5:]}.png"), picture)
    own = make(film_with_set, tiny_base_folder, kinds=["edit"], edit_seconds=[0, 1]).config
    words = own.captioning.model_copy(update={"trigger_word": "sks {name}"})
    wanted = own.model_copy(update={"captioning": words})
    assert PairStage(wanted, film_with_set, film_with_set).execute().status == "done"
    taken = pairs(film_with_set).filter(pl.col("reason").is_null())
    assert taken["instruction"].to_list() == ["sks bunny moves to the right"]


def test_turned_off_again_its_files_go(film_with_set, tiny_base_folder):
    make(film_with_set, tiny_base_folder, **SETTING).execute()
    make(film_with_set, tiny_base_folder).execute()
    assert not (film_with_set / "pair" / "reference").exists()


def test_a_wrong_span_is_refused():
    with pytest.raises(ValueError, match="least and most seconds"):
        Config.model_validate({"pair": {"edit_seconds": [5, 1]}})
