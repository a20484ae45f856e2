#!/usr/bin/env python3
"""Write what FunASR's own code says of when tokens were spoken: ctc_times.json and paraformer_times.*.

    pip install torch numpy onnxruntime kaldi-native-fbank sentencepiece
    for package in funasr==1.4.16 funasr_onnx==0.4.3; do
        pip download --no-deps $package && unzip -q ${package/==/-}-*.whl -d ${package/==/-}
    done
    python3 make_times.py funasr-1.4.16 funasr_onnx-0.4.3

ctc_times.json: {case: {"ids": the best unit of each frame, the first 4 being the prompt's, "times": [[start_ms, end_ms] of each token]}}, and for
recordings of the demo "words": [[word, start_ms, end_ms]].
paraformer_times.npz: for each case `NAME.alphas` and `NAME.peaks`, both [3 * frames].
paraformer_times.json: {case: {"tokens": how many, "times": [[start_ms, end_ms]] or null}}. What FunASR has begin before 0 begins at 0 there.
"""

import ast
import importlib.util
import json
import pathlib
import sys
import types

import numpy as np
import onnxruntime
import torch
from sentencepiece import SentencePieceProcessor

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parents[3]
DEMO = PROJECT / "demo"
sys.path.append(str(PROJECT / "tests"))
from paraformer.reference_chain import HOP, STACKED, log_mel, read_cmvn, stacked  # noqa: E402
from support.recordings import WITH_ITN, WITHOUT_ITN, recordings  # noqa: E402

PROMPT = 4


def load(path):
    """A file of Python code that imports nothing of its package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def functions(path, names, known):
    """Functions and methods of a file that imports too much to be loaded, which know what `known` has."""
    found = [node for node in ast.walk(ast.parse(path.read_text())) if getattr(node, "name", None) in names]
    # The last of a name: SenseVoiceSmall's methods stand behind those of other classes.
    nodes = list({node.name: node for node in found}.values())
    space = dict(known)
    exec(compile(ast.Module(body=nodes, type_ignores=[]), str(path), "exec"), space)  # noqa: S102
    return [space[name] for name in names]


class Letters:
    """A tokenizer of Chinese characters, one for each id."""

    def decode(self, ids):
        return "".join(chr(0x4E00 + each) for each in ids)

    def text2tokens(self, text):
        return list(text)

    def tokens2ids(self, tokens):
        return [[ord(token) - 0x4E00] for token in tokens]


class Pieces:
    """The demo's tokenizer, whose texts are ids. The demo's model of pieces puts a `▁` in front of the tags when it encodes a text, so
    FunASR would take the fourth tag for a word."""

    def __init__(self):
        (model,) = (DEMO / "sensevoice").glob("*.model")
        self.processor = SentencePieceProcessor(model_file=str(model))

    def decode(self, ids):
        return ids

    def text2tokens(self, text):
        return [self.processor.IdToPiece(each) for each in text]

    def tokens2ids(self, tokens):
        return [[self.processor.PieceToId(token)] for token in tokens]


class SenseVoice:
    """FunASR's SenseVoiceSmall from behind the encoder on."""

    blank_id, ignore_id = 0, -1
    lid_dict, textnorm_dict = {}, {"woitn": 15}

    def __init__(self, folder):
        sources = pathlib.Path(folder) / "funasr/models/sense_voice"
        known = {"torch": torch, "time": __import__("time")}
        known["ctc_forced_align"] = load(sources / "utils/ctc_alignment.py").ctc_forced_align
        methods = functions(sources / "model.py", ["inference", "post"], known)
        self._inference, self.post = (types.MethodType(method, self) for method in methods)
        self.ctc = types.SimpleNamespace(softmax=lambda scores: scores.softmax(2), log_softmax=lambda scores: scores.log_softmax(2))

    def embed(self, ids):
        return torch.zeros(1, ids.shape[1], 1)

    def encoder(self, _speech, lengths):
        return torch.tensor(self._scores)[None], lengths

    def times(self, scores, tokenizer):
        """What it answers for scores [frames, units]."""
        self._scores = scores
        speech = torch.zeros(1, len(scores) - PROMPT, 1)
        lengths = torch.tensor([len(scores) - PROMPT])
        options = {"data_type": "fbank", "device": "cpu", "output_timestamp": True}
        with torch.no_grad():
            ((answer,), _) = self._inference(speech, lengths, tokenizer=tokenizer, **options)
        return answer


