#!/usr/bin/env python3
"""Writes the small ONNX models of models/, which are kept under version control.

Only needed to change them: pip install onnx, then run this file.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

MODELS = Path(__file__).parent / "models"

TYPES = {
    "bool": TensorProto.BOOL,
    "uint8": TensorProto.UINT8,
    "uint16": TensorProto.UINT16,
    "uint32": TensorProto.UINT32,
    "uint64": TensorProto.UINT64,
    "int8": TensorProto.INT8,
    "int16": TensorProto.INT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "fp16": TensorProto.FLOAT16,
    "bf16": TensorProto.BFLOAT16,
    "fp32": TensorProto.FLOAT,
    "fp64": TensorProto.DOUBLE,
    "string": TensorProto.STRING,
}


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, TYPES[kind], shape)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def write(name, nodes, inputs, outputs, initializers=(), opset=17, check=True):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    if check:
        checker.check_model(model)
    path = MODELS / f"{name}.onnx"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(model.SerializeToString())


def node(kind, inputs, outputs, **attributes):
    return helper.make_node(kind, inputs, outputs, **attributes)


def identity():
    """Every data type, in and out."""
    nodes = [node("Identity", [f"in_{kind}"], [f"out_{kind}"]) for kind in TYPES]
    inputs = [value(f"in_{kind}", kind, ["N", "D"]) for kind in TYPES]
    outputs = [value(f"out_{kind}", kind, ["N", "D"]) for kind in TYPES]
    write("identity", nodes, inputs, outputs)


def add():
    """sum = a + b and difference = a - b, any shape [N, D]."""
    write(
        "add",
        [node("Add", ["a", "b"], ["sum"]), node("Sub", ["a", "b"], ["difference"])],
        [value("a", "fp32", ["N", "D"]), value("b", "fp32", ["N", "D"])],
        [value("sum", "fp32", ["N", "D"]), value("difference", "fp32", ["N", "D"])],
    )


def lookup():
    """row = table[index]; indices over 3 fail. doubled = 2 x does not depend on them."""
    table = np.arange(8, dtype=np.float32).reshape(4, 2)
    write(
        "lookup",
        [
            node("Gather", ["table", "index"], ["row"], axis=0),
            node("Add", ["x", "x"], ["doubled"]),
        ],
        [value("index", "int32", ["N"]), value("x", "fp32", ["N", 2])],
        [value("row", "fp32", ["N", 2]), value("doubled", "fp32", ["N", 2])],
        [constant("table", table)],
    )


def fixed():
    """The sum of a [2, 3] input, as a scalar: nothing to batch."""
    write(
        "fixed",
        [node("ReduceSum", ["x"], ["total"], keepdims=0)],
        [value("x", "fp32", [2, 3])],
        [value("total", "fp32", [])],
    )


def scalar():
    """The numbers below a scalar."""
    write(
        "scalar",
        [node("Range", ["zero", "limit", "one"], ["numbers"]), node("Size", ["numbers"], ["count"])],
        [value("limit", "int64", [])],
        [value("numbers", "int64", ["N"]), value("count", "int64", [])],
        [constant("zero", np.int64(0)), constant("one", np.int64(1))],
    )


def flat():
    """All elements in a row: the first dimension of the output is not the batch."""
    write(
        "flat",
        [node("Reshape", ["x", "shape"], ["y"])],
        [value("x", "fp32", ["N", 3])],
        [value("y", "fp32", ["M"])],
        [constant("shape", np.array([-1], dtype=np.int64))],
    )


def folded():
    """Rows of 2 x 2 numbers as rows of 4, which is written as a sum: an optimised session knows it, the file leaves it open."""
    write(
        "folded",
        [
            node("Add", ["two", "two"], ["four"]),
            node("Concat", ["rest", "four"], ["shape"], axis=0),
            node("Reshape", ["x", "shape"], ["y"]),
        ],
        [value("x", "fp32", ["N", 2, 2])],
        [value("y", "fp32", ["N", "M"])],
        [constant("two", np.array([2], dtype=np.int64)), constant("rest", np.array([-1], dtype=np.int64))],
    )


def scaled():
    """y = x * scale, where the file has a default for scale."""
    write(
        "scaled",
        [node("Mul", ["x", "scale"], ["y"])],
        [value("x", "fp32", [2]), value("scale", "fp32", [1])],
        [value("y", "fp32", [2])],
        [constant("scale", np.array([10], dtype=np.float32))],
    )


def pieces():
    """An output that is no tensor."""
    sequence = helper.make_tensor_sequence_value_info("pieces", TensorProto.FLOAT, None)
    write("pieces", [node("SplitToSequence", ["x"], ["pieces"])], [value("x", "fp32", ["N", 2])], [sequence])


def slow():
    """y = x @ w @ w @ …, heavy enough that two runs overlap; w is the identity."""
    nodes = [
        node("ConstantOfShape", ["size"], ["ones"], value=constant("one", np.ones(1, np.float32))),
        node("EyeLike", ["ones"], ["w"]),
        node("Identity", ["x"], ["h0"]),
    ]
    nodes += [node("MatMul", [f"h{i}", "w"], [f"h{i + 1}"]) for i in range(200)]
    nodes += [node("Identity", ["h200"], ["y"])]
    write(
        "slow",
        nodes,
        [value("x", "fp32", ["N", 256])],
        [value("y", "fp32", ["N", 256])],
        [constant("size", np.array([256, 256], dtype=np.int64))],
    )


def running():
    """State: total += table[index] (indices over 3 fail), count += 1, last text."""
    write(
        "running",
        [
            node("Gather", ["table", "index"], ["row"], axis=0),
            node("Add", ["total", "row"], ["new_total"]),
            node("Add", ["count", "one"], ["new_count"]),
            node("Identity", ["new_count"], ["seen"]),
            node("Identity", ["text"], ["new_text"]),
            node("Identity", ["old_text"], ["text_before"]),
        ],
        [
            value("index", "int32", ["N"]),
            value("text", "string", ["N", 1]),
            value("total", "fp32", ["N", 2]),
            value("count", "int32", ["N", 1]),
            value("old_text", "string", ["N", 1]),
        ],
        [
            value("new_total", "fp32", ["N", 2]),
            value("new_count", "int32", ["N", 1]),
            value("seen", "int32", ["N", 1]),
            value("new_text", "string", ["N", 1]),
            value("text_before", "string", ["N", 1]),
        ],
        [
            constant("table", np.arange(8, dtype=np.float32).reshape(4, 2)),
            constant("one", np.array([1], dtype=np.int32)),
        ],
    )


def history():
    """State of growing length: history followed by x."""
    write(
        "history",
        [node("Concat", ["history", "x"], ["longer"], axis=1)],
        [value("x", "fp32", ["N", 1]), value("history", "fp32", ["N", "T"])],
        [value("longer", "fp32", ["N", "U"])],
    )


def controls():
    """What the server says of a sequence, in one row."""
    nodes = [node("Cast", [name], [f"{name}_int"], to=TensorProto.INT64) for name in ("START", "READY", "END", "CORRID")]
    nodes += [node("Concat", ["START_int", "READY_int", "END_int", "CORRID_int", "x"], ["told"], axis=1)]
    write(
        "controls",
        nodes,
        [
            value("x", "int64", ["N", 1]),
            value("START", "fp32", ["N", 1]),
            value("READY", "int32", ["N", 1]),
            value("END", "bool", ["N", 1]),
            value("CORRID", "uint64", ["N", 1]),
        ],
        [value("told", "int64", ["N", 5])],
    )


def external():
    """A directory with its weights in a second file: y = x + [1, 2, 3] and z = x - [1, 2, 3]."""
    directory = MODELS / "external"
    directory.mkdir(exist_ok=True)
    graph = helper.make_graph(
        [node("Add", ["x", "weight"], ["y"]), node("Sub", ["x", "weight"], ["z"])],
        "external",
        [value("x", "fp32", ["N", 3])],
        [value("y", "fp32", ["N", 3]), value("z", "fp32", ["N", 3])],
        [constant("weight", np.array([1, 2, 3], dtype=np.float32))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    weights = directory / "weights.bin"
    weights.unlink(missing_ok=True)
    save(
        model,
        directory / "model.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
        convert_attribute=False,
    )
    weights.chmod(0o644)


def future():
    """An opset that no ONNX Runtime knows."""
    write(
        "future",
        [node("Identity", ["x"], ["y"])],
        [value("x", "fp32", ["N", 2])],
        [value("y", "fp32", ["N", 2])],
        opset=999,
        check=False,
    )


if __name__ == "__main__":
    MODELS.mkdir(exist_ok=True)
    for make in (identity, add, lookup, fixed, scalar, flat, folded, scaled, pieces, slow, running, history, controls, external, future):
        make()
