"""What `triton-funasr repo --device` makes. The models for GPUs are served on the processor here: what they compute is the same."""

from itertools import count

import pytest

from paraformer.streaming import send_all
from paraformer.test_offline import ask
from paraformer.texts import recordings as paraformer_recordings
from paraformer.texts import streams
from support.client import GRPC, serving
from support.environment import device_repository
from support.recordings import WITH_ITN, recordings

MODELS = ["sensevoice_encoder", "paraformer_encoder", "online_encoder", "online_decoder"]
ON_GPUS = """instance_group [ { count: 1, kind: KIND_GPU } ]
optimization {
  execution_accelerators {
    gpu_execution_accelerator: [ { name: "cuda" } ]
  }
}"""
ON_CPUS = "instance_group [ { count: 1, kind: KIND_CPU } ]"


def configs(repository):
    """The configs of the ONNX models, in both forms."""
    return [path for model in MODELS for path in (repository / model).rglob("*.pbtxt")]


@pytest.fixture(scope="module")
def for_gpus():
    repository = device_repository("cuda")
    for path in configs(repository):
        text = path.read_text()
        assert text.count(ON_GPUS) == 1 and "KIND_CPU" not in text
        path.write_text(text.replace(ON_GPUS, ON_CPUS))
    return repository


@pytest.mark.parametrize("form", ["ensembles", "pipelines"])
def test_models_for_gpus_say_the_same(for_gpus, form):
    options = ["--model-config-name=pipeline"] if form == "pipelines" else []
    ids = count(1)
    with serving(for_gpus, *options) as client:
        sensevoice = recordings()
        texts = client.transcribe([each.samples for each in sensevoice], WITH_ITN)
        assert texts == [each.texts[WITH_ITN] for each in sensevoice]
        paraformer = paraformer_recordings()
        assert ask(client, [each.samples for each in paraformer]) == [each.text for each in paraformer]
        for stream in streams():
            assert send_all(client, stream.chunks, next(ids), GRPC) == stream.deltas


def test_models_for_processors_say_so():
    for path in configs(device_repository("cpu")):
        text = path.read_text()
        assert text.count(ON_CPUS) == 1 and "KIND_GPU" not in text
