#!/usr/bin/env python3
"""Measures a committed model with times or hotwords on clips that nobody trained on, by voices known and unknown."""

import argparse

import numpy as np
from funasr_onnx import Paraformer
from funasr_onnx.paraformer_bin import SeacoParaformer

import corpus
import features
from make import DEMO
from times import SHIFT, STEP
from words import HOMOPHONES


class Model:
    """funasr_onnx's model, given features in place of samples."""

    def __init__(self, name):
        self.seaco = name == "seaco"
        self.cmvn = features.Cmvn.read(DEMO / name / "am.mvn")
        self.model = (SeacoParaformer if self.seaco else Paraformer)(str(DEMO / name), intra_op_num_threads=1)

    def embedded(self, hotwords):
        """What model.onnx takes for the hotwords, [1, hotwords + 1, 128]."""
        padded, last = self.model.proc_hotword(" ".join(hotwords))
        states = self.model.eb_infer(padded, last)[0].transpose(1, 0, 2)
        return states[np.arange(len(last)), last][None]

    def __call__(self, frames, hotwords=()):
        """Tokens, and in seconds where each begins and the last one ends, by FunASR's rule for peaks."""
        inputs = [self.cmvn(frames)[None], np.array([len(frames)], np.int32)]
        if self.seaco:
            logits, counts, _, peaks = self.model.bb_infer(*inputs, self.embedded(hotwords))
        else:
            logits, counts, _, peaks = self.model.infer(*inputs)
        # As the server reads them: without blank and end, wherever the end is.
        ids = [index for index in logits[0, : counts[0]].argmax(-1) if index not in (0, 2)]
        return self.model.converter.ids2tokens(ids), (np.flatnonzero(peaks[0] > 1 - 1e-4) - SHIFT) * STEP


def edits(one, other):
    """How many tokens have to be put in, taken out or changed."""
    row = np.arange(len(other) + 1)
    for index, token in enumerate(one, 1):
        before, row = row, np.full(len(other) + 1, index)
        for place, each in enumerate(other, 1):
            row[place] = min(before[place] + 1, row[place - 1] + 1, before[place - 1] + (token != each))
    return int(row[-1])


def with_homophones(tokens):
    """What is to be written when every homophone is a hotword, and how many are in it."""
    text, count = list(tokens), 0
    for strange, usual in HOMOPHONES.items():
        for start in range(len(tokens) - len(usual) + 1):
            if tokens[start : start + len(usual)] == list(usual):
                text[start : start + len(usual)] = strange
                count += 1
    return text, count


def measure(model, clips):
    """One line of figures."""
    said = wrong = 0
    apart, homophones, hits = [], 0, 0
    for clip in clips:
        tokens, begins = model(clip.features)
        said, wrong = said + len(clip.tokens), wrong + edits(tokens, clip.tokens)
        if clip.onsets is not None and tokens == clip.tokens and len(begins) == len(clip.onsets):
            apart += list(np.abs(begins[:-1] - clip.onsets[:-1]))
        wanted, count = with_homophones(clip.tokens)
        if model.seaco and count and tokens == clip.tokens:
            homophones += count
            hits += count - min(count, edits(model(clip.features, HOMOPHONES)[0], wanted))
    mean, most = 1000 * np.mean(apart), 1000 * np.quantile(apart, 0.95)
    line = f"{wrong} of {said} tokens wrong; a token's begin {mean:.0f} ms off, 95 % within {most:.0f} ms"
    return line + (f"; {hits} of {homophones} hotwords written, {len(HOMOPHONES)} given" if model.seaco else "")


def main():
    """Prints both lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, choices=["paraformer_bicif", "seaco"])
    parser.add_argument("--texts", type=int, default=200)
    options = parser.parse_args()
    model = Model(options.model)
    for kind, voices in (("known voices", corpus.VARIANTS), ("unknown voices", corpus.HELD_OUT)):
        print(f"{kind}: {measure(model, corpus.make(options.texts, 1000, voices))}")


if __name__ == "__main__":
    main()
