"""Anime detectors by tiny models that give fixed boxes, in each published form."""

import json

import numpy as np
import pytest
import tiny_onnx

from bunny.character.drawn.anime_detector import KINDS, AnimeDetector, is_named
from bunny.core.error import UserError

IMAGE = np.zeros((90, 160, 3), np.uint8)
LEFT, RIGHT = [0.1, 0.2, 0.4, 0.8], [0.5, 0.0, 0.9, 1.0]


def _detector(folder, output, word="anime-person", **more):
    return AnimeDetector(f"{word}:{tiny_onnx.save_detector(folder / 'tiny', output, **more)}")


def _boxes(figures):
    return [one.box.tolist() for one in figures]


def test_boxes_come_in_shares_of_the_picture_the_surest_first(tmp_path):
    detector = _detector(tmp_path, tiny_onnx.yolo([*LEFT, 0.5], [*RIGHT, 0.8], [*LEFT, 0.2]))
    right, left = detector(IMAGE)
    assert np.allclose(right.box, RIGHT, atol=1e-6) and np.allclose(left.box, LEFT, atol=1e-6)
    assert (right.kind, right.score) == ("person", pytest.approx(0.8))
    assert detector.name == "anime-person-tiny"


def test_boxes_of_one_figure_are_one_and_reach_over_no_edge(tmp_path):
    again = [0.12, 0.2, 0.4, 0.8]  # overlap over union: 0.93
    over = [0.9, 0.9, 1.2, 1.1]
    detector = _detector(
        tmp_path, tiny_onnx.yolo([*LEFT, 0.5], [*again, 0.9], [*over, 0.4], [1, 0, 1.1, 1, 0.7])
    )
    assert np.allclose(_boxes(detector(IMAGE)), [again, [0.9, 0.9, 1, 1]], atol=1e-6)


@pytest.mark.parametrize(("word", "expected"), [("anime-person", 1), ("anime-face", 2)])
def test_kinds_have_the_published_overlap(tmp_path, word, expected):
    other = [0.1, 0.2, 0.4, 0.6]  # overlap over union: 2/3, between 0.5 and 0.7
    detector = _detector(tmp_path, tiny_onnx.yolo([*LEFT, 0.9], [*other, 0.8]), word)
    assert len(detector(IMAGE)) == expected


def test_the_threshold_beside_the_model_holds(tmp_path):
    output = tiny_onnx.yolo([*LEFT, 0.35], [*RIGHT, 0.33])
    assert len(_detector(tmp_path / "a", output)(IMAGE)) == 2  # above 0.3, of imgutils
    folder = tiny_onnx.save_detector(tmp_path / "b", output)
    (folder / "threshold.json").write_text(json.dumps({"f1_score": 0.9, "threshold": 0.348}))
    detector = AnimeDetector(f"anime-person:{folder}")
    assert detector.min_score == 0.348 and len(detector(IMAGE)) == 1


def test_output_with_the_end_built_in_is_read(tmp_path):
    corners = [[*(64 * np.array(LEFT)), 0.6, 1], [*(64 * np.array(RIGHT)), 0.1, 0]]
    (only,) = _detector(tmp_path, [corners], labels=("head", "face"))(IMAGE)
    assert np.allclose(only.box, LEFT, atol=1e-6) and only.kind == "face"


def test_output_in_shares_is_read(tmp_path):
    # as RT-DETR: rows of centre, size and two scores; only the file beside it says so
    output = [[[0.25, 0.5, 0.3, 0.6, 0.1, 0.7]]]
    folder = tiny_onnx.save_detector(tmp_path / "tiny", output, labels=("a", "b"))
    (folder / "model_type.json").write_text('{"model_type": "rtdetr"}')
    (only,) = AnimeDetector(f"anime-head:{folder}")(IMAGE)
    assert np.allclose(only.box, LEFT, atol=1e-6) and only.kind == "b"


def test_nothing_found_is_no_figure(tmp_path):
    assert _detector(tmp_path, tiny_onnx.yolo([*LEFT, 0.1]))(IMAGE) == []


def test_labels_come_from_the_file_else_from_beside_it_else_from_the_setting(tmp_path):
    output = tiny_onnx.yolo([*LEFT, 0.9])
    folder = tiny_onnx.save_detector(tmp_path / "tiny", output, names="?")
    assert AnimeDetector(f"anime-head:{folder}")(IMAGE)[0].kind == "head"
    (folder / "labels.json").write_text('["noggin"]')
    assert AnimeDetector(f"anime-head:{folder}")(IMAGE)[0].kind == "noggin"


def test_boxes_of_another_form_are_refused(tmp_path):
    detector = _detector(tmp_path, np.zeros((1, 9, 7)))
    with pytest.raises(UserError, match=r"boxes of shape \(1, 5, n\) for person, got \(1, 9, 7\)"):
        detector(IMAGE)


def test_a_size_that_is_none_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"expected imgsz in .* found large"):
        _detector(tmp_path, tiny_onnx.yolo([*LEFT, 0.9]), imgsz="large")


def test_each_kind_has_a_name():
    assert all(is_named(word) and is_named(f"{word}:/folder") for word in KINDS)
    assert not any(is_named(word) for word in ("", "anime", r"C:\owl", "google/owlv2-base"))
