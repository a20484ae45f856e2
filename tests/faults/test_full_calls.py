"""Chunks of streams that come while a call is under way share the next one: a call costs less for each row the more it has."""

from functools import partial

import pytest

from faults.repositories import IN_FLIGHT
from metrics.reading import Reading
from paraformer.streaming import send
from paraformer.texts import streams
from support.client import GRPC, HTTP
from support.load import counted, on_threads

STREAMS = 6
ENCODER = "online_encoder_held"


@pytest.mark.parametrize(
    ("model", "at_a_time"),
    [("streaming_held", 1), ("streaming_held_few", IN_FLIGHT)],
    ids=["as shipped, on a processor", "calls_in_flight"],
)
def test_chunks_that_come_during_calls_share_the_next_one(faulty_pipelines, ids, model, at_a_time):
    client, gate = faulty_pipelines.client, faulty_pipelines.gate
    spoken = [(next(ids), recording, (HTTP, GRPC)[at % 2]) for at, recording in enumerate(streams()[:STREAMS])]

    def go_on(stream, recording, protocol, first):
        """Sends the first chunk, or all others; returns what they add."""
        last = len(recording.chunks) - 1
        places = range(1) if first else range(1, last + 1)
        return [send(client, recording.chunks[at], stream, at == 0, at == last, protocol, model) for at in places]

    def come_one_by_one(at):
        """Each once the one before is where it will wait: the first ones each in a call of its own."""
        client.wait_until(lambda: gate.waiting("online_encoder") == min(at, at_a_time))
        client.wait_until(lambda: Reading(client)("queue_rows", model, callee=ENCODER) == max(at - at_a_time, 0))
        return go_on(*spoken[at], first=True) if at < STREAMS else None

    before = client.statistics_at_rest(ENCODER)
    with gate.held():
        works = [*(partial(come_one_by_one, at) for at in range(STREAMS)), gate.opened_at_the_end(partial(come_one_by_one, STREAMS))]
        *firsts, _ = on_threads(client, works)
    after = client.statistics_at_rest(ENCODER)
    assert counted(before, after, "inference_count") == STREAMS
    calls = [each["inference_stats"]["success"]["count"] for each in (before, after)]
    assert calls[1] - calls[0] == at_a_time + 1
    for one, first in zip(spoken, firsts, strict=True):
        assert first + go_on(*one, first=False) == one[1].deltas
