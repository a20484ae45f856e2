"""Requests that their clients take back while every slot is taken: who comes next is served at once."""

import time
from functools import partial

import pytest

from faults import doomed, raw, traffic
from faults.repositories import FEW, IN_FLIGHT, SHORT_IDLE_SECONDS
from paraformer.streaming import send
from paraformer.texts import streams
from support.client import GRPC, InferenceServerException
from support.load import counted, many_at_a_time

# On a machine with other things to do.
SOON_SECONDS = 30


def future(client, model, tensors, **sequence):
    """A gRPC request under way."""
    return client.grpc._client_stub.ModelInfer.future(raw.grpc_request(model, tensors, **sequence))


@pytest.mark.parametrize("place", ["first", "later"])
def test_cancelled_streams_give_their_slots_back(faulty_pipelines, ids, place):
    """FEW streams hold all slots, each with a request at the encoder. The server takes the slot of a stream back when the
    stream was idle for too long: it frees it at once only if the request had not been handed out yet."""
    client, gate, model = faulty_pipelines.client, faulty_pipelines.gate, "streaming_held_encoder"
    own = [next(ids) for _ in range(FEW)]
    if place == "later":
        # At the same time: one that began before the others have slots could be idle for too long meanwhile.
        begin = [partial(send, client, streams()[5].chunks[0], each, start=True, protocol=GRPC, model=model) for each in own]
        many_at_a_time(client, begin, threads=FEW)
    with gate.held():
        chunk = raw.speech(streams()[5].chunks[1])
        calls = [
            future(client, model, chunk, sequence_id=each, sequence_start=place == "first", sequence_end=False) for each in own
        ]
        client.wait_until(lambda: gate.waiting("online_encoder") == FEW)
        for call in calls:
            assert call.cancel()
    began = time.monotonic()
    # Its own idle time counts from its START, which waits for a slot: begun at once, it would be over at the same moment as theirs.
    time.sleep(SHORT_IDLE_SECONDS / 2)
    traffic.stream(client, ids, 5, GRPC, model)
    took = time.monotonic() - began
    print(f"served after {took:.2f} s")
    assert took < SHORT_IDLE_SECONDS + SOON_SECONDS
    # The stream that lost a chunk is over.
    with pytest.raises(InferenceServerException, match="must specify the START flag"):
        send(client, chunk["WAV"][0], own[0], protocol=GRPC, model=model)


def test_cancelled_requests_are_not_computed(faulty_pipelines):
    """Of many requests all but those at the encoder are dropped, and the next one is served at once."""
    client, gate, model = faulty_pipelines.client, faulty_pipelines.gate, "sensevoice_held_few"
    before = client.statistics_at_rest("sensevoice_encoder_held")
    with gate.held():
        minute = raw.speech(doomed.audio(60), LANGUAGE=0, TEXT_NORM=14)
        calls = [future(client, model, minute) for _ in range(20)]
        client.wait_until(lambda: gate.waiting("sensevoice_encoder") == IN_FLIGHT)
        for call in calls:
            assert call.cancel()
        # The server hears of it.
        time.sleep(0.5)
    began = time.monotonic()
    traffic.ask_sensevoice(client, 0, GRPC, model)
    took = time.monotonic() - began
    after = client.statistics_at_rest("sensevoice_encoder_held")
    rows = counted(before, after, "inference_count")
    print(f"served after {took:.2f} s; {rows} rows computed")
    assert took < SOON_SECONDS
    # Those at the encoder, at most one more that was about to be sent, and the good one.
    assert rows <= IN_FLIGHT + 2
