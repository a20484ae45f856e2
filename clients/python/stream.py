#!/usr/bin/env python3
"""Streams recordings to streaming Paraformer on a Triton server; the text grows chunk by chunk."""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from funasr_triton import STREAMING, audio, cli
from funasr_triton.connection import Address, connect
from funasr_triton.errors import ClientError, Unreachable
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
  python3 stream.py --format json speech.wav                 (an object per chunk)"""

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
    return options


def main() -> int:
    parser = arguments()
    options = parser.parse_args()
    address = cli.address(options, parser)
    recordings = audio.find(options.recordings)
    connection = connect(address, options.timeout)
    model = find_model(connection, options.model)
    connection.close()
    return stream_all(options, address, model, recordings)


def stream_all(options: argparse.Namespace, address: Address, model: StreamingModel, recordings: list[Path]) -> int:
    """Streams all recordings, `--streams` at a time; Ctrl-C ends each stream with what was said so far."""
    stop = cli.first_interrupt()
    growing = options.format == "text" and options.streams == 1
    named = len(recordings) > 1
    listener = print_chunk if options.format == "json" else grow if growing else keep_quiet

    def work(path: Path) -> str | None:
        if stop.is_set():
            return None
        samples = audio.load(path)
        if growing and named:
            print(f"{path}: ", end="", flush=True)
        try:
            return stream_one(options, address, model, path, samples, listener, stop)
        except ClientError:
            if growing:
                # The complaint gets a line of its own.
                print(flush=True)
            raise

    progress = None if growing else cli.Progress(len(recordings), "recordings")
    failed = 0
    for path, future in zip(recordings, cli.in_order(work, recordings, options.streams), strict=True):
        try:
            text = future.result()
            if listener is keep_quiet and text is not None:
                cli.say(f"{path}: {text}" if named else text)
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
) -> str:
    """Streams one recording over a connection of its own. The whole text."""
    piece_samples = samples_of(options.chunk_ms)
    connection = connect(address, options.timeout)
    try:
        stream = Stream(connection, model.name, model.chunk_samples or piece_samples, samples_of(options.tail_ms))
        text = ""
        for answer in stream_recording(stream, samples, piece_samples, options.realtime, stop):
            text += answer.delta
            listener(path, answer, text)
        return text
    finally:
        connection.close()


def keep_quiet(_path: Path, _answer: Answer, _text: str) -> None:
    """The text is printed when it is complete."""


def grow(_path: Path, answer: Answer, _text: str) -> None:
    """Prints what is new."""
    print(answer.delta, end="\n" if answer.final else "", flush=True)


def print_chunk(path: Path, answer: Answer, text: str) -> None:
    """Prints an answer as JSON."""
    values = {
        "recording": str(path),
        "seconds": round(answer.audio_seconds, 3),
        "delta": answer.delta,
        "text": text,
        "final": answer.final,
        "latency_ms": round(answer.latency * 1000, 1),
    }
    cli.say(json.dumps(values, ensure_ascii=False))


if __name__ == "__main__":
    cli.run(main)
