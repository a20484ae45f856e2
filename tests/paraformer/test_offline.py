"""The offline Paraformer's texts, over every protocol and in any company."""

import itertools
import random
from functools import partial

import numpy as np
import pytest

from paraformer.texts import recordings
from support.client import GRPC, HTTP, PROTOCOLS, InferenceServerException
from support.load import at_once, many_at_a_time
from support.recordings import padded

MODEL = "infer_pipeline"
SAMPLE_RATE = 16000
EACH_PROTOCOL = pytest.mark.parametrize("protocol", PROTOCOLS)


def ask(client, wavs, lengths=None, protocol=HTTP, model=MODEL, **padding):
    """The texts of a batch."""
    lengths = [len(wav) for wav in wavs] if lengths is None else lengths
    tensors = {"WAV": padded(wavs, **padding), "WAV_LENS": np.int32(lengths).reshape(-1, 1)}
    answer = client.infer(model, tensors, ["TRANSCRIPTS"], protocol)["TRANSCRIPTS"]
    assert answer.shape == (len(wavs), 1)
    return list(answer[:, 0])


def noise(samples):
    """Loud enough to be heard as something."""
    return np.random.default_rng(samples).uniform(-0.5, 0.5, samples).astype(np.float32)


@EACH_PROTOCOL
def test_each_recording_alone(offline, protocol):
    for recording in recordings():
        assert ask(offline, [recording.samples], protocol=protocol) == [recording.text], recording.name


@EACH_PROTOCOL
@pytest.mark.parametrize("filling", [None, noise], ids=["zeros", "noise"])
def test_each_recording_padded_to_ten_seconds(offline, protocol, filling):
    # JSON spells out every sample: a few recordings tell as much.
    for recording in recordings()[:3] if protocol == "HTTP JSON" else recordings():
        answer = ask(offline, [recording.samples], protocol=protocol, width=10 * SAMPLE_RATE, filling=filling)
        assert answer == [recording.text], recording.name


@EACH_PROTOCOL
def test_rows_of_equal_length_in_one_request(offline, protocol):
    for recording in recordings()[::4]:
        assert ask(offline, [recording.samples] * 5, protocol=protocol) == [recording.text] * 5


def test_the_largest_batch(offline):
    recording = recordings()[8]
    assert ask(offline, [recording.samples] * 64) == [recording.text] * 64


def test_different_rows_of_equal_length(offline):
    """Every row is the audio of another recording, cut to one length: each gets the text it gets alone."""
    length = min(len(each.samples) for each in recordings())
    rows = [each.samples[:length] for each in recordings()]
    alone = [ask(offline, [row])[0] for row in rows]
    assert len(set(alone)) > 5
    assert ask(offline, rows) == alone
    # The rows' lengths are equal also if the array is wider.
    assert ask(offline, rows, width=length + 7777, filling=noise) == alone


def without_last_token(text):
    """The text but for its last word or character."""
    return text[:-1] if not text[-1:].isascii() else text.rpartition(" ")[0]


def assert_right_up_to_the_last_token(answer, text):
    """What holds for a row that is shorter than its batch: Paraformer's CIF sees the frames behind it."""
    kept = without_last_token(text)
    assert answer.startswith(kept), (answer, text)
    rest = answer[len(kept) :].strip()
    # At most one token more or less, or another one.
    assert " " not in rest and (rest.isascii() or len(rest) <= 2), (answer, text)


@EACH_PROTOCOL
def test_rows_of_different_lengths_in_one_request(offline, protocol):
    """The longest row is exact; the exported model itself may change the last token of a shorter one."""
    exact = 0
    for start in range(0, len(recordings()), 4):
        batch = (recordings() * 2)[start : start + 4]
        longest = max(len(each.samples) for each in batch)
        answers = ask(offline, [each.samples for each in batch], protocol=protocol)
        for recording, answer in zip(batch, answers, strict=True):
            if len(recording.samples) == longest:
                assert answer == recording.text
            assert_right_up_to_the_last_token(answer, recording.text)
            exact += answer == recording.text
    assert exact >= 10


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_requests_beside_each_other(offline, protocol):
    """Requests never see each other: the encoder gets only those of equal length at a time."""
    calls, texts = [], []
    for recording in recordings() * 6:
        calls.append(partial(ask, offline, [recording.samples], protocol=protocol))
        texts.append([recording.text])
    assert at_once(offline, calls) == texts


def test_requests_of_one_length_beside_each_other(offline):
    length = min(len(each.samples) for each in recordings())
    rows = [each.samples[:length] for each in recordings()]
    alone = [ask(offline, [row]) for row in rows]
    assert at_once(offline, [partial(ask, offline, [row]) for row in rows] * 3) == alone * 3


def test_one_answer_per_recording_in_random_company(offline):
    rng = random.Random(7)
    batches = [rng.choices(recordings(), k=1) * rng.choice([1, 1, 2, 3]) for _ in range(150)]
    calls = [
        partial(ask, offline, [each.samples for each in batch], protocol=rng.choice([HTTP, GRPC])) for batch in batches
    ]
    assert many_at_a_time(offline, calls) == [[each.text for each in batch] for batch in batches]


