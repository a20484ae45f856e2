#!/usr/bin/env python3
"""Writes the small ONNX models of models/, which are kept under version control.

Only needed to change them: pip install onnx, then run this file. `recorder.py` says what recorder.onnx answers.
"""

import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from paraformer.recorder import ENC, FAIL, FLAGS, LENGTHS, LEVELS, PER_UNIT, RANGE, SPECIAL  # noqa: E402

TYPES = {"fp32": TensorProto.FLOAT, "int32": TensorProto.INT32, "int64": TensorProto.INT64, "bool": TensorProto.BOOL}
DEMO = HERE.parents[1] / "demo/paraformer_online"


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, TYPES[kind], shape)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


class Graph:
    """Nodes and constants, named by what they give."""

    def __init__(self, name):
        self.name, self.nodes, self.constants = name, [], []

    def add(self, kind, output, *inputs, **attributes):
        """A node; inputs are names or constants."""
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        outputs = output if isinstance(output, list) else [output]
        self.nodes.append(helper.make_node(kind, names, outputs, **attributes))
        return output

    def constant(self, array):
        """A constant of the graph, under a name of its own."""
        self.constants.append(constant(f"c{len(self.constants)}", array))
        return self.constants[-1].name

    def write(self, inputs, outputs, opset, directory=HERE / "models"):
        """Checks and writes the model."""
        graph = helper.make_graph(self.nodes, self.name, inputs, outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
        checker.check_model(model)
        path = directory / f"{self.name}.onnx"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(model.SerializeToString())


def decoder_inputs():
    """What cif_search sends to a decoder."""
    return [
        value("enc", "fp32", ["B", "T", "H"]),
        value("enc_len", "int32", ["B"]),
        value("acoustic_embeds", "fp32", ["B", "N", "H"]),
        value("acoustic_embeds_len", "int32", ["B"]),
    ]


def recorder():
    """A decoder whose ids tell what it was sent; the first two encoder frames say which part of it they tell."""
    g = Graph("recorder")
    f32, i64 = np.float32, np.int64
    # What is asked for: [B, 1]. The projection: [B, H, 1].
    g.add("Slice", "second", "enc", i64([1]), i64([2]), i64([1]))
    g.add("Squeeze", "second_frame", "second", axes=[1])
    g.add("Slice", "asked", "second_frame", i64([0]), i64([1]), i64([1]))
    g.add("Slice", "turns", "second_frame", i64([1]), i64([2]), i64([1]))
    g.add("Slice", "first", "enc", i64([0]), i64([1]), i64([1]))
    g.add("Transpose", "probe", "first", perm=[0, 2, 1])

    def level(name, x):
        """A number between -RANGE and RANGE as a whole number from 0."""
        g.add("Add", f"{name}_above", x, f32(RANGE))
        g.add("Mul", f"{name}_scaled", f"{name}_above", f32(PER_UNIT))
        g.add("Round", f"{name}_round", f"{name}_scaled")
        return g.add("Clip", f"{name}_level", f"{name}_round", f32(0), f32(LEVELS - 1))

    g.add("MatMul", "embeds_column", "acoustic_embeds", "probe")
    embeds = level("embeds", g.add("Squeeze", "embeds", "embeds_column", axes=[2]))
    g.add("Slice", "rest", "enc", i64([2]), i64([2**31 - 1]), i64([1]))
    g.add("ReduceMean", "rest_mean", "rest", axes=[1], keepdims=1)
    g.add("MatMul", "enc_column", "rest_mean", "probe")
    enc = level("enc", g.add("Squeeze", "enc_projection", "enc_column", axes=[2]))

    # Flags and counts.
    g.add("Add", "new_calls", "calls", f32([1]))
    g.add("Mul", "calls_4", "new_calls", f32(4))
    g.add("Mul", "end_2", "END", f32(2))
    g.add("Add", "flags_only", "START", "end_2")
    flags = g.add("Add", "flags", "flags_only", "calls_4")
    g.add("Cast", "enc_len_f", "enc_len", to=TYPES["fp32"])
    g.add("Cast", "embeds_len_f", "acoustic_embeds_len", to=TYPES["fp32"])
    g.add("Mul", "enc_len_64", "enc_len_f", f32(64))
    g.add("Add", "lengths_flat", "enc_len_64", "embeds_len_f")
    lengths = g.add("Unsqueeze", "lengths", "lengths_flat", axes=[1])

    told = embeds
    for number, part in ((ENC, enc), (FLAGS, flags), (LENGTHS, lengths)):
        g.add("Equal", f"asks_{number}", "asked", f32(number))
        told = g.add("Where", f"told_{number}", f"asks_{number}", part, told)

    # An index out of bounds is an error of ONNX Runtime.
    g.add("Equal", "asks_failure", "asked", f32(FAIL))
    g.add("Cast", "index", "asks_failure", to=TYPES["int64"])
    g.add("Gather", "nothing", f32([0]), "index", axis=0)
    told = g.add("Add", "told_or_failed", told, "nothing")

    # Turns of work, so that an answer takes its time; the identity stays what it is.
    g.add("ConstantOfShape", "zeros", i64([256, 256]))
    g.add("EyeLike", "identity", "zeros")
    g.add("ReduceMax", "most_turns", "turns", keepdims=0)
    g.add("Cast", "trips", "most_turns", to=TYPES["int64"])
    matrix = [256, 256]
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["before", "identity"], ["after"]),
            helper.make_node("Identity", ["on"], ["goes_on"]),
        ],
        "turn",
        [value("number", "int64", []), value("on", "bool", []), value("before", "fp32", matrix)],
        [value("goes_on", "bool", []), value("after", "fp32", matrix)],
    )
    g.add("Loop", "worked", "trips", np.bool_(True), "identity", body=body)
    g.add("ReduceMin", "zero", "worked", keepdims=0)
    told = g.add("Add", "told_in_time", told, "zero")

    g.add("Add", "behind_special", told, f32(SPECIAL))
    g.add("Cast", "sample_ids", "behind_special", to=TYPES["int64"])
    g.write(
        [
            *decoder_inputs(),
            value("START", "fp32", ["B", 1]),
            value("END", "fp32", ["B", 1]),
            value("calls", "fp32", ["B", 1]),
        ],
        [value("sample_ids", "int64", ["B", "N"]), value("new_calls", "fp32", ["B", 1])],
        opset=12,
    )


