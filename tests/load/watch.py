"""What the kernel says of a server's process."""

import os
import re
from pathlib import Path
from typing import NamedTuple


class Vitals(NamedTuple):
    """At one moment."""

    resident_mb: float
    descriptors: int
    threads: int
    # Of processors, since its start.
    seconds: float


def vitals(pid):
    """Now; raises ProcessLookupError when the process has ended."""
    process = Path("/proc") / str(pid)
    try:
        status = (process / "status").read_text()
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        descriptors = len(os.listdir(process / "fd"))
        resident = int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])
    except (FileNotFoundError, TypeError) as error:
        # What has ended and is not yet waited for has no memory.
        raise ProcessLookupError(f"the server, process {pid}, has ended") from error
    return Vitals(
        resident / 1024,
        descriptors,
        int(re.search(r"Threads:\s+(\d+)", status)[1]),
        (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
    )
