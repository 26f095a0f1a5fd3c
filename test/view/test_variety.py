import numpy as np
import polars as pl
import pytest
from PIL import Image

from bunny.character import model_file
from bunny.character.drawn import efficientnet
from bunny.table import store
from bunny.view.report import picture_vector


@pytest.fixture
def thumbnails(monkeypatch):
    """As on a machine without the network's package."""
    net = model_file.MODELS[efficientnet.NAME]
    missing = model_file.Model(**vars(net) | {"package": "no_such_package_here"})
    monkeypatch.setitem(model_file.MODELS, efficientnet.NAME, missing)


def test_pictures_are_described_less_the_mean_of_the_film(tmp_path, thumbnails):
    """Film of black and white: mean grey; a white picture is +1/2 everywhere, a black one -1/2."""
    for name, value in (("black", 0), ("white", 255)):
        Image.new("RGB", (40, 30), (value,) * 3).save(tmp_path / f"{name}.png")
    files = ["white.png", "black.png", "gone.png"]
    dataset = pl.DataFrame({"file": files, "character": "anna"})
    frame = pl.DataFrame({"file": ["black.png", "white.png", None], "frame_index": [0, 1, 2]})
    looks = picture_vector.embed(tmp_path, dataset, frame)
    assert looks.model == picture_vector.THUMBNAIL
    assert looks.vector.shape == (3, 16 * 16 * 3)
    assert np.unique(looks.vector[:2], axis=1).tolist() == [[0.5], [-0.5]]
    assert np.isnan(looks.vector[2]).all()


def test_what_was_described_is_not_opened_again(space, table, thumbnails):
    first = picture_vector.embed(space.root, table("dataset"), table("frame"))
    before = (space.root / picture_vector.FILE).stat().st_mtime_ns
    second = picture_vector.embed(space.root, table("dataset"), table("frame"))
    assert (second.vector == first.vector).all()
    assert (space.root / picture_vector.FILE).stat().st_mtime_ns == before


def test_a_changed_picture_is_described_anew(space, table, thumbnails):
    first = picture_vector.embed(space.root, table("dataset"), table("frame"))
    path = space.root / table("dataset")["file"][0]
    Image.new("RGB", (64, 64), (255, 0, 255)).save(path)
    second = picture_vector.embed(space.root, table("dataset"), table("frame"))
    assert (second.vector[0] != first.vector[0]).any()
    assert (second.vector[1:] == first.vector[1:]).all()
    assert (
        pl.read_parquet(space.root / picture_vector.FILE).height == 12 + 24
    )  # nothing old is kept


def test_a_broken_cache_is_made_again(space, table, thumbnails):
    (space.root / picture_vector.FILE).write_bytes(b"no parquet")
    assert picture_vector.embed(space.root, table("dataset"), table("frame")).vector.any()


def test_the_network_describes_pictures(space, table):
    """Three kinds of pictures, by colour: the nearest is of the same kind."""
    (space.root / picture_vector.FILE).unlink()
    dataset = table("dataset")
    looks = picture_vector.embed(space.root, dataset, table("frame"))
    assert looks.model == "efficientnet-lite0" and looks.vector.shape == (12, 1280)
    near = picture_vector.nearest(dataset, looks)
    kind = {row["image_id"]: int(row["image_id"][-4:]) % 3 for row in dataset.iter_rows(named=True)}
    assert [kind[a] for a in near["image_id"]] == [kind[b] for b in near["nearest_id"]]
    (summary,) = picture_vector.summarise(dataset, looks).values()
    assert 1 < summary.vendi < 12


def test_characters_are_not_compared_with_each_other():
    vector = np.array([[1.0, 0], [0.9, 0.1], [0, 1], [0.6, 0.8]], np.float32)
    looks = picture_vector.PictureVectors(vector=vector, model="x")
    dataset = (
        store.from_rows("dataset", [])
        .clear(4)
        .with_columns(
            image_id=pl.Series(["1", "2", "3", "4"]),
            character=pl.Series(["a", "b", "b", "a"]),
            split=pl.Series(["train", "held-out", "train", "train"]),
        )
    )
    near = picture_vector.nearest(dataset, looks)
    assert near.select("image_id", "nearest_id", "character").rows() == [
        ("1", "4", "a"),
        ("4", "1", "a"),
        ("2", "3", "b"),
        ("3", "2", "b"),
    ]
    assert list(picture_vector.summarise(dataset, looks)) == ["a", "b"]
    assert picture_vector.character_vectors(looks, dataset, "b").tolist() == vector[1:3].tolist()


def test_nothing_to_describe(tmp_path):
    empty = store.from_rows("dataset", [])
    looks = picture_vector.embed(tmp_path, empty, store.from_rows("frame", []))
    assert looks.vector.shape == (0, 0)
    assert picture_vector.summarise(empty, looks) == {}
    assert picture_vector.nearest(empty, looks).is_empty()
