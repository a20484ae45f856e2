"""HAProxy with the project's own config."""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager

from support.debian import unpacked
from support.environment import PROJECT
from support.repository import fresh_directory
from support.server import free_ports

CONFIG = PROJECT / "deploy/haproxy.cfg"
SECONDS = 60


class Haproxy:
    """A running HAProxy."""

    def __init__(self, grpc, http, admin):
        self.grpc = grpc
        self.http = http
        self.admin = admin

    def ask(self, command):
        """What it answers on its socket."""
        with socket.socket(socket.AF_UNIX) as talk:
            talk.connect(str(self.admin))
            talk.sendall(f"{command}\n".encode())
            parts = []
            while part := talk.recv(1 << 16):
                parts.append(part)
        return b"".join(parts).decode()

    def servers(self):
        """The states of the gRPC servers by their names, as in `UP` and `DRAIN`."""
        head, *lines = self.ask("show stat -1 4 -1").strip().splitlines()
        names = head.removeprefix("# ").split(",")
        rows = [dict(zip(names, line.split(","))) for line in lines]
        return {row["svname"]: row["status"].split(" ")[0] for row in rows if row["pxname"] == "grpc"}

    def drain(self, name):
        """Sends nothing new to a server."""
        assert not self.ask(f"set server http/{name} state drain").strip()
        self.wait_for(name, "DRAIN")

    def undo(self, name):
        """It may have everything again."""
        assert not self.ask(f"set server http/{name} state ready").strip()

    def places(self):
        """At which server each stream is, by the text in its header."""
        lines = self.ask("show table grpc").splitlines()
        pairs = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines if "key=" in line]
        # Servers are numbered in the order of the config.
        return {pair["key"]: f"gpu{pair['server_id']}" for pair in pairs if "server_id" in pair}

    def wait_for(self, name, state):
        """Waits until it knows that a server is in this state."""
        deadline = time.monotonic() + SECONDS
        while self.servers().get(name) != state:
            assert time.monotonic() < deadline, self.servers()
            time.sleep(0.05)


@contextmanager
def haproxy(addresses):
    """HAProxy in front of three machines' addresses, for as long as the `with` block lasts."""
    program, environment = _program()
    grpc, http = free_ports(2)
    place = fresh_directory("haproxy")
    # A socket's path may not be long.
    running = Haproxy(f"127.0.0.1:{grpc}", f"127.0.0.1:{http}", f"/tmp/{place.name}.sock")
    environment |= {f"GPU{number}": address for number, address in enumerate(addresses, 1)}
    environment |= {"GRPC_BIND": running.grpc, "HTTP_BIND": running.http, "ADMIN_SOCKET": running.admin}
    log = place / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "-f", CONFIG, "-db"], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                running.servers()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, log.read_text(errors="replace")
                time.sleep(0.05)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)
        if os.path.exists(running.admin):
            os.unlink(running.admin)


def _program():
    """HAProxy and its environment: the machine's own, or Debian's with its libraries."""
    environment = dict(os.environ)
    installed = shutil.which("haproxy")
    if installed:
        return installed, environment
    kept = unpacked("haproxy", "haproxy", dependencies=True)
    libraries = sorted({str(each.parent) for each in kept.rglob("*.so*")})
    environment["LD_LIBRARY_PATH"] = ":".join(libraries)
    return kept / "usr/sbin/haproxy", environment
