"""Models that go in the middle of a stream, and clients that do."""

import os
import subprocess
import sys
import time

import pytest

from long_audio.asking import two_minutes
from segments.material import RATE, silence
from support.client import InferenceServerException, serving
from support.environment import PROJECT
from two_pass.asking import CHUNK, IDS, finals, messages, play, problems, send, spans
from two_pass.repositories import FEW, IDLE_SECONDS, repository

OWN = ["two_pass", "few"]
CALLED = ["streaming_vad", "fsmn_vad", "streaming_paraformer", "online_encoder", "online_decoder"]
AGAIN = ["sensevoice", "sensevoice_encoder", "punctuation", "ct_transformer"]
# How long a server may take to stop that has nothing to wait for.
STOPPING_SECONDS = 20


@pytest.fixture(scope="module")
def loading():
    """A client of a server whose models are loaded one by one."""
    loaded = [f"--load-model={name}" for name in OWN + CALLED + AGAIN]
    flags = ["--model-config-name=pipeline", "--model-control-mode=explicit", *loaded, "--exit-timeout-secs=60"]
    with serving(repository(), *flags) as client:
        yield client
        # Streams that nobody ended are ended when the server stops: it does not wait for all of the time it has.
        send(client, two_minutes()[: 3 * RATE], next(IDS), start=True)
        client.close()
        began = time.monotonic()
        assert client.server.stop() == 0
        assert time.monotonic() - began < STOPPING_SECONDS


def without(client, model, work):
    """What comes of work while a model is not there."""
    client.http.unload_model(model)
    client.wait_until(lambda: not client.http.is_model_ready(model))
    try:
        return work()
    finally:
        client.http.load_model(model)


@pytest.mark.parametrize("model", ["sensevoice", "punctuation"])
def test_a_second_pass_that_is_away_for_a_while_costs_what_it_should_have_done(loading, model):
    samples = two_minutes()[: 24 * RATE]
    expected = play(loading, samples)
    stream, documents = next(IDS), []
    half = len(samples) // CHUNK // 2

    def some(begin, end):
        for at in range(begin, end):
            flags = {"start": at == 0, "end": (at + 1) * CHUNK >= len(samples)}
            documents.append(send(loading, samples[at * CHUNK : (at + 1) * CHUNK], stream, **flags))

    some(0, half // 2)
    without(loading, model, lambda: some(half // 2, half))
    some(half, -(-len(samples) // CHUNK))
    assert spans(finals(documents)) == spans(finals(expected))
    lost = {problem["segment_id"] for problem in problems(documents)}
    assert 0 < len(lost) < len(finals(documents)) and all(model in problem["message"] for problem in problems(documents))
    for message, other in zip(finals(documents), finals(expected)):
        assert (message == other) == (message["segment_id"] not in lost)
        assert message["text"] != ""


@pytest.mark.parametrize("model", ["streaming_vad", "streaming_paraformer"])
def test_without_the_first_pass_a_stream_is_over(loading, model):
    samples = two_minutes()[: 12 * RATE]
    expected = play(loading, samples)
    stream = next(IDS)
    told = [send(loading, samples[: 3 * RATE], stream, start=True)]
    assert messages(told)

    def go_on():
        with pytest.raises(InferenceServerException, match=f"the stream is over, begin it again with the START flag.*{model}"):
            send(loading, samples[3 * RATE : 5 * RATE], stream)
        with pytest.raises(InferenceServerException, match="a request of it failed half way; begin it again"):
            send(loading, samples[:CHUNK], stream)

    without(loading, model, go_on)
    assert play(loading, samples) == expected


STREAMING = """
import sys, time, numpy as np
from two_pass.asking import send, CHUNK
from long_audio.asking import two_minutes
from types import SimpleNamespace
from support.client import Client
client = Client(SimpleNamespace(http=sys.argv[1], grpc=sys.argv[2]))
samples = two_minutes()
for at in range(10**9):
    send(client, samples[at * CHUNK : (at + 1) * CHUNK], int(sys.argv[3]), start=at == 0, model="few")
    print("sent", flush=True)
    time.sleep(0.05)
"""


def test_clients_that_are_killed_give_their_places_back(loading):
    samples = two_minutes()[: 6 * RATE]
    expected = play(loading, samples)
    path = os.pathsep.join([str(PROJECT / "tests"), os.environ.get("PYTHONPATH", "")])
    for _ in range(3):
        processes = []
        for _ in range(FEW):
            server = loading.server
            arguments = [sys.executable, "-c", STREAMING, server.http, server.grpc, str(next(IDS))]
            environment = {**os.environ, "PYTHONPATH": path}
            processes.append(subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment))
        for process in processes:
            for _ in range(6):
                assert process.stdout.readline() == "sent\n"
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()
        began = time.monotonic()
        assert play(loading, samples, model="few") == expected
        print(f"served after {time.monotonic() - began:.1f} s; a stream may be idle for {IDLE_SECONDS} s")


def test_a_stream_that_was_idle_for_too_long_is_begun_again(loading):
    stream = next(IDS)
    send(loading, silence(0.6), stream, start=True, model="few")
    time.sleep(IDLE_SECONDS + 1.5)
    with pytest.raises(InferenceServerException, match="START"):
        send(loading, silence(0.6), stream, model="few")
    assert send(loading, silence(0.6), stream, start=True, end=True, model="few")["ended"]
