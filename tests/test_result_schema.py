"""Every document of `RESULT_JSON` is what docs/result.schema.json says, and the schema says no more and no less than it should."""

import json

import numpy as np
import pytest

from support.environment import PROJECT
from support.recordings import WITH_ITN, padded, recordings

fastjsonschema = pytest.importorskip("fastjsonschema", reason="documents are checked with fastjsonschema")

SCHEMA = json.loads((PROJECT / "docs/result.schema.json").read_text(encoding="utf-8"))
CHECK = fastjsonschema.compile(SCHEMA)
CHUNK = 9600


def audio(wavs):
    return {"WAV": padded(wavs), "WAV_LENS": np.int32([[len(wav)] for wav in wavs])}


def documents(client, model, tensors, **flags):
    """The documents of a request's rows."""
    answer = client.infer(model, tensors, ["RESULT_JSON"], **flags)
    found = [json.loads(text) for text in answer["RESULT_JSON"].ravel()]
    for document in found:
        CHECK(document)
    return found


def test_documents_of_recordings(telling):
    wavs = [recording.samples for recording in recordings()]
    hints = {"LANGUAGE": np.zeros((11, 1), np.int32), "TEXT_NORM": np.full((11, 1), WITH_ITN, np.int32)}
    for document, recording in zip(documents(telling, "sensevoice", audio(wavs) | hints), recordings(), strict=True):
        assert document["raw"] == recording.texts[WITH_ITN]
        assert not {"is_final", "full_text"} & document.keys()
    # The demo's plain Paraformer says no times.
    for document in documents(telling, "infer_pipeline", audio(wavs[:3])):
        assert document["words"] and document["language"] is None
        assert all(word["start_ms"] is None for word in document["words"])


def test_documents_of_a_stream(telling):
    samples = recordings()[7].samples
    starts = range(0, len(samples), CHUNK)
    said = []
    for start in starts:
        flags = {"sequence_id": 71, "sequence_start": start == 0, "sequence_end": start == starts[-1]}
        chunk = samples[start : start + CHUNK]
        said += documents(telling, "streaming_paraformer", audio([chunk]), **flags)
    assert [document["is_final"] for document in said] == [False] * (len(said) - 1) + [True]
    assert said[-1]["full_text"] == "".join(document["text"] for document in said) == "music four doctor weather"


GOOD = {
    "text": "好",
    "raw": "<|zh|>好",
    "language": "zh",
    "emotion": None,
    "event": None,
    "confidence": 0.5,
    "tokens": [{"text": "好", "start_ms": 0, "end_ms": 60, "confidence": 1}],
    "words": [{"text": "好", "start_ms": None}],
}


def test_the_schema_takes_what_is_good():
    CHECK(GOOD)
    CHECK({**GOOD, "confidence": None, "is_final": False, "full_text": "好"})


@pytest.mark.parametrize(
    "change",
    [
        {"text": None},
        {"confidence": 1.5},
        {"language": 3},
        {"words": [{"start_ms": 0}]},
        {"words": [{"text": "好", "start_ms": -1}]},
        {"tokens": [{"text": "好", "start_ms": 0.5}]},
        {"is_final": "no"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_the_schema_refuses_what_is_not(change):
    with pytest.raises(fastjsonschema.JsonSchemaException):
        CHECK({**GOOD, **change})


@pytest.mark.parametrize("missing", SCHEMA["required"])
def test_the_schema_wants_all_members(missing):
    with pytest.raises(fastjsonschema.JsonSchemaException):
        CHECK({name: value for name, value in GOOD.items() if name != missing})
