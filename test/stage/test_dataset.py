"""Stage dataset on a film of eight drawn frames, and on a film that is decoded again."""

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import polars as pl
import pytest

from bunny.core import workspace
from bunny.core.config import Config, DatasetConfig
from bunny.core.error import UserError
from bunny.dataset import appearance
from bunny.stage.dataset import Dataset
from bunny.stage.extract import Extract
from bunny.table import store
from bunny.video import extra_frame
from bunny.view.widget import dataset as widget_dataset

BOX = ("x0_px", "y0_px", "x1_px", "y1_px")


def make(film_dir, base_folder, models=None, **sections) -> Dataset:
    """The stage at the size of the tiny base."""
    models = {"base_model": str(base_folder), "held_out_share": 0.3, **(models or {})}
    return Dataset(Config.model_validate({"models": models, **sections}), film_dir, film_dir)


def tables(film_dir):
    return [store.read(film_dir / "table", name) for name in ("dataset", "candidate")]


def change(film_dir, name: str, **values) -> None:
    table = store.read(film_dir / "table", name)
    store.write(film_dir / "table", name, table.with_columns(**values))


def test_tables_and_files(labelled_film, tiny_base_folder):
    stage = make(labelled_film, tiny_base_folder)
    result = stage.execute()
    pictures, candidates = tables(labelled_film)
    assert (result.status, result.failed) == ("done", 0)
    assert candidates.height == 8 and pictures.height == result.rows > 8
    chosen = candidates.filter("is_chosen")
    assert set(chosen["subject_id"]) == set(pictures["subject_id"])
    assert chosen["gain"].null_count() == 0 and chosen["gain"].min() >= 0
    assert set(candidates["place"]) == {f"scene-{i:03d}" for i in range(4)}
    assert all(c.startswith("bunny character in a blue place") for c in pictures["caption"])
    for row in pictures.to_dicts():
        written = cv2.imread(str(labelled_film / row["file"]))
        assert written.shape == (row["height_px"], row["width_px"], 3)
    assert f"bunny: {pictures.height} pictures from" in result.note
    assert make(labelled_film, tiny_base_folder).execute().status == "skipped"


def test_train_and_held_out_share_no_shot(labelled_film, tiny_base_folder):
    make(labelled_film, tiny_base_folder).execute()
    pictures, _ = tables(labelled_film)
    sides = pictures.group_by("shot_index").agg(pl.col("split").n_unique())
    assert sides["split"].to_list() == [1] * 4
    assert set(pictures["split"]) == {"train", "held-out"}


def test_a_setup_that_comes_back_is_on_one_side(labelled_film, tiny_base_folder):
    """Shots 0, 2 and 3 show one picture, 1 another: seeds change nothing of that."""
    frame = store.read(labelled_film / "table", "frame")
    ramp = np.arange(1024) // 4
    rows = [
        {
            "frame_id": row["frame_id"],
            "phash": 0 if row["shot_index"] != 1 else 2**40 - 1,
            "signature": ramp if row["shot_index"] != 1 else ramp[::-1],
        }
        for row in frame.to_dicts()
    ]
    store.write(labelled_film / "table", "measure", store.from_rows("measure", rows))
    for seed in range(4):
        make(labelled_film, tiny_base_folder, seed=seed).execute()
        side = dict(tables(labelled_film)[0].select("shot_index", "split").iter_rows())
        assert side == {0: "train", 1: "held-out", 2: "train", 3: "train"}


def test_lost_files_and_settings_make_it_stale(labelled_film, tiny_base_folder):
    stage = make(labelled_film, tiny_base_folder)
    stage.execute()
    assert not make(labelled_film, tiny_base_folder, {"max_images": 3}).can_resume()
    assert not make(labelled_film, tiny_base_folder, dataset={"aspect": "buckets"}).can_resume()
    # how it is trained does not change what is trained on
    assert make(labelled_film, tiny_base_folder, {"training_steps": 7}).can_resume()
    lost = labelled_film / tables(labelled_film)[0]["file"][0]
    before = lost.read_bytes()
    lost.unlink()
    assert make(labelled_film, tiny_base_folder).execute().status == "done"
    assert lost.read_bytes() == before


def test_film_without_labels_ends_with_a_reason(labelled_film, tiny_base_folder):
    store.write(labelled_film / "table", "label", store.from_rows("label", []))
    result = make(labelled_film, tiny_base_folder).execute()
    assert (result.status, result.rows) == ("done", 0)
    assert result.note == "nobody is labelled, so there is nothing to train on"


