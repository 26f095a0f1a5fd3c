"""Packaged networks in ONNX Runtime beside OpenCV's own runner."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from bunny.character import model_file
from bunny.character.face import recogniser, yunet


@pytest.mark.parametrize(
    ("size", "floor"), [((512, 512), 0.5), ((300, 417), 0.03), ((40, 40), 0.5)]
)
def test_yunet_finds_what_opencvs_runner_finds(astronaut, size, floor):
    image = cv2.resize(astronaut, size[::-1], interpolation=cv2.INTER_AREA)
    path = str(model_file.path_of(model_file.MODELS["yunet"]))
    net = cv2.FaceDetectorYN.create(path, "", size[::-1], floor, 0.3, 500)
    _, rows = net.detect(image)
    wanted = np.empty((0, 15)) if rows is None else rows
    found = yunet.run_network(yunet.load_network(), image, max(size), floor)
    assert len(found) == len(wanted)
    for one, row in zip(found, wanted, strict=True):
        assert np.allclose(one.box, [*row[:2], *(row[:2] + row[2:4])], atol=0.05)
        assert np.allclose(one.landmark.ravel(), row[4:14], atol=0.05)
        assert one.score == pytest.approx(row[14], abs=1e-4)


def test_sface_describes_as_opencvs_runner_does(astronaut):
    net = cv2.FaceRecognizerSF.create(str(model_file.path_of(model_file.MODELS["sface"])), "")
    face = yunet.load()(astronaut)[0]
    row = np.array(
        [*face.box[:2], *(face.box[2:] - face.box[:2]), *face.landmark.ravel(), face.score],
        np.float32,
    )
    crop = net.alignCrop(astronaut, row)
    assert np.abs(recogniser.align(astronaut, face.landmark).astype(int) - crop).max() <= 2
    wanted = net.feature(crop).ravel()
    vector = recogniser.load_recogniser("sface")(astronaut, SimpleNamespace(landmark=face.landmark))
    assert vector @ wanted / np.linalg.norm(wanted) == pytest.approx(1, abs=1e-4)


def test_alignment_turns_scales_and_moves_but_never_mirrors():
    upright = recogniser.SFACE_POINTS
    picture = np.zeros((112, 112, 3), np.uint8)
    cv2.circle(picture, (38, 52), 3, (255, 255, 255), -1)  # the first eye
    assert np.array_equal(recogniser.align(picture, upright), picture)
    turned = np.ascontiguousarray(np.rot90(picture))  # x, y becomes y, 111 - x
    landmark = np.stack([upright[:, 1], 111 - upright[:, 0]], axis=1)
    back = recogniser.align(turned, landmark)
    assert np.abs(back.astype(int) - picture).max() <= 1
