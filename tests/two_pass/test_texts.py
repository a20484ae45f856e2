"""What is told at once is what streaming Paraformer says, and what takes its place what a recogniser says of the segment alone."""

import numpy as np
import pytest

from long_audio.asking import alone, cut, marked, two_minutes
from paraformer.streaming import send as first_pass
from segments.material import RATE, silence
from segments.asking import joined
from support.client import GRPC, PROTOCOLS, InferenceServerException
from support.load import at_once
from support.recordings import WITH_ITN
from two_pass.asking import CHUNK, IDS, events, finals, messages, play, problems, send, spans
from two_pass.repositories import NOBODY, SHORT_SECONDS


def again(client, samples, message, recogniser):
    """What the second pass is to say, called by hand."""
    document = alone(client, cut(samples, message["start_ms"], message["end_ms"]), recogniser)
    return document["text"], marked(client, document["text"]) if document["text"] else ""


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("model", "recogniser"), [("two_pass", "sensevoice"), ("paraformer", "infer_pipeline")])
def test_finals_are_those_of_the_cuts_sent_alone(two_pass, model, recogniser, protocol):
    samples = two_minutes()[: 60 * RATE]
    documents = play(two_pass, samples, model=model, protocol=protocol)
    last = finals(documents)
    found = joined([event for told in events(two_pass, samples) for event in told])
    assert spans(last) == found and len(last) > 8
    for message in last:
        text, with_marks = again(two_pass, samples, message, recogniser)
        assert message["text"] == with_marks != ""
        assert message["segment"]["text"] == text
        assert "".join(sentence["text"] for sentence in message["sentences"]).replace(" ", "") == with_marks.replace(" ", "")
        assert all(message["start_ms"] <= start <= end <= message["end_ms"] for start, end in spans(message["sentences"]))
    assert not problems(documents)
    assert [document["ended"] for document in documents] == [False] * (len(documents) - 1) + [True]
    # Somebody speaks at least where a text is under way, and not behind the end.
    assert all(document["speaking"] for document in documents if document["messages"] and not document["messages"][-1]["is_final"])
    assert {document["speaking"] for document in documents[:-1]} == {True, False} and not documents[-1]["speaking"]
    assert [document["audio_ms"] for document in documents][-1] == len(samples) * 1000 // RATE
    texts = "".join(message["text"] for message in last)
    assert "".join(document["transcript"] for document in documents).replace(" ", "") == texts.replace(" ", "")


def test_words_have_the_times_of_the_stream(two_pass):
    samples = two_minutes()[: 30 * RATE]
    for message in finals(play(two_pass, samples)):
        expected = alone(two_pass, cut(samples, message["start_ms"], message["end_ms"]))
        starts = [message["start_ms"] + word["start_ms"] for word in expected["words"]]
        assert [word["start_ms"] for word in message["segment"]["words"]] == starts != []
        assert message["segment"]["language"] == expected["language"]


