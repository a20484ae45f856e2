#!/usr/bin/env python3
"""Sends recordings again and again, many at a time: latencies, real-time factor, errors, and one answer per recording."""

from __future__ import annotations

import argparse
import csv
import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from funasr_triton import STREAMING, audio, cli, offline, streaming
from funasr_triton.connection import Address, Connection, connect
from funasr_triton.errors import ClientError

EXAMPLES = """\
  python3 stability.py recordings/
  python3 stability.py --concurrency 32 --requests 5000 --csv requests.csv recordings/
  python3 stability.py --streaming --realtime --concurrency 64 --duration 600 recordings/
  for n in 1 2 4 8; do python3 stability.py --concurrency $n --duration 30 --summary-csv sweep.csv recordings/; done

It fails when a request fails or a recording gets more than one text.
Latencies are those of whole requests, with --streaming those of chunks."""

PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class Recording:
    """A recording, ready to be sent."""

    name: str
    samples: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """One request or stream: its text, or why there is none; how long each answer took."""

    recording: Recording
    began: float
    took: float
    latencies: list[float]
    text: str
    error: str = ""


@dataclass
class Run:
    """What all workers share."""

    todo: Iterator[Recording]
    began: float
    ends: float
    stop: threading.Event
    outcomes: list[Outcome] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> Recording | None:
        """What to send now; None when it is time to end."""
        with self.lock:
            if self.stop.is_set() or time.perf_counter() >= self.ends:
                return None
            return next(self.todo, None)

    def add(self, outcome: Outcome) -> None:
        """Keeps what became of it."""
        with self.lock:
            self.outcomes.append(outcome)


# Sends a recording over a connection, at the pace of speech or not; gives the text and the time of each answer.
Send = Callable[[Connection, Recording, list[float], bool], str]


def arguments() -> argparse.ArgumentParser:
    options = cli.parser(__doc__ or "", EXAMPLES)
    options.add_argument(
        "recordings",
        nargs="+",
        type=Path,
        metavar="FILE_OR_FOLDER",
        help="sent in turn, from the first to the last and over again",
    )
    cli.add_server_options(options, streaming=True)
    model = options.add_argument_group("model")
    model.add_argument("--streaming", action="store_true", help="streams, not whole recordings")
    model.add_argument(
        "--model", metavar="NAME", help="default: the offline model that the server has, or streaming_paraformer"
    )
    model.add_argument("--language", choices=offline.LANGUAGES, default="auto", help="for SenseVoice (default: auto)")
    model.add_argument(
        "--text-norm", choices=offline.TEXT_NORMS, default="withitn", help="for SenseVoice (default: withitn)"
    )
    streaming.add_streaming_options(options)
    options.add_argument("--realtime", action="store_true", help="streams are sent no faster than a person speaks")
    load = options.add_argument_group("load")
    load.add_argument("--concurrency", type=cli.count, default=8, metavar="N", help="at a time (default: %(default)s)")
    much = load.add_mutually_exclusive_group()
    much.add_argument("--requests", type=cli.count, metavar="N", help="how many in all (default: each recording once)")
    much.add_argument("--duration", type=cli.positive, metavar="SECONDS", help="for how long")
    load.add_argument(
        "--warm-up",
        type=cli.count_or_none,
        default=1,
        metavar="N",
        help="sent before, and not counted (default: %(default)s)",
    )
    report = options.add_argument_group("report")
    report.add_argument("--csv", type=Path, metavar="FILE", help="a line for every request")
    report.add_argument("--summary-csv", type=Path, metavar="FILE", help="a line for this run, added to those there")
    return options


