"""Each channel of a file as a row of the answer."""

import io

import numpy as np
import pytest
import soundfile

from audio.ask import column, of_samples, prompt
from audio.files import RATE, files, made
from support.client import GRPC, HTTP, InferenceServerException
from support.recordings import WITH_ITN, WITHOUT_ITN, recordings

LENGTH = 30_000
# Of equal length, as the channels of a file are.
VOICES = [np.resize(recordings()[index].samples, LENGTH) for index in (0, 3, 7)]
OUTPUTS = ["TRANSCRIPTS", "AUDIO_ROW", "AUDIO_CHANNEL", "WARNING"]


def together(*channels, form="WAV"):
    """A file with these channels."""
    file = io.BytesIO()
    soundfile.write(file, np.stack(channels, axis=1), RATE, "PCM_16", format=form)
    return file.getvalue()


def ask(client, rows, protocol=HTTP, asked=None, **more):
    """Of each row of the answer the text, the file and the channel."""
    tensors = {"AUDIO": files(rows), **(asked or prompt(len(rows))), **more}
    answer = client.infer("sensevoice_rows", tensors, OUTPUTS, protocol)
    assert {answer[name].shape for name in OUTPUTS} == {(len(answer["TRANSCRIPTS"]), 1)}
    return [tuple(answer[name][row, 0] for name in OUTPUTS[:3]) for row in range(len(answer["TRANSCRIPTS"]))]


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
@pytest.mark.parametrize("form", ["WAV", "FLAC"])
def test_each_channel_is_a_row(pipelines, form, protocol):
    texts = [of_samples(pipelines, [voice])[0] for voice in VOICES]
    assert len(set(texts)) == 3
    expected = [(text, 0, channel) for channel, text in enumerate(texts)]
    assert ask(pipelines, [together(*VOICES, form=form)], protocol) == expected


def test_files_of_different_channels_follow_each_other(pipelines):
    a, b, c = (of_samples(pipelines, [voice])[0] for voice in VOICES)
    rows = [together(VOICES[0]), together(*VOICES[1:]), together(VOICES[2], VOICES[0])]
    assert ask(pipelines, rows) == [(a, 0, 0), (b, 1, 0), (c, 1, 1), (c, 2, 0), (a, 2, 1)]


def test_what_is_said_of_a_file_goes_for_all_its_channels(pipelines):
    """Here whether numbers are written in digits."""
    digits = recordings()[1]
    stereo = together(digits.samples, digits.samples)
    asked = {"LANGUAGE": column(0, 2), "TEXT_NORM": column([WITHOUT_ITN, WITH_ITN], 2)}
    texts = [text for text, _, _ in ask(pipelines, [stereo, stereo], asked=asked)]
    without, with_digits = digits.texts[WITHOUT_ITN], digits.texts[WITH_ITN]
    assert texts == [without, without, with_digits, with_digits]


def test_a_channel_that_is_picked_is_one_row(pipelines):
    a, b, _ = (of_samples(pipelines, [voice])[0] for voice in VOICES)
    stereo = together(*VOICES[:2])
    assert ask(pipelines, [stereo, stereo], CHANNEL=column([1, -1], 2)) == [(b, 0, 1), (a, 1, 0), (b, 1, 1)]


def test_paraformer_too(pipelines):
    answer = pipelines.infer("infer_rows", {"AUDIO": files([together(*VOICES)])}, ["TRANSCRIPTS", "AUDIO_CHANNEL"])
    alone = [pipelines.infer("infer_pipeline", {"WAV": each[None], "WAV_LENS": column(LENGTH)}, ["TRANSCRIPTS"]) for each in VOICES]
    assert list(answer["TRANSCRIPTS"][:, 0]) == [each["TRANSCRIPTS"][0, 0] for each in alone]
    assert list(answer["AUDIO_CHANNEL"][:, 0]) == [0, 1, 2]


def test_opus_of_two_channels(pipelines):
    (first, second) = ask(pipelines, [made("08_en_stereo.webm")])
    assert "good" in first[0] and "good" in second[0]


def test_more_channels_than_become_rows(pipelines):
    with pytest.raises(InferenceServerException) as error:
        ask(pipelines, [together(*[VOICES[0]] * 9)])
    assert "row 0: the audio has 9 channels; up to 8 are taken each for itself, pick one of them" in error.value.message()
    assert len(ask(pipelines, [together(*[VOICES[0]] * 8)])) == 8


def test_samples_are_one_channel(pipelines):
    tensors = {"WAV": VOICES[0][None], "WAV_LENS": column(LENGTH), **prompt()}
    answer = pipelines.infer("sensevoice_rows", tensors, OUTPUTS)
    assert [answer[name][0, 0] for name in OUTPUTS] == [of_samples(pipelines, [VOICES[0]])[0], 0, -1, ""]