def test_characters_are_taken_as_named(labelled_film, tiny_base_folder):
    label = store.read(labelled_film / "table", "label")
    anna = pl.when(pl.col("shot_index") == 3).then(pl.lit("anna")).otherwise("character")
    store.write(labelled_film / "table", "label", label.with_columns(character=anna))
    both = {"characters": ("anna", "bunny", "carl")}
    result = make(labelled_film, tiny_base_folder, both).execute()
    assert result.note.startswith("carl: 0 pictures, not found in the film\nanna: ")
    assert set(tables(labelled_film)[0]["character"]) == {"anna", "bunny"}
    nobody = make(labelled_film, tiny_base_folder, {"characters": ("carl",)}).execute()
    what = "carl: 0 pictures, not found in the film\nlabelled characters: bunny, anna"
    assert nobody.note == what
    make(labelled_film, tiny_base_folder).execute()  # all of them
    assert set(tables(labelled_film)[0]["character"]) == {"anna", "bunny"}


def test_a_picture_that_cannot_be_read_is_unreadable(labelled_film, tiny_base_folder):
    (labelled_film / "frame" / "00000002.png").write_bytes(b"no picture")
    result = make(labelled_film, tiny_base_folder).execute()
    assert result.failed > 0
    _, candidates = tables(labelled_film)
    row = candidates.filter(pl.col("frame_index") == 2).row(0, named=True)
    assert (row["is_chosen"], row["reason"], row["gain"]) == (False, "unreadable", None)
    assert row["detail"] == "frame/00000002.png cannot be read"


def test_class_pictures_and_masks(labelled_film, tiny_base_folder):
    label = store.read(labelled_film / "table", "label").filter(pl.col("shot_index") < 2)
    store.write(labelled_film / "table", "label", label)
    wanted = {"num_class_images": 3, "mask": "grabcut", "max_upscale": 4.0}
    result = make(labelled_film, tiny_base_folder, dataset=wanted).execute()
    pictures, _ = tables(labelled_film)
    own, other = (pictures.filter(pl.col("role") == role) for role in ("subject", "class"))
    assert set(own["shot_index"]) == {0, 1} and set(other["shot_index"]) == {2, 3}
    assert other.height == 3 and set(other["split"]) == {"train"}
    assert not other["caption"].str.contains("bunny").any()
    # Two shots are too few to tell the bunny's colours from the ground's.
    assert pictures["mask_file"].null_count() == pictures.height
    assert own["mask_quality"].to_list() == [0] * own.height
    assert other["mask_quality"].null_count() == 3
    assert f"3 class pictures, no usable mask for {own.height}" in result.note
    make(labelled_film, tiny_base_folder, dataset=wanted | {"min_mask_quality": 0}).execute()
    assert tables(labelled_film)[0].filter(role="subject")["mask_file"].null_count() == 0


def test_good_masks_are_written_with_their_quality(labelled_film, tiny_base_folder):
    wanted = {"mask": "grabcut", "max_upscale": 4.0}
    make(labelled_film, tiny_base_folder, dataset=wanted).execute()
    pictures, _ = tables(labelled_film)
    is_good = pl.col("mask_quality") >= DatasetConfig().min_mask_quality
    assert pictures.filter(pl.col("mask_file").is_not_null()).equals(pictures.filter(is_good))
    kept = pictures["mask_file"].drop_nulls().to_list()
    assert kept and all((labelled_film / file).is_file() for file in kept)
    assert {p.name for p in (labelled_film / kept[0]).parent.iterdir()} == {
        file.rpartition("/")[2] for file in kept
    }
    (labelled_film / kept[0]).unlink()
    assert not make(labelled_film, tiny_base_folder, dataset=wanted).can_resume()


