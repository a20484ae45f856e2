"""Streams that go wrong in every way get an error that says so, and hurt nobody else."""

import itertools
import socket
import threading
import time
from functools import partial

import numpy as np
import pytest
import tritonclient.grpc as grpc
import tritonclient.http as http

from paraformer.streaming import MODEL, Bidirectional, send, send_all, tensors
from paraformer.texts import CHUNK, streams
from paraformer.variants import FEW, SHORT_IDLE_SECONDS
from support.client import GRPC, HTTP, InferenceServerException
from support.load import at_once, on_threads

GOOD = streams()[5]
NOTHING = np.zeros(0, np.float32)


def error(call, *words, status="400"):
    """What a call fails with: these words, and this HTTP status."""
    with pytest.raises(InferenceServerException) as caught:
        call()
    for word in words:
        assert word in caught.value.message(), caught.value
    if status:
        assert caught.value.status() == status, caught.value
    return caught.value


def fresh_stream_is_right(client, name, model=MODEL):
    """An id that had a bad stream serves a good one."""
    assert send_all(client, GOOD.chunks, name, model=model) == GOOD.deltas


def serves_again(client, name):
    """An id whose requests were taken back serves a good stream once nothing of the old one is under way any more."""

    def is_right():
        try:
            return send_all(client, GOOD.chunks, name) == GOOD.deltas
        except InferenceServerException as error:
            # What comes while the server ends a cancelled sequence is cancelled too, without a word.
            wordless = error.message().endswith("', ")
            assert wordless or any(each in error.message() for each in ("START flag", "not known", "cancel")), error
            return False

    client.wait_until(is_right)


def no_start(client, name):
    """The server itself refuses it."""
    for _ in range(2):
        error(lambda: send(client, GOOD.chunks[0], name), "must specify the START flag", str(name))
    fresh_stream_is_right(client, name)


def no_id(client, name):
    """The same."""
    error(lambda: send(client, GOOD.chunks[0], 0, start=True), "correlation ID")


def end_first(client, name):
    """An END without a START is no stream."""
    error(lambda: send(client, GOOD.chunks[0], name, end=True), "must specify the START flag", str(name))
    fresh_stream_is_right(client, name)


def two_ends(client, name):
    """The second END has no stream any more."""
    fresh_stream_is_right(client, name)
    error(lambda: send(client, GOOD.chunks[-1], name, end=True), "must specify the START flag", str(name))
    fresh_stream_is_right(client, name)


def start_twice(client, name):
    """A START on a live id begins afresh, at any time."""
    for chunks in range(1, len(GOOD.chunks)):
        for at, chunk in enumerate(GOOD.chunks[:chunks]):
            assert send(client, chunk, name, start=at == 0) == GOOD.deltas[at]
    fresh_stream_is_right(client, name)


def start_and_end_at_once(client, name):
    """A stream of one chunk, over and over."""
    texts = {send(client, GOOD.chunks[1], name, start=True, end=True) for _ in range(4)}
    assert len(texts) == 1
    error(lambda: send(client, GOOD.chunks[1], name), "must specify the START flag")


def bad_chunk(chunk, *words, **inputs):
    """A test of a chunk that is refused in any place of a stream: first, last, in between."""

    def run(client, name):
        def ask(start, end):
            place = {"sequence_id": name, "sequence_start": start, "sequence_end": end}
            client.infer(MODEL, {**tensors(chunk), **inputs}, ["TRANSCRIPTS"], **place)

        last = len(GOOD.chunks) - 1
        deltas = []
        for at, good in enumerate(GOOD.chunks):
            deltas.append(send(client, good, name, at == 0, at == last))
            if at < last:
                error(lambda: ask(False, False), *words)
        assert deltas == GOOD.deltas
        # As the first chunk, on a live id, too: that stream is over, and the next chunk has none to belong to.
        send(client, GOOD.chunks[0], name, start=True)
        error(lambda: ask(True, False), *words)
        error(lambda: send(client, GOOD.chunks[1], name), str(name))
        fresh_stream_is_right(client, name)
        # As the last one.
        send(client, GOOD.chunks[0], name, start=True)
        error(lambda: ask(False, True), *words)
        error(lambda: send(client, GOOD.chunks[1], name), "must specify the START flag")
        fresh_stream_is_right(client, name)

    return run


