"""Statements about a picture that its measures are sure of: view, clothes, background, light.

Each was checked against pictures that were labelled by eye (`test_statement_material.py`). Limits
lie where at least 95 % are right; what never got there is not stated: the colour of hair (shadows
and dark backgrounds read as black hair), grey, white, brown and orange clothes, heads that look up
or down, and the hour of photographed and rendered films (a lit stage reads as night).
"""

from collections.abc import Sequence

import numpy as np

from bunny.character.face import pose

MIN_SCORE = 0.85  # face detector's score from which landmarks are trusted
MAX_PITCH = 0.2  # a head that looks further up or down shows no sure turn
# Of `pose.measure_turn`: front up to, slightly turned, three-quarter, profile from.
FRONT, SLIGHT, THREE_QUARTER, PROFILE = 0.2, (0.25, 0.42), (0.45, 1.0), 1.4
# Least share of a window's height that a face takes, from forehead to chin; see `dataset.view`.
FACE_FRAMING = {
    "extreme close-up": 0.85,
    "close-up": 0.5,
    "medium close-up": 0.25,
    "medium shot": 0.165,
    "medium wide shot": 0.1,
    "wide shot": 0.0,
}
# Of a figure's box: its height over the window's in a wide shot at most, and least room around it.
WIDE_SHARE, ROOM = 0.45, 0.2
MIN_FACE_LUMA = 0.2  # in a darker face, clothes are black by the light
MIN_CLOTHES, MIN_BESIDE = 0.7, 0.8  # share of an area that is of one colour
BLACK, DARK, BRIGHT, GREY = 20.0, 25.0, 90.0, (35.0, 70.0)  # L* up to, up to, from, between
DEEP_BLACK, GREYS = 5.0, (48.0, 58.0)  # shades of backgrounds by L*
NEUTRAL, NEARLY_NEUTRAL, WARM_CHROMA = 6.0, 9.0, 22.0  # C* up to, up to, from
# Hue angles in CIELAB in degrees, least chroma and range of L*, where people agree on a name: 95 %
# and more of the colours that the XKCD colour survey (Munroe 2010) ends their names with.
HUE = {
    "red": ((25, 42), 40.0, (25, 58)),
    "yellow": ((80, 105), 30.0, (72, 100)),
    "green": ((120, 150), 30.0, (0, 100)),
    "blue": ((225, 304), 25.0, (0, 100)),
    "purple": ((312, 325), 30.0, (0, 100)),
}
WARM = (42, 84)  # backgrounds of these hues: skies at sunset, wood, lamps
NOT_CLOTHES = ("grey", "bright")  # grey ones are often blue, white ones a shirt alone
LOW_LIGHT_BELOW = 0.22  # mean BT.709 luma in [0, 1]
WARM_RED, WARM_YELLOW = 6.0, 15.0  # least mean a* and b*
VISIBLE_LUMA = 0.12  # a darker face is not seen by a viewer


def view_words(
    landmark: Sequence[float] | None,
    score: float | None,
    pitch: float | None,
    face_luma: float | None,
) -> str:
    """Describe how a head is turned; empty where landmarks are not sure.

    Parameters
    ----------
    landmark : sequence of float, length 10
        As in table `face`.
    score, face_luma : float
        Of the detector and of the face's pixels, in [0, 1].
    pitch : float
        As `pose.estimate_pitch` gives it.

    Returns
    -------
    {"in front view", "turned slightly left", "in three-quarter view facing left", ...}
        Or "in profile facing left", or empty.
    """
    if landmark is None or pitch is None or abs(pitch) > MAX_PITCH:
        return ""
    if not is_visible(score, face_luma):
        return ""
    turn = pose.measure_turn(np.asarray(landmark, float).reshape(5, 2))
    side = "left" if turn < 0 else "right"
    size = abs(turn)
    if size <= FRONT:
        return "in front view"
    if size >= PROFILE:
        return f"in profile facing {side}"
    if SLIGHT[0] <= size <= SLIGHT[1]:
        return f"turned slightly {side}"
    is_turned = THREE_QUARTER[0] <= size <= THREE_QUARTER[1]
    return f"in three-quarter view facing {side}" if is_turned else ""


