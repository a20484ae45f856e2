"""A request that cannot be answered gets an error that names tensor and value, and harms nobody else's."""

import itertools
import threading
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest

from support.client import GRPC, HTTP, PROTOCOLS, InferenceServerException
from support.load import at_once, many_at_a_time, on_threads
from support.recordings import WITH_ITN, WITHOUT_ITN, padded, recordings
from support.variants import SHORT_LIMIT_SECONDS

SAMPLE_RATE = 16000
GOOD = recordings()[2]
SAMPLES = len(GOOD.samples)


def column(*values):
    """One value per row."""
    return np.array(values, np.int32).reshape(-1, 1)


def request(**tensors):
    """A good request with some tensors exchanged; None leaves one out."""
    good = {
        "WAV": GOOD.samples[np.newaxis],
        "WAV_LENS": column(SAMPLES),
        "LANGUAGE": column(0),
        "TEXT_NORM": column(WITH_ITN),
    }
    return {name: value for name, value in {**good, **tensors}.items() if value is not None}


def with_sample(value, at=1234):
    """The good recording with one sample exchanged."""
    samples = GOOD.samples.copy()
    samples[at] = value
    return samples[np.newaxis]


class Bad(NamedTuple):
    """A request, and words its error must have, in whatever case."""

    name: str
    tensors: dict
    words: tuple


BAD = [
    Bad("WAV missing", request(WAV=None), ("missing", "'WAV'")),
    Bad("WAV_LENS missing", request(WAV_LENS=None), ("missing", "'WAV_LENS'")),
    Bad("LANGUAGE missing", request(LANGUAGE=None), ("missing", "'LANGUAGE'")),
    Bad("TEXT_NORM missing", request(TEXT_NORM=None), ("missing", "'TEXT_NORM'")),
    Bad("unknown tensor", request(FOO=column(1)), ("'FOO'",)),
    Bad("WAV as FP64", request(WAV=GOOD.samples[np.newaxis].astype(np.float64)), ("'WAV'", "FP64", "FP32")),
    Bad("WAV as INT16", request(WAV=np.zeros((1, SAMPLES), np.int16)), ("'WAV'", "INT16", "FP32")),
    Bad("WAV_LENS as INT64", request(WAV_LENS=column(SAMPLES).astype(np.int64)), ("'WAV_LENS'", "INT64", "INT32")),
    Bad("wav_lens 0", request(WAV_LENS=column(0)), ("'wav_lens'", "row 0 is 0,", str(SAMPLES))),
    Bad("wav_lens negative", request(WAV_LENS=column(-5)), ("'wav_lens'", "row 0 is -5,", str(SAMPLES))),
    Bad("wav_lens least", request(WAV_LENS=column(-(2**31))), ("'wav_lens'", str(-(2**31)))),
    Bad("wav_lens too long", request(WAV_LENS=column(SAMPLES + 1)), ("'wav_lens'", str(SAMPLES + 1), str(SAMPLES))),
    Bad("wav_lens most", request(WAV_LENS=column(2**31 - 1)), ("'wav_lens'", str(2**31 - 1), str(SAMPLES))),
    Bad("wav empty, length 0", request(WAV=np.zeros((1, 0), np.float32), WAV_LENS=column(0)), ("'wav'", "[1, 0]")),
    Bad("wav empty, length 1", request(WAV=np.zeros((1, 0), np.float32), WAV_LENS=column(1)), ("'wav'", "[1, 0]")),
    Bad("wav with NaN", request(WAV=with_sample(np.nan)), ("'wav'", "row 0", "sample 1234", "nan")),
    Bad("wav with Inf", request(WAV=with_sample(np.inf)), ("'wav'", "row 0", "sample 1234", "inf")),
    Bad(
        "wav with -Inf at its end", request(WAV=with_sample(-np.inf, SAMPLES - 1)), ("'wav'", str(SAMPLES - 1), "-inf")
    ),
    Bad("wav of 1e38", request(WAV=with_sample(1e38)), ("'wav'", "sample 1234", "1" + "0" * 37)),
    Bad(
        "wav_lens 0 in the second row",
        request(
            WAV=np.tile(GOOD.samples, (3, 1)),
            WAV_LENS=column(SAMPLES, 0, SAMPLES),
            LANGUAGE=column(0, 0, 0),
            TEXT_NORM=column(14, 14, 14),
        ),
        ("'wav_lens'", "row 1 is 0"),
    ),
    Bad("language 99", request(LANGUAGE=column(99)), ("language", "99", "15")),
    Bad("language -99", request(LANGUAGE=column(-99)), ("language", "-99", "15")),
    Bad("language -1", request(LANGUAGE=column(-1)), ("'language'", "row 0 is -1,", "15")),
    Bad("text norm 99", request(TEXT_NORM=column(99)), ("norm", "99", "15")),
    Bad("wav_lens of two columns", request(WAV_LENS=np.full((1, 2), 9, np.int32)), ("'WAV_LENS'", "[1,2]")),
    Bad("wav_lens without rows", request(WAV_LENS=np.full(1, 9, np.int32)), ("'WAV_LENS'", "[1]")),
    Bad("wav without rows", request(WAV=GOOD.samples), ("'WAV'",)),
    Bad("wav of three dimensions", request(WAV=GOOD.samples[None, None]), ("'WAV'", f"[1,1,{SAMPLES}]")),
    # The server itself refuses these two, before any model sees them; its words have no values.
    Bad("more rows of WAV than of the rest", request(WAV=np.tile(GOOD.samples, (2, 1))), ("'WAV'", "batch size")),
    Bad(
        "17 rows",
        request(
            WAV=np.zeros((17, 400), np.float32),
            WAV_LENS=column(*[400] * 17),
            LANGUAGE=column(*[0] * 17),
            TEXT_NORM=column(*[14] * 17),
        ),
        ("batch-size", "16"),
    ),
]


