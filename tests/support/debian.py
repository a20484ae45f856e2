"""Debian's packages, fetched and unpacked beside what else the tests fetch, and not installed."""

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

from support.environment import variable

SECONDS = 300


def unpacked(name, *packages, dependencies=False):
    """The directory with what is in these packages, fetched once; with `dependencies`, also what they need and the machine lacks.

    apt does it as any user and without a change to the machine. Skips where it cannot.
    """
    kept = Path(variable("SCRATCH_DIR")).parent / name
    # Another process that runs tests may want the same.
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (kept / "complete").exists():
            _fetch(kept, packages, dependencies)
    return kept


def _fetch(kept, packages, dependencies):
    if not shutil.which("apt-get"):
        pytest.skip(f"{packages[0]} is not on this machine, nor is apt-get, to fetch it")
    shutil.rmtree(kept, ignore_errors=True)
    for part in ("lists/partial", "cache/archives/partial"):
        (kept / part).mkdir(parents=True)
    apt = ["apt-get", "-q", "-o", f"Dir::State::lists={kept}/lists", "-o", f"Dir::Cache={kept}/cache"]
    apt += ["-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1"]
    fetch = ["install", "--yes", "--download-only", "--no-install-recommends"] if dependencies else ["download"]
    place = kept / "cache/archives"
    for words in (["update"], [*fetch, *packages]):
        done = subprocess.run([*apt, *words], cwd=place, capture_output=True, text=True, timeout=SECONDS)
        if done.returncode:
            pytest.skip(f"{packages[0]} is not on this machine, and apt-get {words[0]} failed: {done.stderr.strip()[-300:]}")
    for package in place.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, kept], check=True)
    for part in ("lists", "cache"):
        shutil.rmtree(kept / part)
    (kept / "complete").touch()
