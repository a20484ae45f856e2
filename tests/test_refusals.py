"""What a client is told, and what the server counts under which reason, when a request waits for too long, finds the queue
full, or is taken back: docs/operations.md has it as a table."""

import re
import shutil
import time
from functools import partial

import numpy as np
import pytest

from faults import raw
from faults.conftest import faulty, faulty_ensembles, faulty_pipelines  # noqa: F401
from paraformer.repositories import add_ensemble, copy_of
from paraformer.repositories import add_model as add_copy
from pipelines.variants import PIPELINE, SOON, add_pipeline, common_repository
from support.client import GRPC, HTTP, InferenceServerException, serving
from support.load import on_threads
from support.recordings import recordings
from support.repository import with_parameter

CODES = {HTTP: {"UNAVAILABLE": "503"}, GRPC: {"UNAVAILABLE": "StatusCode.UNAVAILABLE"}}
# A queue in which requests wait for company that does not come.
WAIT_SECONDS = 2
QUEUE = """dynamic_batching {{
  preferred_batch_size: [ 16 ]
  max_queue_delay_microseconds: {wait}
  default_queue_policy {{ timeout_action: REJECT {policy} }}
}}"""
POLICIES = {
    "short": "default_timeout_microseconds: 200000",
    "patient": "allow_timeout_override: true default_timeout_microseconds: 60000000",
    "full": "max_queue_size: 2",
}
# Who is refused: the first model that has a queue, or the encoder.
FIRST, ENCODER = PLACES = ("first", "encoder")


def with_queue(policy):
    """An edit: another queue."""
    queue = QUEUE.format(wait=WAIT_SECONDS * 1_000_000, policy=POLICIES[policy])
    return lambda text: re.sub(r"^dynamic_batching \{[^}]*\}", queue, text, flags=re.MULTILINE)


def names(form, place, policy):
    """The model that clients ask, and the one whose queue it is."""
    top = f"queued_{place}_{policy}"
    if place == ENCODER:
        return top, f"sensevoice_encoder_{policy}"
    return top, f"sensevoice_feature_extractor_{policy}" if form == "ensembles" else top


@pytest.fixture(scope="module", params=["ensembles", "pipelines"])
def queued(request):
    """A form, and a client of a server whose models have such queues."""
    form = request.param
    repository = copy_of(common_repository(), "queued")
    for policy in POLICIES:
        for place in PLACES:
            top, waiting = names(form, place, policy)
            if form == "ensembles":
                step = waiting.removesuffix(f"_{policy}")
                add_copy(repository, waiting, step, with_queue(policy))
                add_ensemble(repository, top, "sensevoice", {step: waiting})
            elif place == FIRST:
                add_pipeline(repository, top, "sensevoice", with_queue(policy))
            else:
                edit = with_queue(policy)
                add_copy(repository, waiting, "sensevoice_encoder", edit)
                # Its other config has no queue.
                shutil.rmtree(repository / waiting / "configs")
                add_pipeline(repository, top, "sensevoice", with_parameter("encoder", waiting))
    with serving(repository, SOON, *([PIPELINE] if form == "pipelines" else [])) as client:
        yield form, client


def tensors():
    """A request."""
    return raw.speech(recordings()[0].samples, LANGUAGE=0, TEXT_NORM=14)


def failures(client):
    """nv_inference_request_failure by model and reason, where it is not 0."""
    lines = re.findall(r"^nv_inference_request_failure\{(.*)\} (\d+)$", client.metrics(), flags=re.MULTILINE)
    counts = {}
    for labels, count in lines:
        labels = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if int(count):
            counts[labels["model"], labels["reason"]] = int(count)
    return counts


def counted_since(client, before):
    """What was counted since, once nothing more comes."""
    looks = [failures(client)]
    while len(looks) < 2 or looks[-1] != looks[-2]:
        time.sleep(0.3)
        looks.append(failures(client))
    return {key: count - before.get(key, 0) for key, count in looks[-1].items() if count != before.get(key, 0)}


