"""OpenAI's own client, unchanged, is answered what the models say."""

import http.client
import json
import subprocess

import numpy as np
import openai
import pytest

from gateway.repositories import FEW_BYTES
from gateway.running import error_of, form, post
from long_audio.asking import ask, file_of, two_minutes
from support.client import GRPC
from support.environment import PROJECT, scratch, variable
from support.load import at_once
from support.recordings import WITH_ITN, WITHOUT_ITN, recordings

FILES = PROJECT / "crates/audio-input/tests/data"


@pytest.fixture(scope="module")
def meeting():
    """A recording of two minutes, as a file."""
    path = scratch() / "meeting.wav"
    path.write_bytes(file_of(two_minutes()))
    return path


@pytest.fixture(scope="module")
def document(behind, meeting):
    """What `transcribe` says of it."""
    return ask(behind, file=meeting.read_bytes())


def transcribed(client, path, model="whisper-1", **wishes):
    """What the client is answered."""
    with path.open("rb") as file:
        return client.audio.transcriptions.create(model=model, file=file, **wishes)


def test_the_models_are_listed(client):
    names = [model.id for model in client.models.list()]
    assert {"transcribe", "transcribe_segments", "sensevoice", "infer_pipeline"} <= set(names)
    assert not {"vad", "punctuation", "sensevoice_encoder", "streaming_paraformer"} & set(names)
    assert client.models.retrieve("sensevoice").owned_by == "triton-funasr"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("vad")


