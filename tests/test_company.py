"""A recording's text does not depend on what the server computes beside it."""

import random
from collections import Counter, defaultdict
from functools import partial

import numpy as np
import pytest

from support.client import GRPC, HTTP, JSON
from support.load import at_once, counted, many_at_a_time, shared_executions
from support.recordings import WITH_ITN, WITHOUT_ITN, recordings
from support.variants import PADDINGS, STEPS

TIMES = 200


def deal(dice, cards):
    """Shuffled cards in hands of one to four."""
    dice.shuffle(cards)
    hands = []
    while cards:
        size = dice.randint(1, 4)
        hands.append(cards[:size])
        cards = cards[size:]
    return hands


def random_filling(dice):
    """Something to stand behind the rows: nothing, a click, or noise."""
    seed = dice.randrange(2**32)
    kind = dice.choice(["zeros", "ones", "noise"])

    def filling(count):
        if kind == "noise":
            return np.random.default_rng(seed).uniform(-1, 1, count)
        return 1.0 if kind == "ones" else 0.0

    return filling


def answers_in_company(client, model, times, seed):
    """Sends each recording `times` times with each text norm, and counts its answers."""
    dice = random.Random(seed)
    cards = [(each, norm) for each in recordings() for norm in (WITH_ITN, WITHOUT_ITN)] * times
    hands = deal(dice, cards)
    calls = []
    for hand in hands:
        wavs = [recording.samples for recording, _ in hand]
        width = max(map(len, wavs)) + dice.choice([0, 0, dice.randrange(1, 16000), 160000])
        # JSON spells every sample out: its share is small for the sake of time.
        (protocol,) = dice.choices([HTTP, GRPC, JSON], [48, 48, 4])
        calls.append(
            partial(
                client.transcribe,
                wavs,
                [norm for _, norm in hand],
                protocol=protocol,
                model=model,
                width=width if protocol != JSON else None,
                filling=random_filling(dice),
            )
        )
    answers = defaultdict(Counter)
    for hand, texts in zip(hands, many_at_a_time(client, calls)):
        for (recording, norm), text in zip(hand, texts, strict=True):
            answers[recording.name, norm][text] += 1
    return answers, len(hands)


def one_answer_each(times):
    """What `answers_in_company` shall count."""
    return {(each.name, norm): {text: times} for each in recordings() for norm, text in each.texts.items()}


@pytest.mark.parametrize("seed", [1])
def test_two_hundred_times_in_random_company(sensevoice, seed):
    answers, _ = answers_in_company(sensevoice, "sensevoice", TIMES, seed)
    assert answers == one_answer_each(TIMES)


def test_in_random_company_when_every_step_waits_for_more(sensevoice):
    """With a queue delay, requests do share executions of every step, and still get the same text."""
    times = 20
    before = {step: sensevoice.statistics_at_rest(f"{step}_patient") for step in STEPS}
    answers, requests = answers_in_company(sensevoice, "sensevoice_patient", times, seed=2)
    assert answers == one_answer_each(times)
    for step in STEPS:
        after = sensevoice.statistics_after(before[step], f"{step}_patient", times * 22)
        assert counted(before[step], after, "inference_count") == times * 22
        executions = counted(before[step], after, "execution_count")
        # The front end and scoring take any lengths together; the encoder only equal ones.
        assert executions < (requests if step == "encoder" else requests / 2), step


@pytest.mark.parametrize("frames", PADDINGS)
def test_in_random_company_whatever_features_are_rounded_to(sensevoice, frames):
    times = 10
    answers, _ = answers_in_company(sensevoice, f"sensevoice_pad_{frames}", times, seed=frames)
    assert answers == one_answer_each(times)


def test_requests_of_different_lengths_share_executions(sensevoice):
    """Eleven lengths sent at once: front end and scoring compute several of them in one execution."""
    assert len({len(each.samples) for each in recordings()}) == 11
    before = {step: sensevoice.statistics_at_rest(f"{step}_patient") for step in STEPS}
    calls = [
        partial(sensevoice.transcribe, [each.samples], WITH_ITN, model="sensevoice_patient") for each in recordings()
    ]
    assert at_once(sensevoice, calls) == [[each.texts[WITH_ITN]] for each in recordings()]
    after = {step: sensevoice.statistics_after(before[step], f"{step}_patient", 11) for step in STEPS}
    sizes = {step: shared_executions(before[step], after[step]) for step in STEPS}
    assert all(sum(size * count for size, count in each.items()) == 11 for each in sizes.values())
    assert max(sizes["feature_extractor"]) > 1
    # Features are rounded up, so several requests have equal shapes here, but by far not all.
    assert max(sizes["scoring"]) > max(sizes["encoder"])
