"""Recordings as the models want them: one channel, 16 kHz, float samples in [-1, 1]."""

from __future__ import annotations

from collections.abc import Iterable, Set
from pathlib import Path

import numpy as np
import soundfile
import soxr

from .errors import ClientError

SAMPLE_RATE = 16000

# What libsndfile alone reads, what models that take files read too, and what they alone read. A file named on the command line
# may have any suffix.
HERE_ONLY = {".aif", ".aiff", ".au", ".caf", ".w64"}
ANYWHERE = {".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"}
THERE_ONLY = {".aac", ".m4a", ".mka", ".mkv", ".mp4", ".webm"}
SUFFIXES = HERE_ONLY | ANYWHERE


def load(path: Path) -> np.ndarray:
    """The samples of a recording of any rate and channel count, as FP32 [samples] at 16 kHz; channels are averaged."""
    try:
        with path.open("rb") as file:
            channels, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except OSError as error:
        raise ClientError(f"cannot be read: {error.strerror or error}") from error
    except (soundfile.SoundFileError, ValueError, TypeError) as error:
        raise ClientError(f"is no recording that can be read: {_reason(error)}") from error
    if not len(channels):
        raise ClientError("holds no audio")
    samples = to_model_rate(mono(channels), rate)
    if not np.isfinite(samples).all():
        raise ClientError("holds samples that are no numbers (NaN or infinite)")
    return samples


def as_it_is(path: Path) -> bytes:
    """The bytes of a recording, for models that take files."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ClientError(f"cannot be read: {error.strerror or error}") from error


def length(path: Path) -> float | None:
    """How many seconds a recording lasts, if libsndfile can tell."""
    try:
        with path.open("rb") as file:
            return soundfile.info(file).duration
    except (OSError, soundfile.SoundFileError, ValueError, TypeError):
        return None


def mono(channels: np.ndarray) -> np.ndarray:
    """[samples, channels] as [samples]."""
    return channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1, dtype=np.float32)


def to_model_rate(samples: np.ndarray, rate: int) -> np.ndarray:
    """Samples of any rate at 16 kHz; those that have it already are left alone."""
    if rate == SAMPLE_RATE:
        return np.ascontiguousarray(samples)
    return soxr.resample(samples, rate, SAMPLE_RATE).astype(np.float32, copy=False)


def find(places: Iterable[Path], suffixes: Set[str] = SUFFIXES) -> list[Path]:
    """The given files, and the recordings in the given folders and below, each once, folders in alphabetical order."""
    found: dict[Path, None] = {}
    for place in places:
        if place.is_dir():
            inside = sorted(each for each in place.rglob("*") if each.suffix.lower() in suffixes and each.is_file())
            if not inside:
                raise ClientError(f"{place}: no recordings in this folder ({', '.join(sorted(suffixes))})")
            found.update(dict.fromkeys(inside))
        else:
            found[place] = None
    return list(found)


def seconds(samples: np.ndarray) -> float:
    """How long samples at 16 kHz last."""
    return len(samples) / SAMPLE_RATE


def _reason(error: Exception) -> str:
    """libsndfile's own words, without the file object they are about."""
    return getattr(error, "error_string", None) or str(error)