def good_answer(client, protocol=HTTP):
    """What the good recording's text is now."""
    return client.infer("sensevoice", request(), ["TRANSCRIPTS"], protocol)["TRANSCRIPTS"].tolist()


def error_of(client, bad, protocol, model="sensevoice"):
    """The error a bad request gets; it must get one."""
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, bad.tensors, ["TRANSCRIPTS"], protocol)
    return caught.value


def is_clients_fault(error, protocol):
    """The status says that the request is wrong, not the server."""
    return error.status() == ("StatusCode.INVALID_ARGUMENT" if protocol == GRPC else "400")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_the_error_says_what_is_wrong_and_the_next_request_succeeds(sensevoice, bad, protocol):
    error = error_of(sensevoice, bad, protocol)
    assert is_clients_fault(error, protocol), error
    for word in bad.words:
        assert word.lower() in error.message().lower(), error
    assert good_answer(sensevoice, protocol) == [[GOOD.texts[WITH_ITN]]]


@pytest.mark.parametrize("model", ["sensevoice", "sensevoice_patient"])
def test_good_requests_beside_bad_ones(sensevoice, model):
    """Four clients keep sending recordings while every bad request is sent over and over."""
    done = threading.Event()

    def send_good(own):
        sent = 0
        for recording, norm in itertools.cycle(itertools.product(own, (WITH_ITN, WITHOUT_ITN))):
            assert sensevoice.transcribe([recording.samples], norm, model=model) == [recording.texts[norm]]
            sent += 1
            if done.is_set() and sent >= 2 * len(own):
                return sent

    def send_bad(bad):
        for protocol in (HTTP, GRPC):
            error = error_of(sensevoice, bad, protocol, model)
            assert is_clients_fault(error, protocol), error
            for word in bad.words:
                assert word.lower() in error.message().lower(), error

    def send_all_bad():
        try:
            many_at_a_time(sensevoice, [partial(send_bad, bad) for bad in BAD * 3], threads=8)
        finally:
            done.set()

    shares = [recordings()[first::4] for first in range(4)]
    *answered, _ = on_threads(sensevoice, [*(partial(send_good, share) for share in shares), send_all_bad])
    assert sum(answered) >= 2 * len(recordings())


