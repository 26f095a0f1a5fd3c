"""Tiny ONNX models of the form that DeepGHS publishes; what they give can be worked out by hand."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
CARD = "---\nlicense: openrail\ntags: []\n---\n# Tiny\n"


def save_ccip(folder, threshold=0.2):
    """Write a CCIP whose vector is the mean colour, 1 each channel for white after normalising.

    The metric is the published one's formula: half of 1 - cosine.
    """
    folder.mkdir(parents=True)
    mean = helper.make_node("ReduceMean", ["input", "axes"], ["output"], keepdims=0)
    _save(
        folder / "model_feat.onnx",
        [mean],
        {"input": ["batch", 3, 384, 384]},
        {"output": ["batch", 3]},
        {"axes": np.array([2, 3], np.int64)},
    )
    nodes = [
        helper.make_node("ReduceL2", ["input", "last"], ["length"], keepdims=1),
        helper.make_node("Div", ["input", "length"], ["unit"]),
        helper.make_node("Transpose", ["unit"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["unit", "turned"], ["cosine"]),
        helper.make_node("Sub", ["one", "cosine"], ["apart"]),
        helper.make_node("Mul", ["apart", "half"], ["output"]),
    ]
    constants = {"last": np.array([1], np.int64), "one": np.float32(1), "half": np.float32(0.5)}
    shapes = ({"input": ["n", "d"]}, {"output": ["n", "n"]})
    _save(folder / "model_metrics.onnx", nodes, *shapes, constants)
    (folder / "metrics.json").write_text(json.dumps({"threshold": threshold}))
    (folder / "README.md").write_text(CARD)
    return folder


def save_detector(folder, output, *, size_px=64, labels=("person",), **metadata):
    """Write a detector that gives the same boxes for every picture; `output` is what it gives."""
    folder.mkdir(parents=True)
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
        helper.make_node("Add", ["boxes", "zero"], ["output0"]),
    ]
    boxes = np.asarray(output, np.float32)
    _save(
        folder / "model.onnx",
        nodes,
        {"images": ["batch", 3, "height", "width"]},
        {"output0": list(boxes.shape)},
        {"boxes": boxes, "nothing": np.float32(0)},
        {"names": str(dict(enumerate(labels))), "imgsz": f"[{size_px}, {size_px}]", **metadata},
    )
    return folder


def yolo(*rows, size_px=64):
    """Output (1, 5, n) of a YOLOv8 with one class; rows of x0 y0 x1 y1 in shares and a score."""
    found = np.array(rows, np.float32).reshape(-1, 5)
    corner, score = found[:, :4] * size_px, found[:, 4:]
    middle, side = (corner[:, :2] + corner[:, 2:]) / 2, corner[:, 2:] - corner[:, :2]
    return np.hstack([middle, side, score]).T[None]


def save_classifier(folder, labels=("anime", "real"), *, is_softmax=True):
    """Write a classifier for which bright pictures are drawn: logits are the mean and 0."""
    folder.mkdir(parents=True)
    nodes = [
        helper.make_node("ReduceMean", ["input", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weight"], ["logit"]),
        helper.make_node("Softmax" if is_softmax else "Identity", ["logit"], ["output"]),
    ]
    _save(
        folder / "model.onnx",
        nodes,
        {"input": ["batch", 3, 384, 384]},
        {"output": ["batch", 2]},
        {"axes": np.array([2, 3], np.int64), "weight": np.array([[1 / 3, 0]] * 3, np.float32)},
    )
    (folder / "meta.json").write_text(json.dumps({"labels": list(labels)}))
    return folder


def _save(path, nodes, inputs, outputs, constants, metadata=None):
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    net = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    for key, value in (metadata or {}).items():
        net.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(net)
    path.write_bytes(net.SerializeToString())
