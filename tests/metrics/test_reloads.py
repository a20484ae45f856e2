"""Metrics go with their models, and come with them: however often, and whatever of them is still under way."""

import os
import shutil
from functools import partial

import numpy as np
import pytest

from faults import vitals
from faults.repositories import copy_of_all
from metrics.reading import Reading
from paraformer.streaming import send
from pipelines.variants import PIPELINE, SOON
from support.client import GRPC, serving
from support.load import on_threads
from support.recordings import WITH_ITN, recordings
from support.repository import edit_config, replaced

RELOADS = int(os.environ.get("METRICS_RELOADS") or 50)
GOOD = recordings()[0]
SECONDS = len(GOOD.samples) / 16_000
MODELS = ("sensevoice", "streaming_paraformer")
CALLED = ("sensevoice_encoder", "online_encoder", "online_decoder")


@pytest.fixture(scope="module")
def on_demand():
    """A client of a server that loads models when it is told to; `sensevoice` has two versions there."""
    repository = copy_of_all("metrics-reloads")
    shutil.copytree(repository / "sensevoice/1", repository / "sensevoice/2")
    config = repository / "sensevoice/configs"
    (config / "pipeline.pbtxt").replace(repository / "sensevoice/config.pbtxt")
    config.rmdir()
    edit_config(
        repository / "sensevoice", replaced("max_batch_size: 16", "max_batch_size: 16\nversion_policy: { all { } }")
    )
    flags = ["--model-control-mode=explicit", SOON, PIPELINE, *(f"--load-model={each}" for each in CALLED)]
    with serving(repository, *flags) as client:
        yield client


def ask(client, version=""):
    """A recording, to a version of the model."""
    tensors = {"WAV": GOOD.samples[np.newaxis], "WAV_LENS": np.int32([[len(GOOD.samples)]])}
    tensors |= {"LANGUAGE": np.int32([[0]]), "TEXT_NORM": np.int32([[WITH_ITN]])}
    answer = client.infer("sensevoice", tensors, ["TRANSCRIPTS"], GRPC, model_version=version)
    assert answer["TRANSCRIPTS"][0, 0] == GOOD.texts[WITH_ITN]


def test_versions_are_counted_apart(on_demand):
    client = on_demand
    client.http.load_model("sensevoice")
    for version, times in (("1", 2), ("2", 3)):
        for _ in range(times):
            ask(client, version)
    audio = partial(Reading(client), "audio_seconds_total", "sensevoice")
    assert audio(version="1") == pytest.approx(2 * SECONDS)
    assert audio(version="2") == pytest.approx(3 * SECONDS)
    shown = [
        {(name, labels.replace(f'version="{version}"', "")) for name, labels in Reading(client).series(version=version)}
        for version in "12"
    ]
    assert shown[0] == shown[1] != set()
    client.http.unload_model("sensevoice")
    client.wait_until(lambda: not Reading(client).series(model="sensevoice"))


def test_models_come_and_go(on_demand):
    """Streams that are under way go with their model: nobody is live where nobody is loaded."""
    client = on_demand
    sizes, files = [], None
    for number in range(RELOADS):
        for model in MODELS:
            client.http.load_model(model)
        shown = Reading(client)
        # Nothing is left of the one before.
        assert shown("live_streams", "streaming_paraformer") == 0
        assert shown("audio_seconds_total", "sensevoice") == 0
        ask(client, "1")
        ask(client, "2")
        send(client, GOOD.samples[:9600], number + 1, start=True, protocol=GRPC)
        shown = Reading(client)
        assert shown("live_streams", "streaming_paraformer") == 1
        assert shown("audio_seconds_total", "sensevoice") == pytest.approx(2 * SECONDS)
        for model in MODELS:
            client.http.unload_model(model)
        client.wait_until(lambda: not Reading(client).series())
        if number == RELOADS // 5:
            files = vitals.open_files(client.server)
        if number >= RELOADS // 5:
            sizes.append(vitals.resident_megabytes(client.server))
    print(f"memory after {RELOADS // 5} reloads {sizes[0]:.0f} MB, after {RELOADS} {sizes[-1]:.0f} MB")
    assert vitals.comes_true(lambda: vitals.open_files(client.server) <= files + 2)
    assert sizes[-1] < sizes[0] + 15


def test_loaded_anew_while_it_works(on_demand):
    """The server keeps a model until the new one is there. Both have the same labels: what is counted goes on, and a gauge
    is what the one that serves has."""
    client = on_demand
    repository = client.server.repositories[0]
    client.http.load_model("sensevoice")
    client.http.load_model("streaming_paraformer")
    send(client, GOOD.samples[:9600], 99, start=True, protocol=GRPC)
    over, asked = [], []

    def traffic():
        while not over:
            ask(client)
            asked.append(1)

    def reload():
        try:
            for _ in range(RELOADS // 5):
                for model in MODELS:
                    for config in (repository / model).rglob("*.pbtxt"):
                        os.utime(config)
                    client.http.load_model(model)
                    series = Reading(client).series(model=model)
                    assert any(name == "funasr_audio_seconds_total" for name, _ in series)
        finally:
            over.append(1)

    on_threads(client, [traffic, traffic, reload])
    assert len(asked) > 2
    client.wait_until(lambda: Reading(client)("pending_rows", "sensevoice") == 0)
    # The stream was the old model's.
    client.wait_until(lambda: Reading(client)("live_streams", "streaming_paraformer") == 0)
    assert Reading(client)("queue_rows", "sensevoice") == 0
    audio = Reading(client)("audio_seconds_total", "sensevoice")
    assert audio == pytest.approx(len(asked) * SECONDS, rel=1e-9)
