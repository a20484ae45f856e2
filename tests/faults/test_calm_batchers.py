"""While an encoder works and others wait for it, the server rests: its batcher does not look at the queue again and again."""

import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from faults import raw
from faults.repositories import add_stand_in, copy_of_all
from paraformer.repositories import add_ensemble
from pipelines.variants import SOON
from support.client import serving
from support.load import at_once, counted, on_threads
from support.recordings import WITHOUT_ITN, recordings
from support.repository import edit_config, with_parameter

pytestmark = pytest.mark.alone

# How long each execution of the encoders takes, in which they do nothing.
EXECUTION_SECONDS = 0.25
# One is computed, one is next, and one of another length is behind it.
CLIENTS = 3
REQUESTS_EACH = 4
# At rest no thread of the server works for more than a few hundredths of the time, of a tenth where the machine is busy with other things. A
# batcher in circles works nearly all of it.
RESTLESS = 0.5
MODELS = {"sensevoice": "sensevoice_encoder", "infer_pipeline": "paraformer_encoder"}


@pytest.fixture(scope="module")
def client():
    """A server with ensembles whose encoders take their time."""
    repository = copy_of_all("calm")
    for top, encoder in MODELS.items():
        milliseconds = int(EXECUTION_SECONDS * 1000)
        add_stand_in(repository, f"{encoder}_slow", encoder, pipeline=False, execution_ms=milliseconds)
        add_ensemble(repository, f"{top}_slow", top, {encoder: f"{encoder}_slow"})
        # ONNX Runtime's own threads look for more work for a while, too.
        edit_config(repository / encoder, with_parameter("intra_op_thread_count", 1))
    with serving(repository, SOON) as client:
        yield client


def restless_seconds(client):
    """How long each thread of the server has worked, or would have if a processor had been free."""
    seconds = {}
    for thread in Path(f"/proc/{client.server.process.pid}/task").iterdir():
        worked, waited, _ = map(int, (thread / "schedstat").read_text().split())
        seconds[thread.name] = (worked + waited) / 1e9
    return seconds


def calls(client, top, wavs):
    """A request each."""
    more = {"LANGUAGE": 0, "TEXT_NORM": WITHOUT_ITN} if top == "sensevoice" else {}
    return [partial(client.infer, f"{top}_slow", raw.speech(wav, **more), ["TRANSCRIPTS"]) for wav in wavs]


@pytest.mark.parametrize("top", MODELS)
def test_requests_of_different_lengths_wait_without_work(client, top):
    speech = np.concatenate([each.samples for each in recordings()])
    # Further apart than features are rounded up to.
    own = calls(client, top, [speech[: 16000 * (1 + number)] for number in range(CLIENTS)])
    for call in own:
        call()
    before, began = restless_seconds(client), time.monotonic()
    on_threads(client, [lambda call=call: [call() for _ in range(REQUESTS_EACH)] for call in own])
    took = time.monotonic() - began
    assert took > (CLIENTS * REQUESTS_EACH - 1) * EXECUTION_SECONDS, "they shared executions"
    restless = max(after - before.get(thread, 0) for thread, after in restless_seconds(client).items())
    assert restless / took < RESTLESS


@pytest.mark.parametrize("top", MODELS)
def test_waiting_requests_of_equal_length_share_executions(client, top):
    encoder = f"{MODELS[top]}_slow"
    before = client.statistics_at_rest(encoder)
    at_once(client, calls(client, top, [each.samples[:16000] for each in recordings()[:9]]))
    after = client.statistics_after(before, encoder, 9)
    # One at once, and what comes meanwhile in a few more.
    assert counted(before, after, "execution_count") <= 4