def test_a_bad_id_beside_good_ones_in_one_execution_of_the_encoder(sensevoice):
    """Requests of equal length, which the encoder computes together, but for one it cannot compute."""
    ask = partial(sensevoice.infer, "sensevoice_patient", outputs=["TRANSCRIPTS"])

    def error(tensors):
        with pytest.raises(InferenceServerException) as caught:
            ask(tensors=tensors)
        return caught.value.message()

    good = [partial(ask, tensors=request())] * 3
    bad_language = partial(error, request(LANGUAGE=column(99)))
    bad_norm = partial(error, request(TEXT_NORM=column(77)))
    for _ in range(5):
        answers = at_once(sensevoice, [*good, bad_language, *good, bad_norm])
        wrong_language, wrong_norm = answers.pop(3), answers.pop(-1)
        assert "language" in wrong_language and "99" in wrong_language
        assert "textnorm" in wrong_norm and "77" in wrong_norm
        assert [each["TRANSCRIPTS"].tolist() for each in answers] == [[[GOOD.texts[WITH_ITN]]]] * 6


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_more_audio_than_the_config_allows(sensevoice, protocol):
    limit = int(SHORT_LIMIT_SECONDS * SAMPLE_RATE)
    silence = np.zeros(limit + 1, np.float32)
    ask = partial(sensevoice.transcribe, [silence], WITH_ITN, model="sensevoice_short", protocol=protocol)
    with pytest.raises(InferenceServerException) as caught:
        ask()
    assert is_clients_fault(caught.value, protocol)
    for word in ("wav_lens", str(limit + 1), "max_audio_seconds", str(SHORT_LIMIT_SECONDS)):
        assert word in caught.value.message()
    # The longest audio that is allowed, in a row that is longer.
    assert len(ask(lengths=[limit])) == 1


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_more_than_ten_minutes_of_audio(sensevoice, protocol):
    """The default limit."""
    samples = 600 * SAMPLE_RATE + 1
    silence = np.zeros(samples, np.float32)
    with pytest.raises(InferenceServerException) as caught:
        sensevoice.transcribe([silence], WITH_ITN, protocol=protocol)
    assert is_clients_fault(caught.value, protocol)
    for word in ("wav_lens", str(samples), "max_audio_seconds", "600"):
        assert word in caught.value.message()
    # A row that long is fine if little of it is audio.
    row = np.concatenate([GOOD.samples, np.zeros(samples - SAMPLES, np.float32)])
    assert sensevoice.transcribe([row], WITH_ITN, lengths=[SAMPLES], protocol=protocol) == [GOOD.texts[WITH_ITN]]


SHORT = (1, 100, 399)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("samples", SHORT)
def test_audio_shorter_than_a_frame_has_no_text(sensevoice, samples, protocol):
    wav = GOOD.samples[5000 : 5000 + samples]
    assert sensevoice.transcribe([wav], WITH_ITN, protocol=protocol) == [""]
    assert sensevoice.transcribe([GOOD.samples], WITHOUT_ITN, lengths=[samples], protocol=protocol) == [""]


def test_audio_of_one_frame_is_recognised(sensevoice):
    """25 ms are a frame: the model answers, with its tags at least."""
    (text,) = sensevoice.transcribe([GOOD.samples[:400]], WITH_ITN)
    assert text.startswith("<|")


def test_short_audio_in_a_batch(sensevoice):
    wavs, expected = [], []
    for short, recording in zip(itertools.cycle(SHORT), recordings()[:8]):
        wavs += [GOOD.samples[:short], recording.samples]
        expected += ["", recording.texts[WITH_ITN]]
    assert sensevoice.transcribe(wavs, WITH_ITN) == expected
    assert sensevoice.transcribe([GOOD.samples[:short] for short in SHORT], WITH_ITN) == ["", "", ""]


def test_short_audio_beside_other_requests(sensevoice):
    """In one execution with them, too: the patient models wait for company."""
    for model in ("sensevoice", "sensevoice_patient"):
        calls, expected = [], []
        for short, recording in zip(itertools.cycle(SHORT), recordings()):
            for wav, text in ((GOOD.samples[:short], ""), (recording.samples, recording.texts[WITH_ITN])):
                calls.append(partial(sensevoice.transcribe, [wav], WITH_ITN, model=model))
                expected.append([text])
        assert at_once(sensevoice, calls) == expected


def test_short_audio_has_features_of_no_frames(sensevoice):
    """Called by itself the front end says so: no frames, in a tensor that is not empty, as encoders want it."""
    tensors = {"wav": padded([GOOD.samples[:399]]), "wav_lens": column(399)}
    answer = sensevoice.infer("golden_features", tensors, ["speech", "speech_lengths"])
    assert answer["speech_lengths"].tolist() == [[0]]
    assert answer["speech"].shape == (1, 1, 560)
    assert not answer["speech"].any()
