"""Numbers of encoder and decoder that are none are errors, not empty texts."""


import pytest

from faults.repositories import NAN_OUTPUTS
from paraformer.streaming import send
from paraformer.texts import streams
from support.client import GRPC, HTTP, InferenceServerException

GOOD = streams()[9]
INTERNAL = {HTTP: "500", GRPC: "StatusCode.INTERNAL"}
INVALID = {HTTP: "400", GRPC: "StatusCode.INVALID_ARGUMENT"}


def errors(client, model, stream, protocol):
    """The codes and messages that the chunks of a stream are refused with; its first one has tokens at once."""
    found = set()
    for at, chunk in enumerate(GOOD.chunks):
        try:
            assert send(client, chunk, stream, at == 0, at == len(GOOD.chunks) - 1, protocol, model) == ""
        except InferenceServerException as error:
            found.add((error.status(), error.message()))
    return found


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
@pytest.mark.parametrize("output", NAN_OUTPUTS)
def test_a_pipeline_names_model_and_tensor(faulty_pipelines, ids, output, protocol):
    message = (
        f"model '{NAN_OUTPUTS[output]}_nan_{output}' answered NaN at place 0 of '{output}': its file is broken or its numbers "
        "overflow, as those of exports in half precision may"
    )
    assert errors(faulty_pipelines.client, f"streaming_nan_{output}", next(ids), protocol) == {(INTERNAL[protocol], message)}


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
@pytest.mark.parametrize("output", ["enc", "alphas"])
def test_an_ensemble_names_the_step_that_was_given_it(faulty_ensembles, ids, output, protocol):
    refused = (
        f"in ensemble 'streaming_nan_{output}', model 'online_cif_search' was given NaN at place 0 of '{output}', which can only come "
        "from an encoder whose file is broken or whose numbers overflow, as those of exports in half precision may"
    )
    over = "stream {} is not known here: its first request was refused; begin it again with the START flag"
    stream = next(ids)
    assert errors(faulty_ensembles.client, f"streaming_nan_{output}", stream, protocol) == {
        (INTERNAL[protocol], refused),
        (INVALID[protocol], f"in ensemble 'streaming_nan_{output}', {over.format(stream)}"),
    }