def fragile():
    """A decoder that says token 5 to everything, and fails whenever a sequence calls it for the second time."""
    g = Graph("fragile")
    g.add("Gather", "five", np.int64([5]), "calls", axis=0)  # [B, 1]
    g.add("Shape", "shape", "acoustic_embeds")
    g.add("Slice", "rows_and_tokens", "shape", np.int64([0]), np.int64([2]))
    g.add("Expand", "sample_ids", "five", "rows_and_tokens")
    g.add("Add", "new_calls", "calls", np.int32([1]))
    g.write(
        [*decoder_inputs(), value("calls", "int32", ["B", 1])],
        [value("sample_ids", "int64", ["B", "N"]), value("new_calls", "int32", ["B", 1])],
        opset=12,
    )


def lfr_cmvn_pe():
    """The step of that name for the demo model, with the inputs and outputs that its export script gives it."""
    frames, stacked, hop, mels, hidden = 10, 7, 6, 80, 128
    width = stacked * mels
    shift, scale = (np.float32(values) for values in cmvn(DEMO / "am.mvn"))
    g = Graph("lfr_cmvn_pe")
    rows = hop * np.arange(frames)[:, None] + np.arange(stacked)
    g.add("Gather", "stacks", "chunk_xs", np.int64(rows), axis=1)
    g.add("Reshape", "lfr", "stacks", np.int64([-1, frames, width]))
    g.add("Add", "shifted", "lfr", shift)
    g.add("Mul", "normalised", "shifted", np.float32(scale * np.sqrt(hidden)))
    # Positions offset+1 … offset+10: computed where the script looks them up, which keeps this file small.
    g.add("Cast", "offset_f", "offset", to=TYPES["fp32"])
    g.add("Add", "positions", "offset_f", np.arange(1, frames + 1, dtype=np.float32))
    g.add("Unsqueeze", "positions_column", "positions", axes=[2])
    timescales = np.exp(np.arange(width // 2) * -(np.log(10000.0) / (width // 2 - 1)))
    g.add("Mul", "angles", "positions_column", np.float32(timescales))
    g.add("Concat", "encoding", g.add("Sin", "sines", "angles"), g.add("Cos", "cosines", "angles"), axis=2)
    g.add("Add", "r_cache", "normalised", "encoding")
    g.add("Concat", "chunk_xs_out", "cache", "r_cache", axis=1)
    g.add("Add", "r_offset", "offset", np.int32(frames))
    g.add("Mul", "nothing", "offset", np.int32(0))
    g.add("Add", "chunk_xs_out_len", "nothing", np.int32(2 * frames))
    g.write(
        [
            value("chunk_xs", "fp32", ["B", 61, mels]),
            value("cache", "fp32", ["B", frames, width]),
            value("offset", "int32", ["B", 1]),
        ],
        [
            value("chunk_xs_out", "fp32", ["B", 2 * frames, width]),
            value("chunk_xs_out_len", "int32", ["B", 1]),
            value("r_cache", "fp32", ["B", frames, width]),
            value("r_offset", "int32", ["B", 1]),
        ],
        opset=11,
    )


def cmvn(path):
    """Shift and scale of an am.mvn."""
    from paraformer.reference_chain import read_cmvn

    return read_cmvn(path)


if __name__ == "__main__":
    for make in (recorder, fragile, lfr_cmvn_pe):
        make()
