"""A gateway of the tool's for as long as a `with` block lasts, and requests to it without a library."""

import http.client
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from contextlib import contextmanager

from gateway.repositories import log_file
from support.environment import variable
from support.processes import tied
from support.server import free_ports

SECONDS = 60


class Running:
    """A running gateway."""

    def __init__(self, process, port, log, scheme="http"):
        self.process = process
        self.port = port
        self.log_path = log
        self.address = f"127.0.0.1:{port}"
        self.url = f"{scheme}://{self.address}"

    def log(self):
        """All that it has printed so far."""
        return self.log_path.read_text(errors="replace")

    def get(self, path, **headers):
        """Status and text of an answer."""
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()

    def metric(self, name, **labels):
        """The sum of a metric over all series that have these labels; 0 where there is none."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = [line for line in self.get("/metrics")[1].splitlines() if line.startswith(f"funasr_gateway_{name}")]
        lines = [line for line in lines if line[len(f"funasr_gateway_{name}")] in " {"]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(label in line for label in wanted))

    def wait_until(self, condition, what="the gateway did not get there"):
        """Waits for it to come into a state; what the condition said of that."""
        deadline = time.monotonic() + SECONDS
        while not (found := condition()):
            assert time.monotonic() < deadline, f"{what}\n{self.log()}"
            assert self.process.poll() is None, self.log()
            time.sleep(0.05)
        return found

    def is_ready(self):
        """It answers, and has a server."""
        try:
            return self.get("/health/ready")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def stop(self, by=signal.SIGTERM):
        """Tells it to stop; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        return self.process.wait(SECONDS)


@contextmanager
def gateway(*servers, options=(), ready=True, scheme="http", port=None, environment=None):
    """A gateway in front of servers, which are clients of tests/support or addresses; `environment` comes on top of this one."""
    port = port or free_ports(1)[0]
    log = log_file()
    addresses = [server if isinstance(server, str) else server.server.grpc for server in servers]
    command = [variable("TRITON_FUNASR"), "gateway", "--listen", f"127.0.0.1:{port}"]
    command += [word for address in addresses for word in ("--triton", address)]
    command += map(str, options)
    own = os.environ | (environment or {})
    with log.open("wb") as output:
        process = subprocess.Popen(tied(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=own)
    running = Running(process, port, log, scheme)
    try:
        if ready:
            running.wait_until(running.is_ready)
        yield running
    finally:
        running.stop()


def form(file, name="audio.wav", **fields):
    """A form's content type and body."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if file is not None:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        parts.append(head.encode() + file + b"\r\n")
    return f"multipart/form-data; boundary={boundary}", b"".join([*parts, f"--{boundary}--\r\n".encode()])


def post(running, file, path="/v1/audio/transcriptions", headers=None, **fields):
    """Status, headers and text of a transcription's answer."""
    kind, body = form(file, **fields)
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=SECONDS)
    try:
        connection.request("POST", path, body, {"Content-Type": kind, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()
    finally:
        connection.close()


def error_of(answer):
    """The error object of an answer."""
    status, _, text = answer
    assert status >= 400, text
    (error,) = json.loads(text).values()
    assert set(error) == {"message", "type", "param", "code"}
    return error