def face_framing(share: float) -> str:
    """Framing of a face by its height over that of the window, in words."""
    return next(words for words, least in FACE_FRAMING.items() if share >= least)


def figure_framing(share: float, room: float) -> str:
    """Framing of a figure whose box is steady through its shot.

    Parameters
    ----------
    share : float
        Height of the figure's box over that of the window.
    room : float
        What the window shows above or below the box, whichever is less, in heights of the box.

    Returns
    -------
    {"wide shot", "full body", ""}
    """
    if room < ROOM:
        return ""
    return "wide shot" if share <= WIDE_SHARE else "full body"


def side_words(left: float, right: float) -> str:
    """Side of a window that a figure alone in it is on.

    Parameters
    ----------
    left, right : float
        Of the figure's box, in shares of the window's width.

    Returns
    -------
    {"on the left", "on the right", ""}
    """
    if left < 0.5 < right:
        return ""
    return "on the left" if right <= 0.5 else "on the right"


def clothes_words(lab: Sequence[float] | None, face_luma: float | None) -> str:
    """Colour of the clothes under a face, ``wearing black clothes``; empty where it is not sure."""
    if lab is None or face_luma is None or face_luma < MIN_FACE_LUMA or lab[3] < MIN_CLOTHES:
        return ""
    colour = _colour(lab)
    return f"wearing {colour} clothes" if colour and colour not in NOT_CLOTHES else ""


def beside_words(lab: Sequence[float] | None) -> str:
    """Background beside a subject, e.g. ``against a grey background``; empty: of many colours."""
    if lab is None or lab[3] < MIN_BESIDE:
        return ""
    hue, chroma = _hue(lab)
    if lab[0] < DARK:
        is_black = lab[0] < DEEP_BLACK and chroma < NEUTRAL
        return f"against a {'black' if is_black else 'dark'} background"
    is_warm = chroma >= WARM_CHROMA and WARM[0] <= hue <= WARM[1]
    colour = "warm-coloured" if is_warm else _colour(lab)
    if colour == "grey":
        colour = "dark grey" if lab[0] < GREYS[0] else "light grey" if lab[0] > GREYS[1] else "grey"
    return f"against a {colour} background" if colour else ""


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
    {"low light", "warm light", ""}
    """
    if brightness is None:
        return ""
    if brightness < LOW_LIGHT_BELOW:
        return "low light"
    is_warm = (cast_red or 0.0) >= WARM_RED and (cast_yellow or 0.0) >= WARM_YELLOW
    return "warm light" if is_warm and not is_close_up else ""


def is_visible(score: float | None, brightness: float | None) -> bool:
    """Whether a detected face is surely one that a viewer sees."""
    return (score or 0.0) >= MIN_SCORE and (brightness or 0.0) >= VISIBLE_LUMA


def _colour(lab: Sequence[float]) -> str:
    """Colour that people agree on; empty between two colours."""
    light = float(lab[0])
    hue, chroma = _hue(lab)
    if light < BLACK and chroma < NEARLY_NEUTRAL:
        return "black"
    if chroma < NEUTRAL:
        return "bright" if light >= BRIGHT else "grey" if GREY[0] <= light <= GREY[1] else ""
    for name, (angles, least, lights) in HUE.items():
        is_light = lights[0] <= light <= lights[1]
        if angles[0] <= hue <= angles[1] and chroma >= least and is_light:
            return name
    return ""


def _hue(lab: Sequence[float]) -> tuple[float, float]:
    """Hue angle in [0, 360) degrees and chroma."""
    red, yellow = float(lab[1]), float(lab[2])
    return float(np.degrees(np.arctan2(yellow, red))) % 360, float(np.hypot(red, yellow))
