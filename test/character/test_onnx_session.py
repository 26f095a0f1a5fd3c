"""Sessions of ONNX Runtime, and what they give beside OpenCV's own runner."""

from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from bunny.character import model_file, onnx_session
from bunny.character.face import recogniser, yunet


def _save(path, quantised, scale, zero, **options):
    """A model that multiplies its input by dequantised weights."""
    parts = {"q": quantised, "scale": scale, "zero": zero}
    nodes = [
        helper.make_node("DequantizeLinear", list(parts), ["weight"], **options),
        helper.make_node("Mul", ["x", "weight"], ["y"]),
    ]
    values = [numpy_helper.from_array(value, name) for name, value in parts.items()]
    x = helper.make_tensor_value_info("x", 1, [1, *quantised.shape])
    y = helper.make_tensor_value_info("y", 1, [1, *quantised.shape])
    graph = helper.make_graph(nodes, "test", [x], [y], values)
    opset = [helper.make_opsetid("", 21)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    return path


def test_blocks_of_weights_have_their_own_scale_and_zero(tmp_path):
    path = _save(
        tmp_path / "a.onnx",
        np.array([[1, 2, 3], [4, 5, 6]], np.int8),
        np.array([[1, 10], [100, 0.5]], np.float32),
        np.array([[0, 1], [4, 0]], np.int8),
        axis=1,
        block_size=2,
    )
    session = onnx_session.load_session(onnx_session.read_float_model(path, "x", (0,)))
    found = onnx_session.run_session(session, ["y"], np.ones((2, 2, 3), np.float32))[0]
    assert found.tolist() == [[[1, 2, 20], [0, 100, 3]]] * 2


def test_a_scale_for_each_channel_lies_along_its_axis(tmp_path):
    path = _save(
        tmp_path / "a.onnx",
        np.array([[1, 2], [3, 4]], np.int8),
        np.array([1, 10], np.float32),
        np.array([0, 2], np.int8),
        axis=0,
    )
    model = onnx.load_from_string(onnx_session.read_float_model(path, "x", (0,)))
    assert [node.op_type for node in model.graph.node] == ["Mul"]
    (weight,) = model.graph.initializer
    assert numpy_helper.to_array(weight).tolist() == [[1, 2], [10, 20]]


@pytest.mark.parametrize(
    ("size", "floor"), [((512, 512), 0.5), ((300, 417), 0.03), ((40, 40), 0.5)]
)
def test_yunet_finds_what_opencvs_runner_finds(astronaut, size, floor):
    image = cv2.resize(astronaut, size[::-1], interpolation=cv2.INTER_AREA)
    path = str(model_file.path_of(model_file.MODELS["yunet"]))
    net = cv2.FaceDetectorYN.create(path, "", size[::-1], floor, 0.3, 500)
    _, rows = net.detect(image)
    wanted = np.empty((0, 15)) if rows is None else rows
    found = yunet._look(yunet._load_session(), image, max(size), floor)
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
