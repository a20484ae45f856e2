"""Requests with hot words."""

import numpy as np

from support.client import HTTP, InferenceServerException
from support.recordings import padded

SECOND = 16_000


def ask(client, model, words, protocol=HTTP, lengths=None):
    """The texts of rows of noise; `words` has a list of hot words for each, or is None. Lists are filled up with empty texts."""
    rows = 1 if words is None else len(words)
    lengths = lengths or [SECOND] * rows
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, max(lengths)).astype(np.float32)
    tensors = {
        "WAV": padded([noise[:length] for length in lengths]),
        "WAV_LENS": np.int32(lengths).reshape(-1, 1),
    }
    if words is not None:
        most = max(map(len, words))
        texts = np.empty((rows, most), dtype=object)
        texts[:] = ""
        for row, own in enumerate(words):
            texts[row, : len(own)] = own
        tensors["HOTWORDS"] = texts
    return list(client.infer(model, tensors, ["TRANSCRIPTS"], protocol)["TRANSCRIPTS"][:, 0])


def told(client, model, words, **options):
    """What a client is told whose request is refused, and its code where HTTP has one."""
    try:
        texts = ask(client, model, words, **options)
    except InferenceServerException as error:
        return error.status(), error.message()
    raise AssertionError(f"it was answered: {texts}")


def heard(client, samples, words, protocol):
    """The text of a recording, without spaces; `words` are its hot words, or None."""
    tensors = {"WAV": samples[np.newaxis], "WAV_LENS": np.int32([[len(samples)]])}
    if words is not None:
        tensors["HOTWORDS"] = np.array([words], dtype=object)
    (text,) = client.infer("infer_pipeline", tensors, ["TRANSCRIPTS"], protocol)["TRANSCRIPTS"][:, 0]
    return text.replace(" ", "")