def test_a_recording_is_the_text_that_the_model_says(client, meeting, document):
    answer = transcribed(client, meeting)
    assert answer.text == document["text"]
    assert answer.usage.seconds == -(-document["audio_ms"] // 1000)
    assert transcribed(client, meeting, response_format="text") == document["text"] + "\n"


@pytest.mark.parametrize("model", ["sensevoice", "infer_pipeline"])
def test_each_of_the_models_can_be_asked(client, behind, model):
    for recording in recordings():
        file = PROJECT / "demo/recordings" / recording.name
        answer = transcribed(client, file, model, response_format="verbose_json")
        wav = recording.samples[None]
        tensors = {"WAV": wav, "WAV_LENS": [[wav.shape[1]]]}
        if model == "sensevoice":
            tensors |= {"LANGUAGE": [[0]], "TEXT_NORM": [[WITH_ITN]]}
        tensors = {name: value if name == "WAV" else np.int32(value) for name, value in tensors.items()}
        expected = json.loads(behind.infer(model, tensors, ["RESULT_JSON"], GRPC)["RESULT_JSON"][0, 0])
        assert answer.text == expected["text"]
        names = {"zh": "chinese", "en": "english", "yue": "cantonese", "ja": "japanese", "ko": "korean", None: ""}
        assert answer.language == names.get(expected["language"], expected["language"])


def test_subtitles_are_those_of_the_tool(client, behind, meeting):
    for kind in ("srt", "vtt"):
        command = [variable("TRITON_FUNASR"), "transcribe", meeting, "--url", f"http://{behind.server.http}"]
        command += ["--model", "transcribe", "--kind", "sensevoice", "--no-itn", "--format", kind]
        expected = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout
        assert transcribed(client, meeting, response_format=kind) == expected
        assert expected.count("-->") > 15


def test_words_and_sentences_have_their_times(client, meeting, document):
    answer = transcribed(client, meeting, response_format="verbose_json", timestamp_granularities=["word", "segment"])
    words = [word for segment in document["segments"] for word in segment["words"]]
    assert [(word.word, word.start, word.end) for word in answer.words] == [
        (word["text"], word["start_ms"] / 1000, word["end_ms"] / 1000) for word in words
    ]
    assert [(segment.id, segment.text, segment.start, segment.end) for segment in answer.segments] == [
        (number, sentence["text"], sentence["start_ms"] / 1000, sentence["end_ms"] / 1000)
        for number, sentence in enumerate(document["sentences"])
    ]
    assert all(-5 < segment.avg_logprob < 0 for segment in answer.segments)
    assert answer.duration == document["audio_ms"] / 1000 and answer.language == "chinese"
    # Fields of our own are no harm to OpenAI's client.
    inside = lambda sentence, part: min(part["end_ms"], sentence["end_ms"]) - max(part["start_ms"], sentence["start_ms"])  # noqa: E731
    parts = [max(document["segments"], key=lambda part: inside(sentence, part)) for sentence in document["sentences"]]
    manner = [(segment.language, segment.emotion, segment.event) for segment in answer.segments]
    assert manner == [(part["language"], part["emotion"], part["event"]) for part in parts]
    assert {language for language, _, _ in manner} == {"zh", "en"}
    words_alone = transcribed(client, meeting, response_format="verbose_json", timestamp_granularities=["word"])
    assert words_alone.words == answer.words and words_alone.segments is None


def test_a_text_comes_as_it_is_heard(client, meeting, document):
    events = list(transcribed(client, meeting, stream=True))
    deltas = [event.delta for event in events[:-1]]
    assert {event.type for event in events[:-1]} == {"transcript.text.delta"} and len(deltas) > 1
    assert events[-1].type == "transcript.text.done"
    assert "".join(deltas) == events[-1].text == document["text"]
    # A model that has one answer tells it in one piece.
    delta, done = transcribed(client, meeting, "sensevoice", stream=True)
    assert delta.delta == done.text != ""


@pytest.mark.parametrize("name", ["08_en.mp3", "08_en.webm", "08_en.m4a", "08_en.flac", "08_en.opus"])
def test_files_are_taken_as_they_are(client, behind, name):
    inputs = {"AUDIO": np.array([[(FILES / name).read_bytes()]], dtype=object)}
    inputs |= {"LANGUAGE": np.int32([[0]]), "TEXT_NORM": np.int32([[WITH_ITN]])}
    expected = behind.infer("sensevoice", inputs, ["TEXT"], GRPC)["TEXT"][0, 0]
    assert transcribed(client, FILES / name, "sensevoice").text == expected != ""


def test_a_language_and_numbers_in_words_can_be_wished(client):
    recording = next(each for each in recordings() if each.name == "01_zh.wav")
    path = PROJECT / "demo/recordings" / recording.name
    plain = lambda norm: recording.texts[norm].rpartition("|>")[2].strip()  # noqa: E731
    assert transcribed(client, path, "sensevoice", language="zh").text == plain(WITH_ITN)
    assert transcribed(client, path, "sensevoice", extra_body={"itn": False}).text == plain(WITHOUT_ITN)
    assert transcribed(client, path, "sensevoice", prompt="not taken by this model").text == plain(WITH_ITN)


def test_many_at_once_are_each_their_own(client, front, behind):
    paths = [PROJECT / "demo/recordings" / recording.name for recording in recordings()]
    alone = [transcribed(client, path, "sensevoice").text for path in paths]
    calls = [lambda path=path: transcribed(client, path, "sensevoice").text for path in paths]
    assert at_once(behind, calls * 3) == alone * 3
    assert front.metric("requests_under_way") == 0 and front.metric("held_bytes") == 0


def test_silence_is_an_empty_text(client, tmp_path):
    path = tmp_path / "silence.wav"
    path.write_bytes(file_of(two_minutes()[:16000] * 0))
    assert transcribed(client, path).text == ""
    answer = transcribed(client, path, response_format="verbose_json")
    assert (answer.text, answer.segments, answer.duration) == ("", [], 1.0)


def test_what_is_wrong_is_told(client, front, tmp_path):
    path = FILES / "08_en.flac"
    wrong = tmp_path / "notes.wav"
    wrong.write_text("no audio at all " * 100)
    with pytest.raises(openai.BadRequestError, match="AUDIO"):
        transcribed(client, wrong)
    with pytest.raises(openai.NotFoundError, match="models for recordings: .*sensevoice"):
        transcribed(client, path, "nobodys")
    with pytest.raises(openai.BadRequestError) as caught:
        transcribed(client, path, language="fr")
    assert caught.value.param == "language"
    with pytest.raises(openai.BadRequestError, match="word nor segment"):
        transcribed(client, path, response_format="verbose_json", timestamp_granularities=["letter"])
    with pytest.raises(openai.BadRequestError, match="the model says no times"):
        transcribed(client, path, "infer_pipeline", response_format="srt")
    assert "the form has no file" in error_of(post(front, None, model="whisper-1"))["message"]
    assert error_of(post(front, b""))["message"] == "the file is empty"
    assert "the body is no form" in error_of(post(front, b"x", headers={"Content-Type": "application/json"}))["message"]
    kind, body = form(b"x" * 1000)
    status, _, text = raw(front, kind, body[:-200])
    assert status == 400 and "the form cannot be read" in text
    assert "there is nothing here" in json.loads(front.get("/v1/audio/translations")[1])["error"]["message"]
    assert front.get("/v1/audio/transcriptions")[0] == 405


def raw(front, kind, body):
    """The answer to a body as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=60)
    connection.request("POST", "/v1/audio/transcriptions", body, {"Content-Type": kind})
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read().decode()


def test_a_model_without_room_says_so(front, behind, meeting):
    """`few` has room for one such recording at a time: its server answers UNAVAILABLE to the others."""
    file = meeting.read_bytes()
    assert FEW_BYTES / 2 < len(file) < FEW_BYTES
    answers = at_once(behind, [lambda: post(front, file, model="few")] * 6)
    assert {status for status, _, _ in answers} == {200, 429}
    refused = next(answer for answer in answers if answer[0] == 429)
    assert error_of(refused)["code"] == "overloaded" and refused[1]["retry-after"] == "1"
