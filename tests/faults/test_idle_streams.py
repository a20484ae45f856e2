"""Streams that nobody goes on with are ended by the server, while others go on.

That their state is freed a minute later is tried in pipelines/test_live_streams.py.
"""

import time

import pytest

from faults import traffic
from faults.repositories import FEW, SHORT_IDLE_SECONDS
from paraformer.streaming import send
from paraformer.texts import streams
from support.client import GRPC, HTTP, InferenceServerException


def test_idle_streams_are_reaped_while_others_go_on(faulty_pipelines, ids):
    client, model, recording = faulty_pipelines.client, "streaming_short", streams()[5]
    idle = [next(ids) for _ in range(FEW - 1)]
    for number, stream in enumerate(idle):
        send(client, recording.chunks[0], stream, start=True, protocol=(HTTP, GRPC)[number % 2], model=model)
    live, text = next(ids), ""
    with traffic.Traffic(client, traffic.of_all_kinds(client, ids)) as others:
        # It takes longer than streams may be idle, and never is for long.
        over, pause = time.monotonic() + 2 * SHORT_IDLE_SECONDS, SHORT_IDLE_SECONDS / 8
        text += send(client, recording.chunks[0], live, start=True, protocol=GRPC, model=model)
        while time.monotonic() < over:
            time.sleep(pause)
            text += send(client, recording.chunks[0][:0], live, protocol=GRPC, model=model)
        for at, chunk in enumerate(recording.chunks[1:], 2):
            text += send(client, chunk, live, end=at == len(recording.chunks), protocol=GRPC, model=model)
        others.wait_for(1)
    assert text == recording.text
    for number, stream in enumerate(idle):
        with pytest.raises(InferenceServerException) as refused:
            send(client, recording.chunks[1], stream, protocol=(HTTP, GRPC)[number % 2], model=model)
        assert refused.value.message() == (
            f"inference request for sequence {stream} to model '{model}' must specify the START flag on the first request "
            "of the sequence"
        )
    # All slots are free.
    began = time.monotonic()
    for stream in [*idle, *(next(ids) for _ in range(FEW))]:
        send(client, recording.chunks[0], stream, start=True, protocol=GRPC, model=model)
        assert send(client, recording.chunks[0][:0], stream, end=True, protocol=GRPC, model=model) is not None
    assert time.monotonic() - began < 10