def best(scores):
    """The best unit of each frame."""
    return scores.argmax(1).astype(np.int32)


def random_scores():
    """Scores by name: the prompt's frames say units 1 to 4, which are never the best of others."""
    rng = np.random.default_rng(5)

    def case(frames, units, scale, blank=0.0, repeats=0.0):
        scores = rng.normal(0, scale, (PROMPT + frames, units)).astype(np.float32)
        scores[PROMPT:, 0] += blank
        for frame in range(PROMPT + 1, PROMPT + frames):
            if rng.random() < repeats:
                scores[frame] = scores[frame - 1] + rng.normal(0, scale / 4, units)
        scores[:, 1:5] -= 8 * scale
        scores[np.arange(PROMPT), 1 + np.arange(PROMPT)] += 16 * scale
        return scores

    yield "flat", case(40, 12, 0.3)
    yield "flat_with_blanks", case(40, 12, 0.3, blank=0.5)
    yield "peaky", case(40, 20, 6.0)
    yield "peaky_with_blanks", case(40, 20, 6.0, blank=10.0)
    yield "repeats", case(50, 9, 2.0, blank=3.0, repeats=0.7)
    yield "repeats_of_few_units", case(50, 6, 1.5, blank=1.0, repeats=0.5)
    yield "all_blank", case(20, 8, 1.0, blank=30.0)
    yield "no_blank", case(20, 8, 1.0, blank=-30.0)
    yield "two_frames", case(2, 8, 1.0)
    for seed in range(4):
        yield f"one_frame_{seed}", case(1, 8, 1.0)
    yield "long", case(700, 10, 2.0, blank=3.0, repeats=0.7)


