"""Training pictures on disk, and back through Hugging Face datasets."""

import json
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from character_view import make_view

from bunny.core.config import DatasetConfig
from bunny.dataset import crop as cropping
from bunny.dataset import image_folder
from bunny.dataset.crop import Crop, CropSource, CropWindow, read_crops
from bunny.dataset.crop_caption import CaptionVariant
from bunny.dataset.image_folder import TrainingExample
from bunny.generation import similarity
from bunny.table import store

AS_THEY_ARE = image_folder.ReadSize(buckets=((32, 32), (48, 32)), max_upscale=1.0)


def crop(
    index: int,
    side: int = 64,
    file: str = "frame/a.png",
    split: str = "train",
    size: tuple[int, int] = (32, 32),
    role: str = "subject",
) -> Crop:
    size_px = {"frame_size": (120, 80), "area": (0, 0, 120, 80), "box": (20, 16, 60, 56)}
    own = {"frame_id": "a", "shot_index": index, "place": "scene-001", "file": file}
    view = make_view(index, **size_px, **own)
    window = CropWindow(
        index=0, x0_px=8, y0_px=4, x1_px=8 + side, y1_px=4 + side, size=size, shot_size="medium"
    )
    caption = f'bunny "{index}", medium shot'
    return Crop(
        image_id=f"i{index}", view=view, window=window, caption=caption, split=split, role=role
    )


QUALITY = DatasetConfig().min_mask_quality


def write(film_dir, crops, **options):
    return image_folder.write_dataset(film_dir, "bunny", read_crops(film_dir, crops), **options)


@pytest.fixture
def film_dir(tmp_path):
    picture = np.zeros((80, 120, 3), np.uint8)
    picture[:, :, 2] = 200  # red, OpenCV's order
    picture[4:68, 8:72] = (0, 200, 0)
    (tmp_path / "frame").mkdir()
    cv2.imwrite(str(tmp_path / "frame" / "a.png"), picture)
    (tmp_path / "frame" / "b.png").write_bytes(b"no picture")
    return tmp_path


def test_written_rows_fit_the_table_and_say_what_was_invented(film_dir):
    made = write(film_dir, [crop(0), crop(1, side=16)])
    table = store.from_rows("dataset", made.rows)
    assert table["upscale"].to_list() == [0.5, 2.0]
    assert table["file"].to_list() == ["dataset/bunny/0000.png", "dataset/bunny/0001.png"]
    assert table["role"].to_list() == ["subject", "subject"]
    assert table["is_recovered"].to_list() == [False, False]
    assert made.errors == {}
    written = cv2.imread(str(film_dir / made.rows[0]["file"]))
    assert written.shape == (32, 32, 3)
    assert (written == (0, 200, 0)).all()  # exactly the crop


def test_buckets_are_written_in_their_size(film_dir):
    tall = crop(0, size=(16, 48))
    tall = replace(tall, window=replace(tall.window, x0_px=30, x1_px=50, y0_px=5, y1_px=65))
    (row,) = write(film_dir, [tall]).rows
    assert (row["width_px"], row["height_px"], row["upscale"]) == (16, 48, 0.8)
    assert cv2.imread(str(film_dir / row["file"])).shape == (48, 16, 3)


def test_unreadable_and_outside_are_told_and_left_out(film_dir):
    crops = [
        crop(0, file="frame/b.png"),
        crop(1, side=100),
        crop(2, file="frame/none.png"),
        crop(3),
    ]
    made = write(film_dir, crops)
    assert [r["image_id"] for r in made.rows] == ["i3"]
    assert made.errors == {
        "i0": "frame/b.png cannot be read",
        "i1": "expected a picture of at least 108 x 104 px, got 120 x 80",
        "i2": "frame/none.png cannot be read",
    }
    lost = CropSource(crop=crop(4), picture=None, error="gone")
    assert image_folder.write_dataset(film_dir, "bunny", [lost]).errors == {"i4": "gone"}


def test_old_pictures_do_not_stay(film_dir):
    write(film_dir, [crop(0), crop(1), crop(2, role="class")], min_mask_quality=QUALITY)
    write(film_dir, [crop(0)])
    assert sorted(p.name for p in (film_dir / "dataset" / "bunny").iterdir()) == [
        "0000.png",
        "metadata.jsonl",
    ]


