#!/usr/bin/env python3
"""Transcribes what a microphone hears with streaming Paraformer on a Triton server. Ctrl-C ends it."""

from __future__ import annotations

import argparse
import queue
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import soxr

from funasr_triton import STREAMING, cli
from funasr_triton.audio import SAMPLE_RATE, mono
from funasr_triton.connection import connect
from funasr_triton.errors import ClientError
from funasr_triton.streaming import Answer, Stream, add_streaming_options, find_model, samples_of

EXAMPLES = """\
  python3 microphone.py --list-devices
  python3 microphone.py
  python3 microphone.py --device "USB Audio" --protocol grpc-stream --url asr.example.com
  python3 microphone.py --seconds 10 > text.txt

Ctrl-C sends what was heard last, prints the rest of the text and ends with 0."""

# Nothing but zeros for this long is not a quiet room, it is no microphone.
SUSPICIOUS_SILENCE_SECONDS = 3


def arguments() -> argparse.ArgumentParser:
    options = cli.parser(__doc__ or "", EXAMPLES)
    options.add_argument("--list-devices", action="store_true", help="print the microphones and end")
    options.add_argument("--device", metavar="NUMBER_OR_NAME", help="which one, by its number or a part of its name")
    options.add_argument("--seconds", type=cli.positive, metavar="SECONDS", help="end by itself after this long")
    cli.add_server_options(options, streaming=True)
    options.add_argument("--model", default=STREAMING, metavar="NAME", help="default: %(default)s")
    add_streaming_options(options)
    return options


def main() -> int:
    parser = arguments()
    options = parser.parse_args()
    sounddevice = portaudio()
    if options.list_devices:
        return list_devices(sounddevice)
    address = cli.address(options, parser)
    microphone = Microphone(sounddevice, options.device, options.chunk_ms)
    connection = connect(address, options.timeout)
    model = find_model(connection, options.model)
    chunk_samples = model.chunk_samples or samples_of(options.chunk_ms)
    stream = Stream(connection, model.name, chunk_samples, samples_of(options.tail_ms))
    text = transcribe(microphone, stream, cli.first_interrupt(), options.seconds)
    if sys.stdout.isatty():
        print(f"\n{text}")
    connection.close()
    return cli.OK


def transcribe(microphone: Microphone, stream: Stream, stop: threading.Event, seconds: float | None) -> str:
    """Prints the text as it grows, until `stop`. The whole text."""
    text = ""
    try:
        for answer in answers(microphone, stream, stop, seconds):
            text += answer.delta
            print(answer.delta, end="\n" if answer.final else "", flush=True)
    except (ClientError, KeyboardInterrupt):
        # What was printed so far stays, on a line of its own.
        print(flush=True)
        raise
    return text


def answers(microphone: Microphone, stream: Stream, stop: threading.Event, seconds: float | None) -> Iterator[Answer]:
    """Sends what the microphone hears; the last answer is the one to the stream's end."""
    try:
        with microphone:
            for piece in microphone.pieces(stop, seconds):
                yield from stream.send(piece)
        yield from stream.finish(microphone.rest())
    except ClientError:
        stream.abandon()
        raise
    if microphone.failure:
        raise ClientError(microphone.failure)


