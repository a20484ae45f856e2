"""What a stream of many hours holds; no test by itself.

`TWO_PASS_HOURS=24 TWO_PASS_STREAMS=4 cargo xtask test --only server -- -s tests/two_pass/measure_days.py`
"""

import os
import time
from functools import partial

import numpy as np

from faults.raw import grpc_request
from load.watch import vitals
from long_audio.asking import two_minutes
from segments.material import RATE, silence
from support.client import grpc
from support.load import at_once
from two_pass.asking import CHUNK, IDS, play, send, tensors

HOURS = float(os.environ.get("TWO_PASS_HOURS", 2))
STREAMS = int(os.environ.get("TWO_PASS_STREAMS", 4))
# A pause after each recording, and how much is sent at a time.
PAUSE_SECONDS, CHUNKS = 8, 10


def texts(document):
    """The final texts of an answer."""
    return [message["text"] for message in document["messages"] if message["is_final"]]


def test_days(two_pass):
    """The same two minutes again and again, in streams that do not end; beside them others are begun again, cancelled, and left by their clients."""
    samples = np.concatenate([two_minutes(), silence(PAUSE_SECONDS)])
    samples = samples[: len(samples) // (CHUNKS * CHUNK) * CHUNKS * CHUNK]
    seconds = len(samples) / RATE
    rounds = max(3, round(HOURS * 3600 / seconds / STREAMS))
    ids = [next(IDS) for _ in range(STREAMS)]
    pid, told, begun = two_pass.server.process.pid, [], time.monotonic()

    def play_round(stream, first):
        found = []
        for begin in range(0, len(samples), CHUNKS * CHUNK):
            start = first and begin == 0
            document = send(two_pass, samples[begin : begin + CHUNKS * CHUNK], stream, start=start)
            assert not document["problems"]
            found += texts(document)
        return found, document["audio_ms"]

    def broken_off():
        few = samples[: 4 * RATE]
        left, cancelled = next(IDS), next(IDS)
        send(two_pass, few, left, start=True)
        send(two_pass, few, left, start=True)
        send(two_pass, few, cancelled, start=True)
        request = grpc_request("two_pass", tensors(few), sequence_id=cancelled, sequence_start=False, sequence_end=False)
        with grpc.InferenceServerClient(two_pass.server.grpc) as client:
            call = client._client_stub.ModelInfer.future(request)
            time.sleep(0.02)
            call.cancel()
        return play(two_pass, few)[-1]["ended"]

    most = 0
    for number in range(rounds):
        calls = [partial(play_round, stream, number == 0) for stream in ids]
        results = at_once(two_pass, [*calls, broken_off])[:-1]
        for found, audio_ms in results:
            assert audio_ms == round((number + 1) * seconds * 1000)
            told.append(found)
        most = max(most, vitals(pid).resident_mb)
        if number in (1, rounds // 2) or number == rounds - 1 or number % max(1, rounds // 10) == 0:
            hours = STREAMS * (number + 1) * seconds / 3600
            print(f"{hours:8.2f} h of streams, {time.monotonic() - begun:6.0f} s: {vitals(pid).resident_mb:.1f} MB, {vitals(pid).descriptors} descriptors", flush=True)
        if number == max(1, rounds // 5):
            warm = vitals(pid).resident_mb
    same = sum(found == told[0] for found in told)
    print(f"{same} of {len(told)} rounds have the texts of the first; {warm:.1f} MB when warm, {most:.1f} MB at most")
    assert same == len(told) and most < warm + 40
    for stream in ids:
        assert send(two_pass, silence(0), stream, end=True)["ended"]
