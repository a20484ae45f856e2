"""What the files answer: nothing that is no number, and about as many tokens as people say. Takes the directories to look into."""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from published import FEATURES, FRAMES_PER_SECOND

SECONDS = 10
THREADS = 2


def main():
    for place in map(Path, sys.argv[1:]):
        for file in sorted(place.glob("*.onnx")):
            rate = look(file, place.name.removesuffix("-fp16"))
            said = "" if rate is None else f", {rate:.1f} tokens per second"
            size = file.stat().st_size / 1e6
            print(f"   Looked at {place.name}/{file.name}: {size:.0f} MB, all numbers finite{said}", file=sys.stderr, flush=True)


def look(path, model):
    """Runs a file on random features; returns tokens per second, or nothing where a file does not count any."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    dice = np.random.default_rng(1)
    feeds = {each.name: _feed(each, dice, model) for each in session.get_inputs()}
    names = [each.name for each in session.get_outputs()]
    answers = dict(zip(names, session.run(names, feeds)))
    for name, answer in answers.items():
        if not np.isfinite(answer).all():
            sys.exit(f"{path} answers {name} that is not finite")
    if "token_num" in answers:
        return float(answers["token_num"][0]) / SECONDS
    if "ctc_logits" in answers:
        best = answers["ctc_logits"][0].argmax(-1)
        return float(((best[1:] != best[:-1]) & (best[1:] != 0)).sum()) / SECONDS
    if "alphas" in answers:
        return float(answers["alphas"][:, 5:15].mean()) * FRAMES_PER_SECOND
    return None


def _feed(tensor, dice, model):
    """A value for an input: 10 s, as one recording or as one row of windows."""
    online = model == "paraformer-online"
    frames = 20 if online else int(SECONDS * FRAMES_PER_SECOND)
    if tensor.type == "tensor(int32)":
        length = {"acoustic_embeds_len": 3, "language": 0, "textnorm": 15}.get(tensor.name, frames)
        return np.array([length], np.int32)
    shape = {"speech": (1, frames, FEATURES), "enc": (1, frames, 512), "acoustic_embeds": (1, 3, 512)}.get(tensor.name)
    if shape is None:
        # A cache: only its rows are open.
        return np.zeros((1, *tensor.shape[1:]), np.float32)
    scale = np.sqrt(512) if online and tensor.name == "speech" else 1
    return (dice.standard_normal(shape) * scale).astype(np.float32)


if __name__ == "__main__":
    main()
