"""What a server has open, and how large it is."""

import re
import time
from pathlib import Path

from support.client import metric_in


def open_files(server):
    """File descriptors."""
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def threads(server):
    """Threads."""
    return len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))


def resident_megabytes(server):
    """Resident memory."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def pending(client, model=None):
    """Requests that wait in queues."""
    labels = {"model": model} if model else {}
    return metric_in(client.metrics(), "nv_inference_pending_request_count", **labels)


def comes_true(condition, seconds=30):
    """Waits for something that is due soon; false if it is not."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
