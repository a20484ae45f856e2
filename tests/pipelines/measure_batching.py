"""Whether dynamic batching in the encoder is worth it where a pipeline batches by itself; no test by itself.

`cargo xtask test --only server -- -s tests/pipelines/measure_batching.py`
"""

import re
import shutil
import statistics
import time
from functools import partial

import pytest

from faults import traffic
from paraformer.repositories import add_model
from pipelines.variants import PIPELINE, SOON, add_pipeline, common_repository
from support.client import GRPC, serving
from support.load import many_at_a_time
from support.repository import fresh_directory, with_parameter

KINDS = ("without", "with")
PAIRS = 12


def batching(kind):
    """An edit: an encoder with or without a dynamic batcher."""

    def edit(text):
        text = re.sub(r"^dynamic_batching \{[^}]*\}\n", "", text, flags=re.MULTILINE)
        return text + ("dynamic_batching { }\n" if kind == "with" else "# none\n")

    return edit


@pytest.fixture(scope="module")
def client():
    """A server with an encoder of each kind, and a pipeline for it."""
    repository = shutil.copytree(common_repository(), fresh_directory("batching"), dirs_exist_ok=True)
    for kind in KINDS:
        encoder = add_model(repository, f"encoder_{kind}", "sensevoice_encoder", batching(kind))
        shutil.rmtree(encoder / "configs", ignore_errors=True)
        add_pipeline(repository, f"sensevoice_{kind}", "sensevoice", with_parameter("encoder", f"encoder_{kind}"))
    with serving(repository, PIPELINE, SOON) as client:
        yield client


@pytest.mark.parametrize("at_a_time", [1, 4, 16])
def test_requests_per_second_with_and_without(client, at_a_time):
    def took(kind):
        ask = partial(traffic.ask_sensevoice, client, protocol=GRPC, model=f"sensevoice_{kind}")
        calls = [partial(ask, number) for number in range(60 if at_a_time == 1 else 200)]
        began = time.monotonic()
        many_at_a_time(client, calls, threads=at_a_time)
        return time.monotonic() - began

    for kind in KINDS:
        took(kind)
    pairs = [{kind: took(kind) for kind in KINDS[:: 1 - number % 2 * 2]} for number in range(PAIRS)]
    ratios = sorted(pair["with"] / pair["without"] for pair in pairs)
    print(f"\n{at_a_time} at a time: without / with = {statistics.median(ratios):.2f} ({ratios[2]:.2f} to {ratios[-3]:.2f})")