def two_rows(client, name):
    """The server itself refuses them, as if they had never been sent."""
    rows = {"WAV": np.stack([GOOD.chunks[1]] * 2), "WAV_LENS": np.int32([[CHUNK], [CHUNK]])}
    deltas = []
    for at, chunk in enumerate(GOOD.chunks):
        place = {"sequence_id": name, "sequence_start": at == 0, "sequence_end": at == len(GOOD.chunks) - 1}
        error(lambda: client.infer(MODEL, rows, ["TRANSCRIPTS"], **place), "batch-size 1")
        deltas.append(send(client, chunk, name, at == 0, at == len(GOOD.chunks) - 1))
    assert deltas == GOOD.deltas


def with_sample(value):
    """A chunk with one sample that is none."""
    chunk = GOOD.chunks[1].copy()
    chunk[77] = value
    return chunk


def short_chunks(client, name):
    """Chunks of 0 and of 1 sample are filled up with silence: the text is that of a stream with silence there."""
    one = GOOD.chunks[1][:1]
    silence = np.zeros(CHUNK, np.float32)
    first, *rest = GOOD.chunks
    filled = [first, silence, np.concatenate([one, silence[1:]]), *rest, silence]
    expected = send_all(client, filled, name)
    assert send_all(client, [first, NOTHING, one, *rest, NOTHING], name) == expected
    assert send_all(client, [NOTHING, one, NOTHING], name) == [""] * 3


def client_gone(client, name):
    """Connections that are dropped in the middle of a stream, an answer under way or not."""
    for waits in (True, False):
        with Bidirectional(client) as connection:
            for at, chunk in enumerate(GOOD.chunks[:-1]):
                connection.send(chunk, name, at == 0, False)
            if waits:
                connection.answer()
            connection.client.stop_stream(cancel_requests=True)
        for at, chunk in enumerate(GOOD.chunks[:3]):
            _post_and_leave(client, chunk, f"{name} over HTTP", start=at == 0)
    serves_again(client, name)
    serves_again(client, f"{name} over HTTP")


def _post_and_leave(client, chunk, name, start):
    """Sends a request over HTTP and closes the connection at once."""
    inputs = []
    for tensor, array in tensors(chunk).items():
        inputs.append(http.InferInput(tensor, list(array.shape), "FP32" if tensor == "WAV" else "INT32"))
        inputs[-1].set_data_from_numpy(array)
    body, header = http.InferenceServerClient.generate_request_body(inputs, sequence_id=name, sequence_start=start)
    head = f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    if header is not None:
        head += f"Inference-Header-Content-Length: {header}\r\n"
    host, port = client.server.http.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + b"\r\n" + body)


def cancelled(client, name):
    """gRPC requests that the client takes back, soon or a little later."""
    inputs = []
    for tensor, array in tensors(GOOD.chunks[1]).items():
        inputs.append(grpc.InferInput(tensor, list(array.shape), "FP32" if tensor == "WAV" else "INT32"))
        inputs[-1].set_data_from_numpy(array)
    for number, wait in enumerate((0, 0.0005, 0.002, 0.01)):
        name = f"{name} {number}"
        send(client, GOOD.chunks[0], name, start=True)
        answered = threading.Event()
        call = client.grpc.async_infer(
            MODEL, inputs, callback=lambda result, error: answered.set(), sequence_id=name, sequence_start=False
        )
        answered.wait(wait)
        call.cancel()
        assert answered.wait(60)
        serves_again(client, name)


def timed_out(client, name):
    """gRPC requests whose time is over before they are answered."""
    for seconds in (1e-6, 0.0005, 0.002):
        name = f"{name} {seconds}"
        send(client, GOOD.chunks[0], name, start=True)
        inputs = []
        for tensor, array in tensors(GOOD.chunks[1]).items():
            inputs.append(grpc.InferInput(tensor, list(array.shape), "FP32" if tensor == "WAV" else "INT32"))
            inputs[-1].set_data_from_numpy(array)
        try:
            client.grpc.infer(MODEL, inputs, sequence_id=name, client_timeout=seconds)
        except InferenceServerException as late:
            assert "Deadline" in late.message() or "DEADLINE" in str(late.status()), late
        serves_again(client, name)


def decoder_missing(client, name):
    """Chunks without tokens are answered; the others' error names the model."""
    for at, chunk in enumerate(GOOD.chunks):
        ask = partial(send, client, chunk, name, at == 0, at == len(GOOD.chunks) - 1, model="streaming_lost")
        if GOOD.deltas[at]:
            error(ask, "decoder_of_nobody", status=None)
        else:
            assert ask() == ""
    # The stream is over for all steps.
    error(lambda: send(client, GOOD.chunks[0], name, model="streaming_lost"), "must specify the START flag")


