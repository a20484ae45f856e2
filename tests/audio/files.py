"""Recordings as files of many kinds, and what other libraries read in them."""

import io
from functools import cache

import numpy as np
import soundfile
import soxr

from support.environment import PROJECT

RATE = 16000
# Made once with ffmpeg, since libsndfile writes none of these: crates/audio-input/tests/data/make.sh
DATA = PROJECT / "crates/audio-input/tests/data"

# Name, format and subtype of libsndfile, and the rates that it has there.
FORMATS = {
    "wav-16": ("WAV", "PCM_16", (8000, 22050, 44100, 48000)),
    "wav-8": ("WAV", "PCM_U8", (16000,)),
    "wav-24": ("WAV", "PCM_24", (44100,)),
    "wav-32": ("WAV", "PCM_32", (48000,)),
    "wav-float": ("WAV", "FLOAT", (48000,)),
    "wav-double": ("WAV", "DOUBLE", (16000,)),
    "wav-mu-law": ("WAV", "ULAW", (8000, 16000)),
    "wav-a-law": ("WAV", "ALAW", (8000, 16000)),
    "wav-extensible": ("WAVEX", "PCM_24", (44100,)),
    "rf64": ("RF64", "PCM_16", (16000,)),
    "flac": ("FLAC", "PCM_16", (8000, 16000, 22050, 44100, 48000)),
    "mp3": ("MP3", "MPEG_LAYER_III", (16000, 22050, 44100, 48000)),
    "vorbis": ("OGG", "VORBIS", (8000, 22050, 44100, 48000)),
    "opus": ("OGG", "OPUS", (8000, 16000, 24000, 48000)),
}


def encoded(samples, name, rate=RATE, channels=1):
    """A file of a recording; all of its channels are the same."""
    form, subtype, _ = FORMATS[name]
    samples = soxr.resample(samples, RATE, rate, "VHQ").clip(-1, 1)
    file = io.BytesIO()
    soundfile.write(file, np.repeat(samples[:, None], channels, axis=1), rate, subtype, format=form)
    return file.getvalue()


def read(file):
    """What libsndfile and soxr make of a file: one channel at 16 kHz."""
    samples, rate = soundfile.read(io.BytesIO(file), dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1), rate, RATE, "HQ")


@cache
def made(name):
    """A file of DATA."""
    return (DATA / name).read_bytes()


def files(rows):
    """The tensor AUDIO of such files."""
    return np.array([[row] for row in rows], object)
