#!/usr/bin/env python3
"""Writes the small ONNX models of models/, which are kept under version control, with the files that belong to them.

Only needed to change them: pip install onnx, then run this file. They have the inputs and outputs of FunASR's exports and answers that
can be told beforehand; they hear and understand nothing.
"""

import json
import re
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

HERE = Path(__file__).parent
MODELS = HERE / "models"
TYPES = {"fp32": TensorProto.FLOAT, "int32": TensorProto.INT32}
BINS, STACKED, CLASSES = 80, 5, 3
CACHES, CACHE_SIZE, CACHE_FRAMES = 4, 8, 5
# One word after the other has these marks, in this order.
MARKS = ["<unk>", "_", ",", "。", "?", "、"]
CYCLE = [1, 1, 2, 1, 1, 1, 3, 1, 1, 4, 1, 5, 1]
WORDS = "我 你 他 们 去 来 吗 好 天 气 很 今 明 hello world it's 3.5 ok New York a".split()


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, TYPES[kind], shape)


class Graph:
    """Nodes and constants, named by what they give."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def add(self, kind, output, *inputs, **attributes):
        """A node; inputs are names or constants."""
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        self.nodes.append(helper.make_node(kind, names, [output], **attributes))
        return output

    def constant(self, array):
        """A constant of the graph, under a name of its own."""
        self.constants.append(numpy_helper.from_array(np.asarray(array), f"c{len(self.constants)}"))
        return self.constants[-1].name

    def write(self, path, inputs, outputs):
        """Checks and writes the model."""
        graph = helper.make_graph(self.nodes, path.stem, inputs, outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
        checker.check_model(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model.SerializeToString())


def fsmn(name, tiring, longest):
    """A frame is speech where its energy is high, less so by `tiring` the more frames the caches have counted: so their way can be seen."""
    g = Graph()
    f32, i64 = np.float32, np.int64
    g.add("ReduceMean", "level", "speech", axes=[2], keepdims=1)  # [1, T, 1]
    # Each cache counts frames in its last column; the first one's count is what the answer depends on.
    g.add("Shape", "shape", "speech")
    g.add("Gather", "frames", "shape", i64(1), axis=0)
    g.add("Cast", "frames_f", "frames", to=TYPES["fp32"])
    for index in range(CACHES):
        g.add("Add", f"out_cache{index}", f"in_cache{index}", "frames_f")
    g.add("Slice", "counted", "in_cache0", i64([0, 0]), i64([1, 1]), i64([1, 2]))  # [1, 1, 1, 1]
    g.add("Reshape", "before", "counted", i64([1, 1, 1]))
    # The count of this frame: one more than those before it.
    g.add("Mul", "nothing", "level", f32(0))
    g.add("Add", "ones", "nothing", f32(1))
    g.add("CumSum", "here", "ones", i64(1))
    g.add("Add", "count", "here", "before")
    g.add("Mul", "tired", "count", f32(-tiring))
    g.add("Add", "strength", "level", "tired")
    g.add("Mul", "scaled", "strength", f32(3))
    g.add("Sigmoid", "voice", "scaled")
    g.add("Neg", "minus", "voice")
    g.add("Add", "silence", "minus", f32(1))
    g.add("Mul", "half", "voice", f32(0.5))
    g.add("Concat", "logits", "silence", "half", "half", axis=2)
    cache = [1, CACHE_SIZE, CACHE_FRAMES, 1]
    g.write(
        MODELS / name / "model.onnx",
        [value("speech", "fp32", [1, "feats_length", BINS * STACKED])]
        + [value(f"in_cache{index}", "fp32", cache) for index in range(CACHES)],
        [value("logits", "fp32", [1, "feats_length", CLASSES])]
        + [value(f"out_cache{index}", "fp32", cache) for index in range(CACHES)],
    )
    width = BINS * STACKED
    numbers = lambda number: " ".join([str(number)] * width)  # noqa: E731
    mvn = f"<Nnet>\n<AddShift> {width} {width}\n<LearnRateCoef> 0 [ {numbers(-12.5)} ]\n"
    mvn += f"<Rescale> {width} {width}\n<LearnRateCoef> 0 [ {numbers(0.5)} ]\n</Nnet>\n"
    (MODELS / name / "am.mvn").write_text(mvn)
    config = f"""\
frontend_conf:
    fs: 16000
    window: hamming
    n_mels: 80
    frame_length: 25
    frame_shift: 10
    dither: 0.0
    lfr_m: 5
    lfr_n: 1
