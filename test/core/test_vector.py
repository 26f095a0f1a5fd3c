"""Vectors at length 1."""

import numpy as np

from bunny.core.vector import l2_normalize


def test_scales_the_last_axis_and_leaves_zeros():
    found = l2_normalize([[3, 4], [0, 0], [0, -2]])
    assert found.dtype == np.float32
    assert np.allclose(found, [[0.6, 0.8], [0, 0], [0, -1]])


def test_takes_one_vector_and_stacks_of_matrices():
    assert l2_normalize(np.array([0.0, 5.0])).tolist() == [0.0, 1.0]
    assert np.allclose(np.linalg.norm(l2_normalize(np.ones((2, 3, 4))), axis=-1), 1)


def test_computes_in_the_type_that_is_asked_for():
    short = np.array([3e-30, 4e-30])
    assert np.allclose(l2_normalize(np.array([3e-10, 4e-10]), np.float64), [0.6, 0.8], rtol=1e-12)
    assert l2_normalize(np.array([3e-10, 4e-10]), np.float64).dtype == np.float64
    assert np.abs(l2_normalize(short, np.float64)).max() < 1e-12  # too short to have a direction
