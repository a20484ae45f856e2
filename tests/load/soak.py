"""Mixed traffic for as long as one likes, against a server that serves all of the demo's models.

`cargo xtask soak` starts the server and calls this; the tests call `soak`.
"""

import argparse
import multiprocessing
import queue
import sys
import time
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402

from load.material import FORMS, PIPELINE, ask_alone  # noqa: E402
from load.report import Report, percentiles  # noqa: E402
from load.traffic import MODELS, TIMEOUT_SECONDS, TOLD, Order, run  # noqa: E402
from load.watch import vitals  # noqa: E402
from support.client import Client  # noqa: E402
from support.load import counted  # noqa: E402

PROCESSES = 2
OFFLINE_AT_A_TIME = 4
# Longer runs are sampled less often.
SAMPLES, SAMPLE_SECONDS, PROGRESS_SECONDS = 300, 1, 10
# The server closes the connections of clients that have gone a little later.
SETTLING_SECONDS = 30


def soak(client, form, seconds, streams, interval, tell=lambda line: None):
    """Runs the traffic; a Report."""
    pid = client.server.process.pid
    material = ask_alone(client, form)
    before = {model: client.statistics_at_rest(model) for model in MODELS}
    client.close()
    report = Report(form, descriptors_before=_settled_descriptors(pid))
    try:
        _Run(client, material, report, tell).go(seconds, streams, interval)
        report.descriptors_after = _settled_descriptors(pid, report.descriptors_before)
        for model in MODELS:
            after = client.statistics_at_rest(model)
            answered = [each["inference_stats"]["success"] for each in (before[model], after)]
            report.uncounted[model] = counted(*answered, "count") - report.answered.get(model, 0)
    except ProcessLookupError:
        report.server_died = True
    return report


def _settled_descriptors(pid, most=None):
    """How many are open once there are no more than `most`, or once it does not change any more."""
    deadline = time.monotonic() + SETTLING_SECONDS
    seen = [vitals(pid).descriptors]
    while time.monotonic() < deadline:
        time.sleep(0.5)
        seen.append(vitals(pid).descriptors)
        if seen[-1] <= most if most is not None else len(set(seen[-6:])) == 1 and len(seen) > 6:
            break
    return seen[-1]


