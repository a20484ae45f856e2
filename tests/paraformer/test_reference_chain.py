"""The server's texts are those of a plain chain of kaldi-native-fbank, onnxruntime and numpy."""

import random
from functools import partial

import numpy as np
import pytest

from paraformer.reference_chain import OfflineChain, StreamingChain
from paraformer.streaming import send_all
from paraformer.test_offline import ask
from paraformer.texts import OFFLINE, ONLINE, cut, recordings, streams
from support.client import GRPC
from support.load import at_once


@pytest.fixture(scope="module")
def offline_chain():
    """The chain over the demo's export."""
    return OfflineChain(OFFLINE)


@pytest.fixture(scope="module")
def streaming_chain():
    """The chain over the demo's export."""
    return StreamingChain(ONLINE)


def variations(samples, count):
    """Other recordings made of one: excerpts, louder or softer, with some noise."""
    rng = np.random.default_rng(len(samples))
    for _ in range(count):
        start = rng.integers(0, len(samples) // 4)
        end = rng.integers(len(samples) // 2, len(samples))
        noise = rng.normal(0, 0.002, end - start)
        yield (samples[start:end] * rng.uniform(0.3, 1.2) + noise).astype(np.float32)


def test_offline_texts(offline, offline_chain):
    for recording in recordings():
        expected = offline_chain.transcribe(recording.samples)
        assert expected == recording.text
        assert ask(offline, [recording.samples]) == [expected]


def test_offline_texts_of_other_audio(offline, offline_chain):
    wavs = [wav for recording in recordings() for wav in variations(recording.samples, 3)]
    texts = [[offline_chain.transcribe(wav)] for wav in wavs]
    assert len({text for (text,) in texts}) > 15
    assert at_once(offline, [partial(ask, offline, [wav]) for wav in wavs]) == texts


def test_streaming_texts(online, ids, streaming_chain):
    for stream in streams():
        expected = streaming_chain.transcribe(stream.samples)
        assert expected == stream.deltas
        assert send_all(online, stream.chunks, next(ids)) == expected


def test_streaming_texts_of_other_audio(online, ids, streaming_chain):
    """Of any length, so that last chunks have any number of samples; and recordings one after the other."""
    wavs = [wav for stream in streams() for wav in variations(stream.samples, 3)]
    rng = random.Random(2)
    wavs += [np.concatenate([each.samples for each in rng.sample(streams(), 4)]) for _ in range(4)]
    texts = [streaming_chain.transcribe(wav) for wav in wavs]
    assert len({"".join(deltas) for deltas in texts}) > 15
    calls = [partial(send_all, online, cut(wav), next(ids), GRPC) for wav in wavs]
    assert at_once(online, calls) == texts
