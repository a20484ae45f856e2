"""Encoders and decoders that fail at every third call: who is concerned gets an error, everyone else the right text."""

import itertools
from functools import cache, partial

import pytest

from faults import traffic
from faults.failing_chains import FailingEnsemble, FailingPipeline
from faults.repositories import FAIL_EVERY, POISONED
from paraformer.streaming import send
from paraformer.texts import streams
from support.client import GRPC, HTTP, InferenceServerException
from support.load import at_once, counted, many_at_a_time

CHAINS = {"pipelines": cache(FailingPipeline), "ensembles": cache(FailingEnsemble)}


def outcome(call):
    """Whether a call succeeded, or the message of its error."""
    try:
        call()
        return True
    except InferenceServerException as error:
        return error.message()


def failures(before, after):
    """The failed requests between two entries of a model's statistics, and all of them."""
    failed, well = (counted(*(each["inference_stats"][kind] for each in (before, after)), "count") for kind in ("fail", "success"))
    return failed, failed + well


@pytest.mark.parametrize(
    ("ask", "model", "encoder"),
    [
        (traffic.ask_sensevoice, "sensevoice_third", "sensevoice_encoder_third"),
        (traffic.ask_paraformer, "infer_third", "paraformer_encoder_third"),
    ],
    ids=["sensevoice", "paraformer"],
)
def test_an_encoder_that_fails_every_third_call(faulty, ask, model, encoder):
    before = faulty.client.statistics_at_rest(encoder)
    calls = [
        partial(outcome, partial(ask, faulty.client, number, protocol, model))
        for number, protocol in zip(range(120), itertools.cycle([HTTP, GRPC]))
    ]
    outcomes = many_at_a_time(faulty.client, calls)
    after = faulty.client.statistics_at_rest(encoder)
    failed, called = failures(before, after)
    refused = [each for each in outcomes if each is not True]
    print(f"{called} calls of the encoder, {failed} failed, {len(refused)} of {len(outcomes)} requests")
    named = f"model '{encoder}'" if faulty.form == "pipelines" else f"in ensemble '{model}'"
    assert all("was to fail" in each and named in each for each in refused), set(refused)
    assert abs(failed * FAIL_EVERY - called) < FAIL_EVERY
    # An error of the encoder's own is nobody's fault: no call is made again, and all of its rows have the error.
    assert 0 < failed <= len(refused)
    if faulty.form == "ensembles":
        assert (called, len(refused)) == (120, failed)
    else:
        assert counted(before, after, "inference_count") + len(refused) == 120


def stream_with_failures(client, ids, number, model):
    """A stream that goes on after errors. Its deltas; None where an error was."""
    stream, recording = next(ids), streams()[number]
    deltas = []
    for at, chunk in enumerate(recording.chunks):
        try:
            deltas.append(send(client, chunk, stream, at == 0, at == len(recording.chunks) - 1, GRPC, model))
        except InferenceServerException as error:
            expected = "was to fail" in error.message() or "poisoned" in error.message()
            assert expected or (at and "START" in error.message()), error
            deltas.append(None)
    return deltas


@pytest.mark.parametrize("which", ["encoder", "decoder"])
def test_streams_go_on_after_every_third_call_failed(faulty, ids, which):
    """A chunk that failed is an error; all others add what they must, given what is missing before them."""
    model, stand_in = f"streaming_third_{which}", f"online_{which}_third"
    chain = CHAINS[faulty.form]()
    before = faulty.client.statistics_at_rest(stand_in)
    numbers = list(range(len(streams()))) * 2
    calls = [partial(stream_with_failures, faulty.client, ids, number, model) for number in numbers]
    results = many_at_a_time(faulty.client, calls, threads=8)
    failed, called = failures(before, faulty.client.statistics_at_rest(stand_in))
    concerned = checked = 0
    for number, deltas in zip(numbers, results):
        missing = [at for at, delta in enumerate(deltas) if delta is None]
        if faulty.form == "ensembles" and which == "encoder" and 0 in missing:
            # The steps behind the encoder never heard of this stream.
            assert deltas == [None] * len(deltas)
            continue
        expected = chain.deltas(streams()[number].samples, len(deltas), set(missing), which)
        assert [each for each in deltas if each is not None] == [
            each for at, each in enumerate(expected) if at not in missing
        ], (streams()[number].name, deltas, expected)
        concerned += len(missing)
        checked += len(deltas) - len(missing)
    print(f"{called} calls of the {which}, {failed} failed; {concerned} chunks refused, {checked} right")
    if faulty.form == "pipelines":
        assert abs(failed * FAIL_EVERY - called) < FAIL_EVERY
    else:
        # What follows a START that failed is refused by the models behind.
        assert failed >= called // FAIL_EVERY
    assert concerned > 5 and checked > 20
    # Nothing is left of it: the same streams with models that work are right.
    for number in range(len(streams())):
        if number < traffic.SPOKEN:
            traffic.stream(faulty.client, ids, number)


def test_one_row_of_a_shared_call_fails(faulty_pipelines, ids):
    """The decoder fails whenever a certain token is among its rows: that request alone gets the error."""
    client, model, stand_in = faulty_pipelines.client, "streaming_poisoned", "online_decoder_poisoned"
    chain = CHAINS["pipelines"]()
    poisoned = streams()[POISONED]
    (at, _), *_ = chain.embeddings(poisoned.samples)
    expected = chain.deltas(poisoned.samples, len(poisoned.chunks), {at}, "decoder")
    expected[at] = None
    before = client.statistics_at_rest(stand_in)
    numbers = [each for each in range(len(streams())) if each != POISONED] + [POISONED] * 2
    rounds = 3

    for _ in range(rounds):
        results = at_once(client, [partial(stream_with_failures, client, ids, number, model) for number in numbers])
        for number, deltas in zip(numbers, results):
            assert deltas == (expected if number == POISONED else streams()[number].deltas), streams()[number].name
    after = client.statistics_at_rest(stand_in)
    failed, called = failures(before, after)
    rows = counted(before, after, "inference_count")
    print(f"{called} calls with {rows} rows, {failed} failed")
    assert rows > called
    # Twice a round by itself, and at least once in company.
    assert failed > 2 * rounds
