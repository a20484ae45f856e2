"""Holds the models of a server that watch for a file."""

from contextlib import contextmanager
from functools import wraps


class Gate:
    """As long as the file is there, the models behind it answer nothing."""

    def __init__(self, path):
        self.path = path

    @contextmanager
    def held(self):
        """Nothing gets through inside the `with` block."""
        # What servers left that were killed.
        for mark in self.path.parent.glob(f"{self.path.name}.*"):
            mark.unlink(missing_ok=True)
        self.path.touch()
        try:
            yield
        finally:
            self.open()

    def open(self):
        """Lets everything through."""
        self.path.unlink(missing_ok=True)

    def opened_at_the_end(self, work):
        """A decorator: the gate opens when this work is done, also if it fails."""

        @wraps(work)
        def run():
            try:
                return work()
            finally:
                self.open()

        return run

    def waiting(self, target):
        """How many requests wait before the model `target`."""
        return len(list(self.path.parent.glob(f"{self.path.name}.{target}.*")))