def decoder_failing(client, name):
    """Every second call of the decoder fails, and that chunk with it; the stream goes on."""
    model, calls = "streaming_fragile", 0
    for at, chunk in enumerate(GOOD.chunks):
        last = at == len(GOOD.chunks) - 1
        ask = partial(send, client, chunk, name, at == 0, last, model=model)
        if not GOOD.deltas[at]:
            assert ask() == ""
            continue
        calls += 1
        if calls % 2:
            # The stand-in says the same token for all.
            assert ask() == "三" * len(GOOD.deltas[at])
        else:
            error(ask, "fragile", status=None)
    assert calls >= 3


def abandoned(client, name):
    """Streams that stop in the middle keep their slots until they were idle for too long, and no longer."""
    model = "streaming_short"
    names = [f"{name} {number}" for number in range(FEW)]
    for each in names:
        assert [
            send(client, chunk, each, at == 0, model=model) for at, chunk in enumerate(GOOD.chunks[:3])
        ] == GOOD.deltas[:3]
    # Nothing is sent meanwhile: the server counts the time that a first chunk waits for a slot as idle, too.
    time.sleep(1.25 * SHORT_IDLE_SECONDS)
    calls = [partial(send_all, client, GOOD.chunks, f"{name} later {number}", GRPC, model) for number in range(FEW)]
    assert at_once(client, calls) == [GOOD.deltas] * FEW
    for each in names:
        error(lambda: send(client, GOOD.chunks[3], each, model=model), "must specify the START flag", each)
        fresh_stream_is_right(client, each, model)


BAD = {
    "no START": no_start,
    "no correlation id": no_id,
    "END first": end_first,
    "two ENDs": two_ends,
    "START twice": start_twice,
    "START and END at once": start_and_end_at_once,
    "a chunk of 100 000 samples": bad_chunk(np.zeros(100_000, np.float32), "'wav_lens'", "100000", "9600"),
    "NaN": bad_chunk(with_sample(np.nan), "'wav'", "sample 77", "NaN"),
    "infinity": bad_chunk(with_sample(-np.inf), "'wav'", "sample 77", "inf"),
    "wav_lens beyond the chunk": bad_chunk(GOOD.chunks[1], "'wav_lens'", "9601", WAV_LENS=np.int32([[9601]])),
    "wav_lens negative": bad_chunk(GOOD.chunks[1], "'wav_lens'", "-1", WAV_LENS=np.int32([[-1]])),
    "two rows": two_rows,
    "chunks of 0 and 1 samples": short_chunks,
    "client gone": client_gone,
    "cancelled": cancelled,
    "timed out": timed_out,
    "decoder missing": decoder_missing,
    "decoder failing": decoder_failing,
    "abandoned": abandoned,
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_stream_gets_its_error(online, ids, bad):
    BAD[bad](online, next(ids))


def test_good_streams_throughout(online, ids):
    """Four clients stream recordings without a pause while every bad stream comes over and over, eight at a time."""
    done = threading.Event()
    checked = []

    def send_good(own, protocol):
        for number, stream in enumerate(itertools.cycle(own)):
            assert send_all(online, stream.chunks, next(ids), protocol) == stream.deltas
            checked.append(stream)
            if done.is_set() and number >= len(own):
                return

    def send_each(bad_streams):
        for bad in bad_streams:
            bad(online, next(ids))

    def send_bad():
        try:
            # One that needs all the slots of a model cannot be there twice.
            twice = [bad for bad in BAD.values() if bad is not abandoned] * 2 + [abandoned]
            works = [[] for _ in range(8)]
            for work, bad in zip(itertools.cycle(works), twice):
                work.append(bad)
            on_threads(online, [partial(send_each, work) for work in works])
        finally:
            done.set()

    shares = [partial(send_good, streams()[first::4], protocol) for first, protocol in enumerate([HTTP, GRPC] * 2)]
    on_threads(online, [*shares, send_bad])
    assert len(checked) >= 2 * len(streams())


def test_the_bad_streams_left_nothing_open(online, ids):
    """After all that, as many streams as the config allows find a slot each."""
    fresh_stream_is_right(online, next(ids))
    # Streams that find none wait for one.
    calls = [partial(send_all, online, GOOD.chunks, next(ids), GRPC, "streaming_short") for _ in range(3 * FEW)]
    assert at_once(online, calls) == [GOOD.deltas] * 3 * FEW
