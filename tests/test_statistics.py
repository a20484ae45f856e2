"""The server's statistics and metrics count what was done."""

from typing import NamedTuple

import numpy as np
import pytest

from support.client import GRPC, HTTP, Client, InferenceServerException, metric_in, serving
from support.environment import sensevoice_repository
from support.recordings import WITH_ITN, recordings
from support.variants import STEPS

MODELS = ("sensevoice", *STEPS)
# Rows of each request, sent one after the other: nothing can share an execution.
REQUESTS = (1, 1, 4, 2, 1)
FAILURES = 3


class Figures(NamedTuple):
    """What the server says at one time: statistics per model, and the metrics' text."""

    statistics: dict
    metrics: str

    @classmethod
    def of(cls, client):
        """What it says now."""
        return cls({model: client.statistics(model) for model in MODELS}, client.metrics())

    def rows(self, model):
        """The rows a model has computed."""
        return self.statistics[model]["inference_count"]

    def failures(self, model):
        """The requests a model has refused."""
        return self.statistics[model]["inference_stats"]["fail"]["count"]

    def metric(self, name, **labels):
        """The value of a Prometheus metric."""
        return metric_in(self.metrics, name, **labels)


class Course(NamedTuple):
    """A server of its own, and what it said after its first requests and after some that failed."""

    client: Client
    answered: Figures
    refused: Figures


@pytest.fixture(scope="module")
def course():
    """Sends REQUESTS, then some whose wav_lens is 0."""
    with serving(sensevoice_repository()) as client:
        for number, rows in enumerate(REQUESTS):
            batch = recordings()[:rows]
            texts = client.transcribe([each.samples for each in batch], WITH_ITN, protocol=(HTTP, GRPC)[number % 2])
            assert texts == [each.texts[WITH_ITN] for each in batch]
        answered = settled(client, lambda figures: all(figures.rows(model) >= sum(REQUESTS) for model in MODELS))
        for _ in range(FAILURES):
            with pytest.raises(InferenceServerException):
                client.transcribe([recordings()[0].samples], WITH_ITN, lengths=[0])
        yield Course(
            client, answered, settled(client, lambda figures: figures.failures("feature_extractor") >= FAILURES)
        )


def settled(client, condition):
    """The figures as soon as a condition holds: the last count may come after the answer."""
    figures = []

    def look():
        figures[:] = [Figures.of(client)]
        return condition(*figures)

    client.wait_until(look)
    return figures[0]


@pytest.mark.parametrize("model", MODELS)
def test_requests_rows_and_executions(course, model):
    statistics = course.answered.statistics[model]
    assert statistics["inference_stats"]["success"]["count"] == len(REQUESTS)
    assert statistics["inference_stats"]["fail"]["count"] == 0
    assert statistics["inference_count"] == sum(REQUESTS)
    assert statistics["execution_count"] == len(REQUESTS)


@pytest.mark.parametrize("model", STEPS)
def test_executions_per_batch_size(course, model):
    sizes = course.answered.statistics[model]["batch_stats"]
    for part in ("compute_input", "compute_infer", "compute_output"):
        assert {each["batch_size"]: each[part]["count"] for each in sizes} == {1: 3, 2: 1, 4: 1}, part


@pytest.mark.parametrize("model", STEPS)
def test_durations_add_up(course, model):
    durations = {key: each["ns"] for key, each in course.answered.statistics[model]["inference_stats"].items()}
    assert durations["compute_infer"] > 0
    parts = sum(durations[part] for part in ("queue", "compute_input", "compute_infer", "compute_output"))
    assert parts <= durations["success"]


@pytest.mark.parametrize("model", MODELS)
def test_prometheus_metrics_agree(course, model):
    metric = course.answered.metric
    assert metric("nv_inference_request_success", model=model) == len(REQUESTS)
    assert metric("nv_inference_request_failure", model=model) == 0
    assert metric("nv_inference_count", model=model) == sum(REQUESTS)
    assert metric("nv_inference_exec_count", model=model) == len(REQUESTS)
    assert metric("nv_inference_pending_request_count", model=model) == 0


def test_failures_are_counted_where_they_happen(course):
    figures = course.refused
    failed = {model: figures.failures(model) for model in MODELS}
    # An ensemble counts a failed request once as its own and once as answered with an error: that is the server's way.
    assert failed.pop("sensevoice") >= FAILURES
    assert failed == {"feature_extractor": FAILURES, "encoder": 0, "scoring": 0}
    for model, count in failed.items():
        assert figures.metric("nv_inference_request_failure", model=model) == count
        assert figures.metric("nv_inference_request_failure", model=model, reason="BACKEND") == count
    for model in MODELS:
        statistics = figures.statistics[model]
        assert statistics["inference_stats"]["success"]["count"] == len(REQUESTS)
        assert statistics["inference_count"] == sum(REQUESTS)
        assert figures.metric("nv_inference_request_success", model=model) == len(REQUESTS)


def test_a_request_that_no_model_sees_changes_no_step(course):
    before = Figures.of(course.client)
    with pytest.raises(InferenceServerException):
        course.client.infer("sensevoice", {"WAV": np.zeros((1, 400), np.float32)}, ["TRANSCRIPTS"])
    after = Figures.of(course.client)
    assert [after.statistics[step] for step in STEPS] == [before.statistics[step] for step in STEPS]
