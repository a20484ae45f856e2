"""The operator's tool `triton-funasr`, run as by an operator."""

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from support.environment import scratch, variable
from support.repository import fresh_directory
from support.server import free_ports

SECONDS = 120


def environment():
    """What an operator's shell has, with a cache that holds the server already."""
    cache = scratch() / "cache"
    server = cache / "triton-funasr/server"
    if not server.exists():
        server.parent.mkdir(parents=True, exist_ok=True)
        # …/server/pytriton/tritonserver/bin/tritonserver
        server.symlink_to(Path(variable("TRITONSERVER")).parents[3])
    return dict(os.environ, XDG_CACHE_HOME=str(cache))


def run(*arguments, code=0, program=None):
    """What a command of the tool printed, once it has ended with this exit code."""
    command = [str(each) for each in [program or variable("TRITON_FUNASR"), *arguments]]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode == code, f"exit code {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout, ended.stderr


@contextmanager
def serving(repository, *options, program=None):
    """The URL of a server of the tool's on a repository."""
    port = free_ports(1)[0]
    log = fresh_directory("tool") / "serve.log"
    command = [program or variable("TRITON_FUNASR"), "serve", "--repo", repository, "--http-port", str(port), *options]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(each) for each in command], env=environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + SECONDS
        while "/metrics" not in log.read_text(errors="replace"):
            assert server.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 130
