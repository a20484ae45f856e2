"""Correlation ids of any bytes: each is a stream of its own, and errors repeat little of them."""

import itertools

import pytest

from hostile.raw_streams import chunk_request, send
from hostile.test_hostile_requests import LONGEST_ECHO, longest_echo
from paraformer.texts import streams

# None of these is UTF-8; read carelessly, they are all the same few replacement characters.
ALIKE = [b"\xff", b"\xfe", b"\xc3", b"\xed\xa0\x80", b"\xff\xff\xff", b"\xf0\x90\x80"]
LONG = ["x" * 101, "x" * 128, "七" * 42, "é" * 64, "a" + "🎤" * 31]


def test_ids_that_differ_in_one_byte_are_different_streams(either):
    """Chunk by chunk in turn, a different recording for each."""
    chosen = list(zip(ALIKE, streams()))
    deltas = {name: [] for name in ALIKE}
    for at in range(max(len(stream.chunks) for _, stream in chosen)):
        for name, stream in chosen:
            if at < len(stream.chunks):
                answer = send(either, chunk_request(stream.chunks[at], name, at == 0, at == len(stream.chunks) - 1))
                assert answer.went_well, answer
                deltas[name] += answer.texts
    for name, stream in chosen:
        assert deltas[name] == stream.deltas, name


@pytest.mark.parametrize("name", LONG, ids=len)
def test_an_error_repeats_little_of_a_long_id(either, name):
    good, name = streams()[5].chunks, name.encode()
    spoilt = chunk_request(good[0], name, start=True)
    spoilt.inputs[1].data = b"\xff\xff\xff\xff"
    assert "row 0 is -1" in send(either, spoilt).error
    # The stream never began, for us; the server takes the next chunk for one of it.
    error = send(either, chunk_request(good[1], name)).error
    assert "is not known here" in error
    assert 0.9 * LONGEST_ECHO < longest_echo(error, [name.decode()]) <= LONGEST_ECHO, error
    assert "…" in error


def test_short_ids_are_repeated_whole(either):
    for name in itertools.chain([b"a", b"stream 7", "七".encode() * 33], [b"x" * 100]):
        spoilt = chunk_request(streams()[5].chunks[0], name, start=True)
        spoilt.inputs[1].data = b"\xff\xff\xff\xff"
        assert not send(either, spoilt).went_well
        error = send(either, chunk_request(streams()[5].chunks[1], name)).error
        assert f"stream {name.decode()} is not known here" in error, error
