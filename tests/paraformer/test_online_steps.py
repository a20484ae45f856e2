"""The streaming front end and lfr_cmvn_pe by themselves, against recorded arrays."""

from functools import partial

import numpy as np
import pytest

from paraformer.repositories import FRONT_END_DATA
from paraformer.streaming import send
from paraformer.texts import CHUNK, cut, streams
from support.client import GRPC, HTTP, PROTOCOLS, InferenceServerException
from support.load import at_once, on_threads

RECORDED = ("speech_zh", "speech_en", "speech_digits")
EACH_PROTOCOL = pytest.mark.parametrize("protocol", PROTOCOLS)


def samples(name):
    """The samples of a recorded case."""
    return np.load(FRONT_END_DATA / f"{name}.wav.npy")


def windows(name):
    """What the Python front end makes of them: `[chunks, 61, 80]`."""
    return np.load(FRONT_END_DATA / f"{name}.windows.npy")


def stacked(name):
    """What lfr_cmvn_pe makes of the windows: `[chunks, 20, 560]`."""
    return np.load(FRONT_END_DATA / f"{name}.lfr_cmvn_pe.npz")["chunk_xs_out"]


def flags(stream, at, last):
    """A request's place in its stream."""
    return {"sequence_id": stream, "sequence_start": at == 0, "sequence_end": at == last}


def log_mel(client, chunks, stream, protocol=HTTP):
    """The front end's windows of a stream."""
    found = []
    for at, chunk in enumerate(chunks):
        tensors = {"wav": chunk[np.newaxis], "wav_lens": np.int32([[len(chunk)]])}
        place = flags(stream, at, len(chunks) - 1)
        found.append(client.infer("feature_extractor", tensors, ["speech"], protocol, **place)["speech"])
        assert found[-1].shape == (1, 61, 80)
    return np.concatenate(found)


def encoded(client, each_window, stream, protocol=HTTP):
    """What lfr_cmvn_pe makes of a stream of windows."""
    found = []
    for at, window in enumerate(each_window):
        answer = client.infer(
            "golden_lfr_cmvn_pe",
            {"chunk_xs": window[np.newaxis]},
            ["chunk_xs_out", "chunk_xs_out_len"],
            protocol,
            **flags(stream, at, len(each_window) - 1),
        )
        assert answer["chunk_xs_out"].shape == (1, 20, 560)
        assert answer["chunk_xs_out_len"].tolist() == [[20]]
        found.append(answer["chunk_xs_out"])
    return np.concatenate(found)


@EACH_PROTOCOL
@pytest.mark.parametrize("name", RECORDED)
def test_log_mel_frames_are_the_recorded_ones(online, ids, name, protocol):
    found = log_mel(online, cut(samples(name)), next(ids), protocol)
    assert found.shape == windows(name).shape
    assert np.abs(found - windows(name)).max() < 1e-3


def test_log_mel_frames_do_not_depend_on_the_company(online, ids):
    """Bit for bit what a stream gets alone, while chunks of other streams, and of other lengths, are in the batch."""
    rng = np.random.default_rng(11)
    chunks = {name: cut(samples(name)) for name in RECORDED}
    chunks |= {
        f"noise {number}": cut(rng.uniform(-1, 1, rng.integers(1, 12 * CHUNK)).astype(np.float32))
        for number in range(13)
    }
    alone = {name: log_mel(online, each, next(ids)) for name, each in chunks.items()}
    works = [partial(log_mel, online, each, next(ids), GRPC) for each in chunks.values()]
    before = executions(online, "feature_extractor")
    for together in (at_once(online, works), on_threads(online, works)):
        for (name, expected), found in zip(alone.items(), together):
            assert np.array_equal(found, expected), name
        works = [partial(log_mel, online, each, next(ids), GRPC) for each in chunks.values()]
    assert shared(before, executions(online, "feature_extractor"))


def executions(client, model):
    """Requests and executions so far."""
    entry = client.statistics(model)
    return entry["inference_count"], entry["execution_count"]


def shared(before, after):
    """Whether some requests shared an execution in between."""
    return after[0] - before[0] > after[1] - before[1]


