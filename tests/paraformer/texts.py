"""What the demo's Paraformers answer for its recordings, with words joined as people write them."""

import json
from functools import cache
from typing import NamedTuple

import numpy as np

from support.environment import PROJECT
from support.recordings import read_wav

CHUNK = 9600
# golden.tsv was made by a chain that never decodes the last 0.3 s, and so got that much silence behind each recording.
SILENCE_BEHIND = 5120

OFFLINE = PROJECT / "demo/paraformer"
ONLINE = PROJECT / "demo/paraformer_online"


class Recording(NamedTuple):
    """A recording for the offline model."""

    name: str
    samples: np.ndarray
    text: str


class Stream(NamedTuple):
    """A recording for the streaming model, and the text that each chunk of CHUNK samples adds."""

    name: str
    samples: np.ndarray
    deltas: list

    @property
    def text(self):
        """The whole text."""
        return "".join(self.deltas)

    @property
    def chunks(self):
        """Its samples in pieces of CHUNK, the last one short."""
        return cut(self.samples)


def cut(samples, size=CHUNK):
    """Samples in pieces, the last one short."""
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def tokens_of(text, vocabulary):
    """Takes a text apart that was put together without spaces: the longest token first."""
    longest_first = sorted(vocabulary, key=len, reverse=True)
    tokens = []
    while text:
        tokens.append(next(token for token in longest_first if text.startswith(token)))
        text = text[len(tokens[-1]) :]
    return tokens


def with_spaces(tokens, before=None):
    """Tokens joined, with a space where one English word follows another; `before` is the token in front of them."""
    text = ""
    for token in tokens:
        if before is not None and before.isascii() and token.isascii():
            text += " "
        text += token
        before = token
    return text


def vocabulary(demo):
    """The tokens of a demo model, by id."""
    return json.loads((demo / "tokens.json").read_text(encoding="utf-8"))


@cache
def recordings():
    """All of them, in the order of golden.tsv."""
    found = [
        Recording(name, samples, with_spaces(tokens_of(raw, vocabulary(OFFLINE))))
        for name, samples, raw in _golden(OFFLINE)
    ]
    assert len(found) == 11 and sum(" " in each.text for each in found) == 3
    return found


@cache
def streams():
    """All of them, in the order of golden.tsv, with the silence behind them."""
    found = []
    for name, samples, raw in _golden(ONLINE):
        deltas, before = [], None
        for piece in raw.split("|"):
            tokens = tokens_of(piece.strip(), vocabulary(ONLINE))
            deltas.append(with_spaces(tokens, before))
            before = tokens[-1] if tokens else before
        stream = Stream(name, np.concatenate([samples, np.zeros(SILENCE_BEHIND, np.float32)]), deltas)
        assert len(stream.chunks) == len(deltas), name
        found.append(stream)
    assert len(found) == 11
    return found


def _golden(demo):
    for line in (demo / "golden.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        name, _language, _spoken, raw = line.split("\t")
        yield name, read_wav(PROJECT / "demo/recordings" / name), raw
