"""The streaming Paraformer's deltas, over every protocol, in any company and any order."""

import itertools
import random
import threading
import time
from functools import partial

import numpy as np
import pytest

from paraformer.reference_chain import StreamingChain
from paraformer.streaming import Bidirectional, send, send_all
from paraformer.texts import CHUNK, ONLINE, streams
from paraformer.variants import HASTY
from support.client import GRPC, HTTP, PROTOCOLS
from support.load import at_once, on_threads

EACH_PROTOCOL = pytest.mark.parametrize("protocol", PROTOCOLS)

CONNECTIONS = 8
SEQUENCES = 64
ROUNDS = 50


@EACH_PROTOCOL
def test_each_chunk_adds_its_text(online, ids, protocol):
    for stream in streams():
        assert send_all(online, stream.chunks, next(ids), protocol) == stream.deltas, stream.name


@EACH_PROTOCOL
def test_string_correlation_ids(online, ids, protocol):
    for stream in streams():
        name = f"Strom {next(ids)} – {stream.name}"
        assert send_all(online, stream.chunks, name, protocol) == stream.deltas, stream.name


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_the_largest_and_the_strangest_ids(online, protocol):
    """Texts of any length, too: none may be longer than what the server's control tensors have room for."""
    stream = streams()[0]
    # The client's gRPC library takes no larger number.
    largest = 2**63 - 1 if protocol == GRPC else 2**64 - 1
    for name in (largest, 1, "1", "x" * 21, "x" * 128, "\n", "ä" * 60):
        assert send_all(online, stream.chunks, name, protocol) == stream.deltas, name


def test_numbers_and_strings_are_different_ids(online):
    """A stream called 5 and one called "5" side by side."""
    first, second = streams()[:2]
    named = [(first, 5), (second, "5")]
    deltas = {name: [] for _, name in named}
    for at in range(max(len(first.chunks), len(second.chunks))):
        for stream, name in named:
            if at < len(stream.chunks):
                last = at == len(stream.chunks) - 1
                deltas[name].append(send(online, stream.chunks[at], name, at == 0, last, GRPC))
    assert deltas == {5: first.deltas, "5": second.deltas}


def test_a_grpc_stream_of_requests(online, ids):
    """Each chunk after the answer to the one before."""
    with Bidirectional(online) as connection:
        for stream in streams():
            name, deltas = next(ids), []
            for at, chunk in enumerate(stream.chunks):
                connection.send(chunk, name, at == 0, at == len(stream.chunks) - 1)
                deltas.append(connection.answer()[1])
            assert deltas == stream.deltas, stream.name


def test_a_grpc_stream_whose_client_does_not_wait(online, ids):
    """All chunks of all recordings under way at once, the recordings' in turns."""
    names = {str(next(ids)): stream for stream in streams()}
    with Bidirectional(online) as connection:
        for at in range(max(len(stream.chunks) for stream in streams())):
            for name, stream in names.items():
                if at < len(stream.chunks):
                    last = at == len(stream.chunks) - 1
                    connection.send(stream.chunks[at], name, at == 0, last, request_id=f"{name} {at}")
        answers = dict(connection.answer() for stream in streams() for _ in stream.chunks)
    for name, stream in names.items():
        assert [answers[f"{name} {at}"] for at in range(len(stream.chunks))] == stream.deltas, stream.name


def test_many_grpc_streams_of_requests(online, ids):
    def run(stream, name):
        with Bidirectional(online) as connection:
            for at, chunk in enumerate(stream.chunks):
                connection.send(chunk, name, at == 0, at == len(stream.chunks) - 1)
            return [connection.answer()[1] for _ in stream.chunks]

    calls = [partial(run, stream, next(ids)) for stream in streams() * 3]
    assert at_once(online, calls) == [stream.deltas for stream in streams()] * 3