def demo_scores():
    """The demo model's scores of each recording, with and without inverse text normalisation."""
    model = onnxruntime.InferenceSession(DEMO / "sensevoice/model.onnx", providers=["CPUExecutionProvider"])
    shift, scale = read_cmvn(DEMO / "sensevoice/am.mvn")
    for recording in recordings():
        frames = log_mel(recording.samples)
        padded = np.concatenate([frames[:1].repeat((STACKED - 1) // 2, axis=0), frames])
        speech = ((stacked(padded, -(-len(frames) // HOP)) + shift) * scale)[None]
        for norm, name in ((WITHOUT_ITN, "woitn"), (WITH_ITN, "withitn")):
            inputs = {"speech": speech, "speech_lengths": np.int32([speech.shape[1]])}
            inputs |= {"language": np.int32([0]), "textnorm": np.int32([norm])}
            scores, lengths = model.run(["ctc_logits", "encoder_out_lens"], inputs)
            yield f"{recording.name.removesuffix('.wav')}_{name}", scores[0, : lengths[0]]


def make_ctc(funasr):
    expected, model, pieces = {}, SenseVoice(funasr), Pieces()
    for name, scores in [*random_scores(), *demo_scores()]:
        ids = best(scores)
        if len(set(ids[: PROMPT + 1])) != PROMPT + 1 or 0 in ids[:PROMPT]:
            sys.exit(f"{name}: the prompt's frames are not one token each: {ids}")
        times = model.times(scores, Letters()).get("timestamp", [])
        expected[name] = {"ids": ids.tolist(), "times": times}
        if "_woitn" in name or "_withitn" in name:
            answer = model.times(scores, pieces)
            words = zip(answer.get("words", []), answer.get("timestamp", []), strict=True)
            expected[name]["words"] = [[word, *time] for word, time in words]
    write_json("ctc_times", expected)


def make_paraformer(funasr, onnx):
    sources = pathlib.Path(funasr) / "funasr/utils/timestamp_tools.py"
    (cif,) = functions(sources, ["cif_wo_hidden"], {"torch": torch})
    of_peaks = load(pathlib.Path(onnx) / "funasr_onnx/utils/timestamp_utils.py").time_stamp_lfr6_onnx
    rng = np.random.default_rng(6)
    arrays, expected = {}, {}

    def sums(alphas):
        return cif(torch.tensor(alphas)[None], 1.0 - 1e-4)[0].numpy()

    def add(name, alphas, more=0, peaks=None):
        """A case with so many tokens more than there are peaks for."""
        alphas = alphas.astype(np.float32)
        peaks = sums(alphas) if peaks is None else peaks.astype(np.float32)
        tokens = max(int((peaks > 1.0 - 1e-4).sum()) - 1 + more, 0)
        characters = ["a"] * tokens
        arrays[f"{name}.alphas"], arrays[f"{name}.peaks"] = alphas, peaks
        try:
            times = of_peaks(peaks, characters)[1]
        except AssertionError:
            # As ts_prediction_lfr6_standard does.
            scaled = torch.tensor(alphas)
            scaled /= scaled.sum() / (tokens + 1)
            try:
                times = of_peaks(sums(scaled.numpy()), characters)[1]
            except AssertionError:
                times = None
        times = times and [[max(start, 0), max(end, 0)] for start, end in times]
        expected[name] = {"tokens": tokens, "times": times}

    def speech(frames, rate=0.12):
        """Weights with silence at places, some of it long."""
        alphas = rng.uniform(0, 2 * rate, 3 * frames)
        for _ in range(frames // 12):
            at = rng.integers(0, 3 * frames)
            alphas[at : at + rng.integers(4, 50)] = 0
        return alphas

    for number in range(12):
        add(f"speech_{number}", speech(int(rng.integers(4, 60))))
    for number in range(6):
        quiet = speech(40)
        quiet[: rng.integers(1, 30)] = 0
        quiet[-rng.integers(1, 30) :] = 0
        add(f"quiet_ends_{number}", quiet)
    for number, more in enumerate((-3, -1, 1, 2, 5, 9)):
        add(f"other_count_{number}", speech(40), more)
    add("dense", rng.uniform(0.6, 0.95, 60))
    add("dense_others", rng.uniform(0.6, 0.95, 60), 4)
    add("more_than_places", np.full(9, 0.9), 12)
    add("peak_at_once", np.concatenate([[1.0, 1.0], speech(10)]))
    add("one_token", np.concatenate([np.zeros(20), [1.0], np.zeros(30), [1.0], np.zeros(40)]))
    add("one_peak_no_token", np.concatenate([np.zeros(5), [1.0], np.zeros(6)]))
    add("silence", np.zeros(30))
    add("silence_with_tokens", np.zeros(30), 3)
    for number, place in enumerate(range(20, 31)):
        # The border between silence and not at the end, and between long and short.
        peaks = np.full(36, 0.5)
        peaks[[1, place]] = 1
        add(f"end_{number}", np.full(36, 0.1), peaks=peaks)
    for number, place in enumerate(range(28, 36)):
        peaks = np.full(60, 0.5)
        peaks[[2, place, 50]] = 1
        add(f"long_token_{number}", np.full(60, 0.1), peaks=peaks)
    for number, peak in enumerate(np.float32([0.9999, 0.99990004, 0.9998999, 1.3])):
        peaks = np.full(30, 0.5)
        peaks[[9, 15]] = 1
        peaks[20] = peak
        add(f"border_{number}", np.full(30, 0.1), peaks=peaks)
    np.savez_compressed(HERE / "paraformer_times.npz", **arrays)
    write_json("paraformer_times", expected)


def write_json(name, expected):
    lines = ",\n".join(f"{json.dumps(case)}: {json.dumps(what, ensure_ascii=False)}" for case, what in expected.items())
    (HERE / f"{name}.json").write_text("{\n" + lines + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    make_ctc(sys.argv[1])
    make_paraformer(*sys.argv[1:])
