"""Segments are those of silero-vad's get_speech_timestamps and VADIterator with the same model."""

from functools import partial

import numpy as np
import pytest

from segments.asking import ask, holds_no_more_than_half_a_minute, joined, send
from segments.material import CHUNKS, RATE, audio
from silero.repositories import BROKEN, NOBODY, OPTIONS, broken, repository
from support.client import PROTOCOLS, InferenceServerException, serving
from support.load import many_at_a_time
from support.server import Server

WINDOW_MS, PAD_MS = 32, 30


def stream(client, number, samples, chunk, model="streaming_vad"):
    """The events of each request of a stream."""
    starts = range(0, len(samples), chunk)
    flags = [{"sequence_id": number, "sequence_start": start == 0, "sequence_end": start == starts[-1]} for start in starts]
    return [send(client, samples[start : start + chunk], model, **own) for start, own in zip(starts, flags)]


def apart(events):
    """Starts and ends, each for itself."""
    pairs = [pair for start, end in events for pair in (["start", start], ["end", end])]
    return [pair for pair in pairs if pair[1] >= 0]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_recordings_alone(silero, silero_goldens, material, protocol):
    assert [ask(silero, [samples], protocol=protocol)[0] for samples in material] == silero_goldens["recordings"]["vad"]


@pytest.mark.parametrize("model", OPTIONS)
def test_parameters(silero, silero_goldens, material, model):
    assert ask(silero, material, model) == silero_goldens["recordings"][model]


def test_recordings_in_pieces(silero, silero_goldens, material):
    assert ask(silero, material, "vad_pieces") == silero_goldens["recordings"]["vad"]


def test_the_model_for_one_window_answers_the_same(silero, silero_goldens, silero_ids, material):
    assert ask(silero, material, "vad_loop") == silero_goldens["recordings"]["vad"]
    events = stream(silero, next(silero_ids), material[5], 9600, "streaming_loop")
    assert apart(sum(events, [])) == silero_goldens["streams"][5]


def test_many_at_a_time(silero, silero_goldens, material):
    calls = [partial(ask, silero, [samples]) for samples in material] * 4
    assert many_at_a_time(silero, calls, threads=8) == [[segments] for segments in silero_goldens["recordings"]["vad"]] * 4


@pytest.mark.parametrize("chunk", [*CHUNKS, 300, 512, 10**6])
def test_streams(silero, silero_goldens, silero_ids, material, chunk):
    """What is known is told at once: a start with the window that it is in."""
    for samples, expected in zip(material, silero_goldens["streams"]):
        if chunk == 300 and len(samples) > 11 * RATE:
            continue
        told = stream(silero, next(silero_ids), samples, chunk)
        assert apart(sum(told, [])) == expected
        for index, events in enumerate(told):
            for start, _ in events:
                known = (start + PAD_MS + WINDOW_MS) * RATE // 1000
                assert start < 0 or index == min((known - 1) // chunk, len(told) - 1)


def test_an_end_without_samples_ends_the_segment(silero, silero_ids):
    for seconds in (0.01, 1.5, 3.0):
        samples, number = audio(0)[: int(RATE * seconds)], next(silero_ids)
        events = send(silero, samples, sequence_id=number, sequence_start=True)
        events += send(silero, samples[:0], sequence_id=number, sequence_end=True)
        assert joined(events) == ask(silero, [samples])[0]
        assert (len(events) > 0) == (seconds > 1)


def test_a_chunk_that_is_refused_changes_nothing(silero, silero_goldens, silero_ids):
    samples, number = audio(0), next(silero_ids)
    bad = np.full(800, np.inf, np.float32)
    starts = range(0, len(samples), 25600)
    events = []
    for start in starts:
        flags = {"sequence_id": number, "sequence_start": start == 0, "sequence_end": start == starts[-1]}
        events += send(silero, samples[start : start + 25600], **flags)
        if start != starts[-1]:
            with pytest.raises(InferenceServerException, match="sample 0 is inf"):
                send(silero, bad, sequence_id=number)
    assert apart(events) == silero_goldens["streams"][0]


def test_a_model_that_is_away_for_a_while_loses_nothing(silero_goldens, silero_ids):
    """The windows that it could not be asked about are asked about with the stream's next chunk."""
    samples, number = audio(0), next(silero_ids)
    explicit = ["--model-control-mode=explicit", "--load-model=silero_vad", "--load-model=streaming_vad", "--exit-timeout-secs=2"]
    with serving(repository(), *explicit) as client:
        parts = [samples[start : start + 25600] for start in range(0, len(samples), 25600)]
        events = send(client, parts[0], sequence_id=number, sequence_start=True)
        client.http.unload_model("silero_vad")
        client.wait_until(lambda: not client.http.is_model_ready("silero_vad"))
        with pytest.raises(InferenceServerException, match="silero_vad"):
            send(client, parts[1], sequence_id=number)
        holds_no_more_than_half_a_minute(client, next(silero_ids), "silero_vad")
        client.http.load_model("silero_vad")
        for index, part in enumerate(parts[2:], 2):
            events += send(client, part, sequence_id=number, sequence_end=index + 1 == len(parts))
    assert apart(events) == silero_goldens["streams"][0]


def test_it_is_warmed_up_and_says_what_has_no_meaning(silero):
    assert ask(silero, [audio(2)], "vad_warm") == [[]]
    log = silero.server.log_path.read_text(errors="replace")
    assert "model 'vad_warm': warmed up in" in log
    assert "warm-up of" not in log, "none of its calls failed"
    words = "model 'vad_mixed': parameter 'max_end_silence_time' is of another kind of model than 'vad_kind' says"
    assert words in log and log.count("is of another kind of model") == 1


def test_what_is_wrong_is_told(silero):
    with pytest.raises(InferenceServerException, match=NOBODY):
        ask(silero, [audio(0)], "vad_lost")
    with pytest.raises(InferenceServerException, match="WAV_LENS.*row 0 is 9"):
        tensors = {"WAV": np.zeros((1, 8), np.float32), "WAV_LENS": np.int32([[9]])}
        silero.infer("vad", tensors, ["SEGMENTS_MS"])


def test_what_makes_no_sense_keeps_the_model_from_loading(silero):
    with Server(broken(), "--exit-on-error=false", "--strict-readiness=false") as server:
        log = server.log()
    for name, (_, words) in BROKEN.items():
        assert f"model '{name}'" in log and words in log, (name, words)
