"""Many streams at a time, of any rhythm: right texts, flat memory, and nobody waits for somebody else's long chunk.

PIPELINES_SECONDS says how long the streams go on (30 if not set).
"""

import os
import random
import re
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from paraformer.streaming import Bidirectional, send, send_all, tensors
from paraformer.texts import streams
from pipelines import variants
from pipelines.audio import SAMPLE_RATE, cut, made_up, spoken
from pipelines.streaming import NOTHING, transcribe
from support.client import GRPC, HTTP, InferenceServerException, serving
from support.load import many_at_a_time, on_threads

pytestmark = pytest.mark.alone

SECONDS = float(os.environ.get("PIPELINES_SECONDS") or 30)
STREAMS = 64
# Several times faster than people speak, so that the short time has enough streams in it.
SPEED = 4

ABANDONED = 1000
# The state of an idle stream goes a minute after the server has given its slot away.
SWEPT_AFTER_SECONDS = variants.SHORT_IDLE_SECONDS + 61

GOOD = streams()[5]


@pytest.fixture(scope="module")
def own():
    """A client of a server of its own, which logs what becomes of streams."""
    with serving(variants.repository(), variants.PIPELINE, variants.SOON, "--log-verbose=1") as client:
        yield client


@pytest.fixture(scope="module")
def abandoned(own):
    """Streams that began and never end; and when that was."""
    chunk = spoken()[0][:20_000]
    calls = [
        partial(send, own, chunk, number, start=True, protocol=GRPC, model="streaming_short")
        for number in range(10_000_000, 10_000_000 + ABANDONED)
    ]
    assert len(set(many_at_a_time(own, calls))) == 1
    return time.monotonic()


