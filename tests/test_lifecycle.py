"""Models come and go, and a server that is told to end answers first."""

import itertools
import signal
import threading
from contextlib import closing
from functools import partial

import pytest

from support.client import Client, InferenceServerException, metric_in, serving
from support.environment import sensevoice_repository
from support.load import on_threads
from support.recordings import WITH_ITN, recordings
from support.repository import copy_sensevoice, edit_config, with_queue_delay
from support.server import Server
from support.variants import STEPS

MODELS = (*STEPS, "sensevoice")


@pytest.fixture
def on_demand():
    """A client of a server that loads models when it is told to."""
    with serving(sensevoice_repository(), "--model-control-mode=explicit") as client:
        yield client


def test_twenty_loads_and_unloads(on_demand):
    first = recordings()[0]
    for _ in range(20):
        # The ensemble brings its steps along.
        on_demand.http.load_model("sensevoice")
        assert on_demand.transcribe([first.samples], WITH_ITN) == [first.texts[WITH_ITN]]
        on_demand.http.unload_model("sensevoice", unload_dependents=True)
        on_demand.wait_until(lambda: not any(map(on_demand.http.is_model_ready, MODELS)))
    on_demand.http.load_model("sensevoice")
    assert on_demand.transcribe([first.samples], WITH_ITN) == [first.texts[WITH_ITN]]


def test_reloads_under_way_while_requests_come(on_demand):
    """Steps are loaded anew while four clients send: answers are right, or say that the model is not there."""
    on_demand.http.load_model("sensevoice")
    done = threading.Event()

    def send(own):
        answered = 0
        for recording in itertools.cycle(own):
            try:
                assert on_demand.transcribe([recording.samples], WITH_ITN) == [recording.texts[WITH_ITN]]
                answered += 1
            except InferenceServerException as error:
                assert "not" in error.message() and ("ready" in error.message() or "available" in error.message()), (
                    error
                )
            if done.is_set() and answered:
                return answered

    def reload():
        try:
            for _, step in itertools.product(range(5), STEPS):
                on_demand.http.load_model(step)
                on_demand.http.load_model("sensevoice")
        finally:
            done.set()

    *answered, _ = on_threads(on_demand, [*(partial(send, recordings()[first::4]) for first in range(4)), reload])
    assert all(answered)
    first = recordings()[0]
    assert on_demand.transcribe([first.samples], WITH_ITN) == [first.texts[WITH_ITN]]


def pending(client):
    """Requests that wait in a queue."""
    return metric_in(client.metrics(), "nv_inference_pending_request_count")


def test_requests_in_flight_are_answered_when_the_server_is_told_to_end():
    """Every step waits three quarters of a second for company, and SIGTERM comes while the requests wait."""
    repository = copy_sensevoice("slow")
    for step in STEPS:
        edit_config(repository / step, with_queue_delay(750_000))
    some = recordings()[:4]
    with Server(repository) as server, closing(Client(server)) as client:
        calls = [partial(client.transcribe, [each.samples], WITH_ITN) for each in some]

        def end():
            client.wait_until(lambda: pending(client) >= len(some))
            server.process.send_signal(signal.SIGTERM)

        *texts, _ = on_threads(client, [*calls, end])
        assert texts == [[each.texts[WITH_ITN]] for each in some]
        client.close()
        assert server.process.wait(60) == 0
