"""A recording or a microphone as a stream of chunks: streaming Paraformer. Every answer is the new text of its chunk."""

from __future__ import annotations

import argparse
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import PARAFORMER, cli
from .audio import SAMPLE_RATE
from .connection import OUTPUT, Connection, Sequence
from .errors import ClientError
from .results import Word, heard_in, outputs_with_times

DEFAULT_CHUNK_MS = 600
# The model looks 300 ms ahead and a window overlaps the next by 20 ms: this much silence brings out the last words.
DEFAULT_TAIL_MS = 320
# What a model with two passes tells of segments that go on.
PARTIALS = ("TEXT", "IS_FINAL")


@dataclass(frozen=True)
class StreamingModel:
    """A model on the server, how many samples it takes at a time (None: any number), which outputs it is asked for, and whether it hears
    each segment again when it is over, so that its text so far may change."""

    name: str
    chunk_samples: int | None
    outputs: tuple[str, ...] = (OUTPUT,)
    two_passes: bool = False


@dataclass(frozen=True)
class Answer:
    """What came back for one chunk: its new text; seconds of audio sent so far; how long the answer took; where they were asked for,
    the words that ended in it; of a model with two passes, the text of the segment that goes on, in whose place the next one's stands."""

    delta: str
    audio_seconds: float
    latency: float
    final: bool
    words: tuple[Word, ...] = ()
    partial: str = ""


def find_model(connection: Connection, name: str, times: bool = False) -> StreamingModel:
    """The model of this name; with `times`, it must say those."""
    connection.check()
    if not connection.is_ready(name):
        models = connection.models()
        there = f"it has: {', '.join(models)}" if models else "it has no model at all"
        raise ClientError(f"the server has no model '{name}' ready ({there})")
    inputs = connection.input_names(name)
    steps = _steps(connection, name)
    optional = {each["name"] for each in steps[0].get("input", []) if each.get("optional")}
    if inputs - optional - {"WAV_LENS"} != {"WAV"} or name == PARAFORMER or _takes_whole_recordings(steps):
        raise ClientError(f"'{name}' is no streaming model; whole recordings are for transcribe.py")
    two_passes = "SEGMENT_ID" in connection.output_names(name)
    if two_passes and times:
        raise ClientError(f"'{name}' says times in RESULT_JSON, which is not read here")
    outputs = outputs_with_times(connection, name) if times else (OUTPUT, *PARTIALS) if two_passes else (OUTPUT,)
    return StreamingModel(name, _chunk_samples(steps) if len(steps) > 1 else None, outputs, two_passes)


def _steps(connection: Connection, name: str) -> list[dict[str, Any]]:
    """The configurations of a model and of an ensemble's steps, as far as the server gives them."""
    configs = [connection.config(name)]
    for step in configs[0].get("ensemble_scheduling", {}).get("step", []):
        try:
            configs.append(connection.config(step["model_name"]))
        except ClientError:
            # Several repositories in one server may have a step of this name.
            configs.append({})
    return configs


def _takes_whole_recordings(configs: list[dict[str, Any]]) -> bool:
    """All steps are known, and none of them batches by sequence."""
    return all(configs) and not any("sequence_batching" in each for each in configs)


def _chunk_samples(configs: list[dict[str, Any]]) -> int:
    """An ensemble answers every request with one window; its front end says how much audio each must bring."""
    parameters = configs[1].get("parameters", {})
    try:
        return samples_of(float(parameters["chunk_size_s"]["string_value"]) * 1000)
    except (KeyError, ValueError):
        return samples_of(DEFAULT_CHUNK_MS)


def samples_of(milliseconds: float) -> int:
    """How many samples last that long."""
    return round(milliseconds * SAMPLE_RATE / 1000)