@pytest.mark.parametrize("chain", [(0, 3), (1, 3), (0, 2, 3), (1, 2, 3)])
def test_no_class_picture_is_of_a_set_up_that_is_held_out(labelled_film, tiny_base_folder, chain):
    """Shots 0 and 1 have the character; 3, and 2 in between, look as the chain says.

    Neighbours in the chain differ by 3 bits, its ends by 6 where it has a link between.
    """
    label = store.read(labelled_film / "table", "label").filter(pl.col("shot_index") < 2)
    store.write(labelled_film / "table", "label", label)
    frame = store.read(labelled_film / "table", "frame")
    rng = np.random.default_rng(0)
    pictures = [rng.permutation(1024) // 4 for _ in range(4)]
    rows = []
    for row in frame.to_dicts():
        shot = row["shot_index"]
        place = chain.index(shot) if shot in chain else None
        look = {"phash": 0xFFFF << 16 * shot, "signature": pictures[shot]}
        if place is not None:
            bits = (1 << 3 * place) - 1 << 16 * chain[0]
            first = 0xFFFF << 16 * chain[0]
            look = {"phash": first ^ bits, "signature": pictures[chain[0]]}
        rows.append({"frame_id": row["frame_id"], **look})
    store.write(labelled_film / "table", "measure", store.from_rows("measure", rows))
    wanted = {"num_class_images": 9, "max_upscale": 4.0}
    filtering = {"duplicate_distance": 3}
    models = {"held_out_share": 0.5}
    make(labelled_film, tiny_base_folder, models, dataset=wanted, filtering=filtering).execute()
    made, _ = tables(labelled_film)
    side = dict(made.filter(role="subject").select("shot_index", "split").iter_rows())
    assert side == {0: "train", 1: "held-out"}  # of two equally large ones the first is trained on
    shown = set(made.filter(role="class")["shot_index"])
    assert shown == {2, 3} - (set(chain) if chain[0] == 1 else set())


def test_measures_of_boxes_by_hand():
    tiles = np.zeros((12, 12))
    tiles[:, 6:] = 50.0
    signature = np.zeros((32, 32))
    signature[:, 16:] = 255
    place = {"frame_id": "a", "shot_index": 0}
    time = {"film_id": "f", "frame_index": 0, "pts": 0, "time_base_num": 1, "time_base_den": 24}
    frame = {**place, **time, "timestamp_s": 0.0, "reason": "extra", "file": "a.png"}
    named = {"subject_type": "region", "confidence": 1.0, "source": "reference", **place}
    boxes = {"left": (0, 0, 60, 60), "right": (60, 0, 120, 60), "out": (130, 0, 140, 60)}
    rows = [{"subject_id": k, **named, **dict(zip(BOX, b, strict=True))} for k, b in boxes.items()]
    measured = {"tile_sharpness": tiles.ravel(), "signature": signature.ravel(), "contrast": 0.04}
    found = appearance.measure_subjects(
        {
            "frame": store.from_rows("frame", [{**frame, "width_px": 120, "height_px": 60}]),
            "measure": store.from_rows("measure", [{"frame_id": "a", **measured}]),
            "label": store.from_rows("label", rows),
        }
    )
    assert found["subject_id"].to_list() == ["left", "right"]  # what lies outside has no pixels
    assert found["sharpness"].to_list() == [0.0, 50.0]
    assert found["luma"].to_list() == [0.0, 1.0]
    # 50 / (255 * 0.04) = 4.90 over 4.90 + 4.6
    assert found["blur_score"].to_list() == pytest.approx([0.0, 0.516], abs=1e-3)


# -- frames decoded again ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Two shots of coarse noise that drifts, between black bars."""
    path = tmp_path_factory.mktemp("film") / "bars.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=24, options={"g": "8", "qp": "10"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for index in range(60):
            coarse = np.random.default_rng(index // 30).integers(0, 255, (8, 40, 3), np.uint8)
            wide = cv2.resize(coarse, (480, 80), interpolation=cv2.INTER_CUBIC)
            picture = np.zeros((120, 160, 3), np.uint8)
            picture[20:100] = wide[:, 3 * index : 3 * index + 160]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def label_everything(config, space) -> None:
    """Name a box of each stored frame, and of some between, and write what else is read."""
    frame, shot = (store.read(space.table, name) for name in ("frame", "shot"))
    film = store.read(space.table, "film")
    named = json.loads((space.root / "source.json").read_text(encoding="utf-8"))
    source = extra_frame.ExtraFrameReader(config.extraction, Path(named["film"]), film, frame)
    more = [row for row, _ in source.read(extra_frame.choose_frames(shot, frame, 0.2))]
    made: dict[str, list] = {"extra_frame": more, "quality": [], "label": []}
    for row in [*frame.to_dicts(), *more]:
        place = {"frame_id": row["frame_id"], "shot_index": row["shot_index"]}
        x = 10 + 3 * (row["frame_index"] % 30)
        box = {"x0_px": x, "y0_px": 10, "x1_px": x + 40, "y1_px": 60}
        who = {"character": "bunny", "confidence": 0.9, "source": "person"}
        name = {"subject_id": f"{row['frame_id']}-r0", "subject_type": "region"}
        made["label"].append({**place, **box, **who, **name})
    for row in frame.to_dicts():
        bits = (row["frame_index"] * 0x9E3779B97F4A7C15) % 2**64
        decided = {"is_kept": True, "reason": "kept", "phash": bits}
        made["quality"].append({"frame_id": row["frame_id"], **decided})
    names = ("face", "drawn_face", "caption", "cluster", "embedding", "region", "figure")
    made |= {name: [] for name in (*names, "reference")}
    for name, rows in made.items():
        store.write(space.table, name, store.from_rows(name, rows))


def cut_film(film, folder, base_folder, output_format):
    """Pictures of one film cut from the stored pictures and from the film, by image_id."""
    found = {}
    for cut_from in ("picture", "film", "auto"):
        config = Config.model_validate(
            {
                "extraction": {"output_format": output_format, "static_range": 0},
                "dataset": {"cut_from": cut_from, "max_upscale": 8.0},
                "models": {"base_model": str(base_folder), "resolution": 64},
            }
        )
        space = workspace.create(folder / cut_from, "data", film, None)
        Extract(config, space.root, space.root).execute()
        label_everything(config, space)
        Dataset(config, space.root, space.root).execute()
        table = store.read(space.table, "dataset")
        found[cut_from] = {
            row["image_id"]: (row, cv2.imread(str(space.root / row["file"])))
            for row in table.to_dicts()
        }
    return found["picture"], found["film"], found["auto"]


@pytest.mark.parametrize(("output_format", "most"), [("png", 0.0), ("jpg", 6.0)])
def test_recovered_crops_are_those_of_the_stored_picture(
    film, tmp_path, tiny_base_folder, output_format, most
):
    stored, recovered, mixed = cut_film(film, tmp_path, tiny_base_folder, output_format)
    assert stored.keys() == recovered.keys() and len(stored) > 6
    assert all(row["is_recovered"] for row, _ in recovered.values())
    again = [i for i, (row, _) in stored.items() if row["is_recovered"]]
    assert 0 < len(again) < len(stored)  # frames in between are never stored
    differences = []
    for image_id, (row, picture) in stored.items():
        other_row, other = recovered[image_id]
        assert {k: row[k] for k in BOX} == {k: other_row[k] for k in BOX}
        difference = np.abs(picture.astype(int) - other)
        assert difference.mean() <= (most if image_id not in again else 0)
        differences.append(difference.max())
    assert (max(differences) == 0) == (output_format == "png")
    # all are below 512 px, which trainers enlarge: better without JPEG's loss
    assert all(row["is_recovered"] for row, _ in mixed.values())
    assert all(np.array_equal(mixed[i][1], recovered[i][1]) for i in mixed)


@pytest.mark.parametrize("pair", [["Bun Ny", "Bun_Ny"], ["Bunny", "bunny"]])
def test_two_characters_never_share_a_folder(labelled_film, tiny_base_folder, pair):
    """The second one's pictures replaced the first one's, and both were trained on them."""
    is_first = pl.col("shot_index") < 2
    name = pl.when(is_first).then(pl.lit(pair[0])).otherwise(pl.lit(pair[1]))
    change(labelled_film, "label", character=name)
    with pytest.raises(UserError, match=f"{pair[0]} and {pair[1]} would share a folder"):
        make(labelled_film, tiny_base_folder, models={"characters": pair}).execute()
    assert make(labelled_film, tiny_base_folder, models={"characters": pair[1:]}).execute().rows


@pytest.mark.parametrize(("aspect", "margin"), [("square", 0.3), ("buckets", 1.0)])
def test_the_widget_chooses_and_cuts_as_the_stage_does(
    labelled_film, tiny_base_folder, aspect, margin
):
    made = make(labelled_film, tiny_base_folder)
    made.execute()
    space = workspace.from_film_dir(labelled_film)
    opened = widget_dataset.open_dataset(space, made.config)
    values = {"aspect": aspect, "crop_margin": margin, "character": "bunny"}
    models = {"crop_margin": margin}
    make(labelled_film, tiny_base_folder, models, dataset={"aspect": aspect}).execute()
    pictures, candidates = tables(labelled_film)
    now = widget_dataset.decide(opened, values)
    assert now.image_ids == set(pictures["image_id"])
    sizes = Counter(pictures.select("width_px", "height_px").iter_rows())
    assert sizes == Counter(window.size for _, window in now.picked)
    dropped = candidates.filter(~pl.col("is_chosen"))["reason"].cast(pl.String)
    assert now.reasons == Counter(dropped)
