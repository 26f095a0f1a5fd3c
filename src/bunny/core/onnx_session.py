"""ONNX Runtime sessions of the packaged models, and their weights in 32 bits.

A session is loaded once and run by any number of threads, each run on the thread that asks: so
pictures side by side fill the cores, and the numbers are the same on any number of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


GPU = "CUDAExecutionProvider"  # of the package onnxruntime-gpu, where it is installed
CPU = "CPUExecutionProvider"
_LOCK = threading.Lock()
_SHARED: dict[str, InferenceSession] = {}


def load_session(model: bytes | Path, *, num_threads: int = 1) -> InferenceSession:
    """Load a model into ONNX Runtime.

    Parameters
    ----------
    model : bytes or Path
        Serialised model, or its file.
    num_threads : int
        That one run may use. With pictures in several threads already, 1 is fastest.

    Returns
    -------
    onnxruntime.InferenceSession
        On the GPU where ONNX Runtime has one. Any number of threads may run it.

    Raises
    ------
    Exception
        The runtime's own errors share no other class.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # a plan for each size of picture: slower, more memory
    options.log_severity_level = 3  # errors alone; they come as exceptions too
    available = onnxruntime.get_available_providers()
    providers = [name for name in (GPU, CPU) if name in available]
    source = str(model) if isinstance(model, Path) else model
    return onnxruntime.InferenceSession(source, options, providers=providers)


def share_session(name: str, load: Callable[[], InferenceSession]) -> InferenceSession:
    """The session of a name, loaded by the first who asks and kept for all others."""
    with _LOCK:
        if name not in _SHARED:
            _SHARED[name] = load()
        return _SHARED[name]


def release_sessions() -> None:
    """Forget the shared sessions and give memory that nobody uses back to the system.

    ONNX Runtime keeps the memory of the largest picture that a session has seen, and the C library
    what was freed: half of what finding faces and figures in a film has taken.
    """
    with _LOCK:
        _SHARED.clear()
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def run_session(
    session: InferenceSession, outputs: Sequence[str], value: np.ndarray
) -> list[np.ndarray]:
    """Run a network of one input, and of it only what the wanted outputs need.

    Parameters
    ----------
    outputs : sequence of str
        Names of outputs.
    value : np.ndarray, float32

    Returns
    -------
    list of np.ndarray, float32
        In the order of `outputs`.
    """
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    found = session.run(list(outputs), {session.get_inputs()[0].name: value}, options)
    return [np.asarray(one) for one in found]


def read_float_model(path: Path, input_name: str, free: Sequence[int]) -> bytes:
    """Read a model with block-quantised weights as one in 32-bit floats.

    Parameters
    ----------
    path : Path
        ONNX file.
    input_name : str
        The one input; what else the file lists as inputs are weights.
    free : sequence of int
        Axes of the input that may have any length.

    Returns
    -------
    bytes
        Serialised model.

    Notes
    -----
    Weights as the runtime would compute them at every run: (quantised - zero point) x scale, a
    scale and a zero point for each block along an axis (ONNX operator DequantizeLinear, version
    21).
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    graph = model.graph
    weights = {one.name: one for one in graph.initializer}
    nodes, floats = [], []
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in weights:
            parts = [numpy_helper.to_array(weights[name]) for name in node.input]
            options = {one.name: one.i for one in node.attribute}
            floats.append(numpy_helper.from_array(_dequantize(*parts, **options), node.output[0]))
        else:
            nodes.append(node)
    taken = {name for node in nodes for name in node.input}
    kept = [one for one in graph.initializer if one.name in taken]
    value = next(one for one in graph.input if one.name == input_name)
    for axis in free:
        value.type.tensor_type.shape.dim[axis].dim_param = f"axis_{axis}"
    shapeless = [onnx.helper.make_tensor_value_info(o.name, 1, None) for o in graph.output]
    whole = onnx.helper.make_graph(nodes, graph.name, [value], shapeless, [*kept, *floats])
    made = onnx.helper.make_model(whole, opset_imports=model.opset_import)
    made.ir_version = model.ir_version
    return made.SerializeToString()


def _dequantize(
    quantised: np.ndarray,
    scale: np.ndarray,
    zero: np.ndarray | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
) -> np.ndarray:
    """Weights in 32-bit floats; see `read_float_model`."""
    shift = np.zeros_like(scale) if zero is None else zero.astype(np.float32)
    if block_size:
        length = quantised.shape[axis]
        scale, shift = (
            np.repeat(part, block_size, axis=axis).take(np.arange(length), axis=axis)
            for part in (scale, shift)
        )
    elif scale.ndim == 1 and scale.size > 1:
        shape = [1] * quantised.ndim
        shape[axis] = -1
        scale, shift = scale.reshape(shape), shift.reshape(shape)
    return (quantised.astype(np.float32) - shift) * scale
