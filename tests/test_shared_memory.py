"""Inputs and outputs in system shared memory, as clients on the server's machine send them."""

import uuid
from contextlib import contextmanager

import numpy as np
import pytest
import tritonclient.grpc as grpc
import tritonclient.http as http
import tritonclient.utils.shared_memory as shared_memory

from support.client import GRPC, HTTP
from support.recordings import WITH_ITN, recordings
from support.variants import FRONT_END_DATA


def is_given_back(client, name):
    """Unregisters a region, unless the server, which has answered already, still holds it."""
    try:
        client.http.unregister_system_shared_memory(name)
    except http.InferenceServerException as error:
        assert "currently in use" in error.message()
        return False
    return True


@contextmanager
def region(client, byte_size):
    """A region that the server knows. Yields its name and handle."""
    name = f"tests-{uuid.uuid4().hex}"
    handle = shared_memory.create_shared_memory_region(name, f"/{name}", byte_size)
    try:
        client.http.register_system_shared_memory(name, f"/{name}", byte_size)
        try:
            yield name, handle
        finally:
            client.wait_until(lambda: is_given_back(client, name))
    finally:
        shared_memory.destroy_shared_memory_region(handle)


def lay_out(handle, tensors, gap):
    """Writes tensors one behind the other with `gap` bytes before each; the offset of each."""
    offset, offsets = 0, {}
    for name, array in tensors.items():
        offset += gap
        shared_memory.set_shared_memory_region(handle, [array], offset=offset)
        offsets[name] = offset
        offset += array.nbytes
    return offsets


def infer(client, protocol, model, tensors, outputs, gap):
    """Like Client.infer with everything in one region; `outputs` gives the byte size reserved for each."""
    library = grpc if protocol == GRPC else http
    own = client.grpc if protocol == GRPC else client.http
    size = sum(gap + array.nbytes for array in tensors.values()) + sum(gap + size for size in outputs.values())
    with region(client, size) as (name, handle):
        offsets = lay_out(handle, tensors, gap)
        inputs = []
        for key, array in tensors.items():
            kind = {"float32": "FP32", "int32": "INT32"}[array.dtype.name]
            tensor = library.InferInput(key, list(array.shape), kind)
            tensor.set_shared_memory(name, array.nbytes, offset=offsets[key])
            inputs.append(tensor)
        offset = size - sum(gap + size for size in outputs.values())
        wanted, places = [], {}
        for key, reserved in outputs.items():
            offset += gap
            wanted.append(library.InferRequestedOutput(key))
            wanted[-1].set_shared_memory(name, reserved, offset=offset)
            places[key] = offset
            offset += reserved
        result = own.infer(model, inputs, outputs=wanted)
        answer = {}
        for key, place in places.items():
            output = result.get_output(key)
            shape = list(output.shape) if protocol == GRPC else output["shape"]
            kind = output.datatype if protocol == GRPC else output["datatype"]
            dtype = {"FP32": np.float32, "INT32": np.int32, "BYTES": np.bytes_}[kind]
            answer[key] = np.copy(shared_memory.get_contents_as_numpy(handle, dtype, shape, offset=place))
        return answer


@pytest.mark.parametrize("gap", [0, 1, 2, 3])
@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_features_at_any_offset(sensevoice, protocol, gap):
    """Tensors begin where no float may be read directly."""
    wav = np.load(FRONT_END_DATA / "noise_1s.wav.npy").astype(np.float32).reshape(1, -1)
    tensors = {"wav": wav, "wav_lens": np.array([[wav.size]], np.int32)}
    expected = sensevoice.infer("golden_features", tensors, ["speech", "speech_lengths"])
    sizes = {name: array.nbytes for name, array in expected.items()}
    answer = infer(sensevoice, protocol, "golden_features", tensors, sizes, gap)
    np.testing.assert_array_equal(answer["speech"], expected["speech"])
    np.testing.assert_array_equal(answer["speech_lengths"], expected["speech_lengths"])


@pytest.mark.parametrize("gap", [0, 1, 3])
@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_transcripts(sensevoice, protocol, gap):
    for recording in recordings()[:3]:
        tensors = {
            "WAV": recording.samples[np.newaxis].copy(),
            "WAV_LENS": np.array([[len(recording.samples)]], np.int32),
            "LANGUAGE": np.array([[0]], np.int32),
            "TEXT_NORM": np.array([[WITH_ITN]], np.int32),
        }
        answer = infer(sensevoice, protocol, "sensevoice", tensors, {"TRANSCRIPTS": 4096}, gap)
        assert [text.decode() for text in answer["TRANSCRIPTS"].ravel()] == [recording.texts[WITH_ITN]]


@pytest.mark.parametrize("gap", [1])
def test_scores_at_an_odd_offset(sensevoice, gap):
    """The largest tensor of all, read where it lies."""
    frames, pieces = 6, 25055
    scores = np.random.default_rng(5).normal(size=(2, frames, pieces)).astype(np.float32)
    tensors = {"ctc_logits": scores, "encoder_out_lens": np.array([[frames], [frames - 2]], np.int32)}
    expected = sensevoice.infer("golden_scoring", tensors, ["OUTPUT0"])["OUTPUT0"].tolist()
    answer = infer(sensevoice, HTTP, "golden_scoring", tensors, {"OUTPUT0": 4096}, gap)
    assert [[text.decode() for text in row] for row in answer["OUTPUT0"]] == expected


def test_an_output_region_too_small_is_an_error_for_that_request(sensevoice):
    recording = recordings()[0]
    tensors = {
        "WAV": recording.samples[np.newaxis].copy(),
        "WAV_LENS": np.array([[len(recording.samples)]], np.int32),
        "LANGUAGE": np.array([[0]], np.int32),
        "TEXT_NORM": np.array([[WITH_ITN]], np.int32),
    }
    with pytest.raises(http.InferenceServerException):
        infer(sensevoice, HTTP, "sensevoice", tensors, {"TRANSCRIPTS": 8}, 0)
    assert sensevoice.transcribe([recording.samples], WITH_ITN) == [recording.texts[WITH_ITN]]
