"""WAV as the bytes of samples, as a microphone or a telephone hands them out."""

import numpy as np
import pytest
import soxr

from audio import variants
from audio.ask import ask, column, of_samples, prompt
from audio.files import RATE, encoded, files
from audio.test_streams import send, transcribe
from paraformer.streaming import MODEL
from pipelines.audio import cut
from support.client import GRPC, HTTP, InferenceServerException, serving
from support.recordings import recordings

SPOKEN = [recordings()[index].samples for index in (8, 0, 3)]


def as_bytes(samples):
    """16 bits, little-endian."""
    return (samples * 32768).astype("<i2").tobytes()


def of_bytes(client, rows, model="sensevoice_bytes", protocol=HTTP, **more):
    """The transcripts of rows of bytes."""
    asked = prompt(len(rows)) if model.startswith("sensevoice") else {}
    return ask(client, {"WAV": files(rows), **asked, **more}, model, protocol)


def refused(call, *arguments, **more):
    with pytest.raises(InferenceServerException) as error:
        call(*arguments, **more)
    assert "400" in str(error.value.status())
    return error.value.message()


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_bytes_have_the_text_of_their_floats(pipelines, protocol):
    rows = [as_bytes(samples) for samples in SPOKEN]
    expected = of_samples(pipelines, SPOKEN)
    assert of_bytes(pipelines, rows, protocol=protocol) == expected
    assert [of_bytes(pipelines, [row], protocol=protocol)[0] for row in rows] == expected
    paraformer = [of_bytes(pipelines, [row], "infer_bytes")[0] for row in rows]
    answers = [pipelines.infer("infer_pipeline", {"WAV": each[None], "WAV_LENS": column(len(each))}, ["TRANSCRIPTS"]) for each in SPOKEN]
    assert paraformer == [answer["TRANSCRIPTS"][0, 0] for answer in answers]


def test_a_length_may_be_said_too(pipelines):
    whole = SPOKEN[1]
    part = 20_000
    expected = of_samples(pipelines, [whole[:part]])
    assert of_bytes(pipelines, [as_bytes(whole)], WAV_LENS=column(part)) == expected
    message = refused(of_bytes, pipelines, [as_bytes(whole)], WAV_LENS=column(len(whole) + 1))
    assert f"row 0 is {len(whole) + 1}, expected 1 to {len(whole)}" in message
    rows = [as_bytes(whole[:part]), as_bytes(whole)]
    message = refused(of_bytes, pipelines, rows, WAV_LENS=column(len(whole), 2))
    assert f"row 0 is {len(whole)}, but there are {part} samples" in message


def test_bytes_count_as_they_came_whatever_is_said_to_count_of_them(pipelines, ids):
    """The server holds all of them until the answer."""
    many = bytes(2 * variants.FEW_BYTES)
    words = f"parameter max_pending_bytes allows {variants.FEW_BYTES} bytes"
    assert words in refused(of_bytes, pipelines, [many], "sensevoice_few_bytes", WAV_LENS=column(1600))
    flags = {"sequence_id": next(ids), "sequence_start": True, "sequence_end": True}
    tensors = {"WAV": files([many]), "WAV_LENS": column(0)}
    assert words in refused(pipelines.infer, "streaming_few_bytes", tensors, ["TRANSCRIPTS"], **flags)
    part = as_bytes(SPOKEN[1])
    assert of_bytes(pipelines, [part], "sensevoice_few_bytes") == of_bytes(pipelines, [part])


def test_bytes_of_another_rate(pipelines):
    high = soxr.resample(SPOKEN[0], RATE, 48000, "VHQ").clip(-1, 1)
    expected = of_samples(pipelines, [np.frombuffer(as_bytes(high), "<i2")], "sensevoice_int16", SAMPLE_RATE=column(48000))
    assert of_bytes(pipelines, [as_bytes(high)], SAMPLE_RATE=column(48000)) == expected


def test_bytes_of_a_telephone(pipelines):
    """What stands in a WAV file of µ-law behind its header."""
    file = encoded(SPOKEN[0], "wav-mu-law", 8000)
    law = file[file.index(b"data") + 8 :]
    as_file = ask(pipelines, {"AUDIO": files([file]), **prompt()})
    assert of_bytes(pipelines, [law], "sensevoice_mulaw", SAMPLE_RATE=column(8000)) == as_file


MISTAKES = {
    "half a sample": (as_bytes(SPOKEN[0])[:-1], "which are no whole samples of 2 bytes each (parameter pcm_format)"),
    "a WAV file": (encoded(SPOKEN[0], "wav-16"), "row 0 begins with the header of a WAV file (RIFF); send the samples behind it"),
    "an Ogg file": (encoded(SPOKEN[0], "opus"), "row 0 begins with the header of an Ogg file (OggS)"),
    "nothing": (b"", "row 0 has 0 samples, expected at least 1"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(pipelines, name):
    given, expected = MISTAKES[name]
    assert expected in refused(of_bytes, pipelines, [given])


@pytest.mark.parametrize("size", [9600, 999, 16001])
def test_a_stream_of_bytes(pipelines, ids, size):
    samples = recordings()[0].samples
    expected = transcribe(pipelines, cut(samples, 9600), next(ids))
    assert stream(pipelines, samples, size, next(ids), "streaming_bytes") == expected


def stream(client, samples, size, number, model=MODEL):
    """The text of a stream of bytes, which ends with nothing."""
    pieces = [as_bytes(piece) for piece in cut(samples, size)] + [b""]
    texts = []
    for at, piece in enumerate(pieces):
        flags = {"sequence_id": number, "sequence_start": at == 0, "sequence_end": at == len(pieces) - 1}
        answer = client.infer(model, {"WAV": files([piece])}, ["TRANSCRIPTS"], **flags)
        texts.append(answer["TRANSCRIPTS"][0, 0])
    return "".join(texts)


def test_ensembles_of_bytes(ensembles, ids):
    """Their recordings and streams have the texts of floats."""
    expected = of_samples(ensembles, SPOKEN)
    samples = recordings()[0].samples
    stream_of_floats = [
        send(ensembles, piece, 7, at == 0, at == len(cut(samples, 9600)) - 1) for at, piece in enumerate(cut(samples, 9600))
    ]
    with serving(variants.with_front_ends_of("STRING", variants.repository())) as client:
        assert [of_bytes(client, [as_bytes(each)], "sensevoice")[0] for each in SPOKEN] == expected
        pieces = cut(samples, 9600)
        texts = []
        for at, piece in enumerate(pieces):
            flags = {"sequence_id": 9, "sequence_start": at == 0, "sequence_end": at == len(pieces) - 1}
            answer = client.infer(MODEL, {"WAV": files([as_bytes(piece)])}, ["TRANSCRIPTS"], **flags)
            texts.append(answer["TRANSCRIPTS"][0, 0])
        assert texts == stream_of_floats
        long = files([as_bytes(samples[:9601])])
        message = refused(client.infer, MODEL, {"WAV": long}, ["TRANSCRIPTS"], sequence_id=10, sequence_start=True, sequence_end=True)
        assert "row 0 is 9601, expected 0 to 9600 (samples of 'wav'; a chunk of 16000 Hz has up to 9600 of them)" in message