def test_class_pictures_and_masks_lie_apart_and_are_not_trained_on_as_the_subject(
    film_dir, tmp_path
):
    picture = np.full((80, 120, 3), (110, 190, 90), np.uint8)
    cv2.circle(picture, (40, 36), 14, (40, 40, 220), -1)
    picture += np.random.default_rng(0).integers(0, 12, picture.shape, np.uint8)  # grain
    cv2.imwrite(str(film_dir / "frame" / "a.png"), picture)
    roles = ("subject", "class", "subject", "class", "subject", "subject")
    large = {"side": 60, "size": (96, 96)}
    crops = [crop(index, role=role, **large) for index, role in enumerate(roles)]
    made = write(film_dir, crops, min_mask_quality=QUALITY)
    assert [r["file"] for r in made.rows] == [
        "dataset/bunny/0000.png",
        "dataset/bunny/class/0000.png",
        "dataset/bunny/0001.png",
        "dataset/bunny/class/0001.png",
        "dataset/bunny/0002.png",
        "dataset/bunny/0003.png",
    ]
    masks = [r["mask_file"] for r in made.rows]
    assert [masks[i] for i in (0, 2, 4, 5)] == [
        f"dataset/bunny/masks/{n:04d}.png" for n in range(4)
    ]
    assert masks[1] is None and masks[3] is None
    assert made.num_without_mask == 0
    outline = cv2.imread(str(film_dir / masks[0]), cv2.IMREAD_UNCHANGED)
    assert outline.shape == (96, 96) and set(np.unique(outline)) == {0, 255}
    assert outline[51, 51] == 255 and outline[3, 3] == 0  # the disc, 96/60 of (40 - 8, 36 - 4)
    folder = film_dir / "dataset" / "bunny"
    lines = (folder / "class" / "metadata.jsonl").read_text().splitlines()
    assert [json.loads(line)["file_name"] for line in lines] == ["0000.png", "0001.png"]
    train, held_out = image_folder.load_dataset(folder, AS_THEY_ARE)
    assert [e.caption for e in train] == [f'bunny "{n}", medium shot' for n in (0, 2, 4, 5)]
    assert held_out == []


def test_back_through_datasets(film_dir, tmp_path):
    crops = [crop(0), crop(1, split="held-out"), crop(2, size=(48, 32))]
    write(film_dir, crops)
    folder = film_dir / "dataset" / "bunny"
    train, held_out = image_folder.load_dataset(folder, AS_THEY_ARE)
    assert [e.caption for e in train] == ['bunny "0", medium shot', 'bunny "2", medium shot']
    assert [e.caption for e in held_out] == ['bunny "1", medium shot']
    assert [e.picture.shape for e in train] == [(32, 32, 3), (32, 48, 3)]
    assert tuple(train[0].picture[16, 16]) == (0, 200, 0)


@pytest.mark.parametrize(
    ("name", "folder"),
    [("Anna B.", "Anna_B"), ("../../etc", "etc"), ("兎", "兎"), ("..", "character")],
)
def test_folder_name_stays_inside(name, folder):
    assert image_folder.folder_name(name) == folder


def test_several_captions_come_back_with_their_shares(film_dir):
    """The second picture has one caption alone, as where a person wrote it."""
    variants = (
        CaptionVariant(text="bunny", share=0.25),
        CaptionVariant(text="bunny, day", share=0.75),
    )
    made = write(film_dir, [replace(crop(0), variants=variants), crop(1)])
    table = store.from_rows("dataset", made.rows)
    assert table["variant_captions"].to_list() == [["bunny", "bunny, day"], None]
    assert table["variant_shares"].to_list() == [[0.25, 0.75], None]
    one, two = image_folder.load_dataset(film_dir / "dataset" / "bunny", AS_THEY_ARE)[0]
    assert (one.variants, two.variants) == (variants, ())
    assert one.caption == 'bunny "0", medium shot'
    alone = replace(one, variants=())
    assert image_folder.hash_examples([one]) != image_folder.hash_examples([alone])


def test_hash_follows_pixels_and_words():
    black = np.zeros((4, 4, 3), np.uint8)
    one = image_folder.hash_examples([TrainingExample(picture=black, caption="a")])
    assert one == image_folder.hash_examples([TrainingExample(picture=black.copy(), caption="a")])
    assert one != image_folder.hash_examples([TrainingExample(picture=black, caption="b")])
    assert one != image_folder.hash_examples([TrainingExample(picture=black + 1, caption="a")])


