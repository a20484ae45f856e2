"""cif_search by itself: every call it makes of the decoder, told by a stand-in for that (see recorder.py)."""

import json
import re
import time
from functools import partial

import numpy as np
import pytest

from paraformer import recorder
from paraformer.repositories import DECODE_DATA
from support.client import GRPC, HTTP, PROTOCOLS, InferenceServerException
from support.load import at_once

MODEL = "recorded_cif_search"
HIDDEN = 512
FRAMES = 20
START, END = 1, 2

STEPS = json.loads((DECODE_DATA / "cif.json").read_text())
ARRAYS = dict(np.load(DECODE_DATA / "cif.npz"))
SEQUENCES = sorted({step["sequence"] for step in STEPS})
EACH_PROTOCOL = pytest.mark.parametrize("protocol", PROTOCOLS)

# An embedding that is off by 1e-4 moves some of its projections on these by about as much.
PROBES = np.sign(np.random.default_rng(8).normal(size=(8, HIDDEN))).astype(np.float32) / 8


def window(enc, alphas, asked, probe=None, turns=0):
    """The inputs of a request, in which the two frames that CIF leaves alone tell the recorder what to tell."""
    enc = enc.copy()
    enc[:2] = 0
    enc[0] = 0 if probe is None else probe
    enc[1, :2] = asked, turns
    return {"enc": enc[np.newaxis], "enc_len": np.int32([[len(enc)]]), "alphas": alphas[np.newaxis]}


def search(client, tensors, stream, start=False, end=False, protocol=HTTP, model=MODEL):
    """The text that one window adds."""
    place = {"sequence_id": stream, "sequence_start": start, "sequence_end": end}
    answer = client.infer(model, tensors, ["transcripts"], protocol, **place)["transcripts"]
    assert answer.shape == (1, 1)
    return answer[0, 0]


def recorded(step):
    """The encoder's output of a recorded step, and the embeddings that the decoder was sent."""
    number = f"{step['step']:03}"
    embeds = ARRAYS.get(f"{number}.acoustic_embeds", np.zeros((0, HIDDEN), np.float32))
    assert len(embeds) == step["tokens"]
    return ARRAYS[f"{number}.enc"], ARRAYS[f"{number}.alphas"], embeds


def all_steps(client, asked, protocol=HTTP, probe=None, name=lambda sequence: sequence + 500):
    """Sends the recorded steps in their order, six streams in turns; the text each adds."""
    texts = []
    for step in STEPS:
        enc, alphas, _ = recorded(step)
        tensors = window(enc, alphas, asked, probe)
        texts.append(search(client, tensors, name(step["sequence"]), step["start"], step["end"], protocol))
    return texts


@pytest.mark.parametrize("number", range(len(PROBES)))
def test_every_embedding_is_the_recorded_one(online, number):
    probe = PROBES[number]
    for step, text in zip(STEPS, all_steps(online, recorder.EMBEDS, probe=probe)):
        _, _, embeds = recorded(step)
        told = np.array(recorder.projections(text))
        assert told.shape == (step["tokens"],), step
        # No projection is beyond what the recorder can tell.
        assert np.abs(embeds @ probe).max(initial=0) < recorder.RANGE - 0.1
        assert np.abs(told - embeds @ probe).max(initial=0) < 3e-4, step


@EACH_PROTOCOL
def test_every_call_has_its_flags_and_its_place(online, protocol):
    """START on a sequence's first call, END on its last, and calls in their order."""
    calls = dict.fromkeys(SEQUENCES, 0)
    for step, text in zip(STEPS, all_steps(online, recorder.FLAGS, protocol)):
        if step["decoder_flags"] is None:
            assert text == ""
            continue
        calls[step["sequence"]] += 1
        assert recorder.numbers(text) == [4 * calls[step["sequence"]] + step["decoder_flags"]] * step["tokens"]


def test_string_correlation_ids_reach_the_decoder(online):
    """State and flags are those of the stream."""
    calls = dict.fromkeys(SEQUENCES, 0)
    texts = all_steps(online, recorder.FLAGS, name=lambda sequence: f"a stream with the number {sequence}")
    for step, text in zip(STEPS, texts):
        if step["tokens"]:
            calls[step["sequence"]] += 1
            assert recorder.numbers(text)[0] == 4 * calls[step["sequence"]] + step["decoder_flags"]


def test_every_call_brings_the_encoders_output(online):
    for step, text in zip(STEPS, all_steps(online, recorder.ENC, probe=PROBES[0])):
        enc, _, _ = recorded(step)
        expected = enc[2:].mean(axis=0) @ PROBES[0]
        assert np.abs(np.array(recorder.projections(text)) - expected).max(initial=0) < 3e-4
    for step, text in zip(STEPS, all_steps(online, recorder.LENGTHS)):
        assert recorder.numbers(text) == [64 * FRAMES + step["tokens"]] * step["tokens"]


