"""Files of ONNX models: where they are found and what is refused, with tiny ones made here."""

import sys

import numpy as np
import pytest
import tiny_onnx
from PIL import Image

from bunny.character.drawn import onnx_model
from bunny.character.drawn.onnx_model import OnnxModel, PublishedModel
from bunny.core.error import UserError

PUBLISHED = PublishedModel(repository="owner/name", model="small")
NEEDED = ("model_feat.onnx", "metrics.json")


def _find(source, needed=NEEDED):
    return onnx_model.find_folder("detection.x", str(source), PUBLISHED, needed)


def _load(folder, **names):
    chosen = {"input_name": "input", "output_name": "output", **names}
    return OnnxModel(_find(folder), "model_feat.onnx", **chosen)


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """The hub's local cache with `owner/name`, as it lies after a download; and no network."""
    from huggingface_hub import constants

    commit = "0" * 40
    root = tmp_path / "hub" / "models--owner--name"
    snapshot = root / "snapshots" / commit
    tiny_onnx.save_ccip(snapshot / "small")
    (snapshot / "README.md").write_text("---\nlicense: cc0-1.0\n---\n")
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return snapshot


def test_a_folder_or_the_model_in_it_is_found(tmp_path):
    tiny_onnx.save_ccip(tmp_path / "hub" / "small")
    direct = _find(tmp_path / "hub" / "small")
    assert direct == _find(tmp_path / "hub") and direct.name == "small"
    assert direct.licence == "openrail"
    assert direct.read_json("metrics.json") == {"threshold": 0.2}
    assert direct.read_json("nothing.json") is None


def test_a_card_above_the_model_says_the_licence(tmp_path):
    tiny_onnx.save_ccip(tmp_path / "hub" / "small")
    (tmp_path / "hub" / "small" / "README.md").unlink()
    assert _find(tmp_path / "hub").licence == "unknown"
    (tmp_path / "hub" / "README.md").write_text("---\nlicense: mit\n---\n")
    assert _find(tmp_path / "hub" / "small").licence == "mit"


@pytest.mark.parametrize("source", ["", "owner/name", "owner/name/small"])
def test_a_hub_id_is_read_from_the_hubs_cache(hub_cache, source):
    found = _find(source)
    assert found.path == (hub_cache / "small").resolve()
    assert found.licence == "openrail"  # of the model's own card, before that of the repository
    (hub_cache / "small" / "README.md").unlink()
    assert _find(source).licence == "cc0-1.0"


def test_what_the_cache_has_is_told_without_the_hub(hub_cache):
    assert onnx_model.is_cached(PUBLISHED, "model_feat.onnx")
    assert not onnx_model.is_cached(PUBLISHED, "other.onnx")
    assert not onnx_model.is_cached(PublishedModel(repository="a/b", model="c"), "model_feat.onnx")


def test_a_download_that_broke_off_is_not_taken_for_whole(hub_cache):
    (hub_cache / "small" / "metrics.json").unlink()
    with pytest.raises(UserError, match=r"missing metrics\.json|could not get it from the hub"):
        _find("owner/name")


def test_what_the_hub_cannot_give_is_refused_in_one_sentence(hub_cache):
    with pytest.raises(UserError, match=r"detection\.x: could not get "):
        _find("owner/other")
    with pytest.raises(UserError, match=r"missing no\.onnx; download small of owner/name"):
        _find("owner/name", ("no.onnx",))


@pytest.mark.parametrize("source", ["nothing", "/no/such/folder", "a/b/c/d", "../a"])
def test_what_is_neither_folder_nor_hub_id_is_refused(source):
    with pytest.raises(UserError, match=r"expected a folder or a hub id .*, found no folder"):
        _find(source)


def test_without_the_package_of_the_hub_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        UserError,
        match=(
            r"huggingface_hub, which is not installed; run "
            r"`uv sync --extra hub`"
        ),
    ):
        _find("owner/name")
    assert not onnx_model.is_cached(PUBLISHED, "model_feat.onnx")


def test_what_is_missing_or_no_model_is_refused(tmp_path):
    folder = tiny_onnx.save_ccip(tmp_path / "small")
    (folder / "metrics.json").write_text("{")
    with pytest.raises(UserError, match=r"expected JSON in .*metrics\.json"):
        _find(folder).read_json("metrics.json")
    (folder / "model_feat.onnx").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(UserError, match=r"expected an ONNX model in .*model_feat\.onnx"):
        _load(folder)
    (folder / "model_feat.onnx").unlink()
    with pytest.raises(UserError, match=r"folder small, missing model_feat\.onnx; download"):
        _load(folder)


def test_another_kind_of_network_is_refused_with_what_it_takes(tmp_path):
    folder = tiny_onnx.save_ccip(tmp_path / "small")
    tiny_onnx.save_detector(tmp_path / "d", tiny_onnx.yolo([0, 0, 1, 1, 0.5]))
    (tmp_path / "d" / "model.onnx").rename(folder / "model_feat.onnx")
    with pytest.raises(UserError) as caught:
        _load(folder)
    words = ["input (batch, 3, height, width)", "images (batch, 3, height, width)", "output0 (1, 5"]
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


def test_an_input_of_another_shape_is_refused(tmp_path):
    net = _load(tiny_onnx.save_ccip(tmp_path / "small"))
    assert net.size_px == (384, 384)
    with pytest.raises(UserError, match=r"could not be run on an input of shape \(1, 3, 8, 8\)"):
        net.run(np.zeros((1, 3, 8, 8)))


def test_the_licence_in_the_file_is_told_beside_the_cards(tmp_path):
    folder = tiny_onnx.save_detector(
        tmp_path / "d", tiny_onnx.yolo([0, 0, 1, 1, 0.5]), license="AGPL-3.0"
    )
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    found = _find(folder, ("model.onnx",))
    net = OnnxModel(found, "model.onnx", input_name="images", output_name="output0")
    assert net.licence == "mit; the file itself says AGPL-3.0"
    assert net.size_px is None


def test_a_picture_becomes_rgb_planes():
    image = np.full((4, 6, 3), (255, 51, 0), np.uint8)  # BGR
    pixels = onnx_model.to_pixels(
        image, (2, 3), resample=Image.Resampling.BILINEAR, mean=(0, 0.2, 0.5), scale=(1, 1, 0.5)
    )
    assert pixels.shape == (1, 3, 3, 2) and pixels.dtype == np.float32
    assert np.allclose(pixels[0, :, 0, 0], [0, 0, 1])
