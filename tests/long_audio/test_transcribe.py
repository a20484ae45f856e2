"""What is transcribed of a long recording is what its parts are when they are sent alone."""

import json
import subprocess
import time
from functools import partial

import numpy as np
import pytest

from long_audio.asking import alone, ask, cut, file_of, marked, parts, spans, two_minutes, vad
from long_audio.repositories import NOBODY, SHORT_WINDOW
from segments.material import RATE, silence
from support.client import GRPC, PROTOCOLS, InferenceServerException
from support.environment import variable
from support.load import at_once


def squeezed(text):
    return text.replace(" ", "")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_segments_are_those_of_vad_and_their_texts_those_of_the_cuts(long_audio, protocol):
    samples = two_minutes()
    document = ask(long_audio, samples=samples, protocol=protocol)
    found = vad(long_audio, samples)
    assert spans(document["segments"]) == found and len(found) > 15
    assert document["problems"] == []
    assert document["audio_ms"] == document["done_ms"] == len(samples) * 1000 // RATE
    for segment in document["segments"]:
        expected = alone(long_audio, cut(samples, segment["start_ms"], segment["end_ms"]))
        assert segment["text"] == expected["text"] != ""
        assert segment["language"] == expected["language"]
        words = [dict(word, start_ms=word["start_ms"] + segment["start_ms"]) for word in expected["words"]]
        assert [(word["text"], word["start_ms"]) for word in segment["words"]] == [(word["text"], word["start_ms"]) for word in words]
        assert all(segment["start_ms"] <= word["start_ms"] <= word["end_ms"] <= segment["end_ms"] for word in segment["words"])


def test_sentences_are_the_text_with_marks(long_audio):
    document = ask(long_audio, samples=two_minutes())
    whole = marked(long_audio, " ".join(segment["text"] for segment in document["segments"]))
    assert squeezed(document["text"]) == squeezed(whole)
    sentences = document["sentences"]
    assert squeezed("".join(sentence["text"] for sentence in sentences)) == squeezed(document["text"])
    assert len(sentences) > 5 and all(sentence["text"][-1] in "。？" for sentence in sentences)
    words = [word for segment in document["segments"] for word in segment["words"]]
    starts, ends = {word["start_ms"] for word in words}, {word["end_ms"] for word in words}
    for before, sentence in zip([None, *sentences], sentences):
        assert sentence["start_ms"] in starts and sentence["end_ms"] in ends
        assert before is None or before["end_ms"] <= sentence["start_ms"] < sentence["end_ms"]


def test_a_file_and_samples_of_16_bits_are_the_same_audio(long_audio):
    samples = two_minutes()
    integers = np.round(samples * 32768).clip(-32768, 32767).astype(np.int16)
    of_file = ask(long_audio, file=file_of(samples))
    assert ask(long_audio, "integers", samples=integers) == of_file
    again = integers.astype(np.float32) / 32768
    assert ask(long_audio, samples=again) == of_file


def test_samples_of_another_rate_are_resampled(long_audio):
    samples = np.repeat(two_minutes()[: 20 * RATE], 2)
    document = ask(long_audio, samples=samples, SAMPLE_RATE=2 * RATE)
    assert document["audio_ms"] == 20_000
    assert len(document["segments"]) == len(ask(long_audio, samples=two_minutes()[: 20 * RATE])["segments"])


def test_windows_tell_what_the_whole_does(long_audio):
    samples = two_minutes()
    whole, windows = (ask(long_audio, model, samples=samples)["segments"] for model in ("transcribe", "windows"))
    assert len(windows) == len(whole)
    difference = np.abs(np.subtract(spans(windows), spans(whole)))
    assert difference.max() <= 100, "a segment at a window's border may begin a few frames earlier or later"
    same = difference.max(axis=1) == 0
    assert same.sum() >= len(whole) - len(samples) // (SHORT_WINDOW * RATE) - 1
    for one, other, equal in zip(windows, whole, same):
        assert one == other or not equal


def test_what_comes_of_a_recording_does_not_depend_on_when_its_segments_come_back(long_audio):
    samples = two_minutes()
    assert ask(long_audio, "one_by_one", samples=samples) == ask(long_audio, samples=samples)


def test_paraformer(long_audio):
    samples = two_minutes()
    document = ask(long_audio, "paraformer", samples=samples, prompt=False)
    assert spans(document["segments"]) == vad(long_audio, samples)
    for segment in document["segments"]:
        own = cut(samples, segment["start_ms"], segment["end_ms"])
        assert segment["text"] == alone(long_audio, own, "infer_pipeline")["text"]
    # Without times of words a sentence has those of its segments.
    starts = {start for start, _ in spans(document["segments"])}
    assert all(sentence["start_ms"] in starts for sentence in document["sentences"])


def test_without_punctuation_a_segment_ends_a_sentence(long_audio):
    document = ask(long_audio, "plain", samples=two_minutes())
    texts = [segment["text"] for segment in document["segments"]]
    assert [sentence["text"] for sentence in document["sentences"]] == texts


