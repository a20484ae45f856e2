"""A way to a server that breaks when it is told to: to the gateway, the server has died; and comes back."""

import socket
import struct
import threading
import time
from contextlib import contextmanager

from support.server import free_ports

# Closed so, a connection is reset, as a killed process's is.
AT_ONCE = struct.pack("ii", 1, 0)
# The server itself goes on, and it has the rest of its answers taken from it: a tritonserver whose connections are reset while it
# works may end (docs/triton-notes.md), and all of these tests with it.
REST = 5


class Way:
    """Forwards connections to a server's gRPC port."""

    def __init__(self, target):
        self.target = target
        (self.port,) = free_ports(1)
        self.address = f"127.0.0.1:{self.port}"
        self.listener = None
        self.sockets = set()
        self.lock = threading.Lock()

    def live(self):
        """Accepts connections."""
        if self.listener is None:
            self.listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def die(self):
        """Breaks all connections, and accepts none."""
        with self.lock:
            listener, self.listener = self.listener, None
            sockets, self.sockets = self.sockets, set()
        if listener is not None:
            # Closing alone leaves it open for as long as a thread accepts.
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for each in sockets:
            try:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                each.shutdown(socket.SHUT_RD)
            except OSError:
                pass
            each.close()

    def _accept(self, listener):
        while True:
            try:
                ours, _ = listener.accept()
                theirs = socket.create_connection(self.target.split(":"))
            except OSError:
                return
            with self.lock:
                if self.listener is not listener:
                    ours.close()
                    theirs.close()
                    return
                self.sockets.add(ours)
            for each in (ours, theirs):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for carry in (self._ask, self._answer):
                threading.Thread(target=carry, args=(ours, theirs), daemon=True).start()

    def _ask(self, ours, theirs):
        try:
            while data := ours.recv(1 << 16):
                theirs.sendall(data)
        except OSError:
            pass
        with self.lock:
            self.sockets.discard(ours)
        ours.close()
        time.sleep(REST)
        try:
            # Closing alone leaves it open for as long as the other thread reads.
            theirs.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        theirs.close()

    def _answer(self, ours, theirs):
        try:
            while data := theirs.recv(1 << 16):
                try:
                    ours.sendall(data)
                except OSError:
                    # Nobody hears it any more.
                    continue
        except OSError:
            pass
        ours.close()


@contextmanager
def ways(target, count):
    """Several ways to one server, as if they were several servers."""
    made = [Way(target) for _ in range(count)]
    try:
        for each in made:
            each.live()
        yield made
    finally:
        for each in made:
            each.die()
