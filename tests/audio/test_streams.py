"""Streams of other rates, and of integers."""

from functools import partial

import numpy as np
import pytest
import soxr

from audio.ask import column
from audio.files import RATE
from metrics.reading import Change
from paraformer.streaming import MODEL
from pipelines.audio import cut
from support.client import InferenceServerException
from support.load import many_at_a_time
from support.recordings import recordings


def send(client, chunk, stream, start, end, model=MODEL, **more):
    """Sends a chunk; returns the text that it adds."""
    tensors = {"WAV": chunk[None], "WAV_LENS": column(len(chunk)), **more}
    flags = {"sequence_id": stream, "sequence_start": start, "sequence_end": end}
    return client.infer(model, tensors, ["TRANSCRIPTS"], **flags)["TRANSCRIPTS"][0, 0]


def transcribe(client, pieces, stream, rate=None, model=MODEL):
    """The text of a stream whose rate is said with its first chunk."""
    last, texts = len(pieces) - 1, []
    for at, piece in enumerate(pieces):
        more = {"SAMPLE_RATE": column(rate)} if rate and at == 0 else {}
        texts.append(send(client, piece, stream, at == 0, at == last, model, **more))
    return "".join(texts)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_a_stream_of_another_rate_in_any_pieces(pipelines, ids, rate):
    for each in (recordings()[0], recordings()[8]):
        given = soxr.resample(each.samples, RATE, rate, "VHQ")
        whole = soxr.resample(given, rate, RATE, "HQ")
        expected = transcribe(pipelines, cut(whole, 9600), next(ids))
        sizes = (len(given), rate * 6 // 10, 999, "random")
        calls = [partial(transcribe, pipelines, cut(given, size), next(ids), rate) for size in sizes]
        assert many_at_a_time(pipelines, calls) == [expected] * len(sizes)


@pytest.mark.parametrize("rate", [8000, 48000])
def test_a_stream_is_counted_at_its_own_rate(pipelines, ids, rate):
    """Which it says with its first chunk alone."""
    samples = recordings()[8].samples
    given = soxr.resample(samples, RATE, rate, "VHQ")
    change = Change(pipelines)
    transcribe(pipelines, cut(given, rate * 6 // 10), next(ids), rate)
    seconds = change("audio_seconds_total", MODEL)
    assert seconds == pytest.approx(len(samples) / RATE, abs=0.01)


def test_a_stream_keeps_its_rate(pipelines, ids):
    samples, stream = recordings()[8].samples, next(ids)
    high = soxr.resample(samples, RATE, 48000, "VHQ")
    pieces = cut(high, 20_000)
    send(pipelines, pieces[0], stream, True, False, SAMPLE_RATE=column(48000))
    with pytest.raises(InferenceServerException) as error:
        send(pipelines, pieces[1], stream, False, False, SAMPLE_RATE=column(44100))
    assert "row 0 is 44100, but the stream began with 48000 Hz" in error.value.message()
    # It is as it was.
    texts = [send(pipelines, piece, stream, False, piece is pieces[-1]) for piece in pieces[1:]]
    assert "".join(texts) == transcribe(pipelines, [high], next(ids), 48000)


def test_a_stream_of_integers(pipelines, ids):
    samples = recordings()[0].samples
    integers = (samples * 32768).astype(np.int16)
    expected = transcribe(pipelines, cut(samples, 9600), next(ids))
    assert transcribe(pipelines, cut(integers, 9600), next(ids), model="streaming_int16") == expected


@pytest.mark.parametrize("rate", [22050, 24000, 44100, 48000, 96000])
def test_an_ensembles_stream_of_another_rate(ensembles, ids, rate):
    """A chunk lasts as long as at the model's rate; silence brings the last words out.

    Of 8 kHz half the band is missing, and some milliseconds more or less decide what is heard.
    """
    for each in (recordings()[0], recordings()[8]):
        samples = np.concatenate([each.samples, np.zeros(5120, np.float32)])
        expected = transcribe(ensembles, cut(samples, 9600), next(ids))
        given = soxr.resample(samples, RATE, rate, "VHQ").astype(np.float32)
        assert expected and transcribe(ensembles, cut(given, rate * 6 // 10), next(ids), rate) == expected


def test_what_an_ensembles_stream_cannot_have_is_named(ensembles, ids):
    chunk, stream = np.zeros(28_800, np.float32), next(ids)

    def refused(samples, start, rate=None):
        more = {} if rate is None else {"SAMPLE_RATE": column(rate)}
        with pytest.raises(InferenceServerException) as error:
            send(ensembles, samples, stream, start, False, **more)
        return error.value.message()

    assert "row 0 is 44056: a chunk of 600 ms is no whole number of samples there" in refused(chunk, True, 44056)
    send(ensembles, chunk, stream, True, False, SAMPLE_RATE=column(48000))
    assert "row 0 is 44100, but the stream began with 48000 Hz" in refused(chunk, False, 44100)
    longer = np.zeros(28_801, np.float32)
    assert "row 0 is 28801, expected 0 to 28800 (samples of 'wav'; a chunk of 48000 Hz" in refused(longer, False)
    # It is as it was.
    send(ensembles, chunk, stream, False, True)
    assert "row 0 is 28800, expected 0 to 9600" in refused(chunk, True)
