"""Long recordings with Silero's model as `vad`."""

import numpy as np
import pytest

from long_audio.asking import alone, ask, cut, parts, spans, two_minutes, vad
from silero.repositories import long_audio
from support.client import serving


@pytest.fixture(scope="module")
def transcribing():
    """A client of a server with `transcribe`."""
    with serving(long_audio(), "--model-config-name=pipeline", "--exit-timeout-secs=5") as client:
        yield client


def test_segments_are_those_of_vad_and_their_texts_those_of_the_cuts(transcribing):
    samples = two_minutes()
    document = ask(transcribing, samples=samples)
    assert spans(document["segments"]) == vad(transcribing, samples) and len(document["segments"]) > 15
    assert document["problems"] == []
    texts = [segment["text"] for segment in document["segments"]]
    assert sum(map(bool, texts)) > 15
    for segment, text in zip(document["segments"], texts):
        assert text == alone(transcribing, cut(samples, segment["start_ms"], segment["end_ms"]))["text"]
    told, error = parts(transcribing, samples=samples)
    assert error is None and [segment for part in told for segment in part["segments"]] == document["segments"]


def test_silence_has_no_segments(transcribing):
    document = ask(transcribing, samples=np.zeros(32_000, np.float32))
    assert document["text"] == "" and document["segments"] == []
