"""What the tests send: recordings with silence between them, and texts."""

import re

import numpy as np

from support.environment import PROJECT
from support.recordings import recordings

RATE = 16000
WORDS = "我 你 他 们 去 来 吗 好 天 气 很 今 明 hello world it's 3.5 ok New York a 没 unseen".split()
CHUNKS = [1600, 9600, 4001, 25600]


def silence(seconds):
    """Next to none: the same faint noise each time."""
    return np.random.default_rng(1).normal(0, 1e-4, int(seconds * RATE)).astype(np.float32)


def audio(number):
    """One of five recordings: several speakers with pauses, one who hardly pauses, silence, one very short, one long."""
    voices = [each.samples.astype(np.float32) for each in recordings()]
    if number == 0:
        parts = [silence(0.7), voices[0], silence(1.3), voices[6], silence(0.9), voices[3]]
    elif number == 1:
        parts = [voices[1], voices[2], silence(0.2), voices[7], voices[8]]
    elif number == 2:
        parts = [silence(2.0)]
    elif number == 3:
        parts = [voices[4][:500]]
    else:
        parts = [part for turn in range(4) for part in (voices[turn], silence(0.5 + 0.4 * turn), voices[6 + turn % 3])]
    return np.concatenate(parts)


AUDIO = 5


def noisy(number):
    """One of these recordings with noise."""
    samples = audio(number)
    noise = np.random.default_rng(2).normal(0, 0.02, len(samples)).astype(np.float32)
    return samples + noise


def text(seed, count):
    """A text of so many words, some of which no model knows."""
    rng = np.random.default_rng(seed)
    words = [WORDS[index] for index in rng.integers(0, len(WORDS), count)]
    made, english = "", False
    for word in words:
        made += (" " if rng.random() < 0.2 or (english and word.isascii()) else "") + word
        english = word.isascii()
    return made


def sentences():
    """The sentences of the demo's conversation: begin and end in ms, speaker, text with marks."""
    lines = (PROJECT / "demo/conversation/sentences.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return [(int(begin), int(end), speaker, text) for begin, end, speaker, text in (line.split("\t") for line in lines)]


def conversation(count):
    """So many of its sentences as a recogniser writes them: without marks, a space between English words and between sentences."""
    return " ".join(re.sub("(?<=[a-z])[，。？](?=[a-z])", " ", text).translate(dict.fromkeys(map(ord, "，。？、"))) for *_, text in sentences()[:count])


def cut_up(text, sizes):
    """The text in pieces of so many words, and the rest."""
    words = re.findall(r"[a-z]+ ?|[^a-z ] ?", text)
    ends = np.cumsum(sizes).tolist()
    return ["".join(words[begin:end]) for begin, end in zip([0, *ends], [*ends, len(words)])]
