"""The demo's conversation, from its file to sentences with times, by models that were trained to do it."""

import subprocess

import pytest

from long_audio.asking import ask, parts
from long_audio.repositories import trained
from segments.material import sentences
from support.client import serving
from support.environment import PROJECT, variable

RECORDING = PROJECT / "demo/conversation/conversation.ogg"
# A sentence may begin and end so many ms off: SenseVoice hears a word soon after it begins, and seldom until its sound is over.
BEGIN, END = 300, 600


@pytest.fixture(scope="module")
def demo():
    """A client of a server with the demo's models."""
    with serving(trained(), "--model-config-name=pipeline", "--exit-timeout-secs=5") as client:
        yield client


@pytest.fixture(scope="module")
def document(demo):
    """What the server answers."""
    return ask(demo, file=RECORDING.read_bytes())


def test_each_sentence_is_what_was_said_when_it_was_said(document):
    said = sentences()
    assert document["problems"] == []
    assert [sentence["text"] for sentence in document["sentences"]] == [text for *_, text in said]
    for sentence, (begin, end, *_) in zip(document["sentences"], said):
        assert abs(sentence["start_ms"] - begin) <= BEGIN and abs(sentence["end_ms"] - end) <= END, sentence


def test_each_sentence_is_a_segment_of_its_own_with_a_margin(document):
    """The conversation has a pause behind each sentence; a segment begins 200 ms before speech and ends 100 ms behind it, and some frames are
    taken for speech or not by and by.
    """
    assert len(document["segments"]) == len(sentences())
    for segment, (begin, end, *_) in zip(document["segments"], sentences()):
        assert 100 <= begin - segment["start_ms"] <= 400 and 0 <= segment["end_ms"] - end <= 300, segment


def test_each_segment_is_told_as_soon_as_it_is_there(demo, document):
    documents, error = parts(demo, file=RECORDING.read_bytes())
    assert error is None
    assert [sentence for each in documents for sentence in each["sentences"]] == document["sentences"]


def test_subtitles_are_made_of_it(demo):
    tool = [variable("TRITON_FUNASR"), "transcribe", "--url", f"http://{demo.server.http}", "--model", "transcribe"]
    command = [*tool, "--kind", "sensevoice", "--no-itn", "--format", "srt", RECORDING]
    subtitles = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    cues = subtitles.strip().split("\n\n")
    assert len(cues) > 10
    assert cues[0].splitlines()[1].startswith("00:00:0") and "你好" in cues[0]
