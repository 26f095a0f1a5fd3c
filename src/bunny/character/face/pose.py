"""Head pose and mouth width from five facial landmarks.

Landmarks are in the order of `detect.DetectedFace`: right eye, left eye (the subject's own, so the
right eye stands at the picture's left), nose tip, right and left mouth corner. All measures are
ratios of lengths in the face, so they mind neither its size nor its tilt.
"""

import numpy as np

PROFILE_YAW = 0.85  # from here: profile
LEVEL = 0.545  # nose tip between eye line (0) and mouth line (1) of a level face, see Notes


def measure_turn(landmark: np.ndarray) -> float:
    """Measure how far the nose is off the middle of the eyes, in half distances of the eyes.

    `estimate_yaw` before it is limited: beyond 1 and -1 the nose has passed an eye, and profiles
    differ from faces that are turned by half.
    """
    right, left, nose = np.asarray(landmark, dtype=np.float64)[:3]
    across = left - right
    length = float(across @ across)
    return 1.0 if length == 0 else 2 * float((nose - right) @ across) / length - 1


def estimate_yaw(landmark: np.ndarray) -> float:
    """Tell how far a face is turned, from the nose's place between the eyes.

    Parameters
    ----------
    landmark : np.ndarray, shape (5, 2)
        In pixels.

    Returns
    -------
    float
        In [-1, 1]: 0 frontal, positive when the nose points to the picture's right; -1 and 1 when
        the nose reaches or passes an eye, which is a profile.

    Notes
    -----
    The nose is projected on the line through the eyes; robust to roll. In a generic head (nose tip
    135 before the eyes, pupils 310 apart; Mallick 2016, "Head pose estimation using OpenCV and
    dlib") it is 0.87 times the tangent of the angle: 0.35 at 22 degrees, 0.85 at 44, 1 at 49.
    """
    return float(np.clip(measure_turn(landmark), -1, 1))


def estimate_pitch(landmark: np.ndarray) -> float:
    """Tell how far a face looks up or down, from the nose's place between eyes and mouth.

    Parameters
    ----------
    landmark : np.ndarray, shape (5, 2)
        In pixels.

    Returns
    -------
    float
        In [-1, 1]: 0 level, 1 down, -1 up; 0 where eyes and mouth fall together.

    Notes
    -----
    The nose is projected on the line from between the eyes to between the mouth corners. `LEVEL`
    is the median over 55 press photographs looking into the camera (quartiles 0.52 and 0.56); the
    generic head of `estimate_yaw` has 170 / 320 = 0.53. There the nose moves by 135 / 320 of the
    tangent, so the ends are reached at about 50 degrees. People differ by 0.1 or so at rest: one
    face tells a strong tilt only.
    """
    points = np.asarray(landmark, dtype=np.float64)
    eyes, nose, mouth = points[:2].mean(axis=0), points[2], points[3:5].mean(axis=0)
    down = mouth - eyes
    length = float(down @ down)
    if length == 0:
        return 0.0
    return float(np.clip(2 * (float((nose - eyes) @ down) / length - LEVEL), -1, 1))


def measure_mouth(landmark: np.ndarray) -> float | None:
    """Width of the mouth over the distance of the eyes: a smile is wide, a kiss narrow.

    Parameters
    ----------
    landmark : np.ndarray, shape (5, 2)
        In pixels.

    Returns
    -------
    float or None
        At least 0; about 0.8 to 0.9 at rest. None for a profile, whose far corners are guesses.

    Notes
    -----
    Turning shortens both lengths by the cosine of the angle, so the ratio needs no other
    correction: medians of 0.84 to 0.88 over frontal faces and of 0.81 over faces turned by more
    than 0.6 were measured in group pictures. Whether a mouth is open, five points do not tell.
    """
    right, left, _, corner, other = np.asarray(landmark, dtype=np.float64)
    eyes = float(np.linalg.norm(left - right))
    if eyes == 0 or abs(estimate_yaw(landmark)) >= PROFILE_YAW:
        return None
    return float(np.linalg.norm(other - corner)) / eyes
