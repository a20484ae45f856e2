"""What the tests send, and what comes back."""

import itertools
import json

import numpy as np
import pytest

from support.client import GRPC
from support.environment import PROJECT

fastjsonschema = pytest.importorskip("fastjsonschema", reason="documents are checked with fastjsonschema")
CHECK = fastjsonschema.compile(json.loads((PROJECT / "docs/two-pass.schema.json").read_text(encoding="utf-8")))

CHUNK = 9600
OUTPUTS = ["TEXT", "SEGMENT_ID", "IS_FINAL", "TRANSCRIPTS", "RESULT_JSON"]
IDS = itertools.count(7_000)


def tensors(samples, beside=None, **more):
    """The inputs of a request; `beside` are more arrays, `more` numbers."""
    inputs = {"WAV": samples[None], "WAV_LENS": np.int32([[len(samples)]])}
    return inputs | (beside or {}) | {name: np.int32([[number]]) for name, number in more.items()}


def send(client, samples, stream, start=False, end=False, model="two_pass", protocol=GRPC, **given):
    """The document of a chunk's answer, which says the same as its other tensors."""
    flags = {"sequence_id": stream, "sequence_start": start, "sequence_end": end}
    return read(client.infer(model, tensors(samples, **given), OUTPUTS, protocol, **flags))


def read(answer):
    """The document of an answer."""
    document = json.loads(answer["RESULT_JSON"][0, 0])
    CHECK(document)
    messages = document["messages"]
    for name, key in (("TEXT", "text"), ("SEGMENT_ID", "segment_id"), ("IS_FINAL", "is_final")):
        assert answer[name].shape == (1, len(messages))
        assert answer[name][0].tolist() == [message[key] for message in messages]
    document["transcript"] = answer["TRANSCRIPTS"][0, 0]
    return document


def pieces(samples, chunk):
    """A recording in chunks."""
    return [samples[begin : begin + chunk] for begin in range(0, max(len(samples), 1), chunk)]


def play(client, samples, chunk=CHUNK, **given):
    """The documents of a whole stream."""
    stream, parts = next(IDS), pieces(samples, chunk)
    last = len(parts) - 1
    return [send(client, part, stream, at == 0, at == last, **given) for at, part in enumerate(parts)]


def messages(documents):
    """All messages in their order."""
    return [message for document in documents for message in document["messages"]]


def finals(documents):
    """The last messages of all segments, in the segments' order; nothing follows any of them."""
    told = messages(documents)
    over = set()
    for message in told:
        assert message["segment_id"] not in over
        if message["is_final"]:
            over.add(message["segment_id"])
    last = [message for message in told if message["is_final"]]
    assert [message["segment_id"] for message in last] == list(range(len(last)))
    return last


def spans(found):
    """Start and end of each."""
    return [[each["start_ms"], each["end_ms"]] for each in found]


def problems(documents):
    """All problems."""
    return [problem for document in documents for problem in document["problems"]]


def events(client, samples, chunk=CHUNK):
    """What `streaming_vad` says of each chunk."""
    stream, parts, told = next(IDS), pieces(samples, chunk), []
    for at, part in enumerate(parts):
        flags = {"sequence_id": stream, "sequence_start": at == 0, "sequence_end": at == len(parts) - 1}
        told.append(client.infer("streaming_vad", tensors(part), ["SEGMENTS_MS"], GRPC, **flags)["SEGMENTS_MS"][0].tolist())
    return told
