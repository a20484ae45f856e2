"""What a pipeline has no room for is refused at once, and named; what it has taken is answered right. Calls stay within their budgets."""

import itertools
import time
from functools import partial

import numpy as np
import pytest

from faults.gate import Gate
from faults.repositories import add_stand_in, copy_of_all
from paraformer.streaming import send, send_all
from paraformer.texts import streams
from pipelines.variants import PIPELINE, SOON, add_pipeline
from support.client import GRPC, HTTP, InferenceServerException, serving
from support.load import counted, on_threads, shared_executions
from support.recordings import WITH_ITN, recordings
from support.repository import chain, edit_config, fresh_directory, replaced, with_parameter

CODES = {HTTP: {"UNAVAILABLE": "503", "INVALID_ARG": "400"}, GRPC: {"UNAVAILABLE": "StatusCode.UNAVAILABLE"}}
CODES[GRPC]["INVALID_ARG"] = "StatusCode.INVALID_ARGUMENT"
# Rows of one length, 2.85 s.
GOOD = recordings()[0]
SECONDS = len(GOOD.samples) / 16_000
FRAMES = 48
# Samples, and features of FRAMES frames.
BYTES = 4 * (len(GOOD.samples) + FRAMES * 560)
# Each has room for four such rows.
LIMITS = {
    "rows": ("max_pending_rows", 4, "4 rows"),
    "seconds": ("max_pending_seconds", int(4 * SECONDS + 1), "12 s"),
    "bytes": ("max_pending_bytes", 4 * BYTES + 1, f"{4 * BYTES + 1} bytes"),
}
FEW_STREAMS = 2
INSTANCES = 3
FEW_ROWS = 2
# Refusing takes no longer, on a machine with other things to do.
AT_ONCE_SECONDS = 5
ONE_BY_ONE = chain(with_parameter("max_rows_per_call", 1), with_parameter("calls_in_flight", 64))


def repository(gate):
    """Writes the repository. While the file `gate` is there, the encoders of `*_held` answer nothing.

    - `sensevoice_few_LIMIT`: held; has room for four rows, each a call of its own
    - `streaming_few`: held; takes chunks of FEW_STREAMS streams at a time
    - `sensevoice_one`: held; a call of a row at a time
    - `sensevoice_instances`: held; its encoder has INSTANCES instances
    - `sensevoice_small`, `streaming_small`: encoder and decoder take FEW_ROWS rows at most
    - `sensevoice_frames`, `sensevoice_attention`: a call has room for three rows and a half
    """
    repository = copy_of_all("limits")
    for target in ("sensevoice_encoder", "online_encoder"):
        add_stand_in(repository, f"{target}_held", target, pipeline=True, hold_while=gate)
    add_stand_in(repository, "sensevoice_encoder_several", "sensevoice_encoder", pipeline=True, hold_while=gate)
    edit_config(repository / "sensevoice_encoder_several", replaced("count: 1", f"count: {INSTANCES}"))
    for target, rows in (("sensevoice_encoder", 16), ("online_encoder", 128), ("online_decoder", 128)):
        add_stand_in(repository, f"{target}_small", target, pipeline=True)
        edit_config(
            repository / f"{target}_small", replaced(f"max_batch_size: {rows}", f"max_batch_size: {FEW_ROWS}")
        )
    encoder, held = partial(with_parameter, "encoder"), with_parameter("encoder", "sensevoice_encoder_held")
    for name, (parameter, most, _) in LIMITS.items():
        add_pipeline(
            repository, f"sensevoice_few_{name}", "sensevoice", chain(held, ONE_BY_ONE, with_parameter(parameter, most))
        )
    for new, like, edit in (
        (
            "streaming_few",
            "streaming_paraformer",
            chain(encoder("online_encoder_held"), ONE_BY_ONE, with_parameter("max_pending_rows", FEW_STREAMS)),
        ),
        ("sensevoice_one", "sensevoice", chain(held, ONE_BY_ONE, with_parameter("calls_in_flight", 1))),
        (
            "sensevoice_instances",
            "sensevoice",
            chain(encoder("sensevoice_encoder_several"), with_parameter("max_rows_per_call", 1)),
        ),
        ("sensevoice_small", "sensevoice", encoder("sensevoice_encoder_small")),
        (
            "streaming_small",
            "streaming_paraformer",
            chain(encoder("online_encoder_small"), with_parameter("decoder", "online_decoder_small")),
        ),
        ("sensevoice_frames", "sensevoice", with_parameter("max_frames_per_call", int(3.5 * FRAMES))),
        ("sensevoice_attention", "sensevoice", with_parameter("max_attention_per_call", int(3.5 * FRAMES**2))),
    ):
        add_pipeline(repository, new, like, edit)
    return repository