def test_streams_side_by_side(online, ids):
    """Each recorded sequence many times over, from a thread of its own, with the embeddings it has alone."""
    probe = PROBES[1]
    expected = {
        sequence: [recorded(step)[2] @ probe for step in STEPS if step["sequence"] == sequence]
        for sequence in SEQUENCES
    }

    def run(sequence, stream):
        told = []
        for step in (each for each in STEPS if each["sequence"] == sequence):
            enc, alphas, _ = recorded(step)
            text = search(online, window(enc, alphas, recorder.EMBEDS, probe), stream, step["start"], step["end"], GRPC)
            told.append(recorder.projections(text))
        return told

    runs = SEQUENCES * 5
    for sequence, told in zip(runs, at_once(online, [partial(run, sequence, next(ids)) for sequence in runs])):
        for found, right in zip(told, expected[sequence], strict=True):
            assert np.abs(np.array(found) - right).max(initial=0) < 3e-4


def fired(*frames, of=FRAMES):
    """Alphas that complete a token at each of these frames."""
    alphas = np.zeros(of, np.float32)
    alphas[list(frames)] = 1
    return alphas


QUIET = fired()
ENC = np.random.default_rng(2).normal(size=(FRAMES, HIDDEN)).astype(np.float32)


def told(text):
    """Call number and flags."""
    return [divmod(number, 4) for number in recorder.numbers(text)]


def ask(client, alphas, stream, start=False, end=False, asked=recorder.FLAGS, **options):
    """One window with some alphas; what the recorder tells."""
    return search(client, window(ENC, alphas, asked, **options), stream, start, end)


def counts(client):
    """How many calls the recorder answered, and how many failed, once none is under way."""
    statistics = client.statistics_at_rest("recorder")["inference_stats"]
    return statistics["success"]["count"], statistics["fail"]["count"]


@pytest.fixture
def nothing_open(online):
    """Whether the recorder has no sequence open any more of those that the test began. Their ids are cif_search's own."""
    online.http.update_log_settings({"log_verbose_level": 1})
    begin = online.server.log_path.stat().st_size

    def open_ones():
        found = set()
        with online.server.log_path.open("rb") as log:
            log.seek(begin)
            for line in log.read().decode(errors="replace").splitlines():
                if began := re.search(r"Enqueuing CORRID (\d+) into batcher recorder_0_0", line):
                    found.add(began[1])
                elif ended := re.search(r"end sequence CORRID (\d+) in batcher recorder_0_0", line):
                    found.remove(ended[1])
        return found

    def nothing():
        online.wait_until(lambda: not open_ones())
        return True

    yield nothing
    online.http.update_log_settings({"log_verbose_level": 0})


def test_a_token_in_the_frames_around_the_chunk_does_not_fire(online, ids):
    stream = next(ids)
    assert ask(online, fired(0, 4, 15, 19), stream, start=True) == ""
    assert told(ask(online, fired(5, 14), stream, end=True)) == [(1, START + END)] * 2


def test_the_last_chunk_that_fires_nothing_still_ends_the_decoders_sequence(online, ids, nothing_open):
    stream = next(ids)
    assert told(ask(online, fired(6), stream, start=True)) == [(1, START)]
    before = counts(online)
    assert ask(online, QUIET, stream, end=True) == ""
    online.wait_until(lambda: counts(online) != before)
    assert counts(online) == (before[0] + 1, before[1])
    assert nothing_open()


def test_a_stream_without_tokens_never_calls_the_decoder(online, ids, nothing_open):
    stream, before = next(ids), counts(online)
    assert ask(online, QUIET, stream, start=True) == ""
    assert ask(online, QUIET, stream, end=True) == ""
    assert ask(online, QUIET, next(ids), start=True, end=True) == ""
    assert counts(online) == before
    assert nothing_open()


def test_the_tail_fires_a_nearly_complete_token(online, ids):
    """0.45 is added behind the last chunk."""
    nearly, hardly = np.zeros((2, FRAMES), np.float32)
    nearly[5:10], hardly[5:10] = 0.12, 0.1
    assert told(ask(online, nearly, next(ids), start=True, end=True)) == [(1, START + END)]
    assert ask(online, hardly, next(ids), start=True, end=True) == ""
    stream = next(ids)
    assert ask(online, nearly, stream, start=True) == ""
    assert told(ask(online, QUIET, stream, end=True)) == [(1, START + END)]


def test_a_start_on_a_live_id_begins_afresh(online, ids, nothing_open):
    """What was left of the old token is gone, and so is the decoder's state."""
    stream, half = next(ids), np.zeros(FRAMES, np.float32)
    half[5] = 0.9
    assert told(ask(online, fired(5) + np.roll(half, 1), stream, start=True)) == [(1, START)]
    assert ask(online, half * 0.5, stream, start=True) == ""
    assert told(ask(online, fired(5), stream)) == [(1, START)]
    assert told(ask(online, fired(5), stream, end=True)) == [(2, END)]
    assert nothing_open()


