"""Vectors of drawn figures."""

import cv2
import numpy as np
import polars as pl
import pytest

from bunny.character.drawn import efficientnet, figure_vector


@pytest.fixture(scope="module")
def net():
    return efficientnet.EfficientNet()


def _patches(seed, size=(200, 300)):
    small = np.random.default_rng(seed).integers(0, 255, (5, 5, 3), dtype=np.uint8)
    return cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)


def _region(*rows):
    names = ("region_id", "track_id", "similarity", "margin")
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(frame_id=pl.lit("f"))


def _chosen(region, *named):
    return figure_vector.choose_views(region, pl.Series(named, dtype=pl.String))[
        "region_id"
    ].to_list()


def test_the_most_similar_clear_views_of_each_figure():
    views = [(f"r{i}", "t", 0.4 + i / 100, 0.2) for i in range(6)]
    doubtful = ("r9", "t", 0.99, 0.01)
    assert _chosen(_region(*views, doubtful)) == ["r5", "r4", "r3", "r2", "r1"]
    assert _chosen(_region(views[0], doubtful)) == ["r0", "r9"]


def test_what_reaches_too_little_is_no_figure_unless_it_has_a_name():
    weak = [
        ("a", "t1", 0.39, 0.3),
        ("b", "t2", 0.6, 0.04),
        ("c", "t3", 0.4, 0.05),
        ("d", None, 1, 1),
    ]
    assert _chosen(_region(*weak)) == ["c"]
    assert sorted(_chosen(_region(*weak), "a", "d")) == ["a", "c"]


def test_similar_somewhere_and_clear_elsewhere_is_not_enough():
    assert _chosen(_region(("a", "t", 0.6, 0.01), ("b", "t", 0.3, 0.2))) == []


def test_only_what_is_inside_the_box_counts(net):
    figure = _patches(1)
    one, other = (np.dstack([np.full((300, 400), v, np.uint8)] * 3) for v in (10, 240))
    for image in (one, other):
        image[50:250, 60:360] = figure
    box = np.array([60, 50, 360, 250], np.float32)
    vectors = [figure_vector.describe_figure(net, image, box) for image in (one, other)]
    assert np.array_equal(*vectors) and vectors[0].shape == (efficientnet.DIMENSION,)
    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ figure_vector.describe_figure(net, _patches(2), box) < 0.95


def test_a_mirrored_figure_is_the_same(net):
    image = _patches(3, (128, 256))
    box = np.array([0, 0, 256, 128])
    vectors = [figure_vector.describe_figure(net, view, box) for view in (image, image[:, ::-1])]
    assert np.allclose(*vectors, atol=1e-5)


def test_boxes_that_reach_outside(net):
    image = _patches(4)
    whole = figure_vector.describe_figure(net, image, np.array([-50, -9.5, 900, 700]))
    assert np.array_equal(
        whole, figure_vector.describe_figure(net, image, np.array([0, 0, 300, 200]))
    )
    assert figure_vector.describe_figure(net, image, np.array([300, 0, 350, 90])) is None
    assert figure_vector.describe_figure(net, image, np.array([-90, 10, -20, 90])) is None
    assert (
        figure_vector.describe_figure(net, image, np.array([0, 0, 300, 1])) is not None
    )  # a sliver


def test_centring_by_hand():
    # (1, 0) less (0.5, 0) points along (1, 0); (0, 1) less it along (-0.5, 1)
    found = figure_vector.centre(np.eye(2), np.array([0.5, 0]))
    assert np.allclose(found, [[1, 0], np.array([-0.5, 1]) / 1.25**0.5])
    assert np.allclose(figure_vector.centre(np.eye(2), np.zeros(2)), np.eye(2))
