#!/usr/bin/env python3
"""Prints what one pool of threads for all sessions brings, beside a pool for each: requests a second, and processor time a request.

Needs what the tests need (harness.py).
"""

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import Repository, Server
from long_audio import add_encoder, request

ROUNDS = 3
SECONDS = 10
POOLS = {"one pool": (), "a pool each": ("--backend-config=onnxruntime,enable-global-threadpool=0",)}


def processor_seconds(process):
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def measure(instances, requests, arguments):
    """(requests a second, processor time a request in ms), with as many clients as instances."""
    with tempfile.TemporaryDirectory() as directory:
        repository = Repository(Path(directory) / "repository")
        add_encoder(repository, "encoder", instances=instances)
        with Server(repository, directory, arguments=arguments) as server:
            server.client.load_model("encoder")
            with ThreadPoolExecutor(instances) as pool:

                def ask(count):
                    return list(pool.map(lambda _: server.client.infer("encoder", request(SECONDS)), range(count)))

                ask(2 * instances)
                used, start = processor_seconds(server.process), time.monotonic()
                ask(requests)
                took = time.monotonic() - start
            used = processor_seconds(server.process) - used
    return requests / took, 1000 * used / requests


def main():
    for _ in range(ROUNDS):
        for instances in (1, 4):
            for name, arguments in POOLS.items():
                rate, used = measure(instances, 80, arguments)
                print(f"{instances} instances, {name:12} {rate:6.1f}/s {used:6.1f} ms of processor time a request", flush=True)


if __name__ == "__main__":
    main()