model: FsmnVADStreaming
model_conf:
    sample_rate: 16000
    detect_mode: 1
    snr_mode: 0
    max_end_silence_time: 600
    max_start_silence_time: 3000
    do_start_point_detection: True
    do_end_point_detection: True
    window_size_ms: 200
    sil_to_speech_time_thres: 150
    speech_to_sil_time_thres: 150
    speech_2_noise_ratio: 1.0
    do_extend: 1
    lookback_time_start_point: 200
    lookahead_time_end_point: 100
    max_single_segment_time: {longest}
    snr_thres: -100.0
    noise_frame_num_used_for_snr: 100
    decibel_thres: -100.0
    speech_noise_thres: 0.6
    fe_prior_thres: 0.0001
    silence_pdf_num: 1
    sil_pdf_ids: [0]
    speech_noise_thresh_low: -0.1
    speech_noise_thresh_high: 0.3
    output_frame_probs: False
    frame_in_ms: 10
    frame_length_ms: 25
encoder: FSMN
encoder_conf:
    input_dim: 400
    fsmn_layers: 4
    proj_dim: 8
    lorder: 6
    rorder: 0
"""
    (MODELS / name / "config.yaml").write_text(config)


def silero():
    """A window is as probably speech as it is loud; the state stays what it is. With the tensors of silero_vad.onnx."""
    g = Graph()
    g.add("Abs", "loudness", "input")
    g.add("ReduceMax", "loudest", "loudness", axes=[1], keepdims=1)
    g.add("Clip", "output", "loudest", np.float32(0), np.float32(1))
    g.add("Identity", "stateN", "state")
    state = [2, "rows", 128]
    g.write(
        MODELS / "silero/silero_vad.onnx",
        [value("input", "fp32", ["rows", "samples"]), value("state", "fp32", state), helper.make_tensor_value_info("sr", TensorProto.INT64, [])],
        [value("output", "fp32", ["rows", 1]), value("stateN", "fp32", state)],
    )


def demo_words():
    """The words of the demo's recordings."""
    spoken = (HERE.parents[1] / "demo/recordings/text.tsv").read_text(encoding="utf-8").splitlines()
    words = [word for line in spoken for word in re.findall("[a-z']+|[^a-z\\s]", line.split("\t")[2])]
    return list(dict.fromkeys(words))


def table(words, turn):
    """The scores of each word: its mark is a matter of its id."""
    scores = np.zeros((len(words) + 1, len(MARKS)), np.float32)
    for word in range(len(scores)):
        scores[word, CYCLE[(5 * word + turn) % len(CYCLE)]] = 1.0
    return scores


def ct_transformer(name, words, realtime=False):
    """Marks by the word's id; of the realtime kind, others where the masks hide something."""
    g = Graph()
    g.add("Gather", "plain", table(words, 0), "inputs", axis=0)
    batch = 1 if realtime else "batch_size"
    inputs = [value("inputs", "int32", [batch, "feats_length"]), value("text_lengths", "int32", [batch])]
    # A length that is not the row's gives no scores at all.
    g.add("Shape", "shape", "inputs")
    g.add("Gather", "words", "shape", np.int64(1), axis=0)
    g.add("Cast", "words_32", "words", to=TYPES["int32"])
    g.add("Equal", "right", "text_lengths", "words_32")
    g.add("Cast", "right_f", "right", to=TYPES["fp32"])
    g.add("Unsqueeze", "right_column", "right_f", np.int64([1, 2]))
    scores = "plain"
    if realtime:
        inputs += [value(f"{mask}_masks", "fp32", [1, 1, "feats_length1", "feats_length2"]) for mask in ("vad", "sub")]
        g.add("Mul", "both", "vad_masks", "sub_masks")
        g.add("ReduceMin", "least", "both", keepdims=0)
        g.add("Cast", "open", "least", to=TensorProto.BOOL)
        g.add("Gather", "masked", table(words, 4), "inputs", axis=0)
        scores = g.add("Where", "chosen", "open", "plain", "masked")
    g.add("Mul", "logits", scores, "right_column")
    g.write(
        MODELS / name / "model.onnx",
        inputs,
        [value("logits", "fp32", [batch, "logits_length", len(MARKS)])],
    )
    (MODELS / name / "tokens.json").write_text(json.dumps(words + ["<unk>"], ensure_ascii=False))
    marks = "".join(f"    - '{mark}'\n" for mark in MARKS)
    (MODELS / name / "config.yaml").write_text(f"model: CTTransformer\nmodel_conf:\n    punc_list:\n{marks}")


if __name__ == "__main__":
    fsmn("fsmn_vad", tiring=0.001, longest=2500)
    # For long recordings.
    fsmn("fsmn_vad_steady", tiring=0, longest=12000)
    silero()
    ct_transformer("ct_punc", WORDS)
    ct_transformer("ct_punc_realtime", WORDS, realtime=True)
    ct_transformer("ct_punc_demo", demo_words())
