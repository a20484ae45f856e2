"""Long audio with a recogniser of the published size; no test by itself.

`SENSEVOICE_EXPORT=DIR cargo xtask test --only server -- -s tests/long_audio/measure_real_size.py`, of an export such as `cargo xtask real-size` makes: minutes of
the demo's conversation by `transcribe`, by `transcribe` with one segment after the other, and the same segments sent to the recogniser itself, 16 at a time.
"""

import os
import shutil
import statistics
import time
from functools import partial

import numpy as np
import pytest

from long_audio.asking import ask, file_of, two_minutes
from long_audio.repositories import assembled
from segments.material import RATE
from support.client import GRPC, serving
from support.environment import PROJECT
from support.load import many_at_a_time
from support.recordings import WITHOUT_ITN, padded
from support.repository import add_model, fresh_directory, with_parameter

EXPORT = os.environ.get("SENSEVOICE_EXPORT")
MINUTES = 10
ROUNDS = 3
AT_A_TIME = 16


@pytest.fixture(scope="module")
def client():
    if not EXPORT:
        pytest.skip("SENSEVOICE_EXPORT names no export")
    repository = fresh_directory("long-real-size")
    made = assembled("sensevoice", vad=PROJECT / "demo/vad", punc=PROJECT / "demo/punc", own={"sensevoice": EXPORT})
    shutil.copytree(made, repository, dirs_exist_ok=True)
    add_model(repository, "one_by_one", "transcribe", with_parameter("seconds_in_flight", 1), source=repository)
    with serving(repository, "--model-config-name=pipeline", "--exit-timeout-secs=5") as client:
        yield client


def test_minutes_of_speech(client):
    samples = np.tile(two_minutes(), MINUTES)[: MINUTES * 60 * RATE]
    file = file_of(samples)
    segments = ask(client, file=file)["segments"]
    cuts = [samples[each["start_ms"] * RATE // 1000 : each["end_ms"] * RATE // 1000] for each in segments]

    def recognised(cut):
        tensors = {"WAV": padded([cut]), "WAV_LENS": np.int32([[len(cut)]])}
        tensors |= {"LANGUAGE": np.int32([[0]]), "TEXT_NORM": np.int32([[WITHOUT_ITN]])}
        client.infer("sensevoice", tensors, ["TRANSCRIPTS"], GRPC)

    ways = {
        "transcribe": partial(ask, client, file=file),
        "one segment after the other": partial(ask, client, "one_by_one", file=file),
        "the recogniser alone": lambda: many_at_a_time(client, [partial(recognised, cut) for cut in cuts], threads=AT_A_TIME),
    }
    took = {way: [] for way in ways}
    for number in range(ROUNDS):
        for way in list(ways)[:: 1 - number % 2 * 2]:
            began = time.monotonic()
            ways[way]()
            took[way].append(time.monotonic() - began)
    speech = sum(map(len, cuts)) / RATE
    print(f"\n{MINUTES} minutes, {len(cuts)} segments with {speech:.0f} s")
    for way, times in took.items():
        ratios = [one / other for one, other in zip(times, took["transcribe"])]
        print(f"{way}: {statistics.median(times):.1f} s, {statistics.median(ratios):.2f} of transcribe ({min(ratios):.2f} to {max(ratios):.2f})")