def test_a_start_on_a_live_id_ends_the_decoders_sequence(online, ids, nothing_open):
    """Also if the new stream never calls the decoder."""
    stream = next(ids)
    assert told(ask(online, fired(5), stream, start=True)) == [(1, START)]
    before = counts(online)
    assert ask(online, QUIET, stream, start=True) == ""
    online.wait_until(lambda: counts(online) != before)
    assert counts(online) == (before[0] + 1, before[1])
    assert ask(online, QUIET, stream, end=True) == ""
    assert nothing_open()


def test_a_decoder_that_fails_fails_that_request_alone(online, ids, nothing_open):
    bad, good = next(ids), next(ids)
    assert told(ask(online, fired(5), good, start=True)) == [(1, START)]
    assert told(ask(online, fired(5), bad, start=True)) == [(1, START)]
    with pytest.raises(InferenceServerException) as caught:
        ask(online, fired(6), bad, asked=recorder.FAIL)
    assert "recorder" in caught.value.message()
    assert told(ask(online, fired(5), good)) == [(2, 0)]
    # The stream goes on, with a decoder that begins afresh.
    assert told(ask(online, fired(5), bad)) == [(1, START)]
    assert told(ask(online, fired(5), bad, end=True)) == [(2, END)]
    assert told(ask(online, fired(5), good, end=True)) == [(3, END)]
    assert nothing_open()


def test_failing_calls_beside_good_ones(online, ids, nothing_open):
    """In one execution with them, too."""

    def good(stream):
        return [told(ask(online, fired(5, 7), stream, at == 0, at == 4)) for at in range(5)]

    def bad(stream):
        for at in range(5):
            with pytest.raises(InferenceServerException, match="recorder"):
                ask(online, fired(5), stream, at == 0, at == 4, asked=recorder.FAIL)

    streams = [(work, next(ids)) for work in (good, bad) * 8]
    answers = at_once(online, [partial(work, stream) for work, stream in streams])
    flags = [START, 0, 0, 0, END]
    assert answers == [[[(at + 1, each)] * 2 for at, each in enumerate(flags)], None] * 8
    assert nothing_open()


def test_nobody_waits_for_anothers_decoder(online, ids):
    """A stream without tokens is answered while the decoder works for another one."""
    slow, fast = next(ids), next(ids)
    assert ask(online, QUIET, fast, start=True) == ""
    done = []

    def wait_for_it():
        answer = ask(online, fired(5), slow, start=True, end=True, turns=1500)
        done.append("slow")
        return told(answer)

    def meanwhile():
        time.sleep(0.05)
        answers = [ask(online, QUIET, fast) for _ in range(20)]
        done.append("fast")
        return answers

    assert at_once(online, [wait_for_it, meanwhile]) == [[(1, START + END)], [""] * 20]
    assert done == ["fast", "slow"]


BROKEN = (
    ", which can only come from an encoder whose file is broken or whose numbers overflow, as those of exports in half precision may"
)
BAD = {
    "enc of another length": (window(ENC, fired(5)[:19], 0), ("19", "alphas")),
    "NaN in an alpha": (
        window(ENC, np.where(fired(7) > 0, np.nan, fired(6)).astype(np.float32), 0),
        (f"model '{MODEL}' was given NaN at place 7 of 'alphas'{BROKEN}",),
    ),
    "NaN in an alpha that does not count": (
        window(ENC, np.where(fired(19) > 0, np.nan, fired(6)).astype(np.float32), 0),
        (f"model '{MODEL}' was given NaN at place 19 of 'alphas'{BROKEN}",),
    ),
    "infinity in enc": (
        window(np.where(np.eye(FRAMES, HIDDEN, -8) > 0, -np.inf, ENC).astype(np.float32), QUIET, 0),
        (f"model '{MODEL}' was given -inf at place {8 * HIDDEN} of 'enc'{BROKEN}",),
    ),
    "frames of more values than any encoder's": (
        {**window(ENC, QUIET, 0), "enc": np.zeros((1, FRAMES, 8193), np.float32)},
        ("enc", "1 to 8192 values"),
    ),
    "enc_len negative": ({**window(ENC, QUIET, 0), "enc_len": np.int32([[-1]])}, ("enc_len", "-1")),
    "enc_len too long": ({**window(ENC, QUIET, 0), "enc_len": np.int32([[21]])}, ("enc_len", "21")),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_window_leaves_the_stream_as_it_was(online, ids, name):
    tensors, words = BAD[name]
    stream = next(ids)
    assert told(ask(online, fired(5), stream, start=True)) == [(1, START)]
    with pytest.raises(InferenceServerException) as caught:
        search(online, tensors, stream)
    for word in words:
        assert word in caught.value.message(), caught.value
    assert told(ask(online, fired(5), stream)) == [(2, 0)]
    assert told(ask(online, fired(5), stream, end=True)) == [(3, END)]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_last_window_still_ends_the_decoders_sequence(online, ids, name, nothing_open):
    stream = next(ids)
    assert told(ask(online, fired(5), stream, start=True)) == [(1, START)]
    with pytest.raises(InferenceServerException):
        search(online, BAD[name][0], stream, end=True)
    assert nothing_open()
