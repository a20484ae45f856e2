"""The statistics' phases are what they are called: the time that a called model takes is inference, and nothing else is."""

import time
from functools import partial

import pytest

from faults import traffic
from paraformer.streaming import send
from paraformer.texts import streams
from support.client import GRPC
from support.load import on_threads

HELD_SECONDS = 2
NS = 1_000_000_000
SOMETHING_NS = 5_000

@pytest.mark.parametrize(
    ("form", "model", "called"),
    [
        ("pipelines", "sensevoice_held", "sensevoice_encoder"),
        ("pipelines", "streaming_held_encoder", "online_encoder"),
        # The step that calls the decoder.
        ("ensembles", "online_cif_search_held", "online_decoder"),
    ],
)
def test_waiting_for_a_called_model_is_inference(request, ids, form, model, called):
    server = request.getfixturevalue(f"faulty_{form}")
    client, gate = server.client, server.gate
    before = client.statistics_at_rest(model)
    asks = {
        "sensevoice_held": partial(traffic.ask_sensevoice, client, 0, GRPC, "sensevoice_held"),
        "streaming_held_encoder": lambda: send(
            client, streams()[5].chunks[0], next(ids), True, True, GRPC, "streaming_held_encoder"
        ),
        # All of a stream, in one chunk after the other: the first with a token waits.
        "online_cif_search_held": partial(traffic.stream, client, ids, 5, GRPC, "streaming_held_decoder"),
    }

    @gate.opened_at_the_end
    def hold():
        client.wait_until(lambda: gate.waiting(called) == 1)
        time.sleep(HELD_SECONDS)

    with gate.held():
        on_threads(client, [asks[model], hold])
    after = client.statistics_at_rest(model)
    for entries in (
        [(before["inference_stats"], after["inference_stats"])],
        _by_size(before, after),
    ):
        took = {
            phase: sum(new[phase]["ns"] - old.get(phase, {}).get("ns", 0) for old, new in entries)
            for phase in ("compute_input", "compute_infer", "compute_output")
        }
        print(model, took)
        assert took["compute_infer"] >= HELD_SECONDS * NS
        # Something is done before and after, in far less time.
        assert SOMETHING_NS < took["compute_input"] < HELD_SECONDS * NS / 2
        assert SOMETHING_NS < took["compute_output"] < HELD_SECONDS * NS / 2


def _by_size(before, after):
    """The entries of each batch size, before and after."""
    old = {each["batch_size"]: each for each in before.get("batch_stats", [])}
    return [(old.get(each["batch_size"], {}), each) for each in after["batch_stats"]]