@pytest.fixture(scope="module")
def stage():
    """A client of a server with these pipelines, and the gate."""
    gate = Gate(fresh_directory("gate") / "held")
    with serving(repository(gate.path), PIPELINE, SOON) as client:
        client.wait_until(lambda: "Started Metrics Service" in client.server.log())
        yield client, gate


@pytest.fixture(scope="module")
def ids():
    """Correlation ids."""
    return itertools.count(1)


def texts(client, model, rows, protocol):
    """What is heard in so many equal rows."""
    return client.transcribe([GOOD.samples] * rows, WITH_ITN, protocol=protocol, model=model)


def refused(ask, protocol, code, words):
    """Asks, and is told why not, at once."""
    began = time.monotonic()
    with pytest.raises(InferenceServerException, match=words) as refusal:
        ask()
    assert refusal.value.status() == CODES[protocol][code]
    assert time.monotonic() - began < AT_ONCE_SECONDS


def failed(client, model):
    """nv_inference_request_failure of a model for reasons of its own."""
    metric = f'nv_inference_request_failure{{model="{model}",reason="BACKEND",version="1"}} '
    (count,) = (line.removeprefix(metric) for line in client.metrics().splitlines() if line.startswith(metric))
    return int(count)


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
@pytest.mark.parametrize("limit", LIMITS)
def test_beyond_a_limit_a_request_is_refused_and_those_within_are_right(stage, limit, protocol):
    client, gate = stage
    model, (parameter, _, shown) = f"sensevoice_few_{limit}", LIMITS[limit]
    before, failures = client.statistics_at_rest("sensevoice_encoder_held"), failed(client, model)
    overloaded = f"^(.*] )?overloaded: .*; parameter {parameter} allows {shown}; try again later"

    def overfill():
        client.wait_until(lambda: gate.waiting("sensevoice_encoder") == 3)
        # All of its rows or none: there is room for the first of these two.
        refused(partial(texts, client, model, 2, protocol), protocol, "UNAVAILABLE", overloaded)
        fourth = partial(texts, client, model, 1, protocol)

        def beyond():
            client.wait_until(lambda: gate.waiting("sensevoice_encoder") == 4)
            for _ in range(3):
                refused(partial(texts, client, model, 1, protocol), protocol, "UNAVAILABLE", overloaded)

        return on_threads(client, [fourth, gate.opened_at_the_end(beyond)])[0]

    with gate.held():
        first, second, third = on_threads(
            client,
            [
                partial(texts, client, model, 2, protocol),
                partial(texts, client, model, 1, protocol),
                gate.opened_at_the_end(overfill),
            ],
        )
    assert first + second + third == [GOOD.texts[WITH_ITN]] * 4
    # All that there is room for, again and again: what was answered or refused takes none.
    for _ in range(5):
        assert texts(client, model, 4, protocol) == [GOOD.texts[WITH_ITN]] * 4
    # No later try would be served either.
    words = f"the request has .*; parameter {parameter} allows {shown}"
    refused(partial(texts, client, model, 5, protocol), protocol, "INVALID_ARG", words)
    after = client.statistics_at_rest("sensevoice_encoder_held")
    assert counted(before, after, "inference_count") == 4 + 5 * 4
    client.wait_until(lambda: failed(client, model) == failures + 5)


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_a_stream_whose_chunk_was_refused_goes_on_when_there_is_room(stage, ids, protocol):
    client, gate = stage
    model, (recording, *others) = "streaming_few", streams()[3:6]
    stream = next(ids)
    deltas = [send(client, recording.chunks[0], stream, start=True, protocol=protocol, model=model)]
    overloaded = f"overloaded: 2 rows are pending .*; parameter max_pending_rows allows {FEW_STREAMS} rows; try again later"

    def overfill():
        client.wait_until(lambda: gate.waiting("online_encoder") == FEW_STREAMS)
        ask = partial(send, client, recording.chunks[1], stream, protocol=protocol, model=model)
        for _ in range(3):
            refused(ask, protocol, "UNAVAILABLE", overloaded)
        begin = partial(send, client, recording.chunks[0], next(ids), start=True, protocol=protocol, model=model)
        refused(begin, protocol, "UNAVAILABLE", overloaded)

    with gate.held():
        *answers, _ = on_threads(
            client,
            [
                *(partial(send_all, client, each.chunks, next(ids), protocol, model) for each in others),
                gate.opened_at_the_end(overfill),
            ],
        )
    assert answers == [each.deltas for each in others]
    last = len(recording.chunks) - 1
    for at, chunk in enumerate(recording.chunks[1:], start=1):
        deltas.append(send(client, chunk, stream, end=at == last, protocol=protocol, model=model))
    assert deltas == recording.deltas


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_a_stream_holds_nothing_of_a_chunk_that_was_late(stage, ids, protocol):
    """One of a turn is lost from its stream; of a larger one that would hold the rest, the stream is over."""
    client, _ = stage
    model, stream, recording = "streaming_paraformer", next(ids), streams()[5]
    minute = np.tile(recording.samples, 60 * 16_000 // len(recording.samples) + 1)[: 60 * 16_000]

    def too_late(chunk, start):
        tensors = {"WAV": chunk[np.newaxis], "WAV_LENS": np.int32([[len(chunk)]])}
        flags = {"sequence_id": stream, "sequence_start": start, "sequence_end": False, "timeout": 1}
        with pytest.raises(InferenceServerException, match="timeout was over before it was its turn") as refusal:
            client.infer(model, tensors, ["TRANSCRIPTS"], protocol, **flags)
        assert refusal.value.status() == CODES[protocol]["UNAVAILABLE"]
        return refusal.value.message()

    chunks = recording.chunks
    assert send(client, chunks[0], stream, start=True, protocol=protocol, model=model) == recording.deltas[0]
    assert "over, begin it again" not in too_late(chunks[1], start=False)
    assert "".join(send(client, chunk, stream, protocol=protocol, model=model) for chunk in chunks[2:-1])
    assert "the stream is over, begin it again with the START flag" in too_late(minute, start=False)
    with pytest.raises(InferenceServerException, match=f"stream {stream} is not known here"):
        send(client, chunks[-1], stream, protocol=protocol, model=model)
    assert send_all(client, chunks, stream, protocol, model) == recording.deltas


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_a_request_whose_timeout_is_over_costs_nothing(stage, protocol):
    client, gate, model = *stage, "sensevoice_one"
    before = client.statistics_at_rest("sensevoice_encoder_held")
    library = {"timeout": 200_000}

    def impatient():
        client.wait_until(lambda: gate.waiting("sensevoice_encoder") == 1)
        tensors = {"WAV": GOOD.samples[np.newaxis], "WAV_LENS": np.int32([[len(GOOD.samples)]])}
        tensors |= {"LANGUAGE": np.int32([[0]]), "TEXT_NORM": np.int32([[WITH_ITN]])}
        with pytest.raises(InferenceServerException, match="timeout was over before it was its turn") as refusal:
            client.infer(model, tensors, ["TRANSCRIPTS"], protocol, **library)
        assert refusal.value.status() == CODES[protocol]["UNAVAILABLE"]
        # One that is patient enough.
        return client.infer(model, tensors, ["TRANSCRIPTS"], protocol, timeout=60_000_000)["TRANSCRIPTS"][0, 0]

    def opened():
        client.wait_until(lambda: gate.waiting("sensevoice_encoder") == 1)
        time.sleep(1)

    with gate.held():
        (first,), second, _ = on_threads(
            client, [partial(texts, client, model, 1, protocol), impatient, gate.opened_at_the_end(opened)]
        )
    assert first == second == GOOD.texts[WITH_ITN]
    after = client.statistics_at_rest("sensevoice_encoder_held")
    assert counted(before, after, "inference_count") == 2


def test_calls_under_way_follow_the_instances_of_the_encoder(stage):
    client, gate = stage
    with gate.held():

        def look():
            client.wait_until(lambda: gate.waiting("sensevoice_encoder") >= 2 * INSTANCES)
            time.sleep(0.5)
            return gate.waiting("sensevoice_encoder")

        heard, waiting = on_threads(
            client, [partial(texts, client, "sensevoice_instances", 10, HTTP), gate.opened_at_the_end(look)]
        )
    assert heard == [GOOD.texts[WITH_ITN]] * 10
    assert waiting == 2 * INSTANCES


@pytest.mark.parametrize("name", ["frames", "attention"])
def test_a_call_stays_within_its_budget(stage, name):
    client, _ = stage
    before = client.statistics_at_rest("sensevoice_encoder")
    assert texts(client, f"sensevoice_{name}", 9, HTTP) == [GOOD.texts[WITH_ITN]] * 9
    after = client.statistics_after(before, "sensevoice_encoder", 9)
    assert shared_executions(before, after) == {3: 3}


def test_no_call_has_more_rows_than_the_called_models_take(stage, ids):
    client, _ = stage
    before = client.statistics_at_rest("sensevoice_encoder_small")
    assert texts(client, "sensevoice_small", 5, HTTP) == [GOOD.texts[WITH_ITN]] * 5
    after = client.statistics_after(before, "sensevoice_encoder_small", 5)
    assert shared_executions(before, after) == {1: 1, FEW_ROWS: 2}
    # All windows of a stream at once, and several streams beside.
    whole = [np.concatenate(each.chunks) for each in streams()[:6]]
    begin = [
        partial(send, client, samples, next(ids), start=True, end=True, model="streaming_small") for samples in whole
    ]
    assert on_threads(client, begin) == [each.text for each in streams()[:6]]
    sizes = client.statistics_at_rest("online_encoder_small")["batch_stats"]
    assert max(each["batch_size"] for each in sizes) == FEW_ROWS
