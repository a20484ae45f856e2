"""A stream's text is that of the rule, whatever pieces it is sent in."""

from functools import cache, partial

import numpy as np
import pytest

from paraformer.streaming import send
from paraformer.texts import ONLINE, streams
from pipelines.audio import after_last_word, cut, made_up, noise, spoken
from pipelines.rule_chain import RuleChain
from pipelines.streaming import NOTHING, transcribe
from support.client import GRPC, HTTP
from support.load import many_at_a_time

SIZES = (160, 1000, 7680, 9600, 16000, "random", 10**9)


@cache
def audio():
    """The recordings, and longer ones made of them."""
    return [*spoken(), *made_up()]


@pytest.fixture(scope="module")
def expected(chain):
    """The rule's text of each."""
    texts = [chain.transcribe(each) for each in audio()]
    assert texts[: len(spoken())] == [each.text for each in streams()]
    assert len(texts) == 31 and min(map(len, texts[11:])) > 5
    return texts


@pytest.mark.parametrize("size", SIZES)
def test_every_chunk_size_gives_the_text_of_the_rule(pipelines, ids, expected, size):
    protocol = HTTP if size == 9600 else GRPC
    calls = [partial(transcribe, pipelines, cut(each, size), next(ids), protocol=protocol) for each in audio()]
    assert many_at_a_time(pipelines, calls) == expected


def test_a_sample_at_a_time(pipelines, ids, chain):
    word = spoken()[8][3000:9000]
    text = transcribe(pipelines, cut(word, 1), next(ids))
    assert text == chain.transcribe(word)


@pytest.mark.parametrize("size", ["random", 9600])
def test_the_rule_without_silence_at_the_end(pipelines, ids, size):
    chain = RuleChain(ONLINE, tail_padding_ms=0)
    # So that every number of frames is left at the end, in short streams and longer ones.
    pieces = [spoken()[0][: 960 * frames + 400] for frames in range(40)]
    calls = [partial(transcribe, pipelines, cut(each, size), next(ids), "streaming_plain") for each in pieces]
    texts = many_at_a_time(pipelines, calls)
    assert texts == [chain.transcribe(each) for each in pieces]
    assert len(set(texts)) > 5


def test_text_comes_as_soon_as_its_window_is_there(pipelines, ids, chain):
    """The deltas are those of the ensemble, whose chunks are the windows."""
    for each in streams():
        deltas, stream = [], next(ids)
        for at, chunk in enumerate(each.chunks):
            deltas.append(send(pipelines, chunk, stream, at == 0, at == len(each.chunks) - 1, GRPC))
        assert deltas[:-1] == each.deltas[:-1], each.name
        assert deltas[-1] == "".join(each.deltas)[len("".join(deltas[:-1])) :], each.name


def test_an_empty_end_gives_the_text_that_was_due(pipelines, ids):
    for samples, stream in zip(spoken(), streams()):
        pieces = cut(samples, 9600)
        assert transcribe(pipelines, [*pieces, NOTHING], next(ids)) == stream.text


def test_a_last_word_cut_off_at_its_end_is_heard_and_the_ensemble_loses_it(pipelines, ensembles, ids):
    heard, lost = [], []
    for samples, stream in zip(spoken()[:10], streams()):
        word_ends = after_last_word(samples)
        # The ensemble fills a last chunk up with silence, and then never decodes its last 300 ms: here it is full.
        aligned = np.concatenate([np.zeros(-len(word_ends) % 9600, np.float32), word_ends])
        whole = transcribe(pipelines, cut(aligned, 9600), next(ids))
        part = transcribe(ensembles, cut(aligned, 9600), next(ids))
        heard.append(whole == stream.text)
        lost.append(whole.startswith(part) and len(part) < len(whole))
    assert all(heard)
    # The last words of the others end soon enough before their recording does.
    assert sum(lost) >= 4


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_nothing_to_hear_is_no_text(pipelines, ids, protocol):
    quiet = {
        "nothing": [NOTHING],
        "nothing, twice": [NOTHING, NOTHING],
        "one sample": [np.ones(1, np.float32)],
        "20 ms": [noise(320, 0.1)],
        "2 s of silence": [np.zeros(32000, np.float32)],
        "20 s of silence": cut(np.zeros(320_000, np.float32), 9600),
        "noise": cut(noise(48_000, 3e-3), 7000),
        "less noise": cut(noise(48_000, 1e-4), 7000),
        "silence and an empty end": [np.zeros(9600, np.float32), NOTHING],
    }
    texts = {name: transcribe(pipelines, pieces, next(ids), protocol=protocol) for name, pieces in quiet.items()}
    assert texts == dict.fromkeys(quiet, "")
