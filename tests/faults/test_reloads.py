"""Models loaded anew, and unloaded and loaded, while requests come: for each a right answer or a documented refusal.

FAULTS_RELOADS says how many times (60 if not set).
"""

import json
import os
import re
from collections import Counter
from functools import partial

import pytest

from faults import repositories, traffic, vitals
from faults.gate import Gate
from paraformer.streaming import send
from paraformer.texts import streams
from pipelines.variants import PIPELINE, SOON
from support.client import GRPC, HTTP, InferenceServerException, serving
from support.load import on_threads
from support.repository import fresh_directory, with_parameter

# The server itself may crash where models or connections go under load, the likelier the busier the machine is (docs/triton-notes.md).
pytestmark = pytest.mark.alone

RELOADS = int(os.environ.get("FAULTS_RELOADS") or 60)

TOPS = ("sensevoice", "infer_pipeline", "streaming_paraformer")
CALLED = ("sensevoice_encoder", "paraformer_encoder", "online_encoder", "online_decoder")
STEPS = (
    *(f"{kind}_{step}" for kind in ("sensevoice", "paraformer") for step in ("feature_extractor", "scoring")),
    *(f"online_{step}" for step in ("feature_extractor", "lfr_cmvn_pe", "cif_search")),
)
# Whose streams are over when it is loaded anew.
STATEFUL = {
    "ensembles": {"streaming_paraformer", *(each for each in (*CALLED, *STEPS) if each.startswith("online"))},
    "pipelines": {"streaming_paraformer"},
}

# What clients are told while a model is not there: the model they ask for, or one that it calls.
NOT_THERE = re.compile(
    r"(in ensemble '\w+', )?(calling model '\w+': )?"
    r"Request for unknown model: '\w+' (has no available versions|is not found)"
)
# What the next chunk of a stream is told whose model was loaded anew since.
STREAM_IS_OVER = re.compile(
    r"(in ensemble '\w+', )?(calling model '\w+': )?(model '\w+': )?"
    r"(inference request for sequence \d+ to model '\w+' must specify the START flag on the first request of the sequence"
    r"|stream \d+ is not known here: it ended, was idle for too long, or never began; begin it again with the START flag)"
)


@pytest.fixture(scope="module", params=["ensembles", "pipelines"])
def on_demand(request):
    """A client of a server that loads models when it is told to, its repository, and all its models."""
    repository = repositories.copy_of_all("reloads")
    models = [*TOPS, *CALLED, *(STEPS if request.param == "ensembles" else ())]
    flags = ["--model-control-mode=explicit", SOON, *(f"--load-model={each}" for each in models)]
    with serving(repository, *flags, *([PIPELINE] if request.param == "pipelines" else [])) as client:
        yield request.param, client, repository, models


def touch(repository, model):
    """The server loads a model anew only when its files are newer than they were."""
    for config in (repository / model).rglob("*.pbtxt"):
        os.utime(config)


def kinds_of(refusals):
    """Refusals by what they say, whoever they are about."""
    kinds = Counter()
    for message, count in refusals.items():
        kinds[re.sub(r"\b\d+\b", "ID", re.sub(r"'\w+'", "'MODEL'", message))] += count
    return dict(kinds)


def loads(client, model):
    """How often the server has loaded a model."""
    return len(re.findall(rf"successfully loaded '{model}'", client.server.log()))


