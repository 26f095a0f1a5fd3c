"""When two finds are one face, and what stands as a face does."""

import numpy as np
import pytest

from bunny.character import detection
from bunny.character.detection import RawFace

FACE = [(30, 40), (70, 40), (50, 60), (35, 80), (65, 80)]  # in a box of 0 0 100 100


def _one(box, score=0.9, landmark=FACE):
    return RawFace(np.array(box, np.float32), np.array(landmark, np.float32), score)


def test_of_two_that_overlap_the_surer_stays():
    kept = detection.merge([_one([0, 0, 100, 100], 0.8), _one([10, 0, 110, 100], 0.9)])
    assert [one.score for one in kept] == [0.9]


def test_overlap_is_measured_over_the_union():
    # boxes of 100 x 100 shifted by 50 share 50 x 100 of 150 x 100: a third, above 0.3
    assert len(detection.merge([_one([0, 0, 100, 100]), _one([50, 0, 150, 100])])) == 1
    # shifted by 60: 40 of 160, a quarter
    assert len(detection.merge([_one([0, 0, 100, 100]), _one([60, 0, 160, 100])])) == 2


def test_a_part_of_a_surer_face_is_none_but_a_surer_part_stays():
    whole, part = [0, 0, 100, 100], [20, 20, 40, 40]
    assert len(detection.merge([_one(whole, 0.9), _one(part, 0.8)])) == 1
    assert len(detection.merge([_one(whole, 0.8), _one(part, 0.9)])) == 2


def test_order_does_not_matter_and_nothing_is_nothing():
    boxes = [[0, 0, 50, 50], [10, 10, 60, 60], [200, 0, 240, 40], [20, 20, 70, 70]]
    ones = [_one(box, 0.9 - i / 100) for i, box in enumerate(boxes)]
    forth, back = detection.merge(ones), detection.merge(ones[::-1])
    assert [o.box.tolist() for o in forth] == [o.box.tolist() for o in back]
    assert detection.merge([]) == []


def test_suppress_goes_down_the_list():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10]])
    assert detection.non_max_suppression(boxes, 0.3) == [0, 2]
    assert detection.non_max_suppression(boxes, 0.4) == [0, 1, 2]
    assert detection.non_max_suppression(np.empty((0, 4)), 0.3) == []


def _changed(row, point):
    return [point if i == row else place for i, place in enumerate(FACE)]


@pytest.mark.parametrize(
    ("landmark", "is_one"),
    [
        (FACE, True),
        (_changed(2, (90, 60)), True),  # a profile
        ([(5, 40), (3, 40), (0, 60), (5, 80), (4, 80)], True),  # a profile whose far side is near
        (_changed(2, (50, 30)), False),  # the nose above the eyes
        (_changed(2, (50, 90)), False),  # the nose under the mouth
        ([*FACE[:3], (65, 80), (35, 80)], False),  # a crossed mouth
        ([(70, 40), (30, 40), *FACE[2:]], False),  # crossed eyes
        (_changed(0, (-20, 40)), False),  # an eye outside the box
        ([(30, 50), (70, 50), (50, 55), (35, 60), (65, 60)], False),  # eyes and mouth too near
    ],
)
def test_landmarks_of_a_face_stand_in_order(landmark, is_one):
    assert detection.is_face_like(_one([0, 0, 100, 100], landmark=landmark)) == is_one


def test_shrink_keeps_small_pictures_and_shape():
    assert detection.shrink(np.zeros((640, 320, 3), np.uint8))[1] == 1.0
    small, factor = detection.shrink(np.zeros((1280, 320, 3), np.uint8))
    assert small.shape == (640, 160, 3) and factor == 0.5
