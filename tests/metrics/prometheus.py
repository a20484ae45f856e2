"""A real Prometheus that looks at a server: Debian's, fetched and unpacked beside what else the tests fetch, and not installed."""

import json
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from support.environment import scratch
from support.repository import fresh_directory
from support.server import free_ports

SECONDS = 120


@cache
def directory():
    """Where the programs are: the machine's own, or Debian's, fetched once. Skips where neither can be had."""
    installed = shutil.which("promtool")
    if installed and shutil.which("prometheus"):
        return Path(installed).parent
    kept = scratch().parent / "prometheus"
    if not (kept / "complete").exists():
        _fetch(kept)
    return kept / "usr/bin"


def _fetch(kept):
    """Lets apt fetch the package, as any user and without a change to the machine."""
    if not shutil.which("apt-get"):
        pytest.skip("prometheus is not on this machine, nor is apt-get, to fetch it")
    shutil.rmtree(kept, ignore_errors=True)
    for part in ("lists/partial", "cache/archives/partial"):
        (kept / part).mkdir(parents=True)
    apt = ["apt-get", "-q", "-o", f"Dir::State::lists={kept}/lists", "-o", f"Dir::Cache={kept}/cache", "-o", "APT::Sandbox::User=root"]
    for words in (["update"], ["download", "prometheus"]):
        done = subprocess.run([*apt, *words], cwd=kept, capture_output=True, text=True, timeout=SECONDS)
        if done.returncode:
            pytest.skip(f"prometheus is not on this machine, and apt-get {words[0]} failed: {done.stderr.strip()[-300:]}")
    (package,) = kept.glob("prometheus_*.deb")
    subprocess.run(["dpkg", "-x", package, kept], check=True)
    for part in ("lists", "cache", package.name):
        shutil.rmtree(kept / part, ignore_errors=True)
    package.unlink()
    (kept / "complete").touch()


def promtool(*words, text=None):
    """Runs promtool; fails as it does. Returns what it printed."""
    done = subprocess.run([directory() / "promtool", *words], input=text, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


class Prometheus:
    """One that looks at a server four times a second."""

    def __init__(self, address, log):
        self.address = address
        self.log = log

    def query(self, expression):
        """What an expression comes to now: pairs of labels and a number."""
        parameters = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://{self.address}/api/v1/query?{parameters}", timeout=30) as answer:
            found = json.load(answer)["data"]
        assert found["resultType"] == "vector", found
        return [(each["metric"], float(each["value"][1])) for each in found["result"]]

    def wait_for(self, expression, seconds=30):
        """The same once there is something to tell."""
        deadline = time.monotonic() + seconds
        while not (found := self.query(expression)):
            assert time.monotonic() < deadline, f"nothing comes of {expression}"
            time.sleep(0.25)
        return found


@contextmanager
def watching(target, rules=None):
    """A Prometheus that looks at the metrics of `target`, while the `with` block lasts."""
    programs, data = directory(), fresh_directory("prometheus")
    settings = {
        "global": {"scrape_interval": "250ms", "evaluation_interval": "250ms"},
        "scrape_configs": [{"job_name": "triton", "static_configs": [{"targets": [target]}]}],
    }
    if rules:
        (data / "rules.yml").write_text(rules)
        settings["rule_files"] = ["rules.yml"]
    # JSON is YAML.
    (data / "prometheus.yml").write_text(json.dumps(settings))
    (port,) = free_ports(1)
    address, log = f"127.0.0.1:{port}", data / "log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [
                programs / "prometheus",
                f"--config.file={data}/prometheus.yml",
                f"--storage.tsdb.path={data}/data",
                f"--web.listen-address={address}",
            ],
            cwd=data,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "GOMAXPROCS": "1"},
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://{address}/-/ready", timeout=5).close()
                break
            except OSError:
                assert running.poll() is None and time.monotonic() < deadline, log.read_text(errors="replace")
                time.sleep(0.1)
        yield Prometheus(address, log)
    finally:
        running.terminate()
        running.wait(30)
