"""Audio to try the pipelines with, beside the demo's recordings: made up of them, the same each time."""

import random
from functools import cache

import numpy as np

from support.recordings import recordings

SAMPLE_RATE = 16000


def noise(count, level, seed=0):
    """So many samples of white noise."""
    return np.random.default_rng(seed).normal(0, level, count).astype(np.float32)


def spoken():
    """The samples of the demo's recordings, in the order of golden.tsv."""
    return [each.samples for each in recordings()]


@cache
def made_up(count=20, seed=4):
    """Recordings one after the other with silence or noise between them, cut anywhere."""
    dice = random.Random(seed)
    made = []
    for number in range(count):
        parts = []
        for _ in range(dice.randint(2, 5)):
            parts.append(dice.choice(spoken()) * np.float32(dice.uniform(0.3, 1)))
            level = dice.choice([0, 1e-4, 3e-3])
            parts.append(noise(dice.randrange(SAMPLE_RATE * 3 // 2), level, dice.randrange(2**32)))
        whole = np.concatenate(parts)
        made.append(whole[: len(whole) - dice.randrange(SAMPLE_RATE)] if number % 2 else whole)
    return made


def of_many_lengths(count, least=1, seed=5):
    """Audio of `least` to 20 s, each of another number of frames."""
    dice = random.Random(seed)
    long = np.concatenate(made_up())
    frames = dice.sample(range(least * 1000 // 60 + 1, 333), count)
    made = []
    for each in frames:
        length = each * 960 + dice.randrange(700)
        start = dice.randrange(len(long) - length)
        made.append(long[start : start + length])
    return made


def cut(samples, size):
    """Samples in pieces of `size`, or of random sizes with empty ones among them."""
    if size != "random":
        return [samples[start : start + size] for start in range(0, len(samples), size)]
    dice = random.Random(len(samples))
    pieces, start = [], 0
    while start < len(samples):
        step = dice.choice([0, 1, dice.randrange(400), dice.randrange(4000), dice.randrange(40_000)])
        pieces.append(samples[start : start + step])
        start += step
    return pieces


def after_last_word(samples):
    """A recording up to where its speech ends."""
    energy = np.convolve(samples * samples, np.ones(160) / 160, "same")
    return samples[: np.nonzero(energy > 3e-3 * energy.max())[0][-1]]
