"""The demo's recordings, and what its model answers for each."""

import wave
from functools import cache
from typing import NamedTuple

import numpy as np

from support.environment import PROJECT

WITH_ITN = 14
WITHOUT_ITN = 15


class Recording(NamedTuple):
    """A recording: its samples in [-1, 1], and the transcript per TEXT_NORM."""

    name: str
    samples: np.ndarray
    texts: dict


def read_wav(path):
    """The samples of a 16 kHz mono PCM16 file."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


@cache
def recordings():
    """All of them, in the order of golden.tsv."""
    found = []
    for line in (PROJECT / "demo/sensevoice/golden.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        name, _language, _spoken, answers = line.split("\t")
        without_itn, with_itn = answers.split("  ||withitn: ")
        samples = read_wav(PROJECT / "demo/recordings" / name)
        found.append(Recording(name, samples, {WITH_ITN: with_itn, WITHOUT_ITN: without_itn}))
    assert len(found) == 11
    return found


def padded(rows, width=None, filling=None):
    """Rows of different lengths as one array [rows, width]; `filling(n)` gives what stands behind the shorter ones."""
    width = max(width or 0, *(len(row) for row in rows))
    array = np.zeros((len(rows), width), np.float32)
    for line, row in zip(array, rows):
        line[: len(row)] = row
        if filling is not None:
            line[len(row) :] = filling(width - len(row))
    return array
