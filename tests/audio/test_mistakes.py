"""What clients get wrong is named, and harms nobody else."""

import io

import numpy as np
import pytest
import soundfile

from audio import variants
from audio.ask import column, of_files, of_samples, prompt
from audio.files import encoded, files as tensor
from support.client import InferenceServerException, serving
from support.recordings import recordings

WORD = recordings()[8].samples
FILE = encoded(WORD, "wav-16", 16000)


def refused(call, *args, **more):
    """What the client is told."""
    with pytest.raises(InferenceServerException) as error:
        call(*args, **more)
    assert "400" in str(error.value.status()) or "INVALID_ARGUMENT" in str(error.value.status())
    return error.value.message()


MISTAKES = {
    "empty": ([b""], {}, "row 0: the file is empty (0 bytes)"),
    "text": ([b"hello, this is no audio"], {}, "row 0: the bytes begin with 'hello, this ', which no audio format"),
    "AMR": ([b"#!AMR\n" + bytes(40)], {}, "row 0: this is AMR, which is not read here; convert it"),
    "header alone": ([FILE[:44]], {}, "row 0: this WAV file holds no audio"),
    "half a header": ([FILE[:30]], {}, "row 0: this WAV file cannot be read: its format ('fmt ') has 10 bytes"),
    "the second row": ([FILE, b"RIFF"], {}, "row 1: the bytes begin with 'RIFF'"),
    "another rate": ([FILE], {"SAMPLE_RATE": 8000}, "row 0 is 8000 Hz, but the WAV file in "),
    "no such channel": ([FILE], {"CHANNEL": 1}, "row 0: channel 1 is wanted, but the audio has one channel, number 0"),
    "a wrong channel": ([FILE], {"CHANNEL": -2}, "row 0 is -2, expected a channel, counted from 0, or -1 for all of them"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_file_that_cannot_be_taken(either, name):
    rows, more, expected = MISTAKES[name]
    more = {key: column(value, len(rows)) for key, value in more.items()}
    assert expected in refused(of_files, either, rows, **more)
    assert of_files(either, [FILE]) == of_samples(either, [WORD])


@pytest.mark.parametrize("rate", [0, -1, 7999, 192001])
def test_an_impossible_rate(either, rate):
    message = refused(of_samples, either, [WORD], SAMPLE_RATE=column(rate))
    assert f"row 0 is {rate}, expected 8000 to 192000 (Hz)" in message


def test_a_header_in_the_samples(either):
    as_floats = np.frombuffer(FILE[: len(FILE) // 4 * 4], np.float32)
    as_integers = np.frombuffer(FILE, np.int16).astype(np.float32)
    for samples in (as_floats, as_integers, as_integers / 32768):
        assert "row 0 begins with the header of a WAV file (RIFF)" in refused(of_samples, either, [samples])


def test_a_header_in_the_integers(pipelines):
    samples = np.frombuffer(FILE, np.int16)
    assert "begins with the header of a WAV file" in refused(of_samples, pipelines, [samples], "sensevoice_int16")


def test_samples_that_were_not_scaled(either):
    samples = np.round(WORD * 32768)
    assert "which look like 16-bit samples; divide them by 32768" in refused(of_samples, either, [samples])


def test_neither_and_both(either):
    missing = refused(either.infer, "sensevoice", prompt(), ["TRANSCRIPTS"])
    assert "is missing, and so is 'AUDIO'" in missing or "is missing, and so is 'audio'" in missing
    both = {"WAV": WORD[None], "WAV_LENS": column(len(WORD))}
    assert "a request has either" in refused(of_files, either, [FILE], **both)


def test_a_channel_of_samples(either):
    assert "has one channel, number 0" in refused(of_samples, either, [WORD], CHANNEL=column(1))
    assert of_samples(either, [WORD], CHANNEL=column(0)) == of_samples(either, [WORD])


def silence(seconds, rate=16000):
    """A FLAC file: a second of it is some 20 bytes."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, 1, "PCM_16", format="FLAC") as flac:
        for _ in range(seconds):
            flac.write(np.zeros(rate, np.int16))
    return file.getvalue()


def test_a_small_file_that_would_be_hours_is_refused_while_it_is_decoded(either):
    hours = silence(3 * 3600)
    assert len(hours) < 1_000_000
    message = refused(of_files, either, [hours])
    assert "row 0: the audio is longer than 600 s, which parameter max_audio_seconds allows" in message


def test_files_count_as_they_are_decoded(pipelines):
    """Those behind what there is room for are not decoded any more."""
    file = silence(3)
    message = refused(of_files, pipelines, [file] * 5, "sensevoice_few")
    assert f"the request has 9 s; parameter max_pending_seconds allows {variants.FEW_SECONDS} s" in message
    assert of_files(pipelines, [file] * 2, "sensevoice_few") == of_files(pipelines, [file] * 2)


def test_the_limit_is_that_of_the_config(pipelines):
    assert of_files(pipelines, [silence(2)], "sensevoice_short")
    message = refused(of_files, pipelines, [silence(3)], "sensevoice_short")
    assert f"longer than {variants.SHORT_SECONDS} s" in message
    rate = 48000
    samples = np.zeros(int(variants.SHORT_SECONDS * rate) + 1, np.float32)
    message = refused(of_samples, pipelines, [samples], "sensevoice_short", SAMPLE_RATE=column(rate))
    assert "row 0 is 120001 samples; parameter max_audio_seconds (2.5 s) allows 120000" in message


def test_a_file_that_is_cut_off(pipelines):
    longer = recordings()[0].samples
    cut = encoded(longer, "wav-16", 16000)[:-20_000]
    assert of_files(pipelines, [cut]) == of_samples(pipelines, [longer[:-10_000]])
    message = refused(of_files, pipelines, [cut], "sensevoice_strict")
    assert "row 0: this WAV file is cut off or damaged; parameter incomplete_audio = transcribe takes" in message
    assert of_files(pipelines, [FILE], "sensevoice_strict") == of_samples(pipelines, [WORD])


def told(client, files, model="sensevoice"):
    """Texts and warnings of files."""
    answer = client.infer(model, {"AUDIO": tensor(files), **prompt(len(files))}, ["TRANSCRIPTS", "WARNING"])
    return list(answer["TRANSCRIPTS"][:, 0]), list(answer["WARNING"][:, 0])


def test_of_a_file_that_is_cut_off_there_is_a_warning(either):
    longer = recordings()[0].samples
    cut = encoded(longer, "wav-16", 16000)[:-20_000]
    seconds = (len(longer) - 10_000) / 16_000
    texts, warnings = told(either, [FILE, cut])
    assert texts == of_samples(either, [WORD, longer[:-10_000]])
    assert warnings == ["", f"this WAV file is cut off or damaged; the text is of the {seconds:.2f} s that could be read"]
    assert told(either, [FILE]) == (of_samples(either, [WORD]), [""])
    samples = {"WAV": WORD[None], "WAV_LENS": column(len(WORD)), **prompt()}
    assert either.infer("sensevoice", samples, ["WARNING"])["WARNING"].tolist() == [[""]]


def test_ensembles_of_integers():
    with serving(variants.with_front_ends_of("INT16", variants.repository())) as client:
        samples = (WORD * 32768).astype(np.int16)
        of_integers = of_samples(client, [samples])
        assert of_files(client, [FILE]) == of_integers
        assert recordings()[8].texts[15] in of_integers
