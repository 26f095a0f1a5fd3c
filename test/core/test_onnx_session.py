"""Sessions of ONNX Runtime, and quantised weights as floats."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bunny.core import onnx_session


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
