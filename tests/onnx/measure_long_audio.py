#!/usr/bin/env python3
"""Prints what long audio costs the demo's SenseVoice encoder, and whether short audio pays for giving memory back.

Needs what the tests need (harness.py), and 6 GB of free memory.
"""

import statistics
import tempfile
import time
from pathlib import Path

from harness import Repository, Server, parameter
from long_recordings import Memory, add_encoder, transcribe

KEEPING = parameter("memory.enable_memory_arena_shrinkage", "")


def lengths(client, memory):
    print("seconds  before     peak   a second later   (MiB)")
    for seconds in (10, 30, 60, 120, 180, 300, 600):
        before = memory.now()
        memory.reset()
        transcribe(client, "giving", seconds)
        peak = memory.peak()
        time.sleep(1)
        print(f"{seconds:7} {before:7.0f}  {peak:7.0f}  {memory.now():14.0f}", flush=True)


def costs(client):
    print("seconds   giving back   keeping   difference in pairs   (ms, medians)")
    for seconds, rounds in ((2, 400), (5, 300), (10, 200), (30, 60), (60, 30)):
        times = {"giving": [], "keeping": []}
        for turn in range(rounds + 5):
            # Each goes first in every second pair.
            for model in sorted(times, reverse=turn % 2):
                started = time.perf_counter()
                transcribe(client, model, seconds)
                times[model].append(1000 * (time.perf_counter() - started))
        giving, keeping = (times[model][5:] for model in ("giving", "keeping"))
        difference = statistics.median(a - b for a, b in zip(giving, keeping))
        medians = (statistics.median(giving), statistics.median(keeping))
        print(f"{seconds:7} {medians[0]:13.2f} {medians[1]:9.2f} {difference:21.2f}", flush=True)


def main():
    with tempfile.TemporaryDirectory() as directory:
        repository = Repository(Path(directory) / "repository")
        add_encoder(repository, "giving")
        add_encoder(repository, "keeping", KEEPING)
        with Server(repository, directory) as server:
            server.client.load_model("giving")
            transcribe(server.client, "giving", 2)
            for _ in range(2):
                lengths(server.client, Memory(server.process.pid))
            server.client.load_model("keeping")
            costs(server.client)


if __name__ == "__main__":
    main()
