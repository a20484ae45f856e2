"""A real tritonserver on 127.0.0.1 for as long as a `with` block lasts."""

import itertools
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from support.environment import PROJECT, scratch, variable
from support.older_servers import adapted, knows
from support.processes import tied

LOADING_SECONDS = 120
STOPPING_SECONDS = 60

_numbers = itertools.count(1)


class ServerFailed(Exception):
    """The server ended, or never became ready; the message ends with what its log says last."""


def free_ports(count):
    """Ports nobody listens on now; all are held open until all are known, so that none comes twice."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Server:
    """Started with any repositories and flags; ready when the `with` block begins, gone when it is left.

    `repositories` is one path or several, `flags` go to tritonserver as they are, `cwd` is its working directory,
    `before_start` runs in its process first. `machine` is where it runs if not here: an address, at which it has Triton's usual
    ports, and the words that start a program there.
    """

    def __init__(self, repositories, *flags, cwd=PROJECT, environment=None, before_start=None, machine=None):
        given = repositories if isinstance(repositories, (list, tuple)) else [repositories]
        self.repositories, self.flags = adapted(given, flags)
        self.cwd = cwd
        self.environment = environment
        self.before_start = before_start
        self.machine = machine
        self.process = None
        self.log_path = scratch() / f"server-{next(_numbers):03}.log"

    def __enter__(self):
        for attempts_left in (2, 1, 0):
            self._spawn()
            try:
                self._wait_until_ready()
                return self
            except ServerFailed:
                self.stop()
                if not (attempts_left and self._lost_a_port()):
                    raise
            except BaseException:
                self.stop()
                raise

    def __exit__(self, *_):
        self.stop()

    def _spawn(self):
        (address, within) = self.machine or ("127.0.0.1", [])
        http, grpc, metrics = (8000, 8001, 8002) if self.machine else free_ports(3)
        self.http = f"{address}:{http}"
        self.grpc = f"{address}:{grpc}"
        self.metrics = f"{address}:{metrics}"
        command = [*within, variable("TRITONSERVER"), f"--backend-directory={variable('BACKENDS_DIR')}"]
        command += [f"--model-repository={path}" for path in self.repositories]
        for api, port in (("http", http), ("grpc", grpc), ("metrics", metrics)):
            command += [f"--{api}-address={address}"] if knows(f"--{api}-address") else []
            command += [f"--{api}-port={port}"]
        # A session of its own: Ctrl-C goes to pytest alone, which then stops the server in order.
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                tied([*command, *self.flags]),
                cwd=self.cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=self.before_start,
            )

    def _wait_until_ready(self):
        deadline = time.monotonic() + LOADING_SECONDS
        while time.monotonic() < deadline:
            status = self.process.poll()
            if status is not None:
                raise ServerFailed(f"tritonserver ended with {status}:\n{self.log_tail()}")
            if self.is_ready():
                return
            time.sleep(0.05)
        raise ServerFailed(f"tritonserver is not ready after {LOADING_SECONDS} s:\n{self.log_tail()}")

    def is_ready(self):
        """The server answers and has all its models. Its metrics come last, and after the line that says they are there."""
        try:
            with urllib.request.urlopen(f"http://{self.http}/v2/health/ready", timeout=5):
                pass
            with socket.create_connection(self.metrics.split(":"), timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def is_running(self):
        """The process lives."""
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """Asks the server to end, then makes it end. Returns its exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOPPING_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def log(self):
        """All the server has printed so far."""
        return self.log_path.read_text(errors="replace")

    def log_tail(self, lines=30):
        """The errors in the log, and its last lines."""
        text = self.log().splitlines()
        errors = [line for line in text[:-lines] if re.match(r"E\d{4}|error:", line)]
        return "\n".join([*errors, *text[-lines:], f"(whole log: {self.log_path})"])

    def _lost_a_port(self):
        return re.search(r"Address already in use|failed to start (HTTP|GRPC)|Socket '", self.log()) is not None
