"""Several repositories in one server whose inner models have the same names."""

import time

import pytest

from faults import traffic
from paraformer.repositories import offline_repository
from support.client import GRPC, HTTP, InferenceServerException, serving
from support.environment import sensevoice_repository
from pipelines.variants import PIPELINE


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_a_pipeline_refuses_an_encoder_that_several_repositories_have(namespaced, protocol):
    """A call inside the server cannot say which repository it means. The error tells, at once."""
    for ask in (traffic.ask_sensevoice, traffic.ask_paraformer):
        began = time.monotonic()
        with pytest.raises(InferenceServerException) as refused:
            ask(namespaced, 0, protocol)
        assert time.monotonic() - began < 10
        message = refused.value.message()
        assert message == (
            "calling model 'encoder': There are 2 identifiers of model 'encoder' in global map, model namespace must be provided "
            "to resolve ambiguity."
        )


@pytest.fixture(scope="module")
def namespaced():
    """SenseVoice and Paraformer as pipelines, each with its own `encoder`."""
    with serving([sensevoice_repository(), offline_repository()], PIPELINE, "--model-namespacing=true") as client:
        yield client