class Microphone:
    """An input device. Its audio comes as samples at 16 kHz, whatever rate it has; none is lost in between."""

    def __init__(self, sounddevice: Any, wanted: str | None, block_ms: float) -> None:
        self._sounddevice = sounddevice
        device = find_device(sounddevice, wanted)
        self._rate, channels = settings(sounddevice, device)
        self._name = device["name"]
        self._resampler = soxr.ResampleStream(self._rate, SAMPLE_RATE, 1, dtype="float32")
        self._blocks: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._overflows = 0
        self._silent = True
        self._warned = False
        self.failure = ""
        # Blocks of its own choosing may be huge; these are short, and no longer than a piece.
        block = max(1, round(self._rate * min(block_ms, 100) / 1000))
        try:
            self._input = sounddevice.InputStream(
                device=device["index"],
                samplerate=self._rate,
                channels=channels,
                dtype="float32",
                blocksize=block,
                callback=self._take,
                finished_callback=self._ended.set,
            )
        except sounddevice.PortAudioError as error:
            raise ClientError(f"'{self._name}' cannot be opened: {error}") from error

    def __str__(self) -> str:
        return f"'{self._name}' at {self._rate} Hz"

    def __enter__(self) -> Microphone:
        try:
            self._input.start()
        except self._sounddevice.PortAudioError as error:
            raise ClientError(f"'{self._name}' cannot be started: {error}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.clear()
        self._input.stop()
        self._input.close()
        if self._overflows:
            cli.warn(f"audio was lost {self._overflows} times: the machine was too busy to take it")

    def pieces(self, stop: threading.Event, seconds: float | None) -> Iterator[np.ndarray]:
        """Samples as they come, until `stop`, `seconds` of them, or the end of the device."""
        heard = 0
        while not stop.is_set() and not (seconds and heard >= seconds * self._rate):
            try:
                block = self._blocks.get(timeout=0.1)
            except queue.Empty:
                if self._ended.is_set():
                    self.failure = f"'{self._name}' has gone"
                    return
                continue
            if not heard:
                # Some devices take a second or two to begin; what is said before is not heard.
                print(f"listening to {self}; Ctrl-C ends", file=sys.stderr, flush=True)
            heard += len(block)
            self._warn_of_silence(block, heard / self._rate)
            yield self._resampled(block)

    def rest(self) -> np.ndarray:
        """What was heard but not handed out yet. The device is closed by now."""
        blocks = []
        while not self._blocks.empty():
            blocks.append(self._blocks.get())
        last = np.concatenate(blocks) if blocks else np.empty(0, np.float32)
        return self._resampled(last, last=True)

    def _take(self, block: np.ndarray, _frames: int, _time: object, status: Any) -> None:
        """Called by PortAudio's own thread, which must not wait: the block is copied and left to the main thread."""
        self._overflows += bool(status.input_overflow)
        self._blocks.put(mono(block).copy())

    def _resampled(self, block: np.ndarray, last: bool = False) -> np.ndarray:
        if self._rate == SAMPLE_RATE:
            return block
        return self._resampler.resample_chunk(block, last=last)

    def _warn_of_silence(self, block: np.ndarray, so_far: float) -> None:
        self._silent = self._silent and not block.any()
        if self._silent and not self._warned and so_far > SUSPICIOUS_SILENCE_SECONDS:
            self._warned = True
            cli.warn("nothing but digital silence so far: is it muted, is it the right one (--list-devices)?")


def portaudio() -> Any:
    """The module sounddevice, or what to do to have it."""
    try:
        import sounddevice
    except ImportError as error:
        raise ClientError(f"{error}; it is had with: pip install sounddevice") from error
    except OSError as error:
        raise ClientError(f"{error}: PortAudio is missing (Debian, Ubuntu: apt install libportaudio2)") from error
    return sounddevice


def inputs(sounddevice: Any) -> list[dict[str, Any]]:
    """The devices that record."""
    return [each for each in sounddevice.query_devices() if each["max_input_channels"] > 0]


def list_devices(sounddevice: Any) -> int:
    """Prints them, the default one marked."""
    found = inputs(sounddevice)
    if not found:
        raise ClientError("no microphone is there")
    default = sounddevice.default.device[0]
    for each in found:
        mark = "*" if each["index"] == default else " "
        api = sounddevice.query_hostapis(each["hostapi"])["name"]
        rate = each["default_samplerate"]
        print(
            f"{mark}{each['index']:>3}  {each['name']}  ({api}, {each['max_input_channels']} channels, {rate:.0f} Hz)"
        )
    return cli.OK


def find_device(sounddevice: Any, wanted: str | None) -> dict[str, Any]:
    """The device of this number, or of the only name with this part; else the default one."""
    found = inputs(sounddevice)
    if not found:
        raise ClientError("no microphone is there")
    if wanted is None:
        default = sounddevice.default.device[0]
        return next((each for each in found if each["index"] == default), found[0])
    if wanted.isdecimal():
        matching = [each for each in found if each["index"] == int(wanted)]
    else:
        matching = [each for each in found if wanted.lower() in each["name"].lower()]
        # The whole name is never ambiguous with longer ones.
        matching = [each for each in matching if each["name"].lower() == wanted.lower()] or matching
    if not matching:
        raise ClientError(f"no microphone is '{wanted}'; --list-devices prints those there")
    if len(matching) > 1:
        names = ", ".join(f"{each['index']} {each['name']}" for each in matching)
        raise ClientError(f"'{wanted}' may be any of: {names}; give a number")
    return matching[0]


def settings(sounddevice: Any, device: dict[str, Any]) -> tuple[int, int]:
    """Rate and channels to record with: 16 kHz and one channel where the device can, else what it does by itself."""
    own_rate = round(device["default_samplerate"])
    everything = device["max_input_channels"]
    for rate, channels in ((SAMPLE_RATE, 1), (own_rate, 1), (own_rate, everything)):
        try:
            sounddevice.check_input_settings(device["index"], channels=channels, dtype="float32", samplerate=rate)
        except sounddevice.PortAudioError as error:
            refusal = error
        else:
            return rate, channels
    raise ClientError(f"'{device['name']}' cannot be used: {refusal}")


if __name__ == "__main__":
    cli.run(main)
