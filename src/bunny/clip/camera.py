"""The camera's move over a run of frames, named from the motion between neighbours."""

import numpy as np

MOVE_SHARE = 0.05  # of the picture, over the run: less is no pan or tilt
ZOOM_LOG = 0.04  # natural logarithm of the scale, over the run
SHAKE_SHARE = 0.0035  # root mean square of what a smooth move does not explain
SMOOTH_FRAMES = 9


def name_camera(shift_x: np.ndarray, shift_y: np.ndarray, zoom: np.ndarray) -> str:
    """Name the camera's move.

    Parameters
    ----------
    shift_x, shift_y : np.ndarray, shape (n,)
        Of the content since the frame before, as shares of width and height; right and down.
    zoom : np.ndarray, shape (n,)
        Natural logarithm of the content's scale since the frame before.

    Returns
    -------
    str
        One of `table.schema.clip.CAMERA`. Content that moves left is a camera that pans right.

    Examples
    --------
    >>> name_camera(np.full(40, -0.01), np.zeros(40), np.zeros(40))
    'pan right'
    """
    if not len(shift_x):
        return "static"
    total = {
        "pan": float(shift_x.sum()) / MOVE_SHARE,
        "tilt": float(shift_y.sum()) / MOVE_SHARE,
        "zoom": float(zoom.sum()) / ZOOM_LOG,
    }
    kind = max(total, key=lambda name: abs(total[name]))
    value = total[kind]
    if abs(value) >= 1:
        names = {"pan": ("left", "right"), "tilt": ("up", "down"), "zoom": ("in", "out")}[kind]
        return f"{kind} {names[0] if value > 0 else names[1]}"
    shake = np.concatenate([_rough(shift_x), _rough(shift_y)])
    return "hand-held" if float(np.sqrt(np.mean(shake**2))) >= SHAKE_SHARE else "static"


def _rough(values: np.ndarray) -> np.ndarray:
    """What is left of a signal beside its moving mean."""
    size = min(SMOOTH_FRAMES, len(values))
    return values - np.convolve(values, np.full(size, 1 / size), mode="same")