def test_any_chunk_of_a_stream_may_be_short(online, ids):
    """A chunk shorter than 0.6 s is filled up with silence."""
    whole = samples("speech_zh")
    short = [whole[:CHUNK], whole[CHUNK : CHUNK + 4000], np.zeros(0, np.float32), whole[20000:20001]]
    filled = [np.concatenate([each, np.zeros(CHUNK - len(each), np.float32)]) for each in short]
    assert np.array_equal(log_mel(online, short, next(ids)), log_mel(online, filled, next(ids)))


@EACH_PROTOCOL
@pytest.mark.parametrize("name", RECORDED)
def test_stacked_frames_are_the_recorded_ones(online, ids, name, protocol):
    found = encoded(online, windows(name), next(ids), protocol)
    assert np.abs(found - stacked(name)).max() < 1e-3
    # The state: every window begins with the last one's frames, the first with zeros.
    assert not found[0, :10].any()
    assert np.array_equal(found[1:, :10], found[:-1, 10:])


def test_stacked_frames_do_not_depend_on_the_company(online, ids):
    names = RECORDED * 4
    alone = {name: encoded(online, windows(name), next(ids)) for name in RECORDED}
    before = executions(online, "golden_lfr_cmvn_pe")
    together = at_once(online, [partial(encoded, online, windows(name), next(ids), GRPC) for name in names])
    assert shared(before, executions(online, "golden_lfr_cmvn_pe"))
    for name, found in zip(names, together):
        assert np.array_equal(found, alone[name]), name


def test_the_states_are_the_servers(online, ids):
    """The next states can be asked for, as the config declares them, and a client may not give any."""
    name, stream = "speech_en", next(ids)
    for at, window in enumerate(windows(name)[:3]):
        answer = online.infer(
            "golden_lfr_cmvn_pe", {"chunk_xs": window[np.newaxis]}, ["chunk_xs_out"], GRPC, **flags(stream, at, 2)
        )
        assert np.abs(answer["chunk_xs_out"][0] - stacked(name)[at]).max() < 1e-3
    states = {"cache": np.zeros((1, 10, 560), np.float32), "offset": np.zeros((1, 1), np.int32)}
    with pytest.raises(InferenceServerException, match="cache|offset"):
        online.infer(
            "golden_lfr_cmvn_pe", {"chunk_xs": windows(name)[:1], **states}, ["chunk_xs_out"], **flags(next(ids), 0, 0)
        )


def test_thirty_minutes_of_windows(online, ids):
    """Positions go on beyond the 5000 of the reference's table: 3000 windows, ten each."""
    count, stream = 3000, next(ids)
    window = windows("speech_en")[:1]
    first = encoded(online, window, next(ids))[0, 10:]
    steps = np.arange(280)
    timescales = np.exp(-steps * np.log(10000.0) / 279)

    def encoding(window_number):
        angles = np.arange(10 * window_number + 1, 10 * window_number + 11)[:, None] * timescales
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)

    content = first - encoding(0)
    for at in range(count):
        answer = online.infer(
            "golden_lfr_cmvn_pe", {"chunk_xs": window}, ["chunk_xs_out"], GRPC, **flags(stream, at, count - 1)
        )
        if at % 100 == 99 or at in (498, 499, 500, 501):
            found = answer["chunk_xs_out"][0]
            assert np.abs(found[10:] - content - encoding(at)).max() < 5e-3, at
            assert np.abs(found[:10] - content - encoding(at - 1)).max() < 5e-3, at


def test_half_an_hour_of_a_stream(online, ids):
    """The whole chain goes on as it began: 3000 silent chunks, and then what was said is heard."""
    stream, name = streams()[1], next(ids)
    silence = np.zeros(CHUNK, np.float32)
    texts = [send(online, silence, name, at == 0, False, GRPC) for at in range(3000)]
    deltas = [
        send(online, chunk, name, False, at == len(stream.chunks) - 1, GRPC) for at, chunk in enumerate(stream.chunks)
    ]
    assert "".join(texts) == ""
    # The model knows short recordings; after half an hour of silence it need not hear all that is said.
    assert set("".join(deltas)) & set(stream.text)