def test_many_recordings_at_once_are_each_what_they_are_alone(long_audio):
    """Segments of all share calls of the encoder."""
    samples = two_minutes()
    begins = [0, 20, 40, 60, 80]
    recordings = [samples[begin * RATE : (begin + 40) * RATE] for begin in begins]
    single = [ask(long_audio, samples=recording) for recording in recordings]
    before = long_audio.statistics_at_rest("sensevoice_encoder")
    calls = [partial(ask, long_audio, samples=recording) for recording in recordings]
    assert at_once(long_audio, calls * 2) == single * 2
    after = long_audio.statistics_at_rest("sensevoice_encoder")
    rows = after["inference_count"] - before["inference_count"]
    assert after["execution_count"] - before["execution_count"] < 0.75 * rows


def test_each_segment_is_told_as_soon_as_it_is_there(long_audio):
    samples = two_minutes()
    whole = ask(long_audio, samples=samples)
    documents, error = parts(long_audio, samples=samples)
    assert error is None
    for key in ("segments", "sentences", "problems"):
        assert [each for document in documents for each in document[key]] == whole[key]
    assert squeezed("".join(document["text"] for document in documents)) == squeezed(whole["text"])
    assert sum(bool(document["segments"]) for document in documents) > 5
    assert [document["is_final"] for document in documents] == [False] * (len(documents) - 1) + [True]
    done = [document["done_ms"] for document in documents]
    assert done == sorted(done) and done[0] < done[-1] == documents[-1]["audio_ms"]


def test_the_tool_sends_files(long_audio, tmp_path):
    (tmp_path / "long.wav").write_bytes(file_of(two_minutes()))
    tool = [variable("TRITON_FUNASR"), "transcribe", "--url", f"http://{long_audio.server.http}", "--model", "transcribe"]
    run = partial(subprocess.run, check=True, capture_output=True, text=True)
    options = ["--kind", "sensevoice", "--no-itn", "--json", tmp_path / "long.wav"]
    told = json.loads(run([*tool, *options]).stdout)
    document = ask(long_audio, file=file_of(two_minutes()))
    assert told["text"] == document["text"]
    words = [word for segment in document["segments"] for word in segment["words"]]
    assert [word["start_ms"] for word in told["result"]["words"]] == [word["start_ms"] for word in words]


def test_silence_has_no_text(long_audio):
    for seconds in (0.01, 2, 45):
        document = ask(long_audio, samples=silence(seconds))
        assert (document["text"], document["segments"], document["sentences"]) == ("", [], [])
    documents, error = parts(long_audio, samples=silence(3))
    assert error is None and [document["is_final"] for document in documents] == [True]


def test_noise_is_cut_to_segments_that_the_recogniser_can(long_audio):
    noise = np.random.default_rng(7).normal(0, 0.1, 50 * RATE).astype(np.float32)
    for model in ("transcribe", "windows"):
        document = ask(long_audio, model, samples=noise)
        found = spans(document["segments"])
        assert found and all(0 < end - start <= 12_100 for start, end in found), model
        assert found[-1][1] >= 49_000


def test_a_model_that_is_missing_is_named_and_costs_only_its_part(long_audio):
    samples = two_minutes()[: 20 * RATE]
    for model in ("no_vad", "no_recogniser", "strict"):
        with pytest.raises(InferenceServerException, match=NOBODY):
            ask(long_audio, model, samples=samples)
    document = ask(long_audio, "no_marks", samples=samples)
    (problem,) = document["problems"]
    assert NOBODY in problem["message"]
    assert squeezed(document["text"]) == squeezed("".join(segment["text"] for segment in document["segments"])) != ""


def test_what_is_wrong_is_told(long_audio):
    samples = two_minutes()[: 5 * RATE]
    bad = samples.copy()
    bad[70_000] = np.nan
    both = {"WAV": samples[None], "WAV_LENS": np.int32([[len(samples)]])}
    for words, given in (
        ("row 0, sample 70000 is NaN", {"samples": bad}),
        ("parameter max_audio_seconds", {"model": "minute", "samples": two_minutes()[: 61 * RATE]}),
        ("60 s, which parameter max_audio_seconds", {"model": "minute", "file": file_of(two_minutes())}),
        ("no audio format", {"file": b"no file at all"}),
        ("either 'WAV' or 'AUDIO'", {"file": b"x", "beside": both}),
    ):
        with pytest.raises(InferenceServerException, match=words):
            ask(long_audio, **given)
    with pytest.raises(InferenceServerException, match="TEXT_NORM"):
        ask(long_audio, "strict", samples=samples, TEXT_NORM=99)


def test_beyond_its_room_a_recording_is_refused(long_audio):
    with pytest.raises(InferenceServerException, match="max_pending_bytes allows 100000"):
        ask(long_audio, "few", samples=silence(2))
    assert ask(long_audio, "few", samples=silence(1))["text"] == ""


@pytest.mark.alone
def test_it_is_faster_than_one_segment_after_the_other(long_audio):
    """A little here, where the encoder is small; docs/long-audio.md has figures."""
    samples = two_minutes()

    def seconds(model):
        begun = time.perf_counter()
        ask(long_audio, model, samples=samples)
        return time.perf_counter() - begun

    # A fifth of a second each, in turns: what else the machine does is longer than that, but not all the time.
    rounds = [(seconds("transcribe"), seconds("one_by_one")) for _ in range(8)]
    together, apart = (min(times) for times in zip(*rounds))
    print(f"two minutes in {together:.2f} s, one segment after the other in {apart:.2f} s")
    assert together < 1.2 * apart
