"""Lengths given to encoders and decoder directly: one that lies would make the model allocate gigabytes."""

import numpy as np
import pytest

from hostile.test_hostile_requests import memory_mb
from support.client import GRPC, HTTP, InferenceServerException

FRAMES = 20


def encoder(length, **more):
    """The inputs of an encoder."""
    return {"speech": np.zeros((1, FRAMES, 560), np.float32), "speech_lengths": np.int32([[length]]), **more}


def decoder(enc_len=FRAMES, tokens=3):
    """The inputs of the decoder."""
    frames = np.zeros((1, FRAMES, 128), np.float32)
    lengths = {"enc_len": np.int32([[enc_len]]), "acoustic_embeds_len": np.int32([[tokens]])}
    return {"enc": frames, "acoustic_embeds": frames[:, :3], **lengths}


def caches(client, model):
    """The decoder's caches, where the server does not keep them."""
    names = [each["name"] for each in client.http.get_model_metadata(model)["inputs"]]
    return {name: np.zeros((1, 128, 10), np.float32) for name in names if name.startswith("in_cache_")}


ID = np.int32([[0]])
LYING = {
    "sensevoice_encoder": (lambda length: encoder(length, language=ID, textnorm=ID), "speech_lengths", FRAMES, "speech"),
    "paraformer_encoder": (encoder, "speech_lengths", FRAMES, "speech"),
    "online_encoder": (encoder, "speech_lengths", FRAMES, "speech"),
    "online_decoder": (decoder, "enc_len", FRAMES, "enc"),
    "online_decoder, tokens": (lambda length: decoder(tokens=length), "acoustic_embeds_len", 3, "acoustic_embeds"),
}


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
@pytest.mark.parametrize("name", LYING)
def test_a_length_that_lies_is_refused_before_the_model_runs(either, name, protocol):
    inputs, lengths, most, of = LYING[name]
    before = memory_mb(either.server)
    for value in (most + 1, 2**24, 2**31 - 1, -1, -(2**31)):
        with pytest.raises(InferenceServerException) as caught:
            stream = {"sequence_id": 9, "sequence_start": True, "sequence_end": True} if "online" in name else {}
            model = name.split(",")[0]
            either.infer(model, {**inputs(value), **caches(either, model)}, [], protocol, **stream)
        assert caught.value.status() == ("StatusCode.INVALID_ARGUMENT" if protocol == GRPC else "400")
        assert f"input '{lengths}': row 0 is {value}, expected 0 to {most}, as long as '{of}' is" in caught.value.message()
    assert memory_mb(either.server) < before + 20
