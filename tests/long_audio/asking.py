"""What the tests send, and what comes back."""

import io
import json
import queue
import wave
from functools import cache

import numpy as np
import pytest
import tritonclient.grpc as grpc

from segments.material import RATE, silence
from support.client import GRPC, TIMEOUT_SECONDS
from support.environment import PROJECT
from support.recordings import WITHOUT_ITN, recordings

AUTO = 0
fastjsonschema = pytest.importorskip("fastjsonschema", reason="documents are checked with fastjsonschema")
CHECK = fastjsonschema.compile(json.loads((PROJECT / "docs/long-audio.schema.json").read_text(encoding="utf-8")))


@cache
def two_minutes():
    """The demo's recordings one behind the other with pauses between them, more than two minutes."""
    voices = [each.samples.astype(np.float32) for each in recordings()]
    parts, number = [silence(1.1)], 0
    while sum(map(len, parts)) < 120 * RATE:
        parts += [voices[number % len(voices)], silence(0.8 + 0.3 * (number % 4))]
        number += 1
    return np.concatenate(parts)


def file_of(samples):
    """A WAV file of 16 bits."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.round(samples * 32768).clip(-32768, 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def tensors(samples=None, file=None, prompt=True, beside=None, **more):
    """The inputs of a request with samples or a file; `beside` are more arrays, `more` numbers."""
    if file is None:
        inputs = {"WAV": samples[None], "WAV_LENS": np.int32([[len(samples)]])}
    else:
        inputs = {"AUDIO": np.array([[file]], dtype=object)}
    if prompt:
        inputs |= {"LANGUAGE": np.int32([[AUTO]]), "TEXT_NORM": np.int32([[WITHOUT_ITN]])}
    return inputs | (beside or {}) | {name: np.int32([[number]]) for name, number in more.items()}


def ask(client, model="transcribe", protocol=GRPC, **given):
    """The document of a recording."""
    answer = client.infer(model, tensors(**given), ["TEXT", "RESULT_JSON", "IS_FINAL"], protocol)
    document = json.loads(answer["RESULT_JSON"][0, 0])
    CHECK(document)
    assert answer["TEXT"][0, 0] == document["text"]
    assert document["is_final"] and answer["IS_FINAL"].tolist() == [[True]]
    return document


def parts(client, model="transcribe_segments", **given):
    """The documents of a decoupled model, in the order in which they came; an error is raised after those before it."""
    answers = queue.Queue()
    own = grpc.InferenceServerClient(client.server.grpc)
    own.start_stream(lambda result, error: answers.put((result, error)))
    try:
        inputs = []
        for name, array in tensors(**given).items():
            kind = {"f": "FP32", "i": "INT32", "O": "BYTES"}[array.dtype.kind]
            inputs.append(grpc.InferInput(name, list(array.shape), kind))
            inputs[-1].set_data_from_numpy(array)
        own.async_stream_infer(model, inputs, enable_empty_final_response=True)
        documents = []
        while True:
            result, error = answers.get(timeout=TIMEOUT_SECONDS)
            if error is not None:
                return documents, error
            documents.append(json.loads(result.as_numpy("RESULT_JSON")[0, 0]))
            CHECK(documents[-1])
            last = result.get_response().parameters["triton_final_response"].bool_param
            assert documents[-1]["is_final"] == last
            if last:
                return documents, None
    finally:
        own.stop_stream()
        own.close()


def spans(found):
    """Start and end of each."""
    return [[each["start_ms"], each["end_ms"]] for each in found]


def vad(client, samples):
    """The segments of `vad`."""
    inputs = {"WAV": samples[None], "WAV_LENS": np.int32([[len(samples)]])}
    return client.infer("vad", inputs, ["SEGMENTS_MS"], GRPC)["SEGMENTS_MS"][0].tolist()


def alone(client, samples, model="sensevoice"):
    """What the recogniser says of a recording that is sent alone."""
    inputs = tensors(samples, prompt=model == "sensevoice")
    return json.loads(client.infer(model, inputs, ["RESULT_JSON"], GRPC)["RESULT_JSON"][0, 0])


def cut(samples, start_ms, end_ms):
    """A part of a recording."""
    return samples[start_ms * RATE // 1000 : end_ms * RATE // 1000]


def marked(client, text):
    """A text with its marks."""
    return client.infer("punctuation", {"TEXT": np.array([[text.encode()]], dtype=object)}, ["TEXT"], GRPC)["TEXT"][0, 0]