def refused(client, model, protocol, code, words, **options):
    """Asks, and is refused."""
    with pytest.raises(InferenceServerException, match=words) as refusal:
        client.infer(model, tensors(), ["TRANSCRIPTS"], protocol, **options)
    assert refusal.value.status() == CODES[protocol][code]


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("policy", ["short", "patient"])
def test_expired_in_a_queue(queued, policy, place, protocol):
    """The queue's own time, or the request's: UNAVAILABLE, and REJECTED where it waited. A request's own time holds for the
    model that is asked, and in an ensemble for each step."""
    form, client = queued
    if policy == "patient" and (form, place) == ("pipelines", ENCODER):
        pytest.skip("a pipeline does not pass a request's own time on")
    top, waiting = names(form, place, policy)
    before = failures(client)
    options = {"timeout": 200_000} if policy == "patient" else {}
    refused(client, top, protocol, "UNAVAILABLE", "Request timeout expired", **options)
    expected = {(waiting, "REJECTED"): 1}
    if form == "ensembles":
        expected[top, "OTHER"] = 2
    elif place == ENCODER:
        expected[top, "BACKEND"] = 1
    assert counted_since(client, before) == expected


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
@pytest.mark.parametrize("place", PLACES)
def test_refused_by_a_full_queue(queued, place, protocol):
    """UNAVAILABLE; the model whose queue is full counts nothing, only who called it."""
    form, client = queued
    top, waiting = names(form, place, "full")
    before, served = failures(client), client.statistics_at_rest(waiting)

    def fill():
        client.infer(top, tensors(), ["TRANSCRIPTS"], protocol)

    def overfill():
        metric = f'nv_inference_pending_request_count{{model="{waiting}",version="1"}} 2'
        client.wait_until(lambda: metric in client.metrics())
        for _ in range(3):
            refused(client, top, protocol, "UNAVAILABLE", "Exceeds maximum queue size")

    on_threads(client, [fill, fill, overfill])
    expected = {}
    if form == "ensembles":
        expected = {(top, "OTHER"): 6}
    elif place == ENCODER:
        expected = {(top, "BACKEND"): 3}
    assert counted_since(client, before) == expected
    after = client.statistics_at_rest(waiting)
    assert after["inference_count"] - served.get("inference_count", 0) == 2


def test_cancelled_in_a_queue(queued):
    """CANCELED at the model in whose queue it was, or at the next step, before which an ensemble looks."""
    form, client = queued
    top, waiting = names(form, FIRST, "patient")
    before = failures(client)
    call = client.grpc._client_stub.ModelInfer.future(raw.grpc_request(top, tensors()))
    metric = f'nv_inference_pending_request_count{{model="{waiting}",version="1"}} 1'
    client.wait_until(lambda: metric in client.metrics())
    assert call.cancel()
    time.sleep(WAIT_SECONDS + 1)
    counted = counted_since(client, before)
    if form == "ensembles":
        assert counted.pop((top, "OTHER")) == 2
        assert [reason for _, reason in counted] == ["CANCELED"]
    else:
        assert counted == {(top, "CANCELED"): 1}


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_taken_back_while_it_is_computed(faulty, protocol):  # noqa: F811
    """Over gRPC the request is cancelled: no success, and no failure of a model. The server counts it for an ensemble as it
    counts all. Over HTTP the server does not look whether the client is there, and answers nobody."""
    client, gate, model = faulty.client, faulty.gate, "sensevoice_held"
    before, old = failures(client), client.statistics_at_rest(model)
    with gate.held():
        if protocol == GRPC:
            call = client.grpc._client_stub.ModelInfer.future(raw.grpc_request(model, tensors()))
        else:
            connection = raw.connected(client.server.http)
            connection.sendall(raw.http_request(model, tensors())[0])
        client.wait_until(lambda: gate.waiting("sensevoice_encoder") == 1)
        if protocol == GRPC:
            assert call.cancel()
        else:
            raw.reset(connection)
        # The server hears of it.
        time.sleep(1)
    counted = counted_since(client, before)
    new = client.statistics_at_rest(model)
    successes, failed = (
        new["inference_stats"][key]["count"] - old["inference_stats"].get(key, {}).get("count", 0)
        for key in ("success", "fail")
    )
    print(faulty.form, protocol, counted, successes, failed)
    if protocol == HTTP:
        assert (counted, successes, failed) == ({}, 1, 0)
    elif faulty.form == "pipelines":
        assert (counted, successes, failed) == ({}, 0, 0)
    else:
        # The next step is where the server looks.
        assert (counted, successes, failed) == ({(model, "OTHER"): 2, ("sensevoice_scoring", "CANCELED"): 1}, 0, 2)