def resident_megabytes(client):
    """The server's resident memory."""
    status = Path(f"/proc/{client.server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def test_streams_of_random_rhythm(own, abandoned, chain, ids):
    audio = [*spoken(), *made_up()]
    expected = [chain.transcribe(each) for each in audio]
    over = time.monotonic() + SECONDS
    wrong, latencies, finished = [], [], []

    def one_after_the_other(seed):
        dice = random.Random(seed)
        while time.monotonic() < over:
            which = dice.randrange(len(audio))
            stream, samples, begin, text = next(ids), audio[which], 0, ""
            start = True
            while start or begin < len(samples):
                end = begin + dice.choice([0, dice.randrange(1600), 3200, 9600, dice.randrange(20_000)])
                sent = time.monotonic()
                text += send(own, samples[begin:end], stream, start, end >= len(samples), GRPC)
                latencies.append(time.monotonic() - sent)
                time.sleep(dice.uniform(0, 2 * (end - begin) / SAMPLE_RATE / SPEED))
                begin, start = end, False
            finished.append(len(samples))
            if text != expected[which]:
                wrong.append((which, text))

    memory = []

    def watch():
        while time.monotonic() < over:
            memory.append(resident_megabytes(own))
            time.sleep(min(1, SECONDS / 30))

    on_threads(own, [watch, *(partial(one_after_the_other, seed) for seed in range(STREAMS))])
    latencies.sort()
    warm = memory[len(memory) // 3 :]
    slope = np.polyfit(np.arange(len(warm)), warm, 1)[0] * len(warm)
    print(f"{len(finished)} streams, {sum(finished) / SAMPLE_RATE:.0f} s of audio, {len(latencies)} chunks")
    print(f"latency: half under {latencies[len(latencies) // 2] * 1000:.1f} ms, 99 % under "
          f"{latencies[len(latencies) * 99 // 100] * 1000:.1f} ms, all under {latencies[-1] * 1000:.1f} ms")
    print(f"memory: {warm[0]:.1f} MB, then {warm[-1]:.1f} MB, most {max(warm):.1f} MB, trend {slope:+.1f} MB")
    assert not wrong
    assert len(finished) > STREAMS
    assert slope < 12, memory
    assert latencies[len(latencies) * 99 // 100] < 1


@pytest.mark.parametrize("protocol", [HTTP, GRPC], ids=["http", "grpc"])
@pytest.mark.parametrize("with_end", [False, True], ids=["end apart", "end with it"])
def test_nobody_waits_for_a_long_chunk(own, chain, ids, with_end, protocol):
    """Five minutes in one request take a while; meanwhile others get their answers as ever.

    With END in the same request, the server gives its slot to another stream as soon as it hands the request out, and holds
    that stream back until it is released: it must be released long before its answer is there.
    """
    samples = np.resize(np.concatenate(made_up()), 300 * SAMPLE_RATE).astype(np.float32)
    over = threading.Event()
    waits = []

    def long():
        try:
            started = time.monotonic()
            stream = next(ids)
            text = send(own, samples, stream, start=True, end=with_end, protocol=protocol)
            took = time.monotonic() - started
            if not with_end:
                text += send(own, NOTHING, stream, end=True, protocol=protocol)
            return text, took
        finally:
            over.set()

    def others():
        while not over.is_set():
            stream = next(ids)
            for at, chunk in enumerate(GOOD.chunks):
                started = time.monotonic()
                delta = send(own, chunk, stream, at == 0, at == len(GOOD.chunks) - 1, GRPC)
                waits.append(time.monotonic() - started)
                assert delta == GOOD.deltas[at]

    (text, took), *_ = on_threads(own, [long, *[others] * 8])
    waits.sort()
    print(f"long chunk: {took:.2f} s; {len(waits)} others: half under {waits[len(waits) // 2] * 1000:.1f} ms, "
          f"all under {waits[-1] * 1000:.1f} ms")
    assert text == chain.transcribe(samples)
    assert len(waits) > 40
    # A few windows of a few streams, on a machine with other things to do.
    assert waits[-1] < max(0.5, took / 4)


def test_chunks_sent_without_waiting_keep_their_order(own, chain, ids):
    """A client may send all of a stream at once: the server keeps its chunks in order."""
    streams_sent = {next(ids): samples for samples in spoken()}
    with Bidirectional(own) as both:
        count = 0
        for stream, samples in streams_sent.items():
            pieces = cut(samples, 5000)
            for at, piece in enumerate(pieces):
                both.send(piece, stream, at == 0, at == len(pieces) - 1, request_id=f"{stream}")
                count += 1
        texts = dict.fromkeys(streams_sent, "")
        for _ in range(count):
            stream, delta = both.answer()
            texts[int(stream)] += delta
    assert texts == {stream: chain.transcribe(samples) for stream, samples in streams_sent.items()}


def test_cancelled_streams_leave_nothing_behind(own, ids):
    """Long chunks taken back at any time, first ones, last ones and others: the server stays as large as it is and serves on."""
    samples = np.concatenate(made_up(8))
    dice = random.Random(8)
    memory = []
    sent = counted = 0

    def ended():
        """Successes and failures. A request that its client took back in time is neither."""
        stats = own.statistics_at_rest("streaming_paraformer")["inference_stats"]
        return stats["success"]["count"] + stats["fail"]["count"]

    before = ended()
    for _ in range(6):
        for _ in range(20):
            stream, start, end = next(ids), dice.random() < 0.5, dice.random() < 0.5
            if not start:
                send(own, GOOD.chunks[0], stream, start=True, protocol=GRPC)
                sent += 1
            call = own.grpc._client_stub.ModelInfer.future(_request(samples, stream, start, end))
            sent += 1
            # A long last request was released, and counted, before its answer.
            counted += not end
            time.sleep(dice.uniform(0.01, 0.15))
            call.cancel()
        assert transcribe(own, GOOD.chunks, next(ids)) == GOOD.text
        sent += len(GOOD.chunks)
        memory.append(resident_megabytes(own))
    taken_back = sent - (ended() - before)
    print(f"{taken_back} of {counted} taken back; memory", [round(each) for each in memory])
    # The others were taken back too late.
    assert counted / 2 < taken_back <= 6 * 20
    assert memory[-1] < memory[2] + 30
    # Cancelled work is dropped: nothing is left to be waited for.
    started = time.monotonic()
    assert transcribe(own, GOOD.chunks, next(ids)) == GOOD.text
    assert time.monotonic() - started < 1


def _request(samples, stream, start, end):
    """A request as the client's library makes it."""
    request = service_pb2.ModelInferRequest(model_name="streaming_paraformer")
    for name, array in tensors(samples).items():
        request.inputs.add(name=name, datatype="FP32" if name == "WAV" else "INT32", shape=array.shape)
        request.raw_input_contents.append(array.tobytes())
    request.parameters["sequence_id"].int64_param = stream
    request.parameters["sequence_start"].bool_param = start
    request.parameters["sequence_end"].bool_param = end
    return request


def test_memory_stays_flat_over_thousands_of_streams(pipelines, ids):
    samples = spoken()[8]
    memory = []
    for _ in range(5):
        calls = [partial(transcribe, pipelines, [samples[:9600], samples[9600:]], next(ids)) for _ in range(400)]
        assert set(many_at_a_time(pipelines, calls, threads=8)) == {streams()[8].text}
        memory.append(resident_megabytes(pipelines))
    print("memory", [round(each, 1) for each in memory])
    # 1600 streams; the state of one is more than 100 kB.
    assert memory[-1] < memory[0] + 4


@pytest.mark.parametrize(("model", "says"), [("streaming_deaf", "encoder"), ("streaming_mute", "decoder")])
@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_a_missing_model_is_named(own, ids, model, says, protocol):
    with pytest.raises(InferenceServerException) as caught:
        send_all(own, GOOD.chunks, next(ids), protocol, model)
    assert variants.NOBODY in caught.value.message(), (says, caught.value)


def test_failing_streams_do_not_touch_others(own, ids):
    """Streams whose decoder is missing fail at each of their tokens; those beside them do not notice."""

    def failing():
        with pytest.raises(InferenceServerException):
            send_all(own, GOOD.chunks, next(ids), GRPC, "streaming_mute")
        return ""

    calls = [failing if at % 3 == 0 else partial(transcribe, own, GOOD.chunks, next(ids)) for at in range(60)]
    texts = many_at_a_time(own, calls)
    assert texts == ["" if at % 3 == 0 else GOOD.text for at in range(60)]


BAD_CHUNKS = {
    "a sample that is not finite": (np.full(1000, np.nan, np.float32), {}, ("'WAV'", "NaN")),
    "a length beyond the chunk": (GOOD.chunks[0], {"WAV_LENS": np.int32([[9601]])}, ("'WAV_LENS'", "9601", "9600")),
    "a negative length": (GOOD.chunks[0], {"WAV_LENS": np.int32([[-1]])}, ("'WAV_LENS'", "-1")),
    "11 minutes": (np.zeros(11 * 60 * SAMPLE_RATE, np.float32), {}, ("'WAV_LENS'", str(11 * 60 * SAMPLE_RATE), "600 s")),
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_a_bad_chunk_is_refused(own, ids, name):
    """The error names tensor and value, and the next stream of that id is right."""
    chunk, other, words = BAD_CHUNKS[name]
    stream = next(ids)
    flags = {"sequence_id": stream, "sequence_start": False, "sequence_end": False}
    send(own, GOOD.chunks[0], stream, start=True)
    with pytest.raises(InferenceServerException) as caught:
        own.infer("streaming_paraformer", {**tensors(chunk), **other}, ["TRANSCRIPTS"], GRPC, **flags)
    for word in words:
        assert word in caught.value.message(), caught.value
    assert transcribe(own, GOOD.chunks, stream) == GOOD.text


def test_a_start_on_a_live_stream_begins_afresh(own, ids):
    stream = next(ids)
    for _ in range(3):
        send(own, GOOD.chunks[0], stream, start=True)
        send(own, NOTHING, stream)
    assert transcribe(own, GOOD.chunks, stream) == GOOD.text
    with pytest.raises(InferenceServerException, match="START"):
        send(own, GOOD.chunks[0], stream)


def test_abandoned_streams_are_swept_away(own, abandoned, ids):
    """Last in this file: their time has nearly come by now."""
    left = lambda: [int(each) for each in re.findall(r"freed the state of (\d+) idle streams", own.server.log())]  # noqa: E731
    time.sleep(max(0, abandoned + SWEPT_AFTER_SECONDS - time.monotonic()))
    # No request is needed for it.
    own.wait_until(lambda: sum(left()) == ABANDONED)
    assert "0 are left" in own.server.log()
    with pytest.raises(InferenceServerException, match="START"):
        send(own, GOOD.chunks[0], 10_000_000, model="streaming_short")
    assert transcribe(own, GOOD.chunks, next(ids), "streaming_short") == GOOD.text