def add_streaming_options(options: argparse.ArgumentParser) -> None:
    """--chunk-ms and --tail-ms."""
    options.add_argument(
        "--chunk-ms",
        type=cli.milliseconds,
        default=DEFAULT_CHUNK_MS,
        metavar="MS",
        help="audio in pieces of this length (default: %(default)s). An ensemble takes chunks of one length only "
        "(its front end's chunk_size_s, mostly 600 ms): smaller pieces are gathered into those, larger ones split",
    )
    options.add_argument(
        "--tail-ms",
        type=cli.not_negative,
        default=DEFAULT_TAIL_MS,
        metavar="MS",
        help="silence behind the last audio, as the model looks 300 ms ahead (default: %(default)s)",
    )


class Stream:
    """One stream on one connection. Audio comes in pieces of any size and leaves in chunks of `chunk_samples`."""

    def __init__(
        self,
        connection: Connection,
        model: str,
        chunk_samples: int,
        tail_samples: int = 0,
        outputs: tuple[str, ...] = (OUTPUT,),
    ) -> None:
        self._connection = connection
        self._model = model
        self._outputs = outputs
        self._chunk_samples = chunk_samples
        self._tail = np.zeros(tail_samples, np.float32)
        self._id = 0
        self._sent = 0
        self._pending = np.empty(0, np.float32)
        self._open = False
        self._partial = ""

    def send(self, piece: np.ndarray) -> Iterator[Answer]:
        """Takes more audio; sends what fills a chunk, keeps the rest."""
        self._pending = np.concatenate([self._pending, piece])
        while len(self._pending) >= self._chunk_samples:
            yield self._send_chunk(end=False)

    def finish(self, piece: np.ndarray | None = None) -> Iterator[Answer]:
        """The last audio, with the tail's silence behind it; the last chunk ends the stream."""
        self._pending = np.concatenate([self._pending, self._tail if piece is None else np.append(piece, self._tail)])
        while len(self._pending) > self._chunk_samples:
            yield self._send_chunk(end=False)
        if not len(self._pending):
            # A stream can only be ended by a chunk.
            self._pending = np.zeros(1, np.float32)
        yield self._send_chunk(end=True)

    def abandon(self) -> None:
        """Ends the stream after a failure, so that the server need not wait for more of it."""
        if not self._open:
            return
        self._pending = np.zeros(1, np.float32)
        try:
            self._send_chunk(end=True)
        except ClientError:
            self._open = False

    def _send_chunk(self, end: bool) -> Answer:
        chunk, self._pending = np.split(self._pending, [self._chunk_samples])
        start = not self._open
        if start:
            # Nobody else's, without asking; and never 0, which is no sequence at all.
            self._id = secrets.randbits(62) | 1
            self._open = True
        tensors = {
            "WAV": chunk[np.newaxis].astype(np.float32, copy=False),
            "WAV_LENS": np.array([[len(chunk)]], np.int32),
        }
        began = time.perf_counter()
        answer = self._connection.infer(self._model, tensors, Sequence(self._id, start, end), self._outputs)
        heard = heard_in(answer)
        self._sent += len(chunk)
        self._open = not end
        if "IS_FINAL" in answer:
            # Messages come in the order of their segments, and only the last segment may go on. What it does not mention stays.
            for text, final in zip(answer["TEXT"][0], answer["IS_FINAL"][0], strict=True):
                self._partial = "" if final else text.decode() if isinstance(text, bytes) else text
        return Answer(heard.raw, self._sent / SAMPLE_RATE, time.perf_counter() - began, end, heard.words, self._partial)


def stream_recording(
    stream: Stream, samples: np.ndarray, piece_samples: int, realtime: bool, stop: threading.Event | None = None
) -> Iterator[Answer]:
    """Sends a recording in pieces, with `realtime` no faster than it is spoken; `stop` ends the stream early."""
    began = time.perf_counter()
    stop = stop or threading.Event()
    last = max(0, len(samples) - 1) // piece_samples * piece_samples
    try:
        for at in range(0, last + 1, piece_samples):
            piece = samples[at : at + piece_samples]
            if realtime:
                stop.wait(began + (at + len(piece)) / SAMPLE_RATE - time.perf_counter())
            if at == last or stop.is_set():
                yield from stream.finish(piece)
                return
            yield from stream.send(piece)
    except ClientError:
        stream.abandon()
        raise
