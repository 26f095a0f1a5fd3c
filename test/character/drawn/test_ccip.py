"""CCIP by a tiny model whose vector is the mean colour, so that differences are known by hand."""

import json

import numpy as np
import polars as pl
import pytest
import tiny_onnx

from bunny.character.drawn import ccip, window_search
from bunny.core.error import UserError

RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)  # BGR


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return ccip.CcipNet(str(tiny_onnx.save_ccip(tmp_path_factory.mktemp("ccip") / "tiny")))


def _plain(colour, height=30, width=20):
    return np.full((height, width, 3), colour, np.uint8)


def _vector(colour):
    """What the tiny network gives for a plain colour."""
    rgb = np.array(colour[::-1]) / 255
    return (rgb - ccip.MEAN) / ccip.SCALE


def _similarity(one, other):
    a, b = _vector(one), _vector(other)
    difference = 0.5 * (1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    return max(-1, 1 - difference / 0.4)  # the tiny model's threshold is 0.2


def test_a_picture_is_prepared_as_published(net):
    assert np.allclose(net.embed(_plain(RED)), _vector(RED), atol=1e-3)
    assert np.allclose(net.embed(_plain((200, 100, 50))), _vector((200, 100, 50)), atol=1e-3)
    assert net.embed(_plain(RED)).dtype == np.float32


def test_name_licence_and_threshold_are_the_models_own(net):
    assert (net.name, net.licence, net.max_difference) == ("ccip-tiny", "openrail", 0.2)


def test_the_published_threshold_is_half_way_on_the_scale():
    difference = np.array([0, 0.178475, 0.35695, 0.43, 1])
    scaled = ccip.to_similarity(difference, 0.178475)
    assert np.allclose(scaled, [1, 0.5, 0, -0.204650, -1], atol=1e-5)


def test_similarity_is_by_the_metric_model(net):
    feature = np.stack([net.embed(_plain(c)) for c in (RED, GREEN)])
    found = net.compare(feature, feature[:1])
    assert found.shape == (2, 1) and found.dtype == np.float32
    assert found[:, 0] == pytest.approx([1, _similarity(RED, GREEN)], abs=1e-3)


def test_each_character_gets_its_box(net):
    image = np.hstack([_plain(RED), _plain(GREEN), _plain(BLUE)])
    box = np.array([[0, 0, 1 / 3, 1], [1 / 3, 0, 2 / 3, 1], [2 / 3, 0, 1, 1]], np.float32)
    reference = {
        "rose": np.stack([net.embed(_plain(RED)), net.embed(_plain((20, 20, 235)))]),
        "moss": net.embed(_plain(GREEN))[None],
    }
    moss, rose = net.find_candidates(image, box, reference)
    assert (moss.character, rose.character) == ("moss", "rose")
    assert np.array_equal(moss.box, box[1]) and np.array_equal(rose.box, box[0])
    assert rose.similarity == pytest.approx(1, abs=1e-3)
    rival = _similarity(RED, GREEN)
    assert rose.margin == pytest.approx(1 - rival, abs=1e-3)


def test_nobody_asked_for_or_nothing_seen_gives_nobody(net):
    box = np.array([[0, 0, 1, 1]], np.float32)
    assert net.find_candidates(_plain(RED), box, {}) == []
    assert net.find_candidates(_plain(RED), box[:0], {"rose": np.ones((1, 3), np.float32)}) == []


@pytest.mark.parametrize(
    ("setting", "is_named", "source"),
    [
        ("ccip", True, ""),
        ("ccip:deepghs/ccip_onnx/other", True, "deepghs/ccip_onnx/other"),
        (r"ccip:C:\models\ccip", True, r"C:\models\ccip"),
        ("facebook/dinov2-small", False, ""),
        ("", False, ""),
    ],
)
def test_a_setting_names_it(setting, is_named, source):
    assert ccip.is_named(setting) is is_named
    assert ccip.source_of(setting) == source


@pytest.mark.parametrize("said", [{}, [], {"threshold": 0}, {"threshold": "low"}])
def test_a_threshold_that_is_none_is_refused(tmp_path, said):
    folder = tiny_onnx.save_ccip(tmp_path / "tiny")
    (folder / "metrics.json").write_text(json.dumps(said))
    with pytest.raises(UserError, match=r"expected a number between 0 and 1 as threshold in"):
        ccip.CcipNet(str(folder))


def test_a_metric_model_that_gives_something_else_is_refused(tmp_path):
    folder = tiny_onnx.save_ccip(tmp_path / "tiny")
    nothing = tiny_onnx.helper.make_node("Identity", ["input"], ["output"])
    shape = {"input": ["n", "d"]}, {"output": ["n", "d"]}
    tiny_onnx._save(folder / "model_metrics.onnx", [nothing], *shape, {})
    net = ccip.CcipNet(str(folder))
    with pytest.raises(UserError, match=r"differences of shape \(2, 2\), got \(2, 3\)"):
        net.compare(np.ones((1, 3), np.float32), np.ones((1, 3), np.float32))


def _region(*rows):
    names = ("region_id", "candidate", "track_id", "similarity", "margin", "model")
    return pl.DataFrame([dict(zip(names, row, strict=True)) for row in rows])


def test_a_figures_own_track_votes():
    region = _region(
        ("a", "rose", "t1", 0.45, 0.3, "x+ccip-tiny"),
        ("b", "rose", "t1", 0.75, 0.3, "x+ccip-tiny"),
        ("c", "rose", "t2", 0.50, 0.3, "x+ccip-tiny"),
    )
    voted = ccip.vote(region.lazy()).collect()
    assert voted["support"].to_list() == pytest.approx([0.525, 0.675, 0.50])


def test_the_thresholds_are_inclusive_and_there_is_no_penalty_for_being_alone():
    rows = [("a", 0.5, 0.1), ("b", 0.49, 0.1), ("c", 0.9, 0.09), ("d", 0.9, 0.2)]
    region = pl.DataFrame(
        [
            {"region_id": i, "candidate": "moss" if i == "d" else "rose", "support": s, "margin": m}
            for i, s, m in rows
        ]
    )
    kept = ccip.select_regions(region.lazy(), ["rose"], threshold=0.5, min_margin=0.1)
    assert kept.collect()["region_id"].to_list() == ["a"]


def test_rows_say_by_their_model_who_compared_them():
    models = ("person+ccip-tiny", "efficientnet-lite0", "owl+dino")
    rows = _region(*((name, "x", "t", 0.5, 0.1, name) for name in models))
    assert rows.select(ccip.is_compared()).to_series().to_list() == [True, False, False]
    assert ccip.WEIGHT[1] - ccip.SAME == pytest.approx(window_search.WEIGHT[1] - 0.45)