def test_loaded_anew_under_traffic(on_demand, ids):
    """The server keeps the old model until the new one is there: only streams that are under way notice, and only those of
    a model that keeps their state."""
    form, client, repository, models = on_demand
    before = {model: loads(client, model) for model in models}
    *offline, first, second = traffic.of_all_kinds(client, ids)
    calm = [model for model in models if model not in STATEFUL[form]]
    with traffic.Traffic(client, offline) as others:
        with traffic.Traffic(client, [first, second]) as streaming:
            for model in calm * 2:
                touch(repository, model)
                client.http.load_model(model)
            streaming.wait_for(1)
        with traffic.Traffic(client, [first, second], refusable=True) as disturbed:
            for number in range(RELOADS // 2):
                model = models[number % len(models)]
                touch(repository, model)
                client.http.load_model(model)
            disturbed.wait_for(1)
        others.wait_for(1)
    print(others.count, streaming.count, disturbed.count, "right;", kinds_of(disturbed.refusals))
    assert all(map(STREAM_IS_OVER.fullmatch, disturbed.refusals)), disturbed.refusals
    # They were loaded anew indeed.
    assert all(loads(client, model) > count for model, count in before.items())


def test_unloaded_and_loaded_under_traffic(on_demand, ids):
    """While a model is away it is refused, and so is what needs it; nothing is wrong, nothing lost."""
    form, client, _, models = on_demand
    with traffic.Traffic(client, traffic.of_all_kinds(client, ids), refusable=True) as others:
        for number in range(RELOADS):
            model = models[number % len(models)]
            client.http.unload_model(model)
            client.http.load_model(model)
            if number % 40 == 0:
                others.wait_for(1)
        others.wait_for(1)
    print(f"{form}: {RELOADS} reloads, {others.count} right; {kinds_of(others.refusals)}")
    unexpected = [each for each in others.refusals if not (NOT_THERE.fullmatch(each) or STREAM_IS_OVER.fullmatch(each))]
    assert not unexpected
    # Everything is as it was.
    with traffic.Traffic(client, traffic.of_all_kinds(client, ids)) as others:
        others.wait_for(2)


@pytest.fixture(scope="module")
def held():
    """A server with models that are held, which loads them when it is told to; and their gate."""
    gate = Gate(fresh_directory("gate") / "held")
    with serving(repositories.pipelines(gate.path), "--model-control-mode=explicit", PIPELINE, SOON) as client:
        yield client, gate


@pytest.mark.parametrize("unloaded", ["pipelines", "encoders", "both"])
def test_unloaded_with_calls_in_flight(held, ids, unloaded):
    """What is in flight is answered right, whichever of the models is unloaded meanwhile."""
    client, gate = held
    pipelines = ["sensevoice_held", "streaming_held_encoder"]
    encoders = ["sensevoice_encoder_held", "online_encoder_held"]
    away = [*(pipelines if unloaded != "encoders" else ()), *(encoders if unloaded != "pipelines" else ())]
    for model in ("sensevoice_encoder", "online_encoder", "online_decoder", *encoders, *pipelines):
        client.http.load_model(model)
    # A whole stream needs the encoder several times.
    encoders_stay = unloaded == "pipelines"
    count = 6
    recording = streams()[5]

    def ask(number):
        traffic.ask_sensevoice(client, number, (HTTP, GRPC)[number % 2], "sensevoice_held")

    def first_chunk():
        delta = send(client, recording.chunks[0], next(ids), True, False, GRPC, "streaming_held_encoder")
        traffic.right(delta, recording.deltas[0])

    def whole_stream():
        whole = send(client, recording.samples, next(ids), True, True, GRPC, "streaming_held_encoder")
        traffic.right(whole, recording.text)

    @gate.opened_at_the_end
    def unload():
        client.wait_until(lambda: gate.waiting("sensevoice_encoder") == count)
        client.wait_until(lambda: gate.waiting("online_encoder") == 1 + encoders_stay)
        for model in away:
            client.http.unload_model(model)
        client.wait_until(lambda: not any(map(client.http.is_model_ready, away)))
        for model in away:
            with pytest.raises(InferenceServerException, match="no available versions|not found"):
                client.infer(model, {"WAV": recording.samples[None]}, ["TRANSCRIPTS"])

    with gate.held():
        works = [*(partial(ask, number) for number in range(count)), first_chunk, unload]
        on_threads(client, [*works, whole_stream] if encoders_stay else works)
    # The pipelines are gone once the last of their requests is; then they can be had again.
    for model in away:
        assert vitals.comes_true(lambda: f"successfully unloaded '{model}'" in client.server.log()), model


@pytest.mark.parametrize("on_demand", ["pipelines"], indirect=True)
def test_instances_changed_under_traffic(on_demand, ids):
    """The model stays and its instances change: no answer is wrong, none is lost, and every request is counted."""
    _, client, *_ = on_demand
    models = [*TOPS, "sensevoice_encoder", "paraformer_encoder"]
    before = {model: client.statistics_at_rest(model)["inference_stats"] for model in models}
    changes = 50
    with traffic.Traffic(client, traffic.of_all_kinds(client, ids)) as others:
        for number in range(changes):
            model = models[number % len(models)]
            config = client.http.get_model_config(model)
            config["instance_group"] = [{"count": 1 + number // len(models) % 3, "kind": "KIND_CPU"}]
            client.http.load_model(model, config=json.dumps(config))
            if number % 10 == 0:
                others.wait_for(1)
        others.wait_for(1)
    print(f"{changes} changes, {others.count} right")
    # A model that is loaded anew begins to count anew.
    for model, works in (("sensevoice", (0, 1)), ("infer_pipeline", (2, 3))):
        after = client.statistics_at_rest(model)["inference_stats"]
        assert after["fail"]["count"] == before[model]["fail"]["count"], model
        assert after["success"]["count"] - before[model]["success"]["count"] == sum(others.answered[work] for work in works), model


@pytest.mark.parametrize("refused", [False, True])
def test_stopping_after_a_refused_reload(refused):
    """The old model serves on; the server counts the refused one among the live and waits for it, as docs/operations.md
    says. A load that goes well afterwards changes nothing."""
    repository, seconds = repositories.copy_of_all("refused"), 3
    flags = ["--model-control-mode=explicit", f"--exit-timeout-secs={seconds}", PIPELINE]
    with serving(repository, *flags, "--load-model=sensevoice", "--load-model=sensevoice_encoder") as client:
        config = repository / "sensevoice/configs/pipeline.pbtxt"
        good = config.read_text()
        if refused:
            config.write_text(with_parameter("threads", "many")(good))
            with pytest.raises(InferenceServerException, match="parameter 'threads': 'many' is not a whole number"):
                client.http.load_model("sensevoice")
            traffic.ask_sensevoice(client, 0)
            config.write_text(good)
        touch(repository, "sensevoice")
        client.http.load_model("sensevoice")
        traffic.ask_sensevoice(client, 1)
        client.close()
        assert client.server.stop() == int(refused)
        assert ("Exit timeout expired" in client.server.log()) == refused
