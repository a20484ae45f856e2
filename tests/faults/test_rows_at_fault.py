"""Whoever sends something that cannot be served has an error; who shares a call of the encoder with it has the right text."""

from functools import partial

import numpy as np
import pytest

from faults import fragile, traffic
from faults.test_failing_models import failures, outcome
from pipelines.variants import PIPELINE, SOON
from support.client import GRPC, HTTP, InferenceServerException, serving
from support.load import counted, many_at_a_time
from support.recordings import WITH_ITN, WITHOUT_ITN, recordings

GOOD, THREADS = 700, 32


@pytest.fixture(scope="module")
def client():
    """A client of a server with these pipelines."""
    with serving(fragile.repository(), PIPELINE, SOON) as client:
        yield client


def ask(client, model, number, bad, **wrong):
    """Whether a good request has its text; or what a bad one is told. A batcher puts only equal lengths together: many that
    are sent one after the other have the same."""
    recording = number // 100
    if not bad:
        return outcome(partial(traffic.ask_sensevoice, client, recording, (HTTP, GRPC)[number % 2], model))
    samples = recordings()[recording % traffic.SPOKEN].samples
    try:
        return client.transcribe([samples], wrong.get("norm", WITH_ITN), language=wrong.get("language", 0), model=model)
    except InferenceServerException as error:
        return error.message()


def asked(client, model, every, good=GOOD, **wrong):
    """Good requests, and between them one that is bad after every so many: the answers of both."""
    bad = [number % every == every // 2 for number in range(good + good // (every - 1))]
    calls = [partial(ask, client, model, number, each, **wrong) for number, each in enumerate(bad)]
    answers = many_at_a_time(client, calls, threads=THREADS)
    return [[each for each, was in zip(answers, bad) if was == kind] for kind in (False, True)]


@pytest.mark.parametrize("model", ["sensevoice_batching", "sensevoice_plain", "sensevoice"])
def test_a_language_that_the_model_lacks_beside_seven_hundred_that_it_has(client, model):
    encoder = "sensevoice_encoder" if model == "sensevoice" else f"{model}_encoder"
    before = client.statistics_at_rest(encoder)
    well, refused = asked(client, model, 11, language=99)
    assert well == [True] * GOOD
    assert set(refused) == {"input 'LANGUAGE': row 0 is 99, expected 0 to 15"} and len(refused) == 70
    failed, _ = failures(before, client.statistics_at_rest(encoder))
    # It never got there.
    assert failed == 0


def test_a_row_that_the_encoder_refuses_beside_seven_hundred_that_it_takes(client):
    """The encoder fails whole batches, and puts calls together that are under way at the same time."""
    encoder = "sensevoice_choosy_encoder"
    before = client.statistics_at_rest(encoder)
    well, refused = asked(client, "sensevoice_choosy", 11, norm=WITHOUT_ITN)
    after = client.statistics_at_rest(encoder)
    assert well == [True] * GOOD
    assert set(refused) == {f"model '{encoder}': no such norm"} and len(refused) == 70
    failed, called = failures(before, after)
    print(f"{called} calls, {failed} failed")
    # Each by itself, and in company before.
    assert failed > 70


def test_a_call_that_is_no_rows_fault_is_not_made_again(client):
    """Out of memory, say: every row of the call has the error, and no more is asked of the encoder than before."""
    encoder = "sensevoice_broken_encoder"
    before = client.statistics_at_rest(encoder)
    well, refused = asked(client, "sensevoice_broken", 11, good=200, norm=WITHOUT_ITN)
    after = client.statistics_at_rest(encoder)
    message = f"model '{encoder}': out of memory"
    assert set(refused) == {message}
    beside = [each for each in well if each is not True]
    assert set(beside) <= {message}
    failed, called = failures(before, after)
    print(f"{called} calls, {failed} failed with {len(refused) + len(beside)} rows")
    # Some rows shared calls with the bad ones, or this tries nothing.
    assert failed <= len(refused) and len(refused) + len(beside) > failed
    assert counted(before, after, "inference_count") == len(well) - len(beside)


def test_rows_of_one_request_fail_together(client):
    samples = recordings()[2].samples
    for model, language, words in (
        ("sensevoice_choosy", 0, "no such norm"),
        ("sensevoice_plain", [0, 0, -1], "input 'LANGUAGE': row 2 is -1, expected 0 to 15"),
    ):
        with pytest.raises(InferenceServerException, match=words):
            client.transcribe([samples] * 3, [WITH_ITN, WITHOUT_ITN, WITH_ITN], language=language, model=model)


def test_scores_of_nothing_but_nan_are_an_error_and_no_silence(client):
    """They fail their own row, and name model and tensor."""
    well, refused = asked(client, "sensevoice_nan", 5, good=40, norm=WITHOUT_ITN)
    assert well == [True] * 40
    assert len(refused) == 10
    for each in refused:
        assert "model 'sensevoice_nan_encoder': output 'token_log_probs', row " in each, each
        assert "probability at place 0 is NaN" in each, each


def paraformer(client, model, samples, protocol=HTTP):
    """A recording's text, or the error."""
    tensors = {"WAV": samples[np.newaxis], "WAV_LENS": np.int32([[len(samples)]])}
    try:
        return client.infer(model, tensors, ["TRANSCRIPTS"], protocol)["TRANSCRIPTS"][0, 0]
    except InferenceServerException as error:
        return error.message()


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_paraformers_scores_of_nothing_but_nan(client, protocol):
    message = paraformer(client, "infer_nan", recordings()[0].samples, protocol)
    words = "model 'infer_nan_encoder': output 'token_log_probs', row 0: the logarithm of a probability at place 0 is NaN"
    assert message.startswith(words), message


def test_silence_beside_speech_with_an_encoder_that_fails_at_it(client):
    """It fails all that it computes together with silence; yet who speaks has his text, and who is silent an empty one."""
    calls = []
    for number in range(300):
        # Of equal length, or no batcher would put them together.
        recording = number // 100
        if number % 5 == 2:
            quiet = np.zeros(len(recordings()[recording].samples), np.float32)
            calls.append(partial(paraformer, client, "infer_unguarded", quiet))
        else:
            calls.append(partial(outcome, partial(traffic.ask_paraformer, client, recording, model="infer_unguarded")))
    before = client.statistics_at_rest("infer_unguarded_encoder")
    answers = many_at_a_time(client, calls, threads=THREADS)
    failed, called = failures(before, client.statistics_at_rest("infer_unguarded_encoder"))
    print(f"{called} calls, {failed} failed")
    assert answers == ["" if number % 5 == 2 else True for number in range(300)]
    # Each silent row twice, and rows beside them.
    assert failed > 2 * 60
