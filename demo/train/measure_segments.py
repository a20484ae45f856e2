#!/usr/bin/env python3
"""Measures the demo's models for voice activity and punctuation on what nobody trained on."""

import argparse
import re

import numpy as np
from funasr_onnx.punc_bin import CT_Transformer, CT_Transformer_VadRealtime
from onnxruntime import InferenceSession

import corpus
import features
import voice
from make import DEMO
from models import CONFIGS, PUNCTUATION
from sentences import NONE, STOP, marked, talk


def vad(folder, passages):
    """One line of figures: frames that are told wrong."""
    session, cmvn = InferenceSession(str(folder / "model.onnx")), features.Cmvn.read(folder / "am.mvn")
    sizes = CONFIGS["vad"]["encoder_conf"]
    cache = np.zeros((1, sizes["proj_dim"], sizes["lorder"] - 1, 1), np.float32)
    caches = {f"in_cache{layer}": cache for layer in range(sizes["fsmn_layers"])}
    missed = false = speech = silence = 0
    for each in passages:
        scores = session.run(["logits"], {"speech": cmvn(voice.stacked(each))[None], **caches})[0][0]
        told = scores[:, voice.SPEECH] - scores[:, voice.SILENCE] >= CONFIGS["vad"]["model_conf"]["speech_noise_thres"]
        speech, silence = speech + each.speech.sum(), silence + (~each.speech).sum()
        missed, false = missed + (each.speech & ~told).sum(), false + (~each.speech & told).sum()
    missing = f"{100 * missed / speech:.1f} % of {speech / 100:.0f} s of speech missed"
    return f"{missing}, {100 * false / silence:.1f} % of {silence / 100:.0f} s without taken for speech"


def _marks(text):
    """The marks of a text, word by word."""
    found = re.findall("(?:[a-z]+|[^a-z ，。？、])([，。？、]?)", text)
    return [mark or NONE for mark in found]


def punctuation(name, folder, talks):
    """One line of figures: marks that are wrong, of whole talks or, of the realtime kind, a sentence at a time."""
    realtime = name == "punc_realtime"
    model = (CT_Transformer_VadRealtime if realtime else CT_Transformer)(str(folder), intra_op_num_threads=1)
    words = wrong = 0
    for sentences in talks:
        state, told, wanted = {"cache": []}, [], []
        for part in [[each] for each in sentences] if realtime else [sentences]:
            tokens, marks = marked(part)
            text = " ".join(tokens)
            answer = model(text, param_dict=state)[0] if realtime else model(text)[0]
            found = _marks(answer)
            # Its last mark is not told; with the next piece it is, in front.
            told += [*found[:-1], STOP] if realtime else found
            wanted += [*marks[:-1], STOP] if realtime else marks
        words += len(wanted)
        wrong += sum(one != other for one, other in zip(told, wanted, strict=True))
    return f"{wrong} of {words} marks wrong ({100 * wrong / words:.1f} %)"


def main():
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, choices=["vad", *PUNCTUATION])
    parser.add_argument("--count", type=int, default=100, help="passages of each kind of voices, or talks")
    options = parser.parse_args()
    if options.model == "vad":
        for kind, voices in (("known voices", corpus.VARIANTS), ("unknown voices", corpus.HELD_OUT)):
            print(f"{kind}: {vad(DEMO / 'vad', voice.make(options.count, 1000, voices))}")
        return
    random = np.random.default_rng(1000)
    talks = [[each for each in talk(random, 10) if each.kind != "anything"] for _ in range(options.count)]
    print(punctuation(options.model, DEMO / options.model, [each for each in talks if each]))


if __name__ == "__main__":
    main()
