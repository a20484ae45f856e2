"""What the metrics say after requests of which everything is known."""

import math
import os
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

from faults import raw
from metrics.reading import Change, Reading, live
from metrics.repositories import MOST_ROWS
from paraformer.streaming import send, send_all
from support.client import GRPC, InferenceServerException
from support.environment import PROJECT
from support.load import on_threads
from support.recordings import WITH_ITN, recordings

RATE = 16_000
CHUNK = 9600
SHORT, LONG = sorted((each.samples for each in recordings()), key=len)[:: len(recordings()) - 1]


def frames(samples):
    """The frames of 60 ms that an encoder is given: of each 25 ms window every 10 ms, six at a time."""
    return math.ceil((1 + (len(samples) - 400) // 160) / 6)


def seconds(*rows):
    """How long audio is."""
    return sum(map(len, rows)) / RATE


def pieces(samples, size=CHUNK):
    """A stream's chunks."""
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def test_audio_is_counted_without_padding(stage):
    client, _ = stage
    change = Change(client)
    assert len(SHORT) < len(LONG)
    client.transcribe([SHORT, LONG], WITH_ITN, width=2 * len(LONG))
    assert change("audio_seconds_total", "sensevoice") == pytest.approx(seconds(SHORT, LONG), abs=1e-9)
    assert change("real_time_factor_count", "sensevoice") == 1
    # No request takes as long as a year's audio, none takes no time.
    assert 0 < change("real_time_factor_sum", "sensevoice") < 100
    assert change("request_failures_total", "sensevoice") == 0
    assert Reading(client)("pending_rows", "sensevoice") == 0
    assert change("queue_wait_seconds_count", "sensevoice", callee="sensevoice_encoder") == 2
    assert Reading(client)("queue_rows", "sensevoice", callee="sensevoice_encoder") == 0


def test_padding_is_what_the_shorter_row_lacks(stage):
    client, _ = stage
    change = Change(client)
    client.transcribe([SHORT, LONG], WITH_ITN, model="sensevoice_padded")
    assert change("encoder_frames_total", "sensevoice_padded") == 2 * frames(LONG)
    assert change("encoder_padding_frames_total", "sensevoice_padded") == frames(LONG) - frames(SHORT)
    # Alone, each is as long as its call.
    for samples in (SHORT, LONG):
        client.transcribe([samples], WITH_ITN, model="sensevoice_padded")
    assert change("encoder_frames_total", "sensevoice_padded") == 3 * frames(LONG) + frames(SHORT)
    assert change("encoder_padding_frames_total", "sensevoice_padded") == frames(LONG) - frames(SHORT)


def test_an_overload_shows_while_it_lasts_and_what_it_refused(stage):
    client, gate = stage
    model, change = "sensevoice_held", Change(client)
    ask = partial(client.transcribe, [SHORT], WITH_ITN, model=model)

    def overfill():
        shown = lambda: Reading(client)  # noqa: E731
        client.wait_until(lambda: shown()("pending_rows", model) == MOST_ROWS)
        client.wait_until(lambda: shown()("queue_rows", model, callee="sensevoice_encoder_held") == MOST_ROWS - 1)
        for _ in range(3):
            with pytest.raises(InferenceServerException, match="overloaded"):
                ask()
        assert change("request_failures_total", model, reason="max_pending_rows") == 3
        assert change("audio_seconds_total", model) == pytest.approx(MOST_ROWS * seconds(SHORT))
        assert change("real_time_factor_count", model) == 0
        time.sleep(0.3)

    with gate.held():
        on_threads(client, [*[ask] * MOST_ROWS, gate.opened_at_the_end(overfill)])
    # No later try would fit, whoever waits.
    with pytest.raises(InferenceServerException, match="the request has 5 rows"):
        client.transcribe([SHORT] * (MOST_ROWS + 1), WITH_ITN, model=model)
    assert change("request_failures_total", model, reason="max_pending_rows") == 4
    assert change("request_failures_total", model) == 4
    now = Reading(client)
    assert (now("pending_rows", model), now("queue_rows", model)) == (0, 0)
    # The rows behind the first waited as long as the gate was held.
    assert change("queue_wait_seconds_count", model) == MOST_ROWS
    assert change("queue_wait_seconds_sum", model) > 0.3 * (MOST_ROWS - 1)
    assert change("real_time_factor_count", model) == MOST_ROWS


def test_failures_are_counted_by_reason(stage):
    client, gate = stage
    change = Change(client)
    with pytest.raises(InferenceServerException, match="max_audio_seconds"):
        client.transcribe([np.zeros(3 * RATE, np.float32)], WITH_ITN, model="sensevoice_short")
    assert change("request_failures_total", "sensevoice_short", reason="max_audio_seconds") == 1
    with pytest.raises(InferenceServerException, match="WAV_LENS"):
        client.transcribe([SHORT], WITH_ITN, lengths=[-1])
    assert change("request_failures_total", "sensevoice", reason="invalid") == 1
    # Nothing of what was refused was taken.
    assert change("audio_seconds_total", "sensevoice") + change("audio_seconds_total", "sensevoice_short") == 0
    speech = raw.speech(SHORT, LANGUAGE=0, TEXT_NORM=WITH_ITN)
    with gate.held():
        first = client.grpc._client_stub.ModelInfer.future(raw.grpc_request("sensevoice_held", speech))
        client.wait_until(lambda: gate.waiting("sensevoice_encoder") == 1)
        late = raw.grpc_request("sensevoice_held", speech, timeout=50_000)
        late = client.grpc._client_stub.ModelInfer.future(late)
        taken_back = client.grpc._client_stub.ModelInfer.future(raw.grpc_request("sensevoice_held", speech))
        client.wait_until(lambda: Reading(client)("pending_rows", "sensevoice_held") == 3)
        time.sleep(0.1)
        assert taken_back.cancel()
        time.sleep(0.2)
    first.result(timeout=60)
    assert late.exception(timeout=60).code().name == "UNAVAILABLE"
    client.wait_until(lambda: change("request_failures_total", "sensevoice_held") == 2)
    for reason in ("timeout", "cancelled"):
        assert change("request_failures_total", "sensevoice_held", reason=reason) == 1, reason


def test_live_streams_go_up_and_down(stage, ids):
    client, _ = stage
    model, change = "streaming_paraformer", Change(client)
    one, two = next(ids), next(ids)
    chunks = pieces(LONG)
    send(client, chunks[0], one, start=True)
    assert live(client, model) == 1
    send(client, chunks[0], two, start=True)
    assert live(client, model) == 2
    # Begun anew under its id, it is one still.
    send(client, chunks[0], two, start=True)
    assert live(client, model) == 2
    send(client, chunks[-1], one, end=True)
    assert live(client, model) == 1
    send(client, chunks[-1][:0], two, end=True)
    assert live(client, model) == 0
    heard = [chunks[0]] * 3 + [chunks[-1]]
    assert change("audio_seconds_total", model) == pytest.approx(seconds(*heard), abs=1e-9)
    # An empty chunk is as long as nothing: it can be neither early nor late.
    for name in ("real_time_factor_count", "chunk_lateness_seconds_count"):
        assert change(name, model) == len(heard)


def test_chunks_in_time_are_not_late_and_others_are(stage, ids):
    client, gate = stage
    change = Change(client)
    send_all(client, pieces(LONG), next(ids))
    count = change("chunk_lateness_seconds_count", "streaming_paraformer")
    assert count == len(pieces(LONG))
    if change("real_time_factor_bucket", "streaming_paraformer", le="1") == count:
        assert change("chunk_lateness_seconds_sum", "streaming_paraformer") == 0
        assert change("chunk_lateness_seconds_bucket", "streaming_paraformer", le="0") == count
    chunk = LONG[:CHUNK]

    def hold():
        client.wait_until(lambda: gate.waiting("online_encoder") == 1)
        time.sleep(2 * seconds(chunk))

    # The first window is whole with the second chunk at the latest.
    with gate.held():
        sends = partial(send_all, client, [np.concatenate([chunk, chunk]), chunk[:0]], next(ids), model="streaming_held")
        on_threads(client, [sends, gate.opened_at_the_end(hold)])
    assert change("chunk_lateness_seconds_count", "streaming_held") == 1
    late = change("chunk_lateness_seconds_sum", "streaming_held")
    assert late > 0
    assert change("chunk_lateness_seconds_bucket", "streaming_held", le="0") == 0


def test_a_stream_whose_client_vanishes_is_not_live_for_long(stage, ids):
    """The client process is killed with a stream under way."""
    client, _ = stage
    model = "streaming_short"
    script = f"""if True:
        import sys, time
        import numpy as np
        from paraformer.streaming import send
        from support.client import Client
        class Server: http, grpc = {client.server.http!r}, {client.server.grpc!r}
        send(Client(Server), np.zeros(9600, np.float32), {next(ids)}, start=True, protocol="gRPC", model={model!r})
        print("begun", flush=True)
        time.sleep(600)
    """
    path = os.pathsep.join([str(PROJECT / "tests"), os.environ.get("PYTHONPATH", "")])
    vanishing = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    try:
        assert vanishing.stdout.readline() == "begun\n"
        # Less than the time that a stream may be idle has passed since, or a little more.
        assert live(client, model) in (0, 1)
    finally:
        vanishing.kill()
        vanishing.wait()
        vanishing.stdout.close()
    began = time.monotonic()
    client.wait_until(lambda: live(client, model) == 0)
    assert time.monotonic() - began < 10
    # And one that is there is counted until then.
    send(client, LONG[:CHUNK], next(ids), start=True, protocol=GRPC, model=model)
    assert live(client, model) == 1
    client.wait_until(lambda: live(client, model) == 0)


def test_the_steps_of_ensembles_count_too(ensembles, ids):
    client, change = ensembles, Change(ensembles)
    client.transcribe([SHORT, LONG], WITH_ITN)
    step = "sensevoice_feature_extractor"
    assert change("audio_seconds_total", step) == pytest.approx(seconds(SHORT, LONG), abs=1e-9)
    assert change("encoder_frames_total", step) == 2 * frames(LONG)
    assert change("encoder_padding_frames_total", step) == frames(LONG) - frames(SHORT)
    with pytest.raises(InferenceServerException, match="(?i)wav_lens"):
        client.transcribe([SHORT], WITH_ITN, lengths=[-1])
    assert change("request_failures_total", step, reason="invalid") == 1
    stream, chunks = next(ids), pieces(LONG)
    send(client, chunks[0], stream, start=True)
    first, last = "online_feature_extractor", "online_cif_search"
    assert (live(client, first), live(client, last)) == (1, 1)
    send(client, chunks[1], stream, end=True)
    assert (live(client, first), live(client, last)) == (0, 0)
    assert change("audio_seconds_total", first) == pytest.approx(seconds(*chunks[:2]), abs=1e-9)


def test_a_metric_is_there_before_anything_happens(stage):
    """Rates can only be told of series that have a first value."""
    client, _ = stage
    shown = Reading(client)
    assert shown("request_failures_total", "infer_pipeline", reason="internal") == 0
    for reason in ("max_pending_rows", "max_pending_seconds", "max_pending_bytes", "max_audio_seconds", "timeout"):
        assert shown("request_failures_total", "infer_pipeline", reason=reason) == 0
    for name, labels in shown.series():
        assert 'version="1"' in labels.split(","), name
        assert 'model="' in labels, name
