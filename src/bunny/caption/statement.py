"""Statements about a picture that its measures are sure of: view, clothes, background, light, number.

Each statement was checked against pictures that were labelled by eye (`test/bench/bench_statement.py`
prints how many were stated and right); the limits below lie where at least 95 % are right. What
never got there is not stated: the colour of hair (dark backgrounds and shadows read as black hair,
49 of 70 right), brown and orange clothes (skin, wood), light blue ones (they read as grey), and the
hour of photographed and rendered films (a stage and a cellar read as night).
"""

from collections.abc import Sequence

import numpy as np

from bunny.character.face import pose

MIN_SCORE = 0.85  # of the face detector, for all that rests on landmarks
MAX_PITCH = 0.2  # a head that looks further up or down shows no sure turn
FRONT_UP_TO, TURNED_FROM, TURNED_UP_TO, PROFILE_FROM = 0.2, 0.45, 1.2, 1.4  # of `pose.measure_turn`
MIN_FACE_LUMA = 0.2  # in a darker face, clothes are black by the light
MIN_CLOTHES, MIN_BESIDE = 0.7, 0.85  # share of an area that is of one colour
BLACK, WHITE, GREY = 20.0, 80.0, (35.0, 70.0)  # L* up to, from, between
NEUTRAL, CLOTHES_CHROMA, BESIDE_CHROMA = 6.0, 30.0, 22.0  # C* up to which grey, from which a hue
# Hue angles in CIELAB, degrees, with gaps where people do not agree.
HUE = {
    "red": (15, 42),
    "orange": (52, 72),
    "yellow": (80, 105),
    "green": (115, 190),
    "blue": (225, 300),
    "purple": (308, 335),
}
SKIN_HUE = "orange"  # clothes of this hue may be bare skin
LOW_LIGHT_BELOW, BRIGHT_FROM = 0.22, 0.6  # mean BT.709 luma in [0, 1]
WARM_RED, WARM_YELLOW = 6.0, 15.0  # least mean a* and b*
VISIBLE_LUMA = 0.12  # of a face that a viewer sees


def view_words(landmark: Sequence[float] | None, score: float, pitch: float | None) -> str:
    """How a head is turned; empty where landmarks are not sure.

    Parameters
    ----------
    landmark : sequence of float, length 10
        As in table `face`.
    score : float
        The detector's, in [0, 1].
    pitch : float
        As `pose.estimate_pitch` gives it.

    Returns
    -------
    {"front view", "three-quarter view facing left", "profile facing left", ... "right", ""}
    """
    if landmark is None or pitch is None or score < MIN_SCORE or abs(pitch) > MAX_PITCH:
        return ""
    turn = pose.measure_turn(np.asarray(landmark, float).reshape(5, 2))
    side = "left" if turn < 0 else "right"
    if abs(turn) <= FRONT_UP_TO:
        return "front view"
    if abs(turn) >= PROFILE_FROM:
        return f"profile facing {side}"
    is_turned = TURNED_FROM <= abs(turn) <= TURNED_UP_TO
    return f"three-quarter view facing {side}" if is_turned else ""


def clothes_words(lab: Sequence[float] | None, face_luma: float | None) -> str:
    """Colour of the clothes under a face, e.g. ``wearing black clothes``; empty where it is not sure."""
    if lab is None or face_luma is None or face_luma < MIN_FACE_LUMA or lab[3] < MIN_CLOTHES:
        return ""
    colour = _colour(lab, CLOTHES_CHROMA)
    return f"wearing {colour} clothes" if colour and colour != SKIN_HUE else ""


def beside_words(lab: Sequence[float] | None) -> str:
    """Background beside a subject, e.g. ``against a grey background``; empty: of many colours."""
    if lab is None or lab[3] < MIN_BESIDE:
        return ""
    colour = _colour(lab, BESIDE_CHROMA)
    colour = {"black": "dark"}.get(colour, colour)
    article = "an" if colour == "orange" else "a"
    return f"against {article} {colour} background" if colour else ""


def light_words(
    brightness: float | None,
    cast_red: float | None,
    cast_yellow: float | None,
    *,
    is_close_up: bool = False,
) -> str:
    """Light of a photographed or rendered picture by what is measured, not by the hour.

    Parameters are those of `metadata_facts.light_word`.

    Returns
    -------
    {"low light", "bright light", "warm light", ""}
    """
    if brightness is None:
        return ""
    if brightness < LOW_LIGHT_BELOW:
        return "low light"
    is_warm = (cast_red or 0.0) >= WARM_RED and (cast_yellow or 0.0) >= WARM_YELLOW
    if is_warm:
        return "" if is_close_up else "warm light"
    return "bright light" if brightness >= BRIGHT_FROM else ""


def is_visible(score: float | None, brightness: float | None) -> bool:
    """Whether a detected face is surely one that a viewer sees."""
    return (score or 0.0) >= MIN_SCORE and (brightness or 0.0) >= VISIBLE_LUMA


def _colour(lab: Sequence[float], min_chroma: float) -> str:
    """Colour that people agree on; empty between two colours."""
    light, red, yellow = (float(value) for value in lab[:3])
    chroma = float(np.hypot(red, yellow))
    if light < BLACK and chroma < 2 * NEUTRAL:
        return "black"
    if chroma < NEUTRAL:
        return "white" if light >= WHITE else "grey" if GREY[0] <= light <= GREY[1] else ""
    hue = float(np.degrees(np.arctan2(yellow, red))) % 360
    if chroma < min_chroma:
        return ""
    return next((name for name, (low, high) in HUE.items() if low <= hue <= high), "")
