"""Requests of many bytes, whose sense is refused before much is done with them.

`HOSTILE_LARGEST_MB` makes them larger, up to gRPC's limit of 2047.
"""

import os

import numpy as np
import pytest

from hostile.request import BINARY, RAW, Request, Tensor, grpc_message, http_body
from hostile.test_hostile_requests import memory_mb
from hostile.wire import Grpc, infer_head, over_http
from pipelines.variants import PIPELINE, SOON, common_repository
from support.client import serving
from support.recordings import WITH_ITN, recordings

LARGEST_MB = int(os.environ.get("HOSTILE_LARGEST_MB", "64"))
# What the server may keep of what it once needed: buffers on their way back, beside what its allocator holds.
MOST_KEPT_MB = 2 * LARGEST_MB + 60
# By default gRPC keeps the messages of 8 requests to use their memory again, however large they were.
KEEP_NO_MESSAGES = "--grpc-infer-allocation-pool-size=0"


@pytest.fixture(scope="module", params=["ensembles", "pipelines"])
def server(request):
    """A client of a server with the demo's models."""
    with serving(common_repository(), SOON, KEEP_NO_MESSAGES, *([PIPELINE] if request.param == "pipelines" else [])) as client:
        yield client


def request(form, length, **parameters):
    """So much silence that the largest message is full."""
    samples = LARGEST_MB * 2**18 - 2000
    inputs = [
        Tensor("WAV", "FP32", [1, samples], bytes(4 * samples)),
        Tensor("WAV_LENS", "INT32", [1, 1], np.int32([length if length else samples]).tobytes()),
        Tensor("LANGUAGE", "INT32", [1, 1], bytes(4)),
        Tensor("TEXT_NORM", "INT32", [1, 1], b"\x0e\0\0\0"),
    ]
    return Request("sensevoice", inputs, form, parameters=parameters)


def send(client, form, length):
    """Sends it once; returns the answer."""
    if form == RAW:
        connection = Grpc(client.server.grpc)
        try:
            return connection.infer(grpc_message(request(RAW, length)))
        finally:
            connection.close()
    body, json_length = http_body(request(BINARY, length, binary_data_output=False))
    return over_http(client.server.http, infer_head("sensevoice", len(body), json_length) + body)


@pytest.mark.parametrize("form", [BINARY, RAW])
def test_the_largest_requests_cost_their_bytes_alone(server, form):
    good = recordings()[2]
    before = None
    for _ in range(2):
        refused = send(server, form, None)
        assert refused.status in (400, "INVALID_ARGUMENT")
        assert "max_audio_seconds (600 s) allows 9600000" in refused.error
        # Much padding is no crime.
        answered = send(server, form, 100)
        assert answered.went_well and answered.texts == [""], answered
        assert server.transcribe([good.samples], WITH_ITN) == [good.texts[WITH_ITN]]
        after = memory_mb(server.server)
        before = before or after
    assert after < before + MOST_KEPT_MB, f"{before:.0f} MB after the first, {after:.0f} MB after the last"
    print(f"\n{form}, {LARGEST_MB} MB each: {before:.0f} MB after the first, {after:.0f} MB after the last")


def test_a_body_that_never_comes_holds_nobody_up(server):
    """A head that announces 2 GB, and then nothing."""
    good = recordings()[2]
    answer = over_http(server.server.http, infer_head("sensevoice", 2**31, 200) + b'{"inputs":[', whole=False)
    assert not answer.went_well
    assert server.transcribe([good.samples], WITH_ITN) == [good.texts[WITH_ITN]]
