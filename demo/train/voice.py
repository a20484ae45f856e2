"""Voice activity: minutes of speech, pauses and noise, which of their frames are speech, and the training of FSMN-VAD on them."""

import multiprocessing
from typing import NamedTuple

import numpy as np
import torch

import features
from corpus import VARIANTS, pronounce, random_words, without_silence
from loop import fit
from speech import RATE, Speaker

# Samples between frames, and of a frame.
SHIFT, WINDOW = RATE // 100, RATE // 40
# The classes that the model tells apart; config.yaml's sil_pdf_ids says the first.
SILENCE, SPEECH = 0, 1
# Speech is what is at most so many dB below the loudest frame of its piece. A shorter gap, in frames, is the closing of a stop.
DEPTH, GAP = 35, 12
# What the model's logits are divided by in the end, and the difference of two that is speech by config.yaml's speech_noise_thres: 0.8 and 0.2.
CALM, ENOUGH = 4, np.log(0.8 / 0.2)


class Passage(NamedTuple):
    """Some seconds of sound.

    bins:   [frames, 80], the logarithms of mel bins, float16 to keep the corpus small
    speech: [frames], whether somebody speaks in the frame
    """

    bins: np.ndarray
    speech: np.ndarray


def spoken_frames(samples):
    """Which frames of clean speech are speech, from how loud they are."""
    count = max((len(samples) - WINDOW) // SHIFT + 1, 0)
    loud = np.array([np.square(samples[SHIFT * index :][:WINDOW]).mean() for index in range(count)])
    speech = loud > loud.max(initial=0) * 10 ** (-DEPTH / 10)
    inside = np.flatnonzero(speech)
    for before, after in zip(inside, inside[1:]):
        if after - before <= GAP:
            speech[before:after] = True
    return speech


def noise_of(random, count):
    """One of the noises of rooms and machines, with an RMS of 1."""
    kind = random.choice(["hiss", "hum", "beeps", "knocks"], p=[0.6, 0.15, 0.1, 0.15])
    time = np.arange(count) / RATE
    if kind == "hum":
        base = random.uniform(40, 250)
        sound = sum(random.uniform(0, 1) / part * np.sin(2 * np.pi * base * part * time) for part in range(1, 9))
    elif kind == "beeps":
        pitch = random.uniform(300, 3000, count // 4000 + 1).repeat(4000)[:count]
        sound = np.sin(2 * np.pi * pitch * time) * (np.sin(2 * np.pi * random.uniform(0.3, 2) * time) > 0)
    else:
        spectrum = np.fft.rfft(random.standard_normal(count))
        sound = np.fft.irfft(spectrum / np.arange(1, len(spectrum) + 1) ** random.uniform(0, 1), count)
        if kind == "knocks":
            strikes = np.zeros(count)
            strikes[random.integers(0, count, max(count // RATE, 1))] = random.uniform(0.3, 1)
            sound *= np.convolve(strikes, np.exp(-np.arange(2000) / random.uniform(50, 600)))[:count]
    # All of them have a little hiss below.
    sound = sound / (np.sqrt(np.mean(sound**2)) or 1) + 0.01 * random.standard_normal(count)
    return sound / np.sqrt(np.mean(sound**2))


def passage(random, speaker, variants):
    """Words of one or two speakers with pauses between them, in noise: samples in [-1, 1], and which frames are speech."""
    voices, parts, marks = [str(each) for each in random.choice(list(variants), 2)], [], []
    silent = random.random() < 0.1
    for number in range(int(random.integers(2, 5))):
        # Pauses within a sentence, between sentences, and long ones.
        longest = random.choice([0.3, 1.0, 3.0], p=[0.3, 0.4, 0.3])
        parts.append(np.zeros(int(random.uniform(0.05, longest) * RATE)))
        marks.append(None)
        language, words = random_words(random)
        if silent or not words:
            continue
        _, reading = pronounce(language, words)
        voice = ("cmn-latn-pinyin" if language == "zh" else "en") + voices[number % 2]
        spoken, _ = speaker.say(reading, voice, int(random.integers(125, 191)), int(random.integers(30, 71)))
        spoken, _ = without_silence(spoken)
        parts.append(spoken / np.abs(spoken).max() * random.uniform(0.4, 1))
        marks.append(parts[-1])
    parts.append(np.zeros(int(random.uniform(0.3, 1.5) * RATE)))
    marks.append(None)
    samples = np.concatenate(parts)
    speech = np.zeros((len(samples) - WINDOW) // SHIFT + 1, bool)
    start = 0
    for part, said in zip(parts, marks):
        if said is not None:
            inside = spoken_frames(said)
            first = round(start / SHIFT)
            speech[first : first + len(inside)] |= inside[: len(speech) - first]
        start += len(part)
    return in_a_room(random, samples, parts, marks), speech


def in_a_room(random, samples, parts, marks):
    """Noise below all of it, or below each piece of speech alone, as in recordings that were put together; or none."""
    loudness = np.sqrt(np.mean(np.concatenate([said for said in marks if said is not None] or [[0.1]]) ** 2))
    quiet = lambda: loudness * 10 ** (-random.uniform(6, 45) / 20)
    kind = random.choice(["everywhere", "pieces", "none"], p=[0.6, 0.3, 0.1])
    if kind == "everywhere":
        samples = samples + noise_of(random, len(samples)) * quiet()
    elif kind == "pieces":
        own = [noise_of(random, len(part)) * quiet() if said is not None else np.zeros(len(part)) for part, said in zip(parts, marks)]
        samples = samples + np.concatenate(own)
    # Not always: sound that a computer made has silence that is nothing at all.
    if random.random() < 0.7:
        samples = samples + random.standard_normal(len(samples)) * 10 ** random.uniform(-5, -3.5)
    level = 10 ** random.uniform(-1.5, -0.05)
    return (samples * level / max(np.abs(samples).max(), 1e-3)).astype(np.float32)


def _piece(arguments):
    """Some passages, in a process of their own."""
    seed, count, variants = arguments
    random, speaker, made = np.random.default_rng(seed), Speaker(), []
    for _ in range(count):
        samples, speech = passage(random, speaker, variants)
        made.append(Passage(features.mel_bins(samples).astype(np.float16), speech))
    return made


def make(count, seed, variants=VARIANTS, processes=2):
    """So many passages. The same seed gives the same ones, however many processes there are."""
    size = 50
    pieces = [((seed, start), min(size, count - start), variants) for start in range(0, count, size)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return [each for piece in pool.imap(_piece, pieces) for each in piece]


def stacked(each):
    """What the model takes of a passage, [frames, 400], before CMVN: five frames side by side, each frame once."""
    return features.stack(each.bins.astype(np.float32), 5, 1)


def cmvn_of(passages):
    """Shift and scale, from some of the passages."""
    return features.Cmvn.over(np.concatenate([stacked(each) for each in passages[:200]]))


def train(model, passages, cmvn, steps, random, log):
    """Trains everything to tell speech from what is none."""
    batches = features.batches(random, [len(each.bins) for each in passages], most=8000)
    model.train()
    model.encoder.use_softmax = False

    def loss_of(_):
        chosen = [passages[index] for index in next(batches)]
        frames, _ = features.padded([cmvn(stacked(each)) for each in chosen])
        # Beyond a passage's end nothing is asked.
        wanted, _ = features.padded([torch.from_numpy(each.speech.astype(np.int64)) for each in chosen], -1)
        answer = model.encoder(frames).flatten(0, 1)
        return torch.nn.functional.cross_entropy(answer, wanted.flatten(), ignore_index=-1)

    fit(model.parameters(), loss_of, steps, rate=3e-3, warmup=50, log=log)
    model.encoder.use_softmax = True
    calm(model)


def calm(model):
    """Takes the scores away from 0 and 1: FunASR takes logarithms of them, and fails at 0. What is taken for speech stays the same."""
    last = model.encoder.out_linear2.linear
    with torch.no_grad():
        last.weight /= CALM
        last.bias /= CALM
        last.bias[SPEECH] += ENOUGH * (1 - 1 / CALM)
