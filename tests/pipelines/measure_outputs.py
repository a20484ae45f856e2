"""What it costs to be told all that a model can tell; no test by itself.

`cargo xtask test --only server -- -s tests/pipelines/measure_outputs.py`; with SENSEVOICE_EXPORT=DIR and `-k sensevoice`, or PARAFORMER_EXPORT=DIR
and `-k infer_pipeline`, of that export, such as `cargo xtask real-size` makes.
"""

import os
import statistics
import time
from functools import partial

import numpy as np
import pytest

from pipelines.variants import PIPELINE
from support.client import GRPC, serving
from support.environment import timed_repository
from support.load import many_at_a_time
from support.recordings import WITH_ITN, padded, recordings
from support.results import LISTS, SINGLE, TAGS

PAIRS = 8
# Requests of a round, so that it takes a second or more.
REQUESTS = {1: 60, 8: 200}
OWN = {name: os.environ[f"{name.upper()}_EXPORT"] for name in ("sensevoice", "paraformer") if os.environ.get(f"{name.upper()}_EXPORT")}
if OWN:
    REQUESTS = {1: 8, 8: 16}
MODELS = {"sensevoice": [*SINGLE, *LISTS, *TAGS], "infer_pipeline": [*SINGLE, *LISTS]}


@pytest.fixture(scope="module", params=["ids", "scores"])
def clients(request):
    """Clients of a server whose pipelines tell the text, and of one whose pipelines tell all they can."""
    flags = ["--keep-logits"] if request.param == "scores" else []
    repository = partial(timed_repository, *flags, **OWN)
    with serving(repository(), PIPELINE) as text, serving(repository("--outputs", "all"), PIPELINE) as all_:
        yield {"text": text, "all": all_}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("at_a_time", [1, 8])
def test_requests_per_second_with_text_alone_and_with_all(clients, model, at_a_time):
    def ask(kind, number):
        samples = recordings()[number % 10].samples
        tensors = {"WAV": padded([samples]), "WAV_LENS": np.int32([[len(samples)]])}
        if model == "sensevoice":
            tensors |= {"LANGUAGE": np.int32([[0]]), "TEXT_NORM": np.int32([[WITH_ITN]])}
        clients[kind].infer(model, tensors, ["TRANSCRIPTS"] if kind == "text" else MODELS[model], GRPC)

    def took(kind):
        calls = [partial(ask, kind, number) for number in range(REQUESTS[at_a_time])]
        began = time.monotonic()
        many_at_a_time(clients[kind], calls, threads=at_a_time)
        return time.monotonic() - began

    kinds = list(clients)
    for kind in kinds:
        took(kind)
    pairs = [{kind: took(kind) for kind in kinds[:: 1 - number % 2 * 2]} for number in range(PAIRS)]
    ratios = sorted(pair["all"] / pair["text"] for pair in pairs)
    milliseconds = {kind: 1000 * statistics.median(pair[kind] for pair in pairs) / REQUESTS[at_a_time] for kind in kinds}
    print(f"\n{model}, {at_a_time} at a time: all / text = {statistics.median(ratios):.3f} ({ratios[2]:.3f} to {ratios[-3]:.3f}); {milliseconds}")
