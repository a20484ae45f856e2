#!/usr/bin/env python3
"""Trains a demo model and exports it: `python demo/train/make.py --model seaco --out DIR`. README.md says more."""

import argparse
import pickle
from pathlib import Path

import numpy as np
import torch

import corpus
import export
import features
import hotwords
import models
import online
import paraformer
import punctuation
import sensevoice
import times
import voice
import weights

DEMO = Path(__file__).resolve().parents[1]

# Texts (for vad: passages) to train on and steps, unless the command line says otherwise.
SIZES = {
    "sensevoice": (6000, 1800),
    "paraformer": (6000, 1000),
    "paraformer_online": (6000, 600),
    "paraformer_bicif": (1500, 500),
    "seaco": (1500, 3000),
    "vad": (1000, 600),
    "punc": (20000, 2000),
    "punc_realtime": (20000, 2000),
}


def arguments():
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split(": `")[0] + ".")
    parser.add_argument("--model", required=True, choices=list(models.CONFIGS))
    parser.add_argument("--out", required=True, type=Path, help="folder for the model and its checkpoint")
    parser.add_argument("--start", type=Path, help="checkpoint.pt or model.onnx to begin with; default: see README.md")
    parser.add_argument("--texts", type=int, help="texts in the corpus, for recognisers each spoken twice; for vad, passages")
    parser.add_argument("--steps", type=int, help="training steps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--corpus", type=Path, help="file to keep the corpus in: written if it is not there, else read")
    return parser.parse_args()


def kept(path, made):
    """What `made` returns, from the file `path` where it is there; else it is written there, if `path` is a path."""
    if path and path.exists():
        return pickle.loads(path.read_bytes())
    corpus_made = made()
    if path:
        path.write_bytes(pickle.dumps(corpus_made))
    return corpus_made


def log(line):
    """Shows how far it is."""
    print(line, flush=True)


def begin(name, model, state):
    """Puts the weights to begin with into the model."""
    if name == "paraformer":
        weights.start(model, paraformer.encoder_of_sensevoice(state), ("encoder", "decoder", "predictor"))
    elif name == "paraformer_online":
        weights.start(model, online.from_offline(state), ("decoder.embed",))
    elif name == "paraformer_bicif":
        weights.start(model, state, ("decoder.embed", *times.HEAD))
    elif name == "seaco":
        weights.start(model, state, (*times.HEAD, *hotwords.TRAINED))
    else:
        weights.start(model, state)


def main():
    """Makes one model."""
    options = arguments()
    name = options.model
    texts, steps = (given or usual for given, usual in zip((options.texts, options.steps), SIZES[name]))
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    random = np.random.default_rng(options.seed)
    model = models.build(name)
    start = options.start or default_start(name)
    known = weights.load(start) if start else {}
    if start:
        begin(name, model, known)
    if name == "vad":
        log(f"speaking {texts} passages")
        passages = kept(options.corpus, lambda: voice.make(texts, options.seed))
        cmvn = voice.cmvn_of(passages)
        voice.train(model, passages, cmvn, steps, random, log)
    elif name in models.PUNCTUATION:
        cmvn = None
        punctuation.train(model, texts, models.tokens(name), steps, random, log)
    else:
        cmvn = recogniser(options, model, known, start, texts, steps, random)
    options.out.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), options.out / "checkpoint.pt")
    export.export(name, model, cmvn, options.out)
    print(f"{options.out} has the model")


def recogniser(options, model, known, start, texts, steps, random):
    """Trains a model that makes text of speech; returns the statistics of its features."""
    name = options.model
    log(f"speaking {texts} texts twice")
    clips = kept(options.corpus, lambda: corpus.make(texts, options.seed))
    # Weights that stay as they are need the statistics that they were trained with.
    beside = start and start.parent / "am.mvn"
    cmvn = features.Cmvn.read(beside) if beside and beside.exists() else features.Cmvn.of(clips)
    if name == "paraformer_bicif":
        times.train(model, clips, cmvn, steps, random, log)
    elif name == "seaco":
        if not any(key.startswith(times.HEAD) for key in known):
            times.train(model, clips, cmvn, SIZES["paraformer_bicif"][1], random, log)
        hotwords.train(model, clips, cmvn, models.tokens(name), steps, random, log)
    else:
        trainers = {"sensevoice": sensevoice, "paraformer": paraformer, "paraformer_online": online}
        trainers[name].train(model, clips, cmvn, models.tokens(name), steps, random, log)
    return cmvn


def default_start(name):
    """The demo model that each one builds on, if any."""
    earlier = {
        "paraformer": "sensevoice",
        "paraformer_online": "paraformer",
        "paraformer_bicif": "paraformer",
        "seaco": "paraformer",
    }
    return DEMO / earlier[name] / "model.onnx" if name in earlier else None


if __name__ == "__main__":
    main()
