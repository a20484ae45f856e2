"""A pipeline's parameter `warmup`: what it runs, and that no request is answered before; and the `model_warmup`s that cannot work."""

import itertools
import re
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from faults import traffic
from faults.gate import Gate
from faults.repositories import add_stand_in, copy_of_all
from pipelines.variants import NOBODY, PIPELINE, SHARING, SOON, add_pipeline
from support.client import InferenceServerException, serving
from support.load import at_once, shared_executions
from support.repository import chain, fresh_directory, with_parameter

PATIENCE_SECONDS = 10
IDS = itertools.count(1)

# Each under a name of its own, since a name's statistics outlive its model.
WARM = {
    # Rows of the encoder's and the decoder's executions.
    "sensevoice": ("sensevoice", "0.5x1, 2 x 3, 10x2", {"encoder": {1: 1, 2: 1, 3: 1}}),
    "infer": ("infer_pipeline", "1x2", {"encoder": {2: 1}}),
    # Two windows of each of two streams; one to four tokens of each.
    "streaming": ("streaming_paraformer", "1.2x2", {"encoder": {4: 1}, "decoder": {2: 4}}),
}
ENCODERS = {"sensevoice": "sensevoice_encoder", "infer": "paraformer_encoder", "streaming": "online_encoder"}


class Stage:
    """A server that loads models when it is told to, its repository, and a gate that some encoders wait at."""

    def __init__(self, client, repository, gate):
        self.client, self.repository, self.gate = client, repository, gate
        self.load, self.unload = client.http.load_model, client.http.unload_model

    def add(self, name, like, **parameters):
        """Adds a pipeline with other parameters."""
        edits = [with_parameter(key, value) for key, value in parameters.items()]
        add_pipeline(self.repository, name, like, chain(SHARING, *edits) if like == "infer_pipeline" else chain(*edits))

    def add_stand_in(self, name, target, **parameters):
        """Adds and loads a stand-in of a callee, and what it stands for."""
        add_stand_in(self.repository, name, target, pipeline=True, **parameters)
        self.load(target)
        self.load(name)

    def executions(self, model):
        """Executions of a model by their rows, once there are no more of them."""
        return shared_executions({}, self.client.statistics_at_rest(model))

    def said(self, *words):
        """Whether a line of the server's log has all of these words."""
        return any(all(word in line for word in words) for line in self.client.server.log().splitlines())


@pytest.fixture(scope="module")
def stage():
    gate = Gate(fresh_directory("warm-gate") / "held")
    repository = copy_of_all("warm")
    with serving(repository, PIPELINE, SOON, "--model-control-mode=explicit") as client:
        yield Stage(client, repository, gate)


def ask(stage, kind, name):
    """A request whose answer must be right."""
    if kind == "streaming":
        traffic.stream(stage.client, IDS, 0, model=name)
    else:
        {"sensevoice": traffic.ask_sensevoice, "infer": traffic.ask_paraformer}[kind](stage.client, 0, model=name)


@pytest.mark.parametrize("kind", WARM)
def test_what_the_callees_compute_before_the_first_request(stage, kind):
    like, shapes, executions = WARM[kind]
    name, callees = f"{kind}_warm", {}
    for callee in executions:
        target = ENCODERS[kind].replace("encoder", callee)
        callees[callee] = f"{target}_warm"
        stage.add_stand_in(callees[callee], target)
    stage.add(name, like, warmup=shapes, **callees)
    stage.load(name)
    stage.client.wait_until(lambda: stage.said(f"model '{name}'", "warmed up in"))
    for callee, model in callees.items():
        assert stage.executions(model) == executions[callee]
    ask(stage, kind, name)
    stage.unload(name)


@pytest.mark.parametrize("kind", WARM)
def test_requests_wait_until_it_is_over(stage, kind):
    """The encoder holds the warm-up's call: a request that comes meanwhile is no call of its, and is right when it is answered."""
    like, _, _ = WARM[kind]
    name, encoder = f"{kind}_waiting", f"{ENCODERS[kind]}_held_warm"
    stage.add_stand_in(encoder, ENCODERS[kind], hold_while=stage.gate.path)
    if kind == "streaming":
        stage.load("online_decoder")
    stage.add(name, like, warmup="1x1, 2x1", encoder=encoder)
    with ThreadPoolExecutor() as pool, stage.gate.held():
        stage.load(name)
        stage.client.wait_until(lambda: stage.gate.waiting(ENCODERS[kind]) == 1)
        requests = [pool.submit(ask, stage, kind, name) for _ in range(3)]
        time.sleep(1)
        assert not any(each.done() for each in requests)
        # The warm-up's own alone.
        assert stage.gate.waiting(ENCODERS[kind]) == 1
        assert stage.client.statistics(name)["inference_stats"]["success"].get("count", 0) == 0
        stage.gate.open()
        for each in requests:
            each.result(60)
    stage.unload(name)


def test_requests_sent_at_once_to_a_server_that_starts():
    """All models are loaded in any order; the warm-up begins when the server is ready, and so does traffic."""
    repository = copy_of_all("warm-start")
    for like, shapes, _ in WARM.values():
        model = repository / like
        path = model / "configs/pipeline.pbtxt"
        edit = chain(SHARING, with_parameter("warmup", shapes)) if like == "infer_pipeline" else with_parameter("warmup", shapes)
        path.write_text(edit(path.read_text()))
    with serving(repository, PIPELINE, SOON) as client:
        works = [
            partial(traffic.ask_sensevoice, client, 1),
            partial(traffic.ask_paraformer, client, 2),
            partial(traffic.stream, client, IDS, 3),
        ]
        at_once(client, works * 4)
        log = client.server.log()
        for like, *_ in WARM.values():
            assert re.search(f"model '{like}': warmed up in", log), like


