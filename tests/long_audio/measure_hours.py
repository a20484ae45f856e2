"""How long an hour of audio takes, and what the server holds for it; no test by itself.

`cargo xtask test --only server -- -s tests/long_audio/measure_hours.py`
"""

import threading
import time
from functools import partial

import numpy as np
import pytest

from load.watch import vitals
from long_audio.asking import ask, file_of, two_minutes
from segments.material import RATE
from support.load import at_once

HOUR = 3600 * RATE


def hour():
    samples = two_minutes()
    return np.tile(samples, HOUR // len(samples) + 1)[:HOUR]


def held(client):
    """The server's memory in MB."""
    return vitals(client.server.process.pid).resident_mb


def measured(client, work):
    """How long the work takes, and by how much the server grew at most meanwhile, in MB."""
    before, most, over = held(client), [0.0], threading.Event()

    def watch():
        while not over.wait(0.02):
            most[0] = max(most[0], held(client))

    thread = threading.Thread(target=watch)
    thread.start()
    began = time.monotonic()
    try:
        work()
    finally:
        took = time.monotonic() - began
        over.set()
        thread.join()
    return took, most[0] - before


@pytest.mark.parametrize("model", ["transcribe", "windows", "one_by_one", "plain"])
def test_an_hour_as_a_file(long_audio, model):
    file = file_of(hour())
    ask(long_audio, model, samples=two_minutes())
    took, grew = measured(long_audio, partial(ask, long_audio, model, file=file))
    print(f"\n{model}: an hour, a file of {len(file) / 2**20:.0f} MB: {took:.1f} s, {grew:.0f} MB")


def test_an_hour_as_samples(long_audio):
    samples = hour()
    took, grew = measured(long_audio, partial(ask, long_audio, samples=samples))
    print(f"\ntranscribe: an hour, samples of {samples.nbytes / 2**20:.0f} MB: {took:.1f} s, {grew:.0f} MB")


def test_four_hours_at_once(long_audio):
    file = file_of(hour())
    took, grew = measured(long_audio, lambda: at_once(long_audio, [partial(ask, long_audio, file=file)] * 4))
    print(f"\ntranscribe: four hours at once: {took:.1f} s, {grew:.0f} MB")
