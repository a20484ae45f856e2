"""How long Silero's model takes to look through an hour of audio; no test by itself.

`cargo xtask test --only server -- -s tests/silero/measure_hour.py`
"""

import time

import numpy as np
import pytest

from long_audio.asking import two_minutes
from segments.material import RATE
from silero.test_silero_vad import ask, send

HOUR = 3600 * RATE
# As much as `transcribe` asks at a time.
WINDOW = 300 * RATE
CHUNK = 9600


def hour():
    samples = two_minutes()
    return np.tile(samples, HOUR // len(samples) + 1)[:HOUR]


@pytest.mark.parametrize("model", ["vad", "vad_loop"])
def test_recordings(silero, model):
    samples = hour()
    ask(silero, [samples[:WINDOW]], model)
    began = time.monotonic()
    for start in range(0, HOUR, WINDOW):
        ask(silero, [samples[start : start + WINDOW]], model)
    print(f"\n{model}: an hour, {WINDOW // RATE} s a request: {time.monotonic() - began:.1f} s")


@pytest.mark.parametrize("model", ["streaming_vad", "streaming_loop"])
def test_a_stream(silero, silero_ids, model):
    samples, number = hour()[: HOUR // 6], next(silero_ids)
    starts = range(0, len(samples), CHUNK)
    began = time.monotonic()
    for start in starts:
        flags = {"sequence_id": number, "sequence_start": start == 0, "sequence_end": start == starts[-1]}
        send(silero, samples[start : start + CHUNK], model, **flags)
    took = time.monotonic() - began
    print(f"\n{model}: {len(starts)} chunks of {CHUNK * 1000 // RATE} ms: {took * 6:.1f} s an hour, {took / len(starts) * 1e3:.2f} ms a chunk")
