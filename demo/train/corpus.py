"""Clips to train on: random texts, spoken by random voices, with silence, noise and a level of their own."""

import multiprocessing
from typing import NamedTuple

import numpy as np

import features
from speech import RATE, Speaker
from words import CHINESE, DIGITS, ENGLISH, PINYIN

VARIANTS = ("", "+f1", "+f2", "+f3", "+f4", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6")
# Never trained on, to measure on.
HELD_OUT = ("+f5", "+m7")


class Clip(NamedTuple):
    """One recording.

    features: [frames, 560], LFR frames of 60 ms before CMVN, float16 to keep the corpus small
    tokens:   what is said, as the Paraformers' tokens
    onsets:   seconds where each token begins, then where the last one ends; None where not known
    language: zh, en or nospeech
    """

    features: np.ndarray
    tokens: list
    onsets: np.ndarray
    language: str


def random_words(random):
    """A language and the words of a text: of every 100 texts with speech, 36 digit strings, 30 of Chinese words, 8 of
    both, 26 English; 4 of all say nothing.
    """
    if random.random() < 0.04:
        return "nospeech", []
    kind = random.choice(["digits", "words", "both", "english"], p=[0.36, 0.30, 0.08, 0.26])
    pick = lambda choices, least, most: [str(w) for w in random.choice(list(choices), random.integers(least, most + 1))]
    if kind == "english":
        return "en", pick(ENGLISH, 1, 5)
    said = pick(CHINESE, 1, 4 if kind == "words" else 2) if kind != "digits" else []
    if kind != "words":
        said += pick(DIGITS, 1, 8 if kind == "digits" else 5)
    return "zh", said


def pronounce(language, words):
    """The words as tokens, and as espeak-ng is to read them: one for each token."""
    if language == "zh":
        return [c for word in words for c in word], [s for word in words for s in PINYIN[word].split()]
    return list(words), list(words)


def record(random, speaker, language, words, variants=VARIANTS):
    """Speaks a text and puts it into a room: samples in [-1, 1], tokens, onsets."""
    tokens, reading = pronounce(language, words)
    if tokens:
        voice = ("cmn-latn-pinyin" if language == "zh" else "en") + str(random.choice(variants))
        speed, pitch = int(random.integers(125, 191)), int(random.integers(30, 71))
        spoken, beginnings = speaker.say(reading, voice, speed, pitch)
        spoken, cut = without_silence(spoken)
    else:
        spoken, beginnings, cut = np.zeros(int(random.uniform(0.5, 2.0) * RATE), np.float32), [], 0
    before, after = random.integers(RATE // 10, RATE // 2, 2)
    samples = np.concatenate([np.zeros(before), spoken, np.zeros(after)])
    onsets = None
    if beginnings is not None:
        onsets = np.array([*(max(each - cut / RATE, 0) for each in beginnings), len(spoken) / RATE]) + before / RATE
    return _noisy(random, samples), tokens, onsets


def without_silence(spoken):
    """Takes the silence from both ends; returns how many samples went in front, too."""
    loud = np.flatnonzero(np.abs(spoken) > 0.01 * np.abs(spoken).max())
    return spoken[loud[0] : loud[-1] + 1], loud[0]


def _noisy(random, samples):
    """Noise between white and pink, 18 to 45 dB below the speech, and a random level."""
    spectrum = np.fft.rfft(random.standard_normal(len(samples)))
    noise = np.fft.irfft(spectrum / np.arange(1, len(spectrum) + 1) ** random.uniform(0, 0.5), len(samples))
    loudness = np.sqrt(np.mean(samples**2)) or 0.1
    noise *= loudness / np.sqrt(np.mean(noise**2)) * 10 ** (-random.uniform(18, 45) / 20)
    samples = samples + noise
    level = random.uniform(0.1, 0.9) if samples.any() else 0
    return (samples * level / np.abs(samples).max()).astype(np.float32)


def _piece(arguments):
    """Some clips, in a process of their own."""
    seed, count, variants, sentences = arguments
    random, speaker, clips = np.random.default_rng(seed), Speaker(), []
    for _ in range(count):
        language, words = sentences(random)
        # Two recordings of each text differ in voice and noise.
        for _ in range(2):
            samples, tokens, onsets = record(random, speaker, language, words, variants)
            clips.append(Clip(features.stacked(samples).astype(np.float16), tokens, onsets, language))
    return clips


def make(texts, seed, variants=VARIANTS, sentences=random_words, processes=2):
    """Two clips for each of `texts` texts. The same seed gives the same clips, however many processes there are."""
    size = 100
    pieces = [((seed, start), min(size, texts - start), variants, sentences) for start in range(0, texts, size)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return [clip for piece in pool.imap(_piece, pieces) for clip in piece]