def main() -> int:
    parser = arguments()
    options = parser.parse_args()
    address = cli.address(options, parser)
    if options.protocol == "grpc-stream" and not options.streaming:
        parser.error("--protocol grpc-stream is for --streaming")
    if options.realtime and not options.streaming:
        parser.error("--realtime is for --streaming")
    check_writable(options.csv, options.summary_csv)
    recordings = loaded(options.recordings)
    with_server = connect(address, options.timeout)
    model, send = sender(options, with_server)
    for recording in itertools.islice(itertools.cycle(recordings), options.warm_up):
        send(with_server, recording, [], False)
    with_server.close()
    stop = cli.first_interrupt()
    began = time.perf_counter()
    total = None if options.duration else options.requests or len(recordings)
    run = Run(
        itertools.islice(itertools.cycle(recordings), total),
        began,
        began + options.duration if options.duration else float("inf"),
        stop,
    )
    send_all(options, address, run, send, total)
    elapsed = time.perf_counter() - began
    return report(options, model, run.outcomes, elapsed, stop.is_set())


def loaded(places: list[Path]) -> list[Recording]:
    """All recordings, decoded before the clock runs."""
    recordings = []
    for path in audio.find(places):
        try:
            recordings.append(Recording(str(path), audio.load(path)))
        except ClientError as error:
            raise ClientError(f"{path}: {error}") from error
    return recordings


def sender(options: argparse.Namespace, connection: Connection) -> tuple[str, Send]:
    """The model's name, and how a recording is sent to it."""
    if options.streaming:
        return stream_sender(options, connection)
    model = offline.find_model(connection, options.model)

    def send(connection: Connection, recording: Recording, latencies: list[float], _realtime: bool) -> str:
        began = time.perf_counter()
        answer = offline.transcribe(connection, model, recording.samples, options.language, options.text_norm)
        latencies.append(time.perf_counter() - began)
        return answer.raw

    return model.name, send


def stream_sender(options: argparse.Namespace, connection: Connection) -> tuple[str, Send]:
    """The same for a streaming model."""
    model = streaming.find_model(connection, options.model or STREAMING)
    piece = streaming.samples_of(options.chunk_ms)
    chunk, tail = model.chunk_samples or piece, streaming.samples_of(options.tail_ms)

    def send(connection: Connection, recording: Recording, latencies: list[float], realtime: bool) -> str:
        text = ""
        stream = streaming.Stream(connection, model.name, chunk, tail)
        for answer in streaming.stream_recording(stream, recording.samples, piece, realtime):
            latencies.append(answer.latency)
            text += answer.delta
        return text

    return model.name, send


