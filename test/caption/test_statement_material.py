"""Precision of statements on faces and frames that were labelled by eye.

`statement_label.csv` has the faces of the material with what may be said of each: view F (front),
N (near front), T (three-quarter), P (profile), with L or R for the picture's left or right, and the
colours of clothes. "-" means that nothing may be said, empty that nobody looked. Run it with `-rP`
to see how many statements were made and how many of them were right.
"""

import csv
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from functools import cache
from pathlib import Path

import cv2
import pytest

from bunny.caption import metadata_facts, statement
from bunny.character import appearance
from bunny.character.face import detect
from bunny.dataset.view import share_inside
from bunny.quality.measure import measure_frame
from bunny.table.box import BOX

pytestmark = pytest.mark.slow
LABEL = Path(__file__).with_name("statement_label.csv")
LEAST = 0.95
VIEW = {"front": "F", "slightly": "N", "three-quarter": "T", "profile": "P"}
HAMILTON, SINTEL, REEL = (
    f"video/{name}.mp4" for name in ("short_hamilton_clip", "sintel_trailer-720p", "open_reel")
)
# First and last frame, and what the light of all frames between them looks like.
LIGHT = {
    HAMILTON: [(0, 275, "low")],
    REEL: [(45, 100, "low"), (105, 165, ""), (265, 312, "warm")],
    SINTEL: [
        (290, 385, "low"),
        (440, 520, "low"),
        (576, 660, "warm"),
        (700, 760, "warm"),
        (792, 840, "warm"),
    ],
}


@cache
def _detector():
    return detect.load_detector("yunet")


@cache
def _faces(folder: Path, picture: str, index: int):
    """The picture and its faces."""
    image = _frame(folder, picture, index)
    return image, _detector()(image)


def _frame(folder: Path, picture: str, index: int):
    if not picture.endswith(".mp4"):
        return cv2.imread(str(folder / picture))
    film = cv2.VideoCapture(str(folder / picture))
    film.set(cv2.CAP_PROP_POS_FRAMES, index)
    is_read, image = film.read()
    assert is_read, (picture, index)
    return image


def _frames(folder: Path, picture: str, first: int, last: int, step: int):
    film = cv2.VideoCapture(str(folder / picture))
    for index in range(last + 1):
        if not film.grab():
            return
        if index >= first and (index - first) % step == 0:
            yield index, film.retrieve()[1]


def _labelled(folder: Path):
    """Labelled faces that are found: the picture, the face and its labels."""
    with LABEL.open() as file:
        for row in csv.DictReader(file):
            image, faces = _faces(folder, row["picture"], int(row["frame_index"] or 0))
            box = [float(row[side.removesuffix("_px")]) for side in BOX]
            near = [f for f in faces if share_inside(tuple(box), tuple(f.box)) > 0.8]
            if near:
                yield image, max(near, key=lambda f: f.score), row


def _check(said: Counter, right: Counter, least: int) -> None:
    """Print the figures; each kind has to be right often enough, all of them `least` times."""
    for name in said:
        sys.stdout.write(f"{name}: {right[name]} of {said[name]} right\n")
    assert sum(said.values()) >= least
    assert {name: right[name] for name in said if right[name] < LEAST * said[name]} == {}


def test_views_are_right(material):
    said, right = Counter(), Counter()

    def judge(face, accepted: str) -> None:
        words = statement.view_words(face.landmark.ravel(), face.score, face.pitch, face.brightness)
        if not words:
            return
        kind = VIEW[words.split()[1]]
        side = {"left": "L", "right": "R"}.get(words.split()[-1], "")
        said[kind] += 1
        right[kind] += kind + side in accepted.split()

    for _, face, row in _labelled(material):
        if row["view"]:
            judge(face, row["view"])
    for _, image in _frames(material, HAMILTON, 212, 275, 3):  # three people look to the left
        for face in _detector()(image):
            if 140 < face.box[0] < 500:
                judge(face, "PL")
    _check(said, right, 150)
    assert min(said["F"], said["P"]) >= 40


def test_colours_of_clothes_are_right(material):
    said, right = Counter(), Counter()

    def judge(image, face, accepted: str) -> None:
        lab = appearance.measure_clothes(image, face.box)
        words = statement.clothes_words(lab, face.brightness)
        if words:
            colour = words.split()[1]
            said[colour] += 1
            right[colour] += colour in accepted.split()

    for image, face, row in _labelled(material):
        if row["clothes"]:
            judge(image, face, row["clothes"])
    for _, image in _frames(material, HAMILTON, 84, 209, 4):  # one man in a black suit
        for face in _detector()(image):
            judge(image, face, "black")
    _check(said, right, 40)


def test_light_is_right(material):
    said, right = Counter(), Counter()
    for film, spans in LIGHT.items():
        for first, last, seen in spans:
            for _, image in _frames(material, film, first, last, 6):
                found = measure_frame(image)
                measures = [getattr(found, name) for name in metadata_facts.LIGHT_COLUMNS]
                kind = statement.light_words(*measures).partition(" ")[0]
                if kind:
                    said[kind] += 1
                    right[kind] += kind == seen
    _check(said, right, 80)


def test_the_number_of_people_is_right(material):
    """Against boxes drawn by hand, in windows around each face as crops are cut, and whole."""
    folder, said, right = material / "faces" / "faces", Counter(), Counter()
    images = [
        image
        for name in ("training.xml", "testing.xml")
        for image in ET.parse(folder / name).getroot().iter("image")
    ]
    for image in images:
        picture = cv2.imread(str(folder / image.get("file")))
        keys = ("left", "top", "width", "height")
        drawn = [[float(box.get(key)) for key in keys] for box in image.iter("box")]
        people = [(x, y, x + wide, y + high) for x, y, wide, high in drawn]
        faces = _detector()(picture)
        for face in (face for face in faces if face.score >= statement.MIN_SCORE):
            for times in (2.8, 4.6, 100.0):
                window = _window(face.box, times, picture.shape)
                share = [(f, share_inside(tuple(f.box), window)) for f in faces if f is not face]
                others = [(f, part) for f, part in share if part > 0.05]
                if all(
                    p >= 0.75 and statement.is_visible(f.score, f.brightness) for f, p in others
                ):
                    truth = sum(share_inside(box, window) >= 0.5 for box in people) - 1
                    said["number"] += 1
                    right["number"] += truth == len(others)
    _check(said, right, 60)


def _window(box, times: float, shape) -> tuple[float, float, float, float]:
    """A window of some heights of a face around it, inside the picture."""
    height, width = shape[:2]
    wide, high = (min(times * (box[3] - box[1]), side) for side in (width, height))
    x0 = min(max(0, (box[0] + box[2] - wide) / 2), width - wide)
    y0 = min(max(0, (box[1] + box[3]) / 2 - 0.4 * high), height - high)
    return (x0, y0, x0 + wide, y0 + high)
