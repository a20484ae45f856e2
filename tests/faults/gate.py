"""Holds the models of a server that watch for a file."""

from contextlib import contextmanager


class Gate:
    """As long as the file is there, the models behind it answer nothing."""

    def __init__(self, path):
        self.path = path

    @contextmanager
    def held(self):
        """Nothing gets through inside the `with` block."""
        self.path.touch()
        try:
            yield
        finally:
            self.open()

    def open(self):
        """Lets everything through."""
        self.path.unlink(missing_ok=True)

    def waiting(self, target):
        """How many requests wait before the model `target`."""
        return len(list(self.path.parent.glob(f"{self.path.name}.{target}.*")))
