"""Model files that vanish or are cut short, and a disk that is full."""

import json
import os
import resource
import signal

import pytest

from faults import traffic
from faults.repositories import copy_of_all
from pipelines.variants import PIPELINE, SOON
from support.client import InferenceServerException, serving

# Models go under traffic, which the server itself may not stand on a busy machine (docs/triton-notes.md).
pytestmark = pytest.mark.alone

CALLED = ("sensevoice_encoder", "paraformer_encoder", "online_encoder", "online_decoder")
# Model, its file, and one that goes on meanwhile.
FILES = {
    "an encoder": ("sensevoice_encoder", "1/model.onnx", "paraformer"),
    "a decoder": ("online_decoder", "1/decoder.onnx", "sensevoice"),
    "a pipeline's CMVN": ("sensevoice", "../sensevoice_feature_extractor/am.mvn", "paraformer"),
    "a pipeline's vocabulary": ("infer_pipeline", "../paraformer_scoring/tokens.json", "sensevoice"),
    "a tokenizer": ("sensevoice", "../sensevoice_scoring/chn_jpn_yue_eng_ko_spectok.bpe.model", "paraformer"),
    "a config.yaml": ("streaming_paraformer", "../online_lfr_cmvn_pe/config.yaml", "sensevoice"),
}
ASKS = {"sensevoice": traffic.ask_sensevoice, "paraformer": traffic.ask_paraformer}


@pytest.fixture(scope="module")
def on_demand():
    """A client of a server that loads models when it is told to, and the repository."""
    repository = copy_of_all("files")
    models = ("sensevoice", "infer_pipeline", "streaming_paraformer", *CALLED)
    flags = [PIPELINE, SOON, "--model-control-mode=explicit", *(f"--load-model={each}" for each in models)]
    with serving(repository, *flags) as client:
        yield client, repository


@pytest.mark.parametrize("damage", ["vanished", "truncated", "empty"])
@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_damaged_when_its_model_is_loaded(on_demand, ids, what, damage):
    """The error names the file, the model of before goes on, others do not notice; with the file back, it loads."""
    client, repository = on_demand
    model, file, other = FILES[what]
    path = (repository / model / file).resolve()
    whole = path.read_bytes()
    path.unlink()
    if damage != "vanished":
        path.write_bytes(whole[: len(whole) // 2] if damage == "truncated" else b"")
    for config in (repository / model).rglob("*.pbtxt"):
        os.utime(config)
    with traffic.Traffic(client, [lambda number: ASKS[other](client, number)]) as others:
        with pytest.raises(InferenceServerException) as failed:
            client.http.load_model(model)
        assert path.name in failed.value.message() and model in failed.value.message(), failed.value
        # What was loaded before serves on.
        traffic.ask_sensevoice(client, 1)
        traffic.ask_paraformer(client, 1)
        traffic.stream(client, ids, 1)
        client.http.unload_model(model)
        client.wait_until(lambda: not client.http.is_model_ready(model))
        with pytest.raises(InferenceServerException):
            client.http.load_model(model)
        assert not client.http.is_model_ready(model)
        path.unlink(missing_ok=True)
        path.write_bytes(whole)
        client.http.load_model(model)
        others.wait_for(1)
    traffic.ask_sensevoice(client, 2)
    traffic.ask_paraformer(client, 2)
    traffic.stream(client, ids, 2)


def full_disk():
    """For a child process: files may not grow beyond 64 kB, as on a disk that is full."""
    # The signal would end the process before it sees the error.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))


def test_a_full_disk(ids):
    """The server cannot write, not even its log: it serves on. A model that has to be written first does not load."""
    repository = copy_of_all("full")
    large = (repository / "sensevoice_encoder/1/model.onnx").read_bytes()
    assert len(large) > 65536
    flags = [PIPELINE, SOON, "--model-control-mode=explicit", "--load-model=*", "--log-verbose=2"]
    with serving(repository, *flags, before_start=full_disk) as client:
        config = json.dumps({**client.http.get_model_config("sensevoice_encoder"), "name": "written"})
        with traffic.Traffic(client, traffic.of_all_kinds(client, ids)) as others:
            others.wait_for(1)
            # These files come with the request, and the server writes them to its disk.
            with pytest.raises(InferenceServerException) as failed:
                client.http.load_model("written", config=config, files={"file:1/model.onnx": large})
            told = failed.value.message()
            assert "'written'" in told and "1/model.onnx" in told, told
            others.wait_for(1)
        # The log is cut where the disk was full.
        assert client.server.log_path.stat().st_size == 65536
        client.http.unload_model("infer_pipeline")
        client.http.load_model("infer_pipeline")
        traffic.ask_paraformer(client, 0)
