"""What the offline pipelines do and the ensembles cannot."""

import itertools
import random
from functools import partial

import numpy as np
import pytest

from faults.traffic import SPOKEN
from paraformer.test_offline import ask, assert_right_up_to_the_last_token
from paraformer.texts import recordings as paraformer_recordings
from pipelines.audio import noise, of_many_lengths
from pipelines.variants import FEW_IDS, NOBODY
from support.client import GRPC, HTTP, PROTOCOLS, InferenceServerException
from support.load import counted, many_at_a_time, shared_executions
from support.recordings import WITH_ITN, WITHOUT_ITN, padded, recordings

SENSEVOICE_ENCODER = "sensevoice_encoder"
PARAFORMER_ENCODER = "paraformer_encoder"
GOOD = recordings()[2]


def test_two_hundred_lengths_over_sixteen_connections(pipelines):
    """All lengths differ: every execution of several rows holds different ones."""
    audio = of_many_lengths(200)
    assert len({len(each) // 960 for each in audio}) == 200
    calls = [
        partial(pipelines.transcribe, [each], norm, protocol=protocol)
        for each, norm, protocol in zip(audio, itertools.cycle([WITH_ITN, WITHOUT_ITN]), itertools.cycle([HTTP, HTTP, GRPC]))
    ]
    alone = [call() for call in calls]
    assert len({text for (text,) in alone}) > 150
    before = pipelines.statistics_at_rest(SENSEVOICE_ENCODER)
    assert many_at_a_time(pipelines, calls, threads=16) == alone
    after = pipelines.statistics_after(before, SENSEVOICE_ENCODER, 200)
    executions = counted(before, after, "execution_count")
    sizes = shared_executions(before, after)
    print("executions", executions, "by rows", sizes)
    assert counted(before, after, "inference_count") == 200
    assert sum(size * count for size, count in sizes.items() if size > 1) >= 100
    assert executions <= 120


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_rows_of_different_lengths_in_one_paraformer_request(offline, protocol):
    """Each row as if it were alone, which no ensemble can promise: it pads."""
    batch = paraformer_recordings()
    answers = ask(offline, [each.samples for each in batch], protocol=protocol, width=80_000, filling=lambda n: noise(n, 0.3))
    assert answers == [each.text for each in batch]


def test_paraformer_rows_share_calls_when_their_lengths_are_equal(offline):
    batch = paraformer_recordings()[:4] * 4
    before = offline.statistics_at_rest(PARAFORMER_ENCODER)
    answers = ask(offline, [each.samples for each in batch], model="infer_sharing")
    assert answers == [each.text for each in batch]
    after = offline.statistics_after(before, PARAFORMER_ENCODER, 16)
    assert shared_executions(before, after) == {4: 4}


def test_padding_is_allowed_where_the_config_says_so(offline):
    """Then Paraformer's rows of different lengths share calls, and the last token of shorter ones may differ."""
    batch = paraformer_recordings()[:SPOKEN]
    before = offline.statistics_at_rest(PARAFORMER_ENCODER)
    answers = ask(offline, [each.samples for each in batch], model="infer_padded")
    after = offline.statistics_after(before, PARAFORMER_ENCODER, len(batch))
    assert counted(before, after, "inference_count") == len(batch)
    assert max(shared_executions(before, after)) >= 3
    for recording, answer in zip(batch, answers):
        assert_right_up_to_the_last_token(answer, recording.text)


def prompted(client, model, protocol, languages, norms):
    """The texts of a recording with these prompts, one a row; or what the client is told."""
    rows = len(languages)
    kind = object if isinstance(languages[0], str) else np.int32
    tensors = {
        "WAV": np.tile(GOOD.samples, (rows, 1)),
        "WAV_LENS": np.full((rows, 1), len(GOOD.samples), np.int32),
        "LANGUAGE": np.array(languages, kind).reshape(rows, 1),
        "TEXT_NORM": np.array(norms, kind).reshape(rows, 1),
    }
    try:
        return list(client.infer(model, tensors, ["TRANSCRIPTS"], protocol)["TRANSCRIPTS"][:, 0])
    except InferenceServerException as error:
        return error.message()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_id_that_the_model_lacks_is_named(sensevoice, protocol):
    for languages, norms, words in (
        ([0, 99, 0], [14, 14, 14], "input 'LANGUAGE': row 1 is 99, expected 0 to 15"),
        ([-1], [14], "input 'LANGUAGE': row 0 is -1, expected 0 to 15"),
        ([16], [14], "input 'LANGUAGE': row 0 is 16, expected 0 to 15"),
        ([0, 0], [15, 16], "input 'TEXT_NORM': row 1 is 16, expected 0 to 15"),
        ([0], [-(2**31)], "input 'TEXT_NORM': row 0 is -2147483648, expected 0 to 15"),
    ):
        assert prompted(sensevoice, "sensevoice", protocol, languages, norms) == words
    words = f"input 'TEXT_NORM': row 0 is 14, expected 0 to {FEW_IDS - 1}"
    assert prompted(sensevoice, "sensevoice_few_ids", protocol, [0], [14]) == words


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_languages_and_norms_by_name(sensevoice, protocol):
    """Each as by its number, which may be written as a text, too."""
    ids = {"auto": 0, "zh": 3, "en": 4, "yue": 7, "ja": 11, "ko": 12, "nospeech": 13, "5": 5}
    norms = {"withitn": WITH_ITN, "woitn": WITHOUT_ITN, "14": WITH_ITN}
    for norm, number in norms.items():
        by_number = prompted(sensevoice, "sensevoice", protocol, list(ids.values()), [number] * len(ids))
        assert len(set(by_number)) > 1
        assert prompted(sensevoice, "sensevoice_named", protocol, list(ids), [norm] * len(ids)) == by_number
    known = "auto, zh, en, yue, ja, ko, nospeech, or a number from 0 to 15"
    for languages, norms, words in (
        (["zh", "de"], ["woitn"] * 2, f"input 'LANGUAGE': row 1 is 'de', expected {known}"),
        (["16"], ["woitn"], f"input 'LANGUAGE': row 0 is '16', expected {known}"),
        (["zh"], ["itn"], "input 'TEXT_NORM': row 0 is 'itn', expected withitn, woitn, or a number from 0 to 15"),
        (["zh"], ["x" * 5000], "input 'TEXT_NORM': row 0 is 'xxx"),
    ):
        told = prompted(sensevoice, "sensevoice_named", protocol, languages, norms)
        assert words in told and len(told) < 300, told


@pytest.mark.parametrize("model", ["sensevoice_lost", "infer_lost"])
def test_a_missing_encoder_is_named(pipelines, model):
    tensors = {"WAV": GOOD.samples[np.newaxis], "WAV_LENS": np.int32([[len(GOOD.samples)]])}
    if model == "sensevoice_lost":
        tensors |= {"LANGUAGE": np.int32([[0]]), "TEXT_NORM": np.int32([[14]])}
    with pytest.raises(InferenceServerException) as caught:
        pipelines.infer(model, tensors, ["TRANSCRIPTS"])
    assert NOBODY in caught.value.message(), caught.value
    assert "not found" in caught.value.message() or "not available" in caught.value.message(), caught.value


QUIET = {
    "one sample": np.ones(1, np.float32),
    "20 ms": noise(320, 0.1),
    "a sample less than 25 ms": noise(399, 0.1),
    "25 ms of silence": np.zeros(400, np.float32),
    "2 s of silence": np.zeros(32_000, np.float32),
    "20 s of silence": np.zeros(320_000, np.float32),
    "noise": noise(48_000, 3e-3),
    "less noise": noise(48_000, 1e-4),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_paraformer_says_nothing_where_there_is_nothing(offline, protocol):
    for name, wav in QUIET.items():
        if protocol != "HTTP JSON" or len(wav) < 1000:
            assert ask(offline, [wav], protocol=protocol) == [""], name


def test_silent_rows_in_company(offline):
    """Exactly the rows that have nothing to say are empty, in one request and beside others, wherever they stand."""
    dice = random.Random(6)
    rows = [*((each.samples, each.text) for each in paraformer_recordings()), *((wav, "") for wav in QUIET.values())]
    calls, expected = [], []
    for _ in range(40):
        some = dice.sample(rows, dice.randint(1, 5))
        # Equal lengths share calls: silent ones beside spoken ones.
        some += [(np.zeros(len(wav), np.float32), "") for wav, _ in some if len(wav) > 399]
        dice.shuffle(some)
        calls.append(partial(ask, offline, [wav for wav, _ in some]))
        expected.append([text for _, text in some])
    assert many_at_a_time(offline, calls, threads=8) == expected


def test_sensevoice_answers_clips_shorter_than_a_frame_with_an_empty_text(sensevoice):
    clip = noise(399, 0.1)
    for protocol in PROTOCOLS:
        assert sensevoice.transcribe([clip], WITH_ITN, protocol=protocol) == [""]
    answers = sensevoice.transcribe([clip, GOOD.samples, clip[:1]], WITH_ITN)
    assert answers == ["", GOOD.texts[WITH_ITN], ""]


@pytest.mark.parametrize("norm", [WITH_ITN, WITHOUT_ITN])
def test_sensevoice_hears_no_words_in_silence(sensevoice, norm):
    for name, wav in QUIET.items():
        (text,) = sensevoice.transcribe([wav], norm)
        assert text == "" or text.endswith("|>") and "nospeech" in text, (name, text)
