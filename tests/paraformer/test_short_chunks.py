"""Chunks in mid-stream that are shorter than a chunk is."""

import numpy as np
import pytest

from paraformer.repositories import add_model, copy_of, online_repository
from paraformer.streaming import send, send_all, tensors
from paraformer.texts import CHUNK, streams
from support.client import GRPC, HTTP, InferenceServerException
from support.repository import with_parameter
from support.server import Server, ServerFailed

GOOD = streams()[5]


def warnings(client, model):
    """What the log says of a model's short chunks."""
    return [line for line in client.server.log().splitlines() if f"model '{model}': short chunks" in line]


def test_they_are_filled_up_with_silence_and_the_log_says_so(online, ids):
    first, *rest = GOOD.chunks
    short = first[:1600]
    filled = np.concatenate([short, np.zeros(CHUNK - len(short), np.float32)])
    expected = send_all(online, [first, filled, filled, *rest], next(ids))
    assert warnings(online, "feature_extractor_padding") == []
    assert send_all(online, [first, short, short, *rest], next(ids), model="streaming_padding") == expected
    assert send_all(online, [short, first[:0], *rest], next(ids), GRPC, model="streaming_padding")
    # Once a minute at most. Last chunks may be short.
    (line,) = warnings(online, "feature_extractor_padding")
    assert line.startswith("W")
    assert line.partition("] ")[2].strip('"') == (
        "model 'feature_extractor_padding': short chunks in mid-stream, 1 since this was last said, the latest of 1600 samples in "
        "place of 9600; each is filled up with silence, and the text is wrong. Have clients send 9600 samples at a time, or serve "
        "the pipeline, which takes any; parameter short_chunks = refuse refuses them"
    )


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
@pytest.mark.parametrize("samples", [0, 1, CHUNK - 1])
def test_they_are_refused_where_an_operator_wants_it(online, ids, protocol, samples):
    """The stream is as it was; its last chunk may be short."""
    model, stream, deltas = "streaming_refusing", next(ids), []

    def refused(start):
        flags = {"sequence_id": stream, "sequence_start": start, "sequence_end": False}
        with pytest.raises(InferenceServerException) as caught:
            online.infer(model, tensors(GOOD.chunks[0][:samples]), ["TRANSCRIPTS"], protocol, **flags)
        assert caught.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")
        assert caught.value.message() == (
            f"in ensemble '{model}', input 'wav_lens': row 0 is {samples}, expected 9600: a chunk has 9600 samples, only the last "
            "one of its stream may be shorter"
        )

    refused(start=True)
    last = len(GOOD.chunks) - 1
    assert len(GOOD.chunks[last]) < CHUNK
    for at, chunk in enumerate(GOOD.chunks):
        deltas.append(send(online, chunk, stream, at == 0, at == last, protocol, model))
        if at < last:
            refused(start=False)
    assert deltas == GOOD.deltas
    assert warnings(online, "feature_extractor_refusing") == []


def test_another_value_of_the_parameter_does_not_load():
    repository = copy_of(online_repository(), "short-chunks")
    add_model(repository, "guessing", "feature_extractor", with_parameter("short_chunks", "stretch"))
    with pytest.raises(ServerFailed) as failed:
        with Server(repository):
            pass
    assert "model 'guessing': parameter 'short_chunks': 'stretch' is neither pad nor refuse" in str(failed.value)
