"""While a stream waits for its second pass, no other one does; and a client need not."""

import threading

import pytest

from faults.gate import Gate
from faults.raw import grpc_request
from long_audio.asking import two_minutes
from segments.material import RATE, silence
from support.client import InferenceServerException, grpc, serving
from support.repository import fresh_directory
from two_pass.asking import CHUNK, IDS, OUTPUTS, finals, messages, play, send, tensors
from two_pass.repositories import held_repository


@pytest.fixture(scope="module")
def gate():
    """What holds the second pass of some models."""
    return Gate(fresh_directory("gate") / "held")


@pytest.fixture(scope="module")
def held(gate):
    """A client of a server with them."""
    with serving(held_repository(gate.path), "--model-config-name=pipeline", "--exit-timeout-secs=5") as client:
        yield client


def first_segment():
    """A sentence with silence behind it."""
    return two_minutes()[: int(4.6 * RATE)]


def in_background(client, work):
    """Work on a thread of its own, and where its result comes."""
    results = []

    def run():
        try:
            results.append(work())
        finally:
            client.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


@pytest.mark.parametrize("model", ["held", "held_one"])
def test_others_go_on_while_one_waits_for_its_second_pass(held, gate, model):
    """Also where the other one takes the place of the one that ends."""
    samples = first_segment()
    expected = play(held, samples, 10**9)
    with gate.held():
        thread, results = in_background(held, lambda: play(held, samples, 10**9, model=model))
        held.wait_until(lambda: gate.waiting("sensevoice_encoder") == 1)
        stream = next(IDS)
        assert messages([send(held, silence(0.6), stream, start=True, model=model)]) == []
        partials = send(held, samples[: 3 * RATE], stream, model=model)
        assert [message["is_final"] for message in partials["messages"]] == [False]
        assert results == [], "the first one waits"
    thread.join()
    assert results == [expected]
    assert finals([partials, send(held, silence(0), stream, end=True, model=model)])[0]["text"] != ""


def test_a_stream_that_is_cancelled_is_over_and_leaves_nothing(held, gate):
    samples = first_segment()
    stream = next(IDS)
    send(held, samples[:CHUNK], stream, start=True, model="held")
    with gate.held():
        request = grpc_request("held", tensors(samples), sequence_id=stream, sequence_start=False, sequence_end=False)
        with grpc.InferenceServerClient(held.server.grpc) as client:
            call = client._client_stub.ModelInfer.future(request)
            held.wait_until(lambda: gate.waiting("sensevoice_encoder") == 1)
            assert call.cancel()
    held.wait_until(lambda: gate.waiting("sensevoice_encoder") == 0)
    # It need not have been heard of yet.
    held.wait_until(lambda: is_over(held, stream))
    documents = [send(held, samples, stream, True, True, model="held")]
    assert documents == play(held, samples, 10**9)


def is_over(client, stream):
    """Whether a stream takes no more."""
    try:
        client.infer("held", tensors(silence(0.1)), OUTPUTS, sequence_id=stream)
        return False
    except InferenceServerException as error:
        return "a request of it was cancelled" in str(error)