def test_the_exported_lfr_cmvn_pe_in_place_of_the_native_one(online, ids):
    for stream in streams():
        assert send_all(online, stream.chunks, next(ids), model="streaming_exported") == stream.deltas
    calls = [partial(send_all, online, stream.chunks, next(ids), GRPC, "streaming_exported") for stream in streams()]
    assert at_once(online, calls) == [stream.deltas for stream in streams()]


def test_what_wav_lens_cuts_off_is_not_heard(online, ids):
    """Noise behind the last chunk's samples changes nothing."""
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, 9600).astype(np.float32)
    for stream in streams()[:4]:
        name, deltas = next(ids), []
        for at, chunk in enumerate(stream.chunks):
            last = at == len(stream.chunks) - 1
            row = np.concatenate([chunk, noise[len(chunk) :]])
            answer = online.infer(
                "streaming_paraformer",
                {"WAV": row[np.newaxis], "WAV_LENS": np.int32([[len(chunk)]])},
                ["TRANSCRIPTS"],
                sequence_id=name,
                sequence_start=at == 0,
                sequence_end=last,
            )
            deltas.append(answer["TRANSCRIPTS"][0, 0])
        assert deltas == stream.deltas


def test_one_answer_per_recording_whatever_else_there_is(online, ids):
    """64 streams at a time over 8 connections, their chunks in random order, in each of 50 rounds."""
    rng = random.Random(64)
    for protocol, _ in zip(itertools.cycle([HTTP, GRPC]), range(ROUNDS)):
        chosen = rng.choices(streams(), k=SEQUENCES)
        live = [(stream, rng.choice([next(ids), f"stream {next(ids)}"])) for stream in chosen]
        shares = [live[first::CONNECTIONS] for first in range(CONNECTIONS)]
        works = [partial(interleaved, online, share, protocol, rng.random()) for share in shares]
        for share, deltas in zip(shares, on_threads(online, works)):
            assert deltas == [stream.deltas for stream, _ in share]


def interleaved(client, live, protocol, seed):
    """Sends the chunks of several streams over one connection: any stream's next one at any time."""
    order = [index for index, (stream, _) in enumerate(live) for _ in stream.chunks]
    random.Random(seed).shuffle(order)
    deltas = [[] for _ in live]
    for index in order:
        (stream, name), at = live[index], len(deltas[index])
        last = at == len(stream.chunks) - 1
        deltas[index].append(send(client, stream.chunks[at], name, at == 0, last, protocol))
    return deltas


def test_fifteen_hundred_streams_at_a_time(online, ids):
    """More than 1024 of them are live at once where the config allows it."""
    count, threads = 1500, 6
    model, stream = "streaming_many", streams()[8]
    first, *middle, last = stream.chunks
    names = [next(ids) for _ in range(count)]
    deltas = {name: [] for name in names}
    everyone = threading.Barrier(threads)

    def run(own):
        for at, chunk in enumerate([first, *middle, last]):
            for name in own:
                is_last = at == len(stream.chunks) - 1
                deltas[name].append(send(online, chunk, name, at == 0, is_last, GRPC, model))
            # Nobody's stream ends before everybody's has begun.
            everyone.wait()

    on_threads(online, [partial(run, names[first::threads]) for first in range(threads)])
    assert all(each == stream.deltas for each in deltas.values())


def test_a_pause_longer_than_a_stream_may_be_idle(online, ids):
    """Chunks of silence keep the steps' sequences alive, but nobody calls the decoder until the next word."""
    said, pause = streams()[5], [np.zeros(CHUNK, np.float32)] * 10
    chunks = [*said.chunks[:-1], *pause, *said.chunks]
    stream, deltas = next(ids), []
    for at, chunk in enumerate(chunks):
        deltas.append(send(online, chunk, stream, at == 0, at == len(chunks) - 1, GRPC, "streaming_hasty"))
        if deltas[-1] == "" and at >= len(said.chunks):
            time.sleep(2 * 15 / HASTY / len(pause))
    assert deltas == StreamingChain(ONLINE).transcribe(np.concatenate(chunks))
    assert "".join(deltas) == 2 * said.text
