"""What a model says of a recording beyond its text: the words with their times, and how sure it is of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .connection import OUTPUT, Connection
from .errors import ClientError, Refused

# All that a model says in one document, as docs/result.schema.json has it.
DOCUMENT = "RESULT_JSON"
WORDS = ("WORDS", "WORD_START_MS", "WORD_END_MS")


@dataclass(frozen=True)
class Word:
    """A word; milliseconds from the beginning of the recording. What the model does not say is None."""

    text: str
    start_ms: int | None
    end_ms: int | None
    confidence: float | None = None


@dataclass(frozen=True)
class Heard:
    """What a model answers: its text as it is, tags included, and where it was asked for them, the words."""

    raw: str
    words: tuple[Word, ...] = ()
    confidence: float | None = None


def outputs_with_times(connection: Connection, model: str) -> tuple[str, ...]:
    """The outputs to ask a model for, so that it says when each word was spoken."""
    there = connection.output_names(model)
    if DOCUMENT in there:
        return (OUTPUT, DOCUMENT)
    if there.issuperset(WORDS):
        return (OUTPUT, *WORDS)
    raise ClientError(
        f"'{model}' says no times: its outputs are {', '.join(sorted(there))}. A repository made with "
        f"`triton-funasr repo --outputs all` has {DOCUMENT} and {WORDS[0]}"
    )


def heard_in(answer: Mapping[str, np.ndarray]) -> Heard:
    """An answer's tensors in the form that clients print."""
    raw = the_only(answer, OUTPUT)
    if DOCUMENT in answer:
        return _of_document(raw, the_only(answer, DOCUMENT))
    if WORDS[0] in answer:
        return Heard(raw, tuple(_of_tensors(*(answer[name].ravel() for name in WORDS))))
    return Heard(raw)


def as_json(words: Iterable[Word]) -> list[dict[str, Any]]:
    """Words for a JSON document; what is not known is left away."""
    return [{name: value for name, value in vars(word).items() if value is not None} for word in words]


def as_lines(words: Iterable[Word]) -> list[str]:
    """A line for each word: start and end in seconds, the word, how sure the model is of it."""
    return [
        f"{_seconds(word.start_ms):>9} {_seconds(word.end_ms):>9}  {word.text}"
        + ("" if word.confidence is None else f"  {word.confidence:.2f}")
        for word in words
    ]


def _of_document(raw: str, text: str) -> Heard:
    try:
        document = json.loads(text)
        words = [
            Word(each["text"], each.get("start_ms"), each.get("end_ms"), each.get("confidence"))
            for each in document["words"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"{DOCUMENT} is not what was expected ({error!r}): {text}") from error
    return Heard(raw, tuple(words), document.get("confidence"))


def _of_tensors(texts: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> Iterable[Word]:
    for text, start, end in zip(texts, starts, ends, strict=True):
        # A row is filled up to the longest with nothing.
        if word := _decoded(text):
            yield Word(word, _known(int(start)), _known(int(end)))


def _known(milliseconds: int) -> int | None:
    return milliseconds if milliseconds >= 0 else None


def _seconds(milliseconds: int | None) -> str:
    return "?" if milliseconds is None else f"{milliseconds / 1000:.3f}"


def the_only(answer: Mapping[str, np.ndarray], output: str) -> str:
    values = answer[output]
    if values.size != 1:
        raise Refused(f"one {output} was expected, the server sent {values.size}")
    return _decoded(values.ravel()[0])


def _decoded(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