def send_all(options: argparse.Namespace, address: Address, run: Run, send: Send, total: int | None) -> None:
    """Keeps `--concurrency` requests under way until there is no more to do; what is under way then is waited for."""
    progress = cli.Progress(total, "requests")

    def work() -> None:
        connection = connect(address, options.timeout)
        while recording := run.next():
            outcome = attempt(connection, recording, send, run.began, options.realtime)
            run.add(outcome)
            progress.advance(audio.seconds(recording.samples))
            if outcome.error:
                # Its state is unknown, and a server that refuses connections is not to be stormed.
                connection.close()
                run.stop.wait(0.1)
                connection = connect(address, options.timeout)
        connection.close()

    workers = [threading.Thread(target=work, daemon=True) for _ in range(options.concurrency)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    progress.end()


def attempt(connection: Connection, recording: Recording, send: Send, run_began: float, realtime: bool) -> Outcome:
    """Sends one recording, whatever comes of it."""
    latencies: list[float] = []
    began = time.perf_counter()
    text = error = ""
    try:
        text = send(connection, recording, latencies, realtime)
    except ClientError as failure:
        error = str(failure).splitlines()[0]
    took = time.perf_counter() - began
    return Outcome(recording, began - run_began, took, latencies, text, error)


def report(options: argparse.Namespace, model: str, outcomes: list[Outcome], elapsed: float, interrupted: bool) -> int:
    """Prints and writes what came out."""
    summary = summarized(options, model, outcomes, elapsed)
    for name, value in summary.items():
        print(f"{name:<24} {value}")
    differing = texts_that_differ(outcomes)
    for recording, texts in differing.items():
        cli.complain(f"{recording} got {len(texts)} texts: " + " | ".join(f"{text!r}" for text in sorted(texts)))
    print_errors(outcomes)
    if options.csv:
        write_requests(options.csv, outcomes)
    if options.summary_csv:
        add_summary(options.summary_csv, summary)
    if interrupted:
        raise KeyboardInterrupt
    return cli.FAILED if differing or summary["errors"] or not outcomes else cli.OK


def summarized(options: argparse.Namespace, model: str, outcomes: list[Outcome], elapsed: float) -> dict[str, object]:
    """The figures of the run by name; times in ms unless said."""
    good = [each for each in outcomes if not each.error]
    audio_seconds = sum(audio.seconds(each.recording.samples) for each in good)
    latencies = 1000 * np.array([latency for each in good for latency in each.latencies])
    summary: dict[str, object] = {
        "model": model,
        "concurrency": options.concurrency,
        "requests": len(outcomes),
        "errors": len(outcomes) - len(good),
        "recordings": len({each.recording.name for each in outcomes}),
        "with_several_texts": len(texts_that_differ(outcomes)),
        "audio_seconds": round(audio_seconds, 1),
        "elapsed_seconds": round(elapsed, 2),
        "real_time_factor": round(elapsed / audio_seconds, 5) if audio_seconds else "",
        "requests_per_second": round(len(good) / elapsed, 2),
        "answers": len(latencies),
    }
    figures = [*np.percentile(latencies, PERCENTILES), latencies.mean(), latencies.max()] if len(latencies) else []
    names = [*(f"p{percentile}" for percentile in PERCENTILES), "mean", "max"]
    for name, figure in itertools.zip_longest(names, figures):
        summary[f"latency_{name}_ms"] = "" if figure is None else round(float(figure), 2)
    return summary


def texts_that_differ(outcomes: list[Outcome]) -> dict[str, set[str]]:
    """The recordings that got more than one text, and which."""
    texts: dict[str, set[str]] = defaultdict(set)
    for each in outcomes:
        if not each.error:
            texts[each.recording.name].add(each.text)
    return {name: found for name, found in texts.items() if len(found) > 1}


def print_errors(outcomes: list[Outcome]) -> None:
    """Each error once, with how often it came."""
    counted: dict[str, int] = defaultdict(int)
    for each in outcomes:
        if each.error:
            counted[each.error] += 1
    for error, times in sorted(counted.items(), key=lambda item: -item[1]):
        cli.complain(f"{times} x {error}")


def check_writable(*paths: Path | None) -> None:
    """Says now, not after an hour, that a report cannot be written."""
    for path in filter(None, paths):
        try:
            path.open("a").close()
        except OSError as error:
            raise ClientError(f"{path}: cannot be written: {error.strerror}") from error


def write_requests(path: Path, outcomes: list[Outcome]) -> None:
    """A line per request or stream; `latency_ms` is its last answer's, `slowest_ms` its slowest one's."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["recording", "began_s", "audio_s", "took_ms", "answers", "latency_ms", "slowest_ms", "text", "error"]
        )
        for each in sorted(outcomes, key=lambda outcome: outcome.began):
            times = [round(1000 * latency, 2) for latency in each.latencies]
            writer.writerow(
                [
                    each.recording.name,
                    round(each.began, 4),
                    round(audio.seconds(each.recording.samples), 3),
                    round(1000 * each.took, 2),
                    len(times),
                    times[-1] if times else "",
                    max(times, default=""),
                    each.text,
                    each.error,
                ]
            )


def add_summary(path: Path, summary: dict[str, object]) -> None:
    """A line for the run, with a heading if it is the first one."""
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(summary))
        if not path.stat().st_size:
            writer.writeheader()
        writer.writerow(summary)


if __name__ == "__main__":
    cli.run(main)
