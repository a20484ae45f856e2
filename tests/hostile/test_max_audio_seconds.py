"""`max_audio_seconds` in every component that takes audio: what is beyond is refused before it is looked at."""

import json
import urllib.error
import urllib.request
from functools import partial

import numpy as np
import pytest

from hostile.variants import LIMITS, copy_of_all, set_limit
from paraformer.streaming import send, send_all
from paraformer.texts import streams
from support.client import GRPC, HTTP, InferenceServerException
from support.recordings import recordings
from support.server import Server

SAMPLE_RATE = 16000
# Model, its limit in samples, and the names of its inputs.
TAKERS = {
    "sensevoice": (36_800, "WAV", "WAV_LENS"),
    "infer_pipeline": (36_800, "WAV", "WAV_LENS"),
    "streaming_paraformer": (36_800, "WAV", "WAV_LENS"),
    "sensevoice_feature_extractor": (36_800, "wav", "wav_lens"),
    "paraformer_feature_extractor": (36_800, "wav", "wav_lens"),
    "online_feature_extractor": (4_800, "wav", "wav_lens"),
}
OUTPUTS = {"WAV": "TRANSCRIPTS", "wav": "speech"}


def ask(client, model, samples, length=None, protocol=HTTP):
    """One request of one row."""
    _, wav, wav_lens = TAKERS[model]
    tensors = {wav: samples[None], wav_lens: np.int32([[len(samples) if length is None else length]])}
    if model == "sensevoice":
        tensors |= {"LANGUAGE": np.int32([[0]]), "TEXT_NORM": np.int32([[14]])}
    stream = {}
    if "streaming" in model or "online" in model:
        stream = {"sequence_id": 77, "sequence_start": True, "sequence_end": True}
    return client.infer(model, tensors, [OUTPUTS[wav]], protocol, **stream)


def speech(count):
    """So many samples of speech."""
    return np.resize(recordings()[2].samples, count)


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
@pytest.mark.parametrize("model", TAKERS)
def test_one_sample_more_is_refused(limited, model, protocol):
    most, _, wav_lens = TAKERS[model]
    assert ask(limited, model, speech(most), protocol=protocol)
    with pytest.raises(InferenceServerException) as caught:
        ask(limited, model, speech(most + 1), protocol=protocol)
    assert caught.value.status() == ("StatusCode.INVALID_ARGUMENT" if protocol == GRPC else "400")
    seconds = most / SAMPLE_RATE
    for words in (f"'{wav_lens}'", f"row 0 is {most + 1} samples", f"max_audio_seconds ({seconds} s) allows {most}"):
        assert words in caught.value.message()


@pytest.mark.parametrize("model", TAKERS)
def test_samples_are_not_looked_at_if_there_are_too_many(limited, model):
    most, wav, _ = TAKERS[model]
    spoilt = speech(most + 1)
    spoilt[10] = np.nan
    with pytest.raises(InferenceServerException, match="max_audio_seconds"):
        ask(limited, model, spoilt)
    with pytest.raises(InferenceServerException, match=f"'{wav}': row 0, sample 10 is NaN"):
        ask(limited, model, spoilt[:most])


@pytest.mark.parametrize("model", sorted(set(TAKERS) - {"online_feature_extractor"}))
def test_what_counts_is_the_length_not_the_padding(limited, model):
    most, _, _ = TAKERS[model]
    assert ask(limited, model, speech(10 * most), length=most)


def test_a_stream_is_longer_than_a_chunk_may_be(limited):
    """The limit is a chunk's. One that is refused leaves the stream as it was."""
    stream = streams()[5]
    assert len(stream.samples) > TAKERS["streaming_paraformer"][0]
    deltas = []
    last = len(stream.chunks) - 1
    for at, chunk in enumerate(stream.chunks):
        deltas.append(send(limited, chunk, 5, at == 0, at == last))
        if 0 < at < last:
            with pytest.raises(InferenceServerException, match="max_audio_seconds"):
                send(limited, speech(40_000), 5)
    assert deltas == stream.deltas
    assert "".join(send_all(limited, [stream.samples[:36_800], stream.samples[36_800:]], 6)) == stream.text


BAD_VALUES = {"0": "0 is not above 0", "-600": "-600 is not above 0", "nan": "NaN is not above 0", "much": "'much'"}


def test_a_limit_that_is_none_keeps_the_model_from_loading():
    repository = copy_of_all()
    with Server(repository, "--model-control-mode=explicit", "--model-config-name=pipeline") as server:
        for config, seconds in LIMITS.items():
            load = partial(_load, server, config.split("/")[0])
            for value, words in BAD_VALUES.items():
                set_limit(repository, config, value)
                error = load()
                assert "parameter 'max_audio_seconds'" in error and words in error, error
            for value in (seconds, "inf"):
                set_limit(repository, config, value)
                assert load() == ""


def _load(server, model):
    """Why a model does not load, or nothing."""
    request = urllib.request.Request(f"http://{server.http}/v2/repository/models/{model}/load", data=b"{}")
    try:
        with urllib.request.urlopen(request):
            return ""
    except urllib.error.HTTPError as error:
        return json.load(error)["error"]