def deltas_by_hand(client, samples, told):
    """What streaming Paraformer says of each segment when it is given the same audio: by chunk and segment, where it is anything."""
    deltas, segment, speaking = [], 0, False
    for at, said in enumerate(told):
        for start, end in said:
            if start >= 0:
                stream, sent, begun, speaking = next(IDS), start * RATE // 1000, True, True
            if end >= 0:
                first_pass(client, samples[sent : max(sent, end * RATE // 1000)], stream, begun, True, GRPC)
                segment, speaking = segment + 1, False
        if speaking:
            now = min((at + 1) * CHUNK, len(samples))
            delta = first_pass(client, samples[sent:now], stream, begun, False, GRPC)
            sent, begun = now, False
            deltas += [(at, segment, delta)] if delta else []
    return deltas


def test_partials_are_those_of_streaming_paraformer(two_pass):
    samples = two_minutes()[: 40 * RATE]
    documents = play(two_pass, samples)
    told = [
        (at, message["segment_id"], message["delta"])
        for at, document in enumerate(documents)
        for message in document["messages"]
        if not message["is_final"]
    ]
    assert told == deltas_by_hand(two_pass, samples, events(two_pass, samples))
    assert len(told) > 10
    texts = {}
    for message in messages(documents):
        if not message["is_final"]:
            texts[message["segment_id"]] = texts.get(message["segment_id"], "") + message["delta"]
            assert message["text"] == texts[message["segment_id"]], "each has all text of its segment so far"


@pytest.mark.parametrize("chunk", [1600, 4001, 48_000, 10**9])
def test_chunks_of_any_size_have_the_same_finals(two_pass, chunk):
    samples = two_minutes()[: 40 * RATE]
    assert finals(play(two_pass, samples, chunk)) == finals(play(two_pass, samples))


def test_many_streams_at_once_are_each_what_they_are_alone(two_pass):
    """Sixty-four, of which each is at another place of its recording at any time."""
    samples = two_minutes()
    recordings = [samples[begin * RATE : (begin + 12) * RATE] for begin in range(0, 64, 4)]
    single = [play(two_pass, recording) for recording in recordings]

    def stream(number):
        return lambda: play(two_pass, recordings[number % len(recordings)])

    before = two_pass.statistics_at_rest("sensevoice_encoder")
    together = at_once(two_pass, [stream(number) for number in range(64)])
    after = two_pass.statistics_at_rest("sensevoice_encoder")
    for number, documents in enumerate(together):
        assert documents == single[number % len(recordings)]
    rows = after["inference_count"] - before["inference_count"]
    assert after["execution_count"] - before["execution_count"] < rows, "second passes of streams share calls"


def test_samples_of_16_bits_and_bytes_are_the_same_audio(two_pass):
    integers = np.round(two_minutes()[: 10 * RATE] * 32768).clip(-32768, 32767).astype(np.int16)
    expected = play(two_pass, integers.astype(np.float32) / 32768)
    assert play(two_pass, integers, model="integers") == expected
    stream, documents = next(IDS), []
    for begin in range(0, len(integers), CHUNK):
        part = integers[begin : begin + CHUNK]
        flags = {"start": begin == 0, "end": begin + CHUNK >= len(integers)}
        raw = {"WAV": np.array([[part.tobytes()]], dtype=object)}
        documents.append(send(two_pass, part, stream, model="bytes", beside=raw, **flags))
    assert documents == expected


def test_samples_of_another_rate_are_resampled(two_pass):
    samples = two_minutes()[: 20 * RATE]
    documents = play(two_pass, np.repeat(samples, 2), 2 * CHUNK, SAMPLE_RATE=2 * RATE)
    assert documents[-1]["audio_ms"] == 20_000
    assert len(finals(documents)) == len(finals(play(two_pass, samples)))
    stream = next(IDS)
    send(two_pass, samples[:CHUNK], stream, start=True)
    with pytest.raises(InferenceServerException, match="row 0 is 8000, but the stream began with 16000 Hz"):
        send(two_pass, samples[:CHUNK], stream, SAMPLE_RATE=8000)
    assert send(two_pass, samples[:CHUNK], stream, end=True)["audio_ms"] == 1200, "the stream goes on without it"


def test_what_a_stream_says_is_handed_on_from_then_on(two_pass):
    samples = two_minutes()[: 20 * RATE]
    stream, documents = next(IDS), []
    for begin in range(0, len(samples), CHUNK):
        said = {"TEXT_NORM": WITH_ITN} if begin == 0 else {}
        flags = {"start": begin == 0, "end": begin + CHUNK >= len(samples)}
        documents.append(send(two_pass, samples[begin : begin + CHUNK], stream, model="plain", **flags, **said))
    last = finals(documents)
    expected = [cut(samples, message["start_ms"], message["end_ms"]) for message in last]
    expected = [two_pass.transcribe([each], WITH_ITN)[0].split(">")[-1] for each in expected]
    assert [message["text"] for message in last] == expected
    assert any(mark in "".join(expected) for mark in "。，")
    without = [message["text"] for message in finals(play(two_pass, samples, model="plain"))]
    assert without != expected and len(without) == len(expected)


def test_silence_says_nothing_and_noise_is_cut(two_pass):
    for samples in (silence(0), silence(0.01), silence(5)):
        documents = play(two_pass, samples)
        assert messages(documents) == [] and documents[-1]["ended"]
        assert not any(document["speaking"] for document in documents)
    noise = np.random.default_rng(7).normal(0, 0.1, 40 * RATE).astype(np.float32)
    last = finals(play(two_pass, noise))
    assert len(last) > 2 and all(end - start <= 12_100 for start, end in spans(last))
    assert last[-1]["end_ms"] > 39_000


def test_what_is_longer_than_a_stream_may_hold_is_cut(two_pass):
    samples = np.random.default_rng(7).normal(0, 0.1, 11 * RATE).astype(np.float32)
    for chunk in (CHUNK, 10**9):
        last = finals(play(two_pass, samples, chunk, model="short"))
        lengths = [end - start for start, end in spans(last)]
        assert lengths[:3] == [1000 * SHORT_SECONDS] * 3 and sum(lengths) > 10_000


@pytest.mark.parametrize("seconds", [2.5, 4.3])
def test_an_end_without_samples_finishes_what_is_said(two_pass, seconds):
    samples = two_minutes()[: int(seconds * RATE)]
    stream = next(IDS)
    documents = [send(two_pass, samples, stream, start=True), send(two_pass, samples[:0], stream, end=True)]
    whole = play(two_pass, samples, 10**9)
    assert [message["text"] for message in finals(documents)] == [message["text"] for message in finals(whole)] != []
    assert documents[-1]["ended"]


def test_an_end_at_once_is_a_stream_of_nothing(two_pass):
    assert messages([send(two_pass, silence(0), next(IDS), True, True)]) == []


def test_a_start_in_the_middle_begins_anew(two_pass):
    samples = two_minutes()[: 12 * RATE]
    expected = play(two_pass, samples)
    stream = next(IDS)
    for begin in range(0, 8 * CHUNK, CHUNK):
        send(two_pass, samples[begin : begin + CHUNK], stream, start=begin == 0)
    documents = []
    for begin in range(0, len(samples), CHUNK):
        flags = {"start": begin == 0, "end": begin + CHUNK >= len(samples)}
        documents.append(send(two_pass, samples[begin : begin + CHUNK], stream, **flags))
    assert documents == expected


def test_a_model_that_is_missing_is_named(two_pass):
    samples = two_minutes()[: 12 * RATE]
    documents = play(two_pass, samples, model="no_recogniser")
    expected = play(two_pass, samples)
    last = finals(documents)
    assert spans(last) == spans(finals(expected)) and len(problems(documents)) == len(last) > 1
    for message, problem in zip(last, problems(documents)):
        assert NOBODY in problem["message"] and problem["segment_id"] == message["segment_id"]
        partials = [each["text"] for each in messages(documents) if each["segment_id"] == message["segment_id"]]
        assert message["segment"] is None and message["text"].startswith(partials[0]) and message["text"] != ""
    documents = play(two_pass, samples, model="no_marks")
    assert [message["text"] for message in finals(documents)] == [message["segment"]["text"] for message in finals(expected)]
    assert all(NOBODY in problem["message"] for problem in problems(documents)) and problems(documents)
    for model in ("no_vad", "no_first_pass", "strict", "strict_marks"):
        with pytest.raises(InferenceServerException, match=f"stream is over.*{NOBODY}"):
            play(two_pass, samples, model=model)


def test_what_is_wrong_is_told_and_changes_nothing(two_pass):
    samples = two_minutes()[: 12 * RATE]
    bad = np.full(800, np.nan, np.float32)
    stream, documents = next(IDS), []
    for begin in range(0, len(samples), CHUNK):
        flags = {"start": begin == 0, "end": begin + CHUNK >= len(samples)}
        documents.append(send(two_pass, samples[begin : begin + CHUNK], stream, **flags))
        if not flags["end"]:
            with pytest.raises(InferenceServerException, match="sample 0 is NaN"):
                send(two_pass, bad, stream)
    assert documents == play(two_pass, samples)
