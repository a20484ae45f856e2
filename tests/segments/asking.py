"""What the tests of voice activity detection send, and what comes back."""

import numpy as np

from support.client import GRPC
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
