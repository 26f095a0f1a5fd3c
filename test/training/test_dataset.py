"""Training pictures on disk, and back through Hugging Face datasets."""

import cv2
import numpy as np
import pytest

from bunny.table import store
from bunny.training import dataset, score
from bunny.training.lora import Example
from bunny.training.select import Crop


def crop(index: int, side: int = 64, file: str = "frame/a.png", split: str = "train") -> Crop:
    return Crop(
        image_id=f"i{index}",
        character="bunny",
        frame_id="a",
        subject_id=f"s{index}",
        shot_index=index,
        frame_file=file,
        x0_px=8,
        y0_px=4,
        x1_px=8 + side,
        y1_px=4 + side,
        shot_size="medium",
        caption=f'bunny "{index}", medium shot',
        split=split,
    )


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
    rows, errors = dataset.write_dataset(film_dir, "bunny", [crop(0), crop(1, side=16)], 32)
    table = store.from_rows("dataset", rows)
    assert table["upscale"].to_list() == [0.5, 2.0]
    assert table["file"].to_list() == ["dataset/bunny/0000.png", "dataset/bunny/0001.png"]
    assert errors == []
    written = cv2.imread(str(film_dir / rows[0]["file"]))
    assert written.shape == (32, 32, 3)
    assert (written == (0, 200, 0)).all()  # exactly the crop


def test_unreadable_and_outside_are_told_and_left_out(film_dir):
    crops = [
        crop(0, file="frame/b.png"),
        crop(1, side=100),
        crop(2, file="frame/none.png"),
        crop(3),
    ]
    rows, errors = dataset.write_dataset(film_dir, "bunny", crops, 32)
    assert [r["image_id"] for r in rows] == ["i3"]
    assert [e.split(":")[0] for e in errors] == ["i0", "i1", "i2"]


def test_old_pictures_do_not_stay(film_dir):
    dataset.write_dataset(film_dir, "bunny", [crop(0), crop(1)], 32)
    dataset.write_dataset(film_dir, "bunny", [crop(0)], 32)
    assert sorted(p.name for p in (film_dir / "dataset" / "bunny").iterdir()) == [
        "0000.png",
        "metadata.jsonl",
    ]


def test_back_through_datasets(film_dir, tmp_path):
    crops = [crop(0), crop(1, split="held-out"), crop(2)]
    dataset.write_dataset(film_dir, "bunny", crops, 32)
    folder = film_dir / "dataset" / "bunny"
    train, held_out = dataset.load_dataset(folder, tmp_path / "cache")
    assert [e.caption for e in train] == ['bunny "0", medium shot', 'bunny "2", medium shot']
    assert [e.caption for e in held_out] == ['bunny "1", medium shot']
    assert train[0].picture.shape == (32, 32, 3)
    assert tuple(train[0].picture[16, 16]) == (0, 200, 0)


@pytest.mark.parametrize(
    ("name", "folder"),
    [("Anna B.", "Anna_B"), ("../../etc", "etc"), ("兎", "兎"), ("..", "character")],
)
def test_folder_name_stays_inside(name, folder):
    assert dataset.folder_name(name) == folder


def test_hash_follows_pixels_and_words():
    black = np.zeros((4, 4, 3), np.uint8)
    one = dataset.hash_examples([Example(picture=black, caption="a")])
    assert one == dataset.hash_examples([Example(picture=black.copy(), caption="a")])
    assert one != dataset.hash_examples([Example(picture=black, caption="b")])
    assert one != dataset.hash_examples([Example(picture=black + 1, caption="a")])


def test_resize_averages_before_it_shrinks():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(dataset.resize(stripes, 64).astype(int) - 100).max() <= 1
    assert dataset.resize(stripes[:64, :64], 64).shape == (64, 64, 3)


def test_coverage_counts_and_distance(film_dir):
    rows, _ = dataset.write_dataset(film_dir, "bunny", [crop(0), crop(1)], 32)
    black, white = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 255, np.uint8)
    found = dataset.coverage([black, white], rows, {"a": "scene-001"})
    assert found["shot"] == {"0": 1, "1": 1}
    assert found["place"] == {"scene-001": 2}
    assert found["shot_size"] == {"medium": 2}
    assert found["nearest_distance"] == pytest.approx(1.0)
    assert dataset.coverage([black], rows[:1], {})["nearest_distance"] is None
    assert dataset.coverage([], [], {})["max_upscale"] is None


def embed(pictures):
    return np.array([[p[0, 0, 0], p[0, 0, 1]] for p in pictures], dtype=float)


def dot(x: int, y: int) -> np.ndarray:
    return np.array([[[x, y, 0]]], np.uint8)


def test_similarity_by_hand():
    drawn, reference = [dot(3, 4), dot(0, 0)], [dot(1, 0), dot(0, 1)]
    # cosines of (3, 4) to the axes are 0.6 and 0.8; a zero vector is like nothing
    assert score.similarity(embed, drawn, reference) == pytest.approx([0.7, 0.0])
    # with (1, 1) taken off: (2, 3) and (-1, -1) against (0, -1) and (-1, 0)
    centred = score.similarity(embed, drawn, reference, background=[dot(1, 1)])
    assert centred == pytest.approx([-(2 + 3) / 2 / 13**0.5, 1 / 2**0.5])


def test_similarity_edges():
    assert score.similarity(embed, [], [dot(1, 0)]).shape == (0,)
    with pytest.raises(ValueError, match="at least one reference"):
        score.similarity(embed, [dot(1, 0)], [])


def test_comparison():
    found = score.compare([0.5, 0.1, None, 0.3], [True, False, True, False])
    assert found.adapter == 0.5
    assert found.base == pytest.approx(0.2)
    assert found.difference == pytest.approx(0.3)
    assert score.compare([0.5], [True]).difference is None
