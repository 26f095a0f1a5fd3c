"""L2 normalisation of vectors, whose dot products are then cosines."""

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

SHORTEST = 1e-12  # below it a vector counts as having no direction


def l2_normalize(vector: ArrayLike, dtype: DTypeLike = np.float32) -> np.ndarray:
    """Scale the last axis to length 1.

    Parameters
    ----------
    vector : array_like, shape (..., d)
    dtype : optional
        What is computed in: float32 or float64.

    Returns
    -------
    np.ndarray, shape (..., d), of `dtype`
        A vector of length 0 stays 0.

    Examples
    --------
    >>> l2_normalize([[3.0, 4.0], [0.0, 0.0]], np.float64).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    vector = np.asarray(vector, dtype=dtype)
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), SHORTEST)
