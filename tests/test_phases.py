"""Every request's time is divided into phases: input, inference, output. All components report each of them, alone and
batched, and a client that reads the statistics finds them all."""

import itertools
from functools import partial

import numpy as np
import pytest

from faults import traffic
from paraformer.streaming import send
from paraformer.texts import streams
from pipelines.variants import PIPELINE, SOON, common_repository
from support.client import GRPC, HTTP, InferenceServerException, serving
from support.load import many_at_a_time
from support.recordings import WITH_ITN, recordings

PHASES = ("compute_input", "compute_infer", "compute_output")
TOPS = ("sensevoice", "infer_pipeline", "streaming_paraformer")
CALLED = ("sensevoice_encoder", "paraformer_encoder", "online_encoder", "online_decoder")
STEPS = (
    *(f"{kind}_{step}" for kind in ("sensevoice", "paraformer") for step in ("feature_extractor", "scoring")),
    *(f"online_{step}" for step in ("feature_extractor", "lfr_cmvn_pe", "cif_search")),
)
# Ensembles themselves are executed by the server, in no batches of their own.
MODELS = {"ensembles": (*TOPS, *STEPS, *CALLED), "pipelines": (*TOPS, *CALLED)}


@pytest.fixture(scope="module", params=["ensembles", "pipelines"])
def counted(request):
    """The form, and a client of a server that has had requests of every kind: alone, with rows, with others, long and
    released early, without speech, too short for a frame, and refused."""
    form = request.param
    with serving(common_repository(), SOON, *([PIPELINE] if form == "pipelines" else [])) as client:
        ids = itertools.count(1)
        rows = recordings()[:4]
        texts = client.transcribe([each.samples for each in rows], WITH_ITN)
        assert texts == [each.texts[WITH_ITN] for each in rows]
        ask = [
            *(partial(traffic.ask_sensevoice, client, number) for number in range(12)),
            *(partial(traffic.ask_paraformer, client, number) for number in range(12)),
            *(partial(traffic.stream, client, ids, number, protocol=(HTTP, GRPC)[number % 2]) for number in range(8)),
        ]
        many_at_a_time(client, ask)
        for number in range(2):
            ask[number]()
        client.transcribe([np.zeros(200, np.float32)], WITH_ITN)
        if form == "pipelines":
            assert send(client, streams()[0].samples, next(ids), start=True, end=True) == streams()[0].text
        for protocol in (HTTP, GRPC):
            with pytest.raises(InferenceServerException, match="WAV_LENS|wav_lens"):
                client.transcribe([rows[0].samples], WITH_ITN, lengths=[0], protocol=protocol)
        yield form, client


def test_every_phase_of_every_component(counted):
    form, client = counted
    for model in MODELS[form]:
        statistics = client.statistics_at_rest(model)
        total = statistics["inference_stats"]
        assert total["success"]["count"] > 0, model
        for phase in PHASES:
            assert total[phase]["count"] == total["success"]["count"], (model, phase)
            assert total[phase]["ns"] > 0, (model, phase)
        parts = total["queue"]["ns"] + sum(total[phase]["ns"] for phase in PHASES)
        assert parts <= total["success"]["ns"], (model, total)
        # Of an ensemble's time, what its steps wait in their queues is in no phase. Elsewhere little is left.
        assert parts > total["success"]["ns"] / 2 or (form == "ensembles" and model in TOPS), (model, total)


def test_every_phase_of_every_batch_size(counted):
    form, client = counted
    for model in MODELS[form]:
        if form == "ensembles" and model in TOPS:
            continue
        statistics = client.statistics_at_rest(model)
        assert statistics["batch_stats"], model
        for size in statistics["batch_stats"]:
            for phase in PHASES:
                assert size[phase]["count"] > 0, (model, size)
                assert size[phase]["ns"] > 0, (model, size)
        executions = sum(size["compute_infer"]["count"] for size in statistics["batch_stats"])
        # Executions in which every request failed are among the sizes, and not among the executions.
        assert executions >= statistics["execution_count"], model


def test_a_client_finds_every_field(counted):
    """A field that is 0 is missing in a message's JSON, and the usual benchmark clients read it without asking."""
    form, client = counted
    for model in MODELS[form]:
        (entry,) = client.grpc.get_inference_statistics(model, as_json=True)["model_stats"]
        for phase in PHASES:
            assert int(entry["inference_stats"][phase]["ns"]) > 0, (model, phase)
            for size in entry.get("batch_stats", []):
                assert int(size[phase]["ns"]) / int(size[phase]["count"]) > 0, (model, size)