class _Run:
    """The traffic's processes, and the samples taken meanwhile."""

    def __init__(self, client, material, report, tell):
        self.server = client.server
        self.material = material
        self.report = report
        self.tell = tell
        self.ticks = multiprocessing.get_context("spawn").Queue()
        self.latencies = defaultdict(list)
        self.recent = defaultdict(list)

    def go(self, seconds, streams, interval):
        processes = self.start(seconds, streams, interval)
        try:
            self.watch(processes, seconds)
        finally:
            for process in processes:
                process.kill()
                process.join()
            self.sum_up()

    def sum_up(self):
        self.report.lost = self.report.requests - sum(self.report.answered.values()) - self.report.failed
        for kind, parts in sorted(self.latencies.items()):
            all_of_kind = np.concatenate(parts)
            figures = {f"p{each}": value for each, value in percentiles(all_of_kind).items()}
            self.report.latencies[", ".join(kind)] = {"answers": len(all_of_kind), **figures}

    def start(self, seconds, streams, interval):
        context = multiprocessing.get_context("spawn")
        processes = []
        for number in range(PROCESSES):
            share = lambda whole: (whole + number) // PROCESSES  # noqa: E731
            order = Order(
                number, self.server.http, self.server.grpc, seconds, share(streams), share(OFFLINE_AT_A_TIME), interval
            )
            processes.append(context.Process(target=run, args=(order, self.material, self.ticks), daemon=True))
            processes[-1].start()
        return processes

    def watch(self, processes, seconds):
        """Takes samples until all processes are done, or one cannot be."""
        began = time.monotonic()
        period = max(SAMPLE_SECONDS, seconds / SAMPLES)
        next_sample, next_progress = began + period, began + PROGRESS_SECONDS
        open_streams, ended, told = [0] * PROCESSES, 0, vitals(self.server.process.pid)
        told_at = began
        while ended < PROCESSES:
            tick = self.next_tick(next_sample)
            now = time.monotonic()
            self.report.seconds = min(seconds, now - began)
            if tick:
                self.add(tick)
                open_streams[tick.number] = tick.open_streams
                ended += tick.last
            elif now > began + seconds + TIMEOUT_SECONDS or not any(each.is_alive() for each in processes):
                return
            if now >= next_sample:
                seen = vitals(self.server.process.pid)
                self.sample(now - began, sum(open_streams), seen, (seen.seconds - told.seconds) / (now - told_at))
                told, told_at = seen, now
                next_sample = now + period
            if now >= next_progress and self.report.samples:
                self.tell(self.progress())
                next_progress = now + PROGRESS_SECONDS

    def next_tick(self, until):
        try:
            return self.ticks.get(timeout=max(0.01, until - time.monotonic()))
        except queue.Empty:
            return None

    def add(self, tick):
        report = self.report
        for kind, latencies in tick.latencies.items():
            self.latencies[kind].append(latencies)
            self.recent[kind[0]].append(latencies)
            answered = self.report.answered
            answered[kind[0]] = answered.get(kind[0], 0) + len(latencies)
        report.requests += tick.asked
        report.streams += tick.finished_streams
        report.failed += tick.failed
        report.wrong += tick.wrong
        report.words = (report.words + tick.words)[:TOLD]

    def sample(self, seconds, open_streams, seen, processors):
        row = {
            "seconds": round(seconds, 2),
            "requests": self.report.requests,
            "open_streams": open_streams,
            "resident_mb": round(seen.resident_mb, 2),
            "descriptors": seen.descriptors,
            "threads": seen.threads,
            "processors": round(processors, 2),
        }
        for model in MODELS:
            parts = self.recent[model]
            for each, value in percentiles(np.concatenate(parts) if parts else []).items():
                row[f"{model}_p{each}_ms"] = value
        self.recent.clear()
        self.report.samples.append(row)
        self.report.most_open_streams = max(self.report.most_open_streams, open_streams)

    def progress(self):
        row, report = self.report.samples[-1], self.report
        return (
            f"{row['seconds']:7.0f} s  {report.requests:8} requests  {row['open_streams']:5} streams open  "
            f"{report.streams:7} done  {report.failed} failed  {report.wrong} wrong  {row['resident_mb']:7.1f} MB  "
            f"{row['descriptors']:4} fds  {row['threads']:3} threads  a chunk p50 {row['streaming_paraformer_p50_ms']} "
            f"p99 {row['streaming_paraformer_p99_ms']} ms"
        )


def main():
    """The command that `cargo xtask soak` runs."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--http", required=True, help="host and port of the server's HTTP API")
    options.add_argument("--grpc", required=True, help="host and port of its gRPC API")
    options.add_argument("--pid", required=True, type=int, help="the server's process")
    options.add_argument("--form", choices=FORMS, default=PIPELINE)
    options.add_argument("--minutes", required=True, type=float)
    options.add_argument("--streams", required=True, type=int, help="open at a time")
    options.add_argument("--interval", required=True, type=float, help="seconds between a stream's chunks, on average")
    options.add_argument("--out", required=True, type=Path, help="where soak.json and soak.csv go")
    given = options.parse_args()
    server = SimpleNamespace(http=given.http, grpc=given.grpc, process=SimpleNamespace(pid=given.pid), is_running=lambda: True)
    print_at_once = lambda line: print(line, flush=True)  # noqa: E731
    report = soak(Client(server), given.form, given.minutes * 60, given.streams, given.interval, print_at_once)
    report.write(given.out)
    print(f"\n{report}\n", flush=True)
    for fault in report.faults():
        print(f"FAULT: {fault}", flush=True)
    return 1 if report.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
