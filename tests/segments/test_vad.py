"""Segments are those of funasr_onnx's Fsmn_vad and Fsmn_vad_online with the same model."""

from functools import partial

import numpy as np
import pytest

from segments.asking import ask, holds_no_more_than_half_a_minute, joined, send
from segments.material import AUDIO, audio, silence
from segments.repositories import NOBODY, repository
from support.client import PROTOCOLS, InferenceServerException, serving
from support.load import many_at_a_time

# With the small models that nobody trained, and with the demo's.
BOTH = pytest.mark.parametrize("which", ["", "demo_"])


def stream(client, ids, samples, chunk, model="streaming_vad"):
    """The events of each request of a stream."""
    parts = [samples[start : start + chunk] for start in range(0, len(samples), chunk)]
    if len(parts[-1]) < 800:
        parts[-2:] = [np.concatenate(parts[-2:])]
    number, events = next(ids), []
    for index, part in enumerate(parts):
        flags = {"sequence_id": number, "sequence_start": index == 0, "sequence_end": index + 1 == len(parts)}
        events.append(send(client, part, model, **flags))
    return events


@BOTH
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_recordings_alone(segments, goldens, protocol, which):
    found = [ask(segments, [audio(number)], f"{which}vad", protocol)[0] for number in range(AUDIO)]
    assert found == goldens[f"{which}vad"]


@BOTH
def test_recordings_in_one_request(segments, goldens, which):
    assert ask(segments, [audio(number) for number in range(AUDIO)], f"{which}vad") == goldens[f"{which}vad"]


def test_recordings_in_pieces(segments, goldens):
    """The model goes on with its caches: its answers depend on how many frames they have counted."""
    assert ask(segments, [audio(number) for number in range(AUDIO)], "vad_pieces") == goldens["vad"]


def test_many_at_a_time(segments, goldens):
    calls = [partial(ask, segments, [audio(number)]) for number in range(AUDIO)] * 8
    assert many_at_a_time(segments, calls, threads=8) == [[segments_ms] for segments_ms in goldens["vad"]] * 8


@BOTH
def test_streams(segments, goldens, ids, which):
    for case in goldens[f"{which}vad_streams"]:
        events = stream(segments, ids, audio(case["audio"]), case["chunk"], f"{which}streaming_vad")
        assert events == case["events"], case["chunk"]


def test_chunks_of_any_size_tell_the_same(segments, goldens, ids):
    """Also those too small for a frame."""
    samples = audio(0)[: 16000 * 5]
    told = [
        [event for events in stream(segments, ids, samples, chunk) for event in events] for chunk in (399, 1000, 5000, 80000)
    ]
    assert told[0][0] == [450, -1] and told[0] == told[1]
    starts = [start for start, _ in told[0] if start >= 0]
    assert all([start for start, _ in events if start >= 0] == starts for events in told)


def test_an_end_without_samples_ends_the_segment(segments, ids):
    for seconds in (0.01, 1.5, 3.0):
        samples, number = audio(0)[: int(16000 * seconds)], next(ids)
        events = send(segments, samples, sequence_id=number, sequence_start=True)
        events += send(segments, samples[:0], sequence_id=number, sequence_end=True)
        assert joined(events) == ask(segments, [samples])[0]
        assert (len(events) > 0) == (seconds > 1)


def test_it_is_warmed_up(segments, goldens):
    assert ask(segments, [audio(0)], "vad_warm")[0] == goldens["vad"][0]
    log = segments.server.log_path.read_text(errors="replace")
    assert "model 'vad_warm': warmed up in" in log
    assert "warm-up of" not in log, "none of its calls failed"


def test_parameters_of_the_config_come_before_config_yaml(segments, goldens):
    whole = ask(segments, [audio(0)], "vad_long")[0]
    assert whole[0] == [450, goldens["vad"][0][1][1]], "no segment is cut at 2.5 s"
    assert ask(segments, [audio(0)], "vad_first")[0] == goldens["vad"][0][:1]


def test_what_is_wrong_is_told(segments):
    with pytest.raises(InferenceServerException, match=NOBODY):
        ask(segments, [audio(0)], "vad_lost")
    with pytest.raises(InferenceServerException, match="WAV_LENS.*row 0 is 9"):
        tensors = {"WAV": np.zeros((1, 8), np.float32), "WAV_LENS": np.int32([[9]])}
        segments.infer("vad", tensors, ["SEGMENTS_MS"])
    with pytest.raises(InferenceServerException, match="sample 3 is NaN"):
        bad = silence(0.1)
        bad[3] = np.nan
        ask(segments, [bad])


def test_a_chunk_that_is_refused_changes_nothing(segments, goldens, ids):
    (case,) = [case for case in goldens["vad_streams"] if case["audio"] == 0 and case["chunk"] == 25600]
    samples, number = audio(0), next(ids)
    bad = np.full(800, np.inf, np.float32)
    starts = range(0, len(samples), 25600)
    events = []
    for start in starts:
        flags = {"sequence_id": number, "sequence_start": start == 0, "sequence_end": start == starts[-1]}
        events.append(send(segments, samples[start : start + 25600], **flags))
        if start != starts[-1]:
            with pytest.raises(InferenceServerException, match="sample 0 is inf"):
                send(segments, bad, sequence_id=number)
    assert events == case["events"]


def test_a_model_that_is_away_for_a_while_loses_nothing(goldens, ids):
    """The frames that it could not be asked about are asked about with the stream's next chunk."""
    (case,) = [case for case in goldens["vad_streams"] if case["audio"] == 0 and case["chunk"] == 25600]
    samples, number = audio(0), next(ids)
    explicit = ["--model-control-mode=explicit", "--load-model=fsmn_vad", "--load-model=streaming_vad", "--exit-timeout-secs=2"]
    with serving(repository(), *explicit) as client:
        parts = [samples[start : start + 25600] for start in range(0, len(samples), 25600)]
        events = [send(client, parts[0], sequence_id=number, sequence_start=True)]
        client.http.unload_model("fsmn_vad")
        client.wait_until(lambda: not client.http.is_model_ready("fsmn_vad"))
        with pytest.raises(InferenceServerException, match="fsmn_vad"):
            send(client, parts[1], sequence_id=number)
        holds_no_more_than_half_a_minute(client, next(ids), "fsmn_vad")
        client.http.load_model("fsmn_vad")
        for index, part in enumerate(parts[2:], 2):
            events.append(send(client, part, sequence_id=number, sequence_end=index + 1 == len(parts)))
    told = [event for each in events for event in each]
    expected = [event for each in case["events"] for event in each]
    assert joined(told) == joined(expected)
