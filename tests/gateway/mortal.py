"""A way to a server that breaks when it is told to: to the gateway, the server has died; and comes back."""

import socket
import struct
import threading
from contextlib import contextmanager

from support.server import free_ports

# Closed so, a connection is reset, as a killed process's is.
AT_ONCE = struct.pack("ii", 1, 0)


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
                self.sockets |= {ours, theirs}
            for pair in ((ours, theirs), (theirs, ours)):
                for each in pair:
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source, sink):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
        except OSError:
            pass
        for each in (source, sink):
            each.close()
        with self.lock:
            self.sockets -= {source, sink}


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
