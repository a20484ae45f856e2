"""A proxy in front of a server that can fall silent, as a cable that is pulled: nothing comes through any more, and nobody is told."""

import selectors
import socket
import threading
from contextlib import contextmanager


class Proxy:
    """Forwards connections, until it is silent."""

    def __init__(self, target, port=0):
        host, to = target.rsplit(":", 1)
        self.target = host, int(to)
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.is_silent = threading.Event()
        self.has_ended = threading.Event()
        self.sockets = []
        self.threads = [threading.Thread(target=self.accept)]
        self.threads[0].start()

    def accept(self):
        self.listener.settimeout(0.1)
        while not self.has_ended.is_set():
            try:
                front, _ = self.listener.accept()
            except TimeoutError:
                continue
            back = socket.create_connection(self.target)
            self.sockets += [front, back]
            thread = threading.Thread(target=self.forward, args=(front, back))
            self.threads.append(thread)
            thread.start()

    def forward(self, front, back):
        with selectors.DefaultSelector() as selector:
            selector.register(front, selectors.EVENT_READ, back)
            selector.register(back, selectors.EVENT_READ, front)
            while not self.has_ended.is_set():
                for key, _ in selector.select(0.1):
                    if self.is_silent.is_set():
                        # What comes is lost.
                        self.has_ended.wait()
                        return
                    try:
                        data = key.fileobj.recv(1 << 16)
                        key.data.sendall(data)
                    except OSError:
                        data = b""
                    if not data:
                        front.close()
                        back.close()
                        return

    def close(self):
        self.has_ended.set()
        for thread in self.threads:
            thread.join()
        for each in [self.listener, *self.sockets]:
            each.close()


@contextmanager
def proxy(target, port=0):
    """A proxy to `host:port` for as long as the block lasts."""
    own = Proxy(target, port)
    try:
        yield own
    finally:
        own.close()