@pytest.mark.parametrize("kind", WARM)
def test_a_callee_that_is_missing(stage, kind):
    """Requests wait for it for a while, then they are told."""
    like, _, _ = WARM[kind]
    name = f"{kind}_alone"
    stage.add(name, like, warmup="1x1", encoder=NOBODY)
    stage.load(name)
    began = time.monotonic()
    with pytest.raises(InferenceServerException, match=NOBODY):
        ask(stage, kind, name)
    assert time.monotonic() - began < PATIENCE_SECONDS + 20
    assert stage.said(f"model '{name}'", "not warmed up", NOBODY)
    with pytest.raises(InferenceServerException, match=NOBODY):
        ask(stage, kind, name)
    stage.unload(name)


def test_a_callee_that_fails(stage):
    stage.add_stand_in("sensevoice_encoder_failing", "sensevoice_encoder", fail_every=1)
    stage.add("sensevoice_failing", "sensevoice", warmup="1x1, 2x2", encoder="sensevoice_encoder_failing")
    stage.load("sensevoice_failing")
    with pytest.raises(InferenceServerException, match="request 3 was to fail"):
        ask(stage, "sensevoice", "sensevoice_failing")
    for shape, number in (("1 s x 1", 1), ("2 s x 2", 2)):
        assert stage.said("model 'sensevoice_failing'", f"the warm-up of {shape} failed", f"request {number} was to fail")
    stage.unload("sensevoice_failing")


def gone(stage, name):
    """The model's state, once it is unloaded."""
    index = {each["name"]: each for each in stage.client.http.get_model_repository_index()}
    return index[name].get("reason") == "unloaded"


def test_unloading_ends_it_at_once(stage):
    """Be it that the callee is not there yet, or that it holds a call."""
    stage.add_stand_in("sensevoice_encoder_unload", "sensevoice_encoder", hold_while=stage.gate.path)
    with stage.gate.held():
        for name, encoder in (("sensevoice_gone", NOBODY), ("sensevoice_gone_held", "sensevoice_encoder_unload")):
            stage.add(name, "sensevoice", warmup="1x1", encoder=encoder)
            stage.load(name)
            if encoder != NOBODY:
                stage.client.wait_until(lambda: stage.gate.waiting("sensevoice_encoder") == 1)
            began = time.monotonic()
            stage.unload(name)
            stage.client.wait_until(partial(gone, stage, name))
            assert time.monotonic() - began < PATIENCE_SECONDS / 2
    # The callee is as it was.
    stage.add("sensevoice_after", "sensevoice", encoder="sensevoice_encoder_unload")
    stage.load("sensevoice_after")
    ask(stage, "sensevoice", "sensevoice_after")


@pytest.mark.parametrize("kind", WARM)
@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ("soon", "'soon' is not SECONDSxROWS"),
        ("2x1, 10", "'10' is not SECONDSxROWS"),
        ("0x1", "both above 0"),
        ("1x1000", "more rows than a call of this model"),
        ("601x1", "max_audio_seconds is 600"),
    ],
)
def test_shapes_that_are_none(stage, kind, shapes, words):
    like, _, _ = WARM[kind]
    name = f"{kind}_{re.sub(r'[^a-z0-9]', '_', shapes)}"
    stage.add(name, like, warmup=shapes)
    with pytest.raises(InferenceServerException) as caught:
        stage.load(name)
    assert "parameter 'warmup'" in caught.value.message() and words in caught.value.message()


MODEL_WARMUP = """
model_warmup [ {
  name: "silence"
  batch_size: 1
  inputs { key: "%s" value: { data_type: %s dims: [ %d ] zero_data: true } }
} ]
"""


@pytest.mark.parametrize(
    ("like", "config", "words"),
    [
        ("sensevoice", "configs/pipeline.pbtxt", ("before the models that it calls", "'warmup'", "encoder")),
        ("infer_pipeline", "configs/pipeline.pbtxt", ("before the models that it calls", "'warmup'", "encoder")),
        ("streaming_paraformer", "configs/pipeline.pbtxt", ("before the models that it calls", "'warmup'", "encoder")),
        ("online_feature_extractor", "config.pbtxt", ("no sequence", "encoder")),
        ("online_lfr_cmvn_pe", "config.pbtxt", ("no sequence", "encoder")),
        ("online_cif_search", "config.pbtxt", ("no sequence", "encoder")),
    ],
)
def test_a_model_warmup_that_cannot_work_is_refused(stage, like, config, words):
    name = f"{like}_model_warmup"
    model = stage.repository / name
    model.mkdir()
    (model / "1").mkdir()
    for file in (stage.repository / like).iterdir():
        if file.is_file() and file.name != "config.pbtxt":
            (model / file.name).symlink_to(file)
    text = (stage.repository / like / config).read_text()
    text = re.sub(r'^name: ".*"$', f'name: "{name}"', text, flags=re.MULTILINE)
    (model / "config.pbtxt").write_text(text + MODEL_WARMUP % ("WAV", "TYPE_FP32", 16000))
    with pytest.raises(InferenceServerException) as caught:
        stage.load(name)
    told = caught.value.message()
    assert "model_warmup cannot work here" in told
    for word in words:
        assert word in told.replace(name, ""), told
    (model / "config.pbtxt").write_text(text)
    stage.load(name)
    stage.unload(name)
