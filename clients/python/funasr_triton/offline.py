"""Whole recordings in one request: SenseVoice and offline Paraformer."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from . import PARAFORMER, SENSEVOICE, STREAMING
from .connection import OUTPUT, Connection
from .errors import ClientError
from .results import Word, heard_in, outputs_with_times, the_only

LANGUAGES = {"auto": 0, "zh": 3, "en": 4, "yue": 7, "ja": 11, "ko": 12, "nospeech": 13}
TEXT_NORMS = {"withitn": 14, "woitn": 15}

# A file as it is, and what the model says of one that is cut off.
FILE = "AUDIO"
WARNING = "WARNING"

TAG = re.compile(r"<\|([^|<>]*)\|>")
LEADING_TAGS = re.compile(r"(?:<\|[^|<>]*\|>)*")


@dataclass(frozen=True)
class OfflineModel:
    """A model on the server, and which outputs it is asked for; SenseVoice takes a language and a text norm.

    Some take files as they are, and may say what is wrong with one.
    """

    name: str
    is_sensevoice: bool
    outputs: tuple[str, ...] = (OUTPUT,)
    takes_files: bool = False
    warns: bool = False


@dataclass(frozen=True)
class Transcript:
    """What a recording says. Paraformer has no tags; words and confidence are there where they were asked for."""

    raw: str
    text: str
    language: str = ""
    emotion: str = ""
    event: str = ""
    text_norm: str = ""
    words: tuple[Word, ...] = ()
    confidence: float | None = None
    warning: str = ""


def find_model(connection: Connection, name: str | None, times: bool = False) -> OfflineModel:
    """The model of this name, or the only offline model that the server has; with `times`, it must say those."""
    connection.check()
    if name is None:
        name = _the_only(connection)
    elif not connection.is_ready(name):
        raise ClientError(f"the server has no model '{name}' ready{_those_there(connection)}")
    if name == STREAMING:
        raise ClientError(f"'{name}' takes streams, not whole recordings: use stream.py")
    inputs = connection.input_names(name)
    if not {"WAV", "WAV_LENS"} <= inputs:
        raise ClientError(f"'{name}' does not take recordings: its inputs are {', '.join(sorted(inputs))}")
    outputs = outputs_with_times(connection, name) if times else (OUTPUT,)
    takes_files = FILE in inputs
    warns = takes_files and WARNING in connection.output_names(name)
    return OfflineModel(name, {"LANGUAGE", "TEXT_NORM"} <= inputs, outputs, takes_files, warns)


def transcribe(
    connection: Connection,
    model: OfflineModel,
    recording: np.ndarray | bytes,
    language: str = "auto",
    text_norm: str = "withitn",
) -> Transcript:
    """Sends one recording: samples, or a file as it is; `language` and `text_norm` are names and for SenseVoice alone."""
    outputs = model.outputs
    if isinstance(recording, bytes):
        tensors = {FILE: np.array([[recording]], object)}
        if model.warns:
            outputs += (WARNING,)
    else:
        tensors = {"WAV": recording[np.newaxis], "WAV_LENS": np.array([[len(recording)]], np.int32)}
    if model.is_sensevoice:
        tensors["LANGUAGE"] = np.array([[LANGUAGES[language]]], np.int32)
        tensors["TEXT_NORM"] = np.array([[TEXT_NORMS[text_norm]]], np.int32)
    answer = connection.infer(model.name, tensors, outputs=outputs)
    heard = heard_in(answer)
    warning = the_only(answer, WARNING) if WARNING in outputs else ""
    return replace(parse(heard.raw), words=heard.words, confidence=heard.confidence, warning=warning)


def parse(raw: str) -> Transcript:
    """Takes SenseVoice's tags apart: language, emotion, event, text norm stand in front, in this order."""
    leading = TAG.findall(LEADING_TAGS.match(raw).group())  # type: ignore[union-attr]
    return Transcript(raw, TAG.sub("", raw).strip(), *leading[:4])


def _the_only(connection: Connection) -> str:
    ready = [name for name in (SENSEVOICE, PARAFORMER) if connection.is_ready(name)]
    if len(ready) == 1:
        return ready[0]
    if ready:
        raise ClientError(f"the server has both {' and '.join(ready)}: choose one with --model")
    raise ClientError(
        f"the server has neither '{SENSEVOICE}' nor '{PARAFORMER}' ready{_those_there(connection)}; "
        "a model of another name is chosen with --model"
    )


def _those_there(connection: Connection) -> str:
    models = connection.models()
    return f" (it has: {', '.join(models)})" if models else " (it has no model at all)"
