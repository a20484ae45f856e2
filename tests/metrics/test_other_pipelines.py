"""The same of the pipelines beside the recognisers: voice activity, punctuation, recordings of any length."""

import numpy as np
import pytest

from long_audio import repositories as long_repositories
from long_audio.asking import ask as transcribe
from metrics.reading import Change, Reading, live
from segments import repositories
from segments.asking import ask as segment
from segments.asking import send
from segments.material import RATE, audio, silence
from segments.test_punctuation import ask as punctuate
from support.client import InferenceServerException, serving

SECONDS = 20


@pytest.fixture(scope="module")
def segments():
    """A client of a server with the small models."""
    with serving(repositories.repository(), "--exit-timeout-secs=2") as client:
        yield client


@pytest.fixture(scope="module")
def long_audio():
    """A client of a server with `transcribe` and what it calls."""
    with serving(long_repositories.repository(), "--model-config-name=pipeline", "--exit-timeout-secs=5") as client:
        yield client


def test_recordings_in_which_somebody_speaks(segments):
    change = Change(segments)
    rows = [audio(0), audio(3)]
    segment(segments, rows)
    assert change("audio_seconds_total", "vad") == pytest.approx(sum(map(len, rows)) / RATE, abs=1e-9)
    assert change("real_time_factor_count", "vad") == 1
    # The short one has no frame to ask the model about.
    assert change("queue_wait_seconds_count", "vad", callee="fsmn_vad") >= 1
    assert Reading(segments)("queue_rows", "vad") == Reading(segments)("pending_rows", "vad") == 0


def test_streams_in_which_somebody_speaks(segments, ids):
    change, number, chunk = Change(segments), next(ids), audio(0)[:RATE]
    send(segments, chunk, sequence_id=number, sequence_start=True)
    assert live(segments, "streaming_vad") == 1
    send(segments, chunk, sequence_id=number, sequence_end=True)
    assert live(segments, "streaming_vad") == 0
    assert change("audio_seconds_total", "streaming_vad") == pytest.approx(2)
    assert change("chunk_lateness_seconds_count", "streaming_vad") == 2


def test_speeches_are_streams(segments, ids):
    number = next(ids)
    punctuate(segments, ["你好"], "streaming_punctuation", sequence_id=number, sequence_start=True)
    assert live(segments, "streaming_punctuation") == 1
    punctuate(segments, ["天气"], "streaming_punctuation", sequence_id=number, sequence_end=True)
    assert live(segments, "streaming_punctuation") == 0
    change = Change(segments)
    with pytest.raises(InferenceServerException, match="max_words"):
        punctuate(segments, ["你好你好你好"], "punctuation_short")
    assert change("request_failures_total", "punctuation_short", reason="invalid") == 1
    assert Reading(segments)("request_failures_total", "punctuation_short", reason="max_pending_text_bytes") == 0


def test_recordings_of_any_length(long_audio):
    samples = np.concatenate([silence(1), audio(0), silence(SECONDS)])[: SECONDS * RATE]
    change = Change(long_audio)
    transcribe(long_audio, samples=samples)
    assert change("audio_seconds_total", "transcribe") == pytest.approx(SECONDS, abs=1e-9)
    assert change("real_time_factor_count", "transcribe") == 1
    # Whom it calls counts what it is given: all of it, and what somebody said.
    assert change("audio_seconds_total", "vad") >= SECONDS
    assert 0 < change("audio_seconds_total", "sensevoice") < SECONDS
    with pytest.raises(InferenceServerException, match="max_pending_bytes"):
        transcribe(long_audio, model="few", samples=samples)
    assert change("request_failures_total", "few", reason="max_pending_bytes") == 1
    assert Reading(long_audio)("pending_rows", "transcribe") == 0
