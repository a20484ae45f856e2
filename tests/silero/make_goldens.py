#!/usr/bin/env python3
"""Writes goldens.json: what the functions of the package silero-vad answer with its model silero_vad.onnx.

    pip download silero-vad==6.2.3 --no-deps && unzip silero_vad-*.whl
    PYTHONPATH=DIRECTORY_WITH_silero_vad:tests python tests/silero/make_goldens.py

Needs torch, numpy, onnxruntime and packaging.
"""

import json
from pathlib import Path

import numpy as np
import torch
from segments.material import AUDIO, RATE, audio, noisy
from silero_vad import VADIterator, get_speech_timestamps, load_silero_vad

HERE = Path(__file__).parent
WINDOW = 512
# Of the models in repositories.py.
OPTIONS = {
    "vad": {"max_speech_duration_s": 60},
    "vad_eager": {"threshold": 0.3, "neg_threshold": 0.25, "min_speech_duration_ms": 0, "speech_pad_ms": 100, "min_silence_duration_ms": 40},
    "vad_short": {"max_speech_duration_s": 1.5, "min_silence_duration_ms": 800},
}


def ms(samples):
    return samples * 1000 // RATE


def material():
    return [audio(number) for number in range(AUDIO)] + [noisy(number) for number in range(AUDIO)]


def recordings(model):
    """Segments of each recording, by the name of the model."""
    answers = {}
    for name, options in OPTIONS.items():
        told = [get_speech_timestamps(torch.from_numpy(samples), model, **options) for samples in material()]
        answers[name] = [[[ms(each["start"]), ms(each["end"])] for each in segments] for segments in told]
    return answers


def stream(model, samples):
    """Starts and ends of a stream. The last window is filled with silence; what is open then ends with the stream."""
    iterator, events = VADIterator(model), []
    for start in range(0, len(samples), WINDOW):
        window = np.zeros(WINDOW, np.float32)
        part = samples[start : start + WINDOW]
        window[: len(part)] = part
        for key, sample in (iterator(torch.from_numpy(window)) or {}).items():
            events.append([key, ms(sample)])
    if events and events[-1][0] == "start":
        events.append(["end", ms(len(samples))])
    return events


if __name__ == "__main__":
    model = load_silero_vad(onnx=True)
    goldens = {"recordings": recordings(model), "streams": [stream(model, samples) for samples in material()]}
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in goldens.items())
    (HERE / "goldens.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
