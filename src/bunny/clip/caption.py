"""Captions of clips: what the kept captions in its span say, and how the camera moves."""

from collections.abc import Sequence

from bunny.clip.plan import ClipPlan

CAMERA = {
    "static": "the camera is still",
    "pan left": "the camera pans left",
    "pan right": "the camera pans right",
    "tilt up": "the camera tilts up",
    "tilt down": "the camera tilts down",
    "zoom in": "the camera zooms in",
    "zoom out": "the camera zooms out",
    "hand-held": "hand-held camera",
}


def compose(plan: ClipPlan, captions: Sequence[tuple[float, str]], trigger: str, word: str) -> str:
    """One line: what is seen, then the camera's move.

    Parameters
    ----------
    captions : sequence of (float, str)
        Time and caption of the shot's captioned frames that show the character.
    trigger, word : str
        Trigger word and class word of the character, for where there is no caption.

    Examples
    --------
    >>> CAMERA["pan left"]
    'the camera pans left'
    """
    middle = (plan.start_s + plan.end_s) / 2
    inside = [one for one in captions if plan.start_s <= one[0] <= plan.end_s] or captions
    nearest = min(inside, key=lambda one: (abs(one[0] - middle), one[0]), default=(0.0, ""))[1]
    said = " ".join(nearest.split()).rstrip(". ") or f"{trigger} {word}".strip()
    if trigger and trigger not in said:
        said = f"{trigger}, {said}"
    return f"{said}, {CAMERA[plan.camera]}"
