"""Machines with an address of their own on this one: network namespaces, each with a cable to here."""

import itertools
import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest

_numbers = itertools.count(1)


def _ip(*words):
    return subprocess.run(["ip", *map(str, words)], capture_output=True, text=True, check=False)


@contextmanager
def machines(count):
    """Pairs of an address and the words that start a program there. Skips where there can be none."""
    if not shutil.which("ip"):
        pytest.skip("machines of their own are made with ip, of Debian's package iproute2")
    made = []
    try:
        for _ in range(count):
            number = next(_numbers)
            name = f"fleet{os.getpid()}-{number}"
            added = _ip("netns", "add", name)
            if added.returncode:
                pytest.skip(f"this user can make no network namespace: {added.stderr.strip()}")
            made.append((name, f"fl{os.getpid() % 100_000}h{number}", number))
            _cable(*made[-1])
        yield [(_address(number, 2), ["ip", "netns", "exec", name]) for name, _, number in made]
    finally:
        for name, here, _ in made:
            _ip("link", "del", here)
            _ip("netns", "del", name)


def _address(number, host):
    """Of a private range that is seldom used."""
    return f"10.213.{number}.{host}"


def _cable(name, here, number):
    there = "eth0"
    for words in (
        ("link", "add", here, "type", "veth", "peer", "name", there, "netns", name),
        ("addr", "add", f"{_address(number, 1)}/24", "dev", here),
        ("link", "set", here, "up"),
        ("-n", name, "addr", "add", f"{_address(number, 2)}/24", "dev", there),
        ("-n", name, "link", "set", there, "up"),
        ("-n", name, "link", "set", "lo", "up"),
    ):
        done = _ip(*words)
        if done.returncode:
            pytest.skip(f"no cable to a network namespace: ip {' '.join(map(str, words))}: {done.stderr.strip()}")
