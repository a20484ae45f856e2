#!/usr/bin/env python3
"""Streams recordings to streaming Paraformer on a Triton server; the text grows chunk by chunk."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from funasr_triton import STREAMING, audio, cli, results
from funasr_triton.connection import Address, connect
from funasr_triton.errors import ClientError, Unreachable
from funasr_triton.results import Word
from funasr_triton.streaming import (
    Answer,
    Stream,
    StreamingModel,
    add_streaming_options,
    find_model,
    samples_of,
    stream_recording,
)

EXAMPLES = """\
  python3 stream.py speech.wav
  python3 stream.py --realtime --protocol grpc-stream speech.flac
  python3 stream.py --streams 16 --url grpc://asr.example.com recordings/
  python3 stream.py --format json speech.wav                 (an object per chunk)
  python3 stream.py --times speech.wav                       (and when each word was spoken)
  python3 stream.py --realtime --model two_pass speech.wav   (each sentence is heard again when it is over)"""

# What clears a terminal's line; and how many letters fit into one, also if they are wide.
CLEAR, MOST_PARTIAL = "\r\x1b[K", 36
# Told of each answer, with the text so far.
Listener = Callable[[Path, Answer, str], None]


def arguments() -> argparse.ArgumentParser:
    options = cli.parser(__doc__ or "", EXAMPLES)
    options.add_argument(
        "recordings",
        nargs="+",
        type=Path,
        metavar="FILE_OR_FOLDER",
        help="any sample rate, any number of channels (they are averaged); folders are searched with all below them",
    )
    cli.add_server_options(options, streaming=True)
    options.add_argument("--model", default=STREAMING, metavar="NAME", help="default: %(default)s")
    add_streaming_options(options)
    options.add_argument("--realtime", action="store_true", help="send no faster than a person speaks")
    options.add_argument(
        "--streams", type=cli.count, default=1, metavar="N", help="streams at a time (default: %(default)s)"
    )
    options.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="text: the growing text, or with several streams at a time each text when it is complete; json: an object per chunk",
    )
    options.add_argument(
        "--times",
        action="store_true",
        help="also print each word, when it was spoken and how sure the model is of it, where the model says it "
        "(`triton-funasr repo --outputs all`): behind the text, or in the object of the chunk in which the word ends",
    )
    return options


def main() -> int:
    parser = arguments()
    options = parser.parse_args()
    address = cli.address(options, parser)
    recordings = audio.find(options.recordings)
    connection = connect(address, options.timeout)
    model = find_model(connection, options.model, options.times)
    connection.close()
    return stream_all(options, address, model, recordings)


def stream_all(options: argparse.Namespace, address: Address, model: StreamingModel, recordings: list[Path]) -> int:
    """Streams all recordings, `--streams` at a time; Ctrl-C ends each stream with what was said so far."""
    stop = cli.first_interrupt()
    growing = options.format == "text" and options.streams == 1
    named = len(recordings) > 1
    grows = grow_twice if model.two_passes else grow
    listener = print_chunk if options.format == "json" else grows if growing else keep_quiet

    def work(path: Path) -> tuple[str, list[Word]] | None:
        if stop.is_set():
            return None
        samples = audio.load(path)
        if growing and named:
            print(f"{path}: ", end="\n" if model.two_passes else "", flush=True)
        try:
            text, words = stream_one(options, address, model, path, samples, listener, stop)
            if growing:
                # Before the next one's text begins to grow.
                grow_words(words)
            return text, words
        except ClientError:
            if growing:
                # The complaint gets a line of its own.
                print(flush=True)
            raise

    progress = None if growing else cli.Progress(len(recordings), "recordings")
    failed = 0
    for path, future in zip(recordings, cli.in_order(work, recordings, options.streams), strict=True):
        try:
            if (heard := future.result()) is not None and listener is keep_quiet:
                text, words = heard
                cli.say("\n".join([f"{path}: {text}" if named else text, *results.as_lines(words)]))
        except Unreachable:
            raise
        except ClientError as error:
            failed += 1
            cli.complain(f"{path}: {error}")
        if progress:
            progress.advance(0)
    if progress:
        progress.end()
    if stop.is_set():
        raise KeyboardInterrupt
    return cli.FAILED if failed else cli.OK


def stream_one(
    options: argparse.Namespace,
    address: Address,
    model: StreamingModel,
    path: Path,
    samples: np.ndarray,
    listener: Listener,
    stop: threading.Event,
) -> tuple[str, list[Word]]:
    """Streams one recording over a connection of its own. The whole text, and the words if they are asked for."""
    piece_samples = samples_of(options.chunk_ms)
    connection = connect(address, options.timeout)
    try:
        chunk_samples, tail_samples = model.chunk_samples or piece_samples, samples_of(options.tail_ms)
        stream = Stream(connection, model.name, chunk_samples, tail_samples, model.outputs)
        text = ""
        words: list[Word] = []
        for answer in stream_recording(stream, samples, piece_samples, options.realtime, stop):
            text += answer.delta
            words += answer.words
            listener(path, answer, text)
        return text, words
    finally:
        connection.close()


def keep_quiet(_path: Path, _answer: Answer, _text: str) -> None:
    """The text is printed when it is complete."""


def grow(_path: Path, answer: Answer, _text: str) -> None:
    """Prints what is new."""
    print(answer.delta, end="\n" if answer.final else "", flush=True)


def grow_twice(_path: Path, answer: Answer, _text: str) -> None:
    """Prints a line for each text that is final; on a terminal, below it, the end of what may still change."""
    again = CLEAR if sys.stdout.isatty() else ""
    if answer.delta:
        print(f"{again}{answer.delta.strip()}")
    if again:
        print(f"{CLEAR}{answer.partial[-MOST_PARTIAL:]}", end="")
    sys.stdout.flush()


def grow_words(words: list[Word]) -> None:
    """Prints a text's words, below it."""
    for line in results.as_lines(words):
        print(line, flush=True)


def print_chunk(path: Path, answer: Answer, text: str) -> None:
    """Prints an answer as JSON."""
    values: dict[str, object] = {
        "recording": str(path),
        "seconds": round(answer.audio_seconds, 3),
        "delta": answer.delta,
        "text": text,
        "final": answer.final,
        "latency_ms": round(answer.latency * 1000, 1),
    }
    if answer.words:
        values["words"] = results.as_json(answer.words)
    if answer.partial:
        values["partial"] = answer.partial
    cli.say(json.dumps(values, ensure_ascii=False))


if __name__ == "__main__":
    cli.run(main)