# Audio in which the model finds no token: as it is exported, it fails in ONNX Runtime then.
NO_TOKENS = {
    "1 sample": recordings()[0].samples[:1],
    "399 samples": recordings()[0].samples[5000:5399],
    "25 ms of silence": np.zeros(400, np.float32),
    "55 ms of silence": np.zeros(880, np.float32),
    "175 ms of noise": noise(2800) / 20,
}


@pytest.mark.parametrize("name", NO_TOKENS)
@EACH_PROTOCOL
def test_audio_without_a_token_has_no_text(offline, name, protocol):
    assert ask(offline, [NO_TOKENS[name]], protocol=protocol) == [""]
    assert ask(offline, [NO_TOKENS[name]] * 3, protocol=protocol) == [""] * 3


@pytest.mark.parametrize("name", NO_TOKENS)
def test_audio_without_a_token_in_a_batch(offline, name):
    """In any place, the last one included. Beside a longer row, whose frames it sees, the model finds a token that is no text."""
    recording = recordings()[0]
    for batch in (["", recording.text], [recording.text, ""], ["", recording.text, ""]):
        assert ask(offline, [recording.samples if text else NO_TOKENS[name] for text in batch]) == batch


@pytest.mark.parametrize("name", NO_TOKENS)
def test_audio_without_a_token_harms_no_other_request(offline, name):
    """Beside recordings, beside silence, and beside audio of its own length, which shares executions with it."""
    recording = recordings()[0]
    wavs = [NO_TOKENS[name], recording.samples, np.zeros(2800, np.float32), noise(len(NO_TOKENS[name]))]
    calls = [partial(ask, offline, [wav]) for wav in wavs]
    alone = [call() for call in calls]
    assert alone[:3] == [[""], [recording.text], [""]]
    assert at_once(offline, calls * 8) == alone * 8


def encode(client, model, rows):
    """Scores and numbers of tokens of features of one length."""
    lengths = np.full((len(rows), 1), len(rows[0]), np.int32)
    answer = client.infer(model, {"speech": np.stack(rows), "speech_lengths": lengths}, ["logits", "token_num"])
    return answer["logits"], answer["token_num"][:, 0]


def test_the_guard_changes_nothing_else(offline):
    """Beside rows without a token, in any place, the others' scores are what the exported model makes of them, bit by bit."""
    rng = np.random.default_rng(0)
    drawn = [rng.standard_normal((5, 560)).astype(np.float32) * scale for scale in [0.03, 0.1, 1, 10] * 15]
    counts = [encode(offline, "guarded_encoder", [row])[1][0] for row in drawn]
    empty = [row for row, count in zip(drawn, counts, strict=True) if count == 0]
    spoken = [row for row, count in zip(drawn, counts, strict=True) if count > 0]
    assert len(empty) > 3 and len(spoken) > 3
    scores, counts = encode(offline, "exported_encoder", spoken[:3])
    for places in itertools.product([False, True], repeat=6):
        if sum(places) != 3:
            continue
        silent, heard = iter(empty), iter(spoken)
        batch = [next(heard) if place else next(silent) for place in places]
        guarded, guarded_counts = encode(offline, "guarded_encoder", batch)
        assert not guarded_counts[~np.array(places)].any(), places
        assert list(guarded_counts[list(places)]) == list(counts), places
        assert np.array_equal(guarded[list(places)], scores), places
        if not places[-1]:
            with pytest.raises(InferenceServerException):
                encode(offline, "exported_encoder", batch)
    with pytest.raises(InferenceServerException):
        encode(offline, "exported_encoder", empty[:1])
    scores, counts = encode(offline, "guarded_encoder", empty[:3])
    assert list(counts) == [0] * 3 and np.isfinite(scores).all()


@pytest.mark.parametrize("seconds", [0.1, 0.5, 3])
def test_silence_has_no_text(offline, seconds):
    silence = np.zeros(int(seconds * SAMPLE_RATE), np.float32)
    assert ask(offline, [silence]) == [""]
    assert ask(offline, [silence] * 3) == [""] * 3


def test_silence_in_a_batch(offline):
    """In any place, the last one included."""
    recording = recordings()[0]
    silence = np.zeros_like(recording.samples)
    assert ask(offline, [recording.samples, silence]) == [recording.text, ""]
    assert ask(offline, [silence, recording.samples, silence]) == ["", recording.text, ""]


def test_silence_beside_other_requests(offline):
    recording = recordings()[0]
    wavs = [recording.samples, np.zeros_like(recording.samples)]
    calls = [partial(ask, offline, [wav]) for wav in wavs] * 8
    assert at_once(offline, calls) == [[recording.text], [""]] * 8


@pytest.mark.parametrize("length", [0, -3, len(recordings()[0].samples) + 1])
@EACH_PROTOCOL
def test_wrong_lengths(offline, length, protocol):
    recording = recordings()[0]
    with pytest.raises(InferenceServerException) as caught:
        ask(offline, [recording.samples], lengths=[length], protocol=protocol)
    for word in ("'wav_lens'", f"row 0 is {length},", str(len(recording.samples))):
        assert word in caught.value.message()
    assert caught.value.status() == ("StatusCode.INVALID_ARGUMENT" if protocol == GRPC else "400")
    assert ask(offline, [recording.samples], protocol=protocol) == [recording.text]