def test_resize_averages_before_it_shrinks():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(image_folder.resize(stripes, (64, 64)).astype(int) - 100).max() <= 1
    assert image_folder.resize(stripes[:64, :64], (48, 64)).shape == (64, 48, 3)


def test_coverage_counts_and_distance(film_dir):
    rows = write(film_dir, [crop(0), crop(1)]).rows
    black, white = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 255, np.uint8)
    found = image_folder.measure_variety([black, white], rows, {"a": "scene-001"})
    assert found["shot"] == {"0": 1, "1": 1}
    assert found["place"] == {"scene-001": 2}
    assert found["shot_size"] == {"medium": 2}
    assert found["nearest_distance"] == pytest.approx(1.0)
    assert image_folder.measure_variety([black], rows[:1], {})["nearest_distance"] is None
    assert image_folder.measure_variety([], [], {})["max_upscale"] is None


def embed(pictures):
    return np.array([[p[0, 0, 0], p[0, 0, 1]] for p in pictures], dtype=float)


def dot(x: int, y: int) -> np.ndarray:
    return np.array([[[x, y, 0]]], np.uint8)


def test_similarity_by_hand():
    drawn, reference = [dot(3, 4), dot(0, 0)], [dot(1, 0), dot(0, 1)]
    # cosines of (3, 4) to the axes are 0.6 and 0.8; a zero vector is like nothing
    assert similarity.mean_cosine(embed, drawn, reference) == pytest.approx([0.7, 0.0])
    # with (1, 1) taken off: (2, 3) and (-1, -1) against (0, -1) and (-1, 0)
    centred = similarity.mean_cosine(embed, drawn, reference, background=[dot(1, 1)])
    assert centred == pytest.approx([-(2 + 3) / 2 / 13**0.5, 1 / 2**0.5])


def test_similarity_edges():
    assert similarity.mean_cosine(embed, [], [dot(1, 0)]).shape == (0,)
    with pytest.raises(ValueError, match="at least one reference"):
        similarity.mean_cosine(embed, [dot(1, 0)], [])


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of a process")
def test_a_full_disk_leaves_the_set_that_was_there(film_dir):
    import full_disk

    def files():
        folder = film_dir / "dataset" / "bunny"
        return {p.name: p.read_bytes() for p in folder.iterdir()}

    write(film_dir, [crop(0)])
    before = files()
    assert sorted(before) == ["0000.png", "metadata.jsonl"]
    for num_bytes in (10, len(before["0000.png"]) + 10):  # in a picture; in the words after them
        crops = [crop(i, size=(8, 8)) for i in range(9)]
        with full_disk.full_after(num_bytes), pytest.raises(OSError, match="too large"):
            write(film_dir, crops)
        assert files() == before
    write(film_dir, crops)
    assert len(files()) == 10
    assert [p.name for p in (film_dir / "dataset").iterdir()] == ["bunny"]


def test_pictures_are_read_at_the_trainers_size_and_small_ones_are_left_out(film_dir):
    """64 x 64 px are halved; 48 x 40 fill 32 x 32 at 0.8 and lose 3 px on each side; 12 px go."""
    made = [crop(0, size=(64, 64)), crop(1, size=(48, 40)), crop(2, size=(12, 12))]
    write(film_dir, made)
    folder = film_dir / "dataset" / "bunny"
    size = image_folder.ReadSize(buckets=((32, 32),), max_upscale=2.0)
    train, _ = image_folder.load_dataset(folder, size)
    assert [one.caption for one in train] == [made[0].caption, made[1].caption]
    assert [one.picture.shape for one in train] == [(32, 32, 3)] * 2
    whole = cv2.cvtColor(cv2.imread(str(folder / "0000.png")), cv2.COLOR_BGR2RGB)
    assert np.abs(train[0].picture.astype(int) - whole[::2, ::2]).max() <= 1  # it is of one colour
    rows = [{"width_px": 12, "height_px": 12}]
    said = image_folder.too_small(rows, size)
    assert "training at 32 px, the largest is 12 px; set models.resolution to 24 or less" in said


def test_windows_cut_for_a_resolution_are_large_enough_for_it():
    """Every bucket's aspect, at half the size that is read."""
    for width, height in cropping.sizes(1024, 64):
        size = image_folder.ReadSize(buckets=cropping.sizes(1024, 64), max_upscale=2.0)
        assert size.is_enough(width // 2, height // 2)
        assert not size.is_enough(width // 2 - 16, height // 2 - 16)
