"""What a trained Paraformer with times, or with hotwords, answers for the demo's recordings: golden.tsv, times.tsv.

funasr_onnx computes it, the library that FunASR has for its own exports.
"""

import csv
import wave

import numpy as np
from funasr_onnx import Paraformer
from funasr_onnx.paraformer_bin import SeacoParaformer

# For all recordings alike: some of them say a word that sounds like one of these.
HOTWORDS = "虹色 鹏友 在建 公元 一院 她们 平果"


def recordings(*folders):
    """(file, language, what is said) of each folder's text.tsv."""
    for folder in folders:
        for row in csv.reader((folder / "text.tsv").read_text(encoding="utf-8").splitlines(), delimiter="\t"):
            yield folder / row[0], row[1], row[2]


def read(path):
    """A wav's samples in [-1, 1]."""
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


def answer(model, path, **arguments):
    """The tokens and [begin, end] in ms of each."""
    results = model(read(path), **arguments)
    return (results[0]["raw_tokens"], results[0]["timestamp"]) if results else ([], [])


def write(name, folder, *recorded):
    """Writes what `folder`'s model answers for the recordings in the folders `recorded`; prints the tokens that are wrong."""
    seaco = name == "seaco"
    model = (SeacoParaformer if seaco else Paraformer)(str(folder), intra_op_num_threads=1)
    # It adds noise otherwise, and the answers would not be the same again.
    model.frontend.opts.frame_opts.dither = 0
    rows, times = [], []
    for path, language, said in recordings(*recorded):
        tokens, spans = answer(model, path, **({"hotwords": ""} if seaco else {}))
        row = [path.name, language, said, "".join(tokens)]
        if seaco:
            biased, _ = answer(model, path, hotwords=HOTWORDS)
            row += [HOTWORDS, "".join(biased)]
        rows.append(row)
        times += [[path.name, token, *span] for token, span in zip(tokens, spans, strict=True)]
        print(*row, sep="\t")
    head = ["wav", "lang", "reference", "output of this folder's fp32 ONNX"]
    _table(folder / "golden.tsv", head + (["hotwords", "output with the hotwords"] if seaco else []), rows)
    _table(folder / "times.tsv", ["wav", "token", "begin_ms", "end_ms"], times)


def _table(path, head, rows):
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in [head, *rows]), encoding="utf-8")
