"""What the tests of voice activity detection send, and what comes back."""

import numpy as np
import pytest

from segments.material import silence
from support.client import GRPC, InferenceServerException
from support.recordings import padded


def ask(client, wavs, model="vad", protocol=GRPC):
    """The segments of each row, without what fills them."""
    tensors = {"WAV": padded(wavs), "WAV_LENS": np.int32([[len(wav)] for wav in wavs])}
    answer = client.infer(model, tensors, ["SEGMENTS_MS"], protocol)["SEGMENTS_MS"]
    assert answer.dtype == np.int32 and answer.shape[0] == len(wavs) and answer.shape[2] == 2
    rows = [[pair for pair in row if pair != [-1, -1]] for row in answer.tolist()]
    assert answer.shape[1] == max(map(len, rows)), "no more is filled than needed"
    return rows


def send(client, samples, model="streaming_vad", **flags):
    """The events of one chunk."""
    tensors = {"WAV": samples[None], "WAV_LENS": np.int32([[len(samples)]])}
    return client.infer(model, tensors, ["SEGMENTS_MS"], GRPC, **flags)["SEGMENTS_MS"][0].tolist()


def joined(events):
    """Whole segments of starts and ends."""
    whole = []
    for start, end in events:
        if start == -1:
            whole[-1][1] = end
        else:
            whole.append([start, end])
    return whole


def holds_no_more_than_half_a_minute(client, number, away):
    """A stream whose model is away is over before it fills the memory."""
    nine_seconds = silence(9)
    over = "the stream is over, begin it again with the START flag"
    for at in range(4):
        with pytest.raises(InferenceServerException, match=away) as failure:
            send(client, nine_seconds, sequence_id=number, sequence_start=at == 0)
        assert (over in failure.value.message()) == (at == 3)
    with pytest.raises(InferenceServerException, match=f"stream {number} is not known here"):
        send(client, nine_seconds, sequence_id=number)
