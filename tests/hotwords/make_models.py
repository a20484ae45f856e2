#!/usr/bin/env python3
"""Writes the small ONNX models of models/, which are kept under version control; talking.py says what they do.

Only needed to change them: pip install onnx, then run this file.
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from hotwords.talking import DIM, KEPT, LENGTH, LENGTHS, RIGHT, VOCABULARY, WRONG  # noqa: E402
from paraformer.make_models import TYPES, Graph, value  # noqa: E402

FEATURES = 560
f32, i64 = np.float32, np.int64


def write(graph, inputs, outputs):
    graph.write(inputs, outputs, opset=12, directory=HERE / "models")


def hotword_encoder(name, kind):
    """Each word's tokens up to each place, zeros behind, and how many they are."""
    g = Graph(name)
    g.add("Cast", "ids", "hotword", to=TYPES["fp32"])  # [N, LENGTH]
    g.add("Unsqueeze", "of_all_places", "ids", axes=[0])
    up_to = np.tril(np.ones((LENGTH, LENGTH), f32)).reshape(LENGTH, 1, LENGTH)
    g.add("Mul", "seen", "of_all_places", up_to)
    g.add("Slice", "first", "of_all_places", i64([0]), i64([1]), i64([2]))
    g.add("Mul", "nothing", "first", f32(0))
    g.add("Add", "count", "nothing", np.arange(1, LENGTH + 1, dtype=f32).reshape(LENGTH, 1, 1))
    g.add("Concat", "hw_embed", "seen", "count", axis=2)
    write(g, [value("hotword", kind, ["N", LENGTH])], [value("hw_embed", "fp32", [LENGTH, "N", DIM])])


def recogniser():
    """A token for the length of the audio, then the words'."""
    g = Graph("model")
    # The words that the first row's tokens choose.
    g.add("Shape", "shape", "bias_embed")
    g.add("Slice", "words", "shape", i64([1]), i64([2]))
    g.add("Min", "kept", "words", i64([KEPT]))
    g.add("Slice", "first_tokens", "bias_embed", i64([0, 0]), i64([1, 1]), i64([0, 2]))
    g.add("Reshape", "scores", "first_tokens", i64([-1]))
    g.add("TopK", ["best_scores", "best"], "scores", "kept", axis=0)
    g.add("TopK", ["in_order", "_places"], "best", "kept", axis=0, largest=0)
    g.add("Gather", "bias", "bias_embed", "in_order", axis=1)
    # Their tokens, and whether they are all there.
    g.add("Slice", "tokens", "bias", i64([0]), i64([LENGTH]), i64([2]))
    g.add("Slice", "told", "bias", i64([LENGTH]), i64([DIM]), i64([2]))
    g.add("Clip", "ones", "tokens", f32(0), f32(1))
    g.add("ReduceSum", "count", "ones", axes=[2], keepdims=1)
    g.add("Equal", "are_all", "count", "told")
    g.add("Where", "mark", "are_all", f32(VOCABULARY.index(RIGHT)), f32(VOCABULARY.index(WRONG)))
    g.add("Concat", "marked", "tokens", "mark", axis=2)
    g.add("Reshape", "spelt", "marked", i64([0, -1]))
    # The length of the audio; the audio itself is there, and changes nothing.
    g.add("Mod", "rest", "speech_lengths", np.int32(len(LENGTHS)))
    g.add("Add", "id", "rest", np.int32(VOCABULARY.index(LENGTHS[0])))
    g.add("Cast", "of_length", "id", to=TYPES["fp32"])
    g.add("ReduceMean", "level", "speech", axes=[1, 2], keepdims=0)
    g.add("Mul", "silent", "level", f32(0))
    g.add("Add", "length", "of_length", "silent")
    g.add("Unsqueeze", "length_column", "length", axes=[1])
    g.add("Concat", "all", "length_column", "spelt", axis=1)
    g.add("Cast", "all_ids", "all", to=TYPES["int64"])
    g.add("OneHot", "logits", "all_ids", i64([len(VOCABULARY)]), f32([0, 10]), axis=2)
    g.add("Shape", "all_shape", "all")
    g.add("Slice", "steps", "all_shape", i64([1]), i64([2]))
    g.add("Cast", "steps_32", "steps", to=TYPES["int32"])
    g.add("Mul", "no_frames", "speech_lengths", np.int32(0))
    g.add("Add", "token_num", "no_frames", "steps_32")
    write(
        g,
        [
            value("speech", "fp32", ["B", "T", FEATURES]),
            value("speech_lengths", "int32", ["B"]),
            value("bias_embed", "fp32", ["B", "N", DIM]),
        ],
        [value("logits", "fp32", ["B", "S", len(VOCABULARY)]), value("token_num", "int32", ["B"])],
    )


if __name__ == "__main__":
    (HERE / "models").mkdir(exist_ok=True)
    hotword_encoder("model_eb", "int32")
    hotword_encoder("model_eb_int64", "int64")
    recogniser()
