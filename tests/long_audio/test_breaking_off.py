"""Models that go in the middle of a recording, and clients that do."""

import threading
import time

import numpy as np

from long_audio.asking import ask, parts, tensors, two_minutes
from long_audio.repositories import repository
from support.client import InferenceServerException, grpc, serving

CALLED = ["sensevoice", "sensevoice_encoder", "vad", "fsmn_vad", "punctuation", "ct_transformer"]


def hour():
    """Long enough to be interrupted."""
    return np.tile(two_minutes(), 15)


def interrupted(client, model, interrupt):
    """What is told of a long recording, and the error, where something happens when the first segments are told."""
    outcome = []
    run = threading.Thread(target=lambda: outcome.append(parts(client, model, samples=hour())))
    before = client.statistics("sensevoice").get("inference_count", 0)
    run.start()
    client.wait_until(lambda: client.statistics("sensevoice").get("inference_count", 0) > before + 5)
    interrupt()
    run.join()
    return outcome[0]


def test_a_model_that_is_unloaded_costs_what_it_should_have_done():
    own = ["transcribe", "windows", "windows_segments"]
    loaded = [f"--load-model={name}" for name in CALLED + own]
    with serving(repository(), "--model-config-name=pipeline", "--model-control-mode=explicit", *loaded, "--exit-timeout-secs=5") as client:
        documents, error = interrupted(client, "windows_segments", lambda: client.http.unload_model("punctuation"))
        assert error is None
        problems = [problem for document in documents for problem in document["problems"]]
        assert problems and all("punctuation" in problem["message"] for problem in problems)
        told = [segment["text"] for document in documents for segment in document["segments"]]
        assert "".join("".join(told).split()) == bare(documents), "no text is lost"
        client.http.load_model("punctuation")

        documents, error = interrupted(client, "windows_segments", lambda: client.http.unload_model("vad"))
        assert "vad" in str(error)
        assert sum(len(document["segments"]) for document in documents) >= 5, "what was told before stays"
        client.http.load_model("vad")

        documents, error = interrupted(client, "windows_segments", lambda: client.http.unload_model("sensevoice"))
        assert error is None
        problems = [problem for document in documents for problem in document["problems"]]
        assert problems and all("sensevoice" in problem["message"] for problem in problems)
        segments = [segment for document in documents for segment in document["segments"]]
        times = sorted([[each["start_ms"], each["end_ms"]] for each in segments + problems])
        assert len(times) > 200 and all(one[1] <= other[0] for one, other in zip(times, times[1:])), "each segment is accounted for"
        client.http.load_model("sensevoice")
        assert ask(client, samples=two_minutes())["problems"] == []


def bare(documents):
    """The text of sentences without marks and spaces."""
    text = "".join(sentence["text"] for document in documents for sentence in document["sentences"])
    return "".join(letter for letter in text if letter not in "，。？、 ")


def test_a_client_that_goes_leaves_nothing_under_way(long_audio):
    with grpc.InferenceServerClient(long_audio.server.grpc) as client:
        inputs = []
        for name, array in tensors(samples=hour()).items():
            kind = "FP32" if array.dtype == np.float32 else "INT32"
            inputs.append(grpc.InferInput(name, list(array.shape), kind))
            inputs[-1].set_data_from_numpy(array)
        outcome = []
        call = client.async_infer("windows", inputs, lambda result, error: outcome.append(error))
        before = long_audio.statistics("sensevoice").get("inference_count", 0)
        long_audio.wait_until(lambda: long_audio.statistics("sensevoice").get("inference_count", 0) > before + 5)
        call.cancel()
        long_audio.wait_until(lambda: outcome)
        assert isinstance(outcome[0], InferenceServerException)
    counted = long_audio.statistics_at_rest("vad")["inference_count"]
    time.sleep(0.5)
    assert long_audio.statistics("vad")["inference_count"] == counted, "no window is looked through any more"
    assert ask(long_audio, samples=two_minutes())["segments"]
