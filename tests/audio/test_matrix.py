"""Whatever a recording comes as, its text is that of its samples at 16 kHz, read and resampled by libsndfile and soxr."""

import io
import re

import numpy as np
import pytest
import soundfile
import soxr

from audio.ask import column, of_files, of_samples
from audio.files import FORMATS, RATE, encoded, made, read
from support.client import GRPC, HTTP, JSON
from support.recordings import recordings

CASES = [(name, rate) for name, (_, _, rates) in FORMATS.items() for rate in rates]
# A word of English, digits and words of Mandarin.
SPOKEN = (8, 0, 3)


def words(text):
    """A transcript without its tags."""
    return re.sub(r"<\|[^|]*\|>", "", text)


def spoken():
    return [recordings()[index].samples for index in SPOKEN]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name, rate", CASES)
def test_files_of_every_kind(either, name, rate, channels):
    given = [encoded(samples, name, rate, channels) for samples in spoken()]
    expected = [of_samples(either, [read(file)])[0] for file in given]
    protocol = GRPC if channels == 2 else HTTP
    texts = [of_files(either, [file], protocol=protocol)[0] for file in given]
    if rate < RATE:
        # Of half the band the model is not sure whether it is speech at all.
        texts, expected = map(words, texts), map(words, expected)
    assert list(texts) == list(expected)


@pytest.mark.parametrize("name", ["wav-16", "flac", "vorbis", "opus"])
def test_at_a_high_rate_the_text_is_the_recordings_own(either, name):
    given = [encoded(each.samples, name, 48000) for each in recordings()]
    expected = [of_samples(either, [each.samples])[0] for each in recordings()]
    texts = [of_files(either, [file])[0] for file in given]
    if name in ("vorbis", "opus"):
        # What they leave out is enough for one word to be of another language.
        texts, expected = map(words, texts), map(words, expected)
    assert list(texts) == list(expected)


@pytest.mark.parametrize("name", ["08_en.m4a", "08_en.aac", "08_en.webm", "08_en_live.webm", "08_en_stereo.webm", "08_en.mka", "08_en.mp4"])
def test_files_that_browsers_and_telephones_record(either, name):
    (text,) = of_files(either, [made(name)])
    assert words(text) == words(of_samples(either, [recordings()[8].samples])[0]) == " good"


def test_files_of_different_kinds_in_one_request(either):
    rows = [encoded(samples, name, 48000) for samples, name in zip(spoken(), ("opus", "flac", "wav-24"))]
    expected = [of_samples(either, [samples])[0] for samples in spoken()]
    assert list(map(words, of_files(either, rows))) == list(map(words, expected))


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 44056, 48000, 96000, 192000])
def test_samples_of_other_rates(either, rate):
    given = [soxr.resample(samples, RATE, rate, "VHQ") for samples in spoken()]
    expected = [of_samples(either, [soxr.resample(samples, rate, RATE, "HQ")])[0] for samples in given]
    for samples, text in zip(given, expected):
        assert of_samples(either, [samples], SAMPLE_RATE=column(rate)) == [text]
    # Together they have the same texts: each row is padded behind its own end.
    assert of_samples(either, given, SAMPLE_RATE=column(rate, 3)) == expected


def test_each_row_has_its_own_rate(either):
    rates = [48000, 16000, 22050]
    rows = [soxr.resample(samples, RATE, rate, "VHQ") for samples, rate in zip(spoken(), rates)]
    expected = [of_samples(either, [samples])[0] for samples in spoken()]
    assert of_samples(either, rows, SAMPLE_RATE=column(rates, 3)) == expected


def test_the_models_own_rate_changes_nothing(either):
    samples = spoken()[0]
    for protocol in (HTTP, JSON, GRPC):
        assert of_samples(either, [samples], protocol=protocol, SAMPLE_RATE=column(RATE)) == of_samples(either, [samples])


def test_integers_have_the_text_of_their_floats(pipelines):
    rows = [(samples * 32768).astype(np.int16) for samples in spoken()]
    assert all((row == samples * 32768).all() for row, samples in zip(rows, spoken()))
    assert of_samples(pipelines, rows, "sensevoice_int16") == of_samples(pipelines, spoken())


def test_a_channel_is_picked(either):
    left, right = spoken()[:2]
    length = min(len(left), len(right))
    both = np.stack([left[:length], right[:length]], axis=1)
    file = _stereo(both)
    expected = [of_samples(either, [both[:, channel].copy()])[0] for channel in (0, 1)]
    assert expected[0] != expected[1]
    assert [of_files(either, [file], CHANNEL=column(channel))[0] for channel in (0, 1)] == expected
    assert of_files(either, [file, file], CHANNEL=column([1, 0], 2)) == expected[::-1]
    mixed = of_samples(either, [both.mean(axis=1)])
    assert of_files(either, [file]) == mixed == of_files(either, [file], CHANNEL=column(-1))


def _stereo(samples):
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, "PCM_16", format="WAV")
    return file.getvalue()
