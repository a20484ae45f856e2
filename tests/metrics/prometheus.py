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

from support.debian import unpacked
from support.repository import fresh_directory
from support.processes import tied
from support.server import free_ports

SECONDS = 120


@cache
def directory():
    """Where the programs are: the machine's own, or Debian's, fetched once. Skips where neither can be had."""
    installed = shutil.which("promtool")
    if installed and shutil.which("prometheus"):
        return Path(installed).parent
    return unpacked("prometheus", "prometheus") / "usr/bin"


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
            tied(
                [
                    programs / "prometheus",
                    f"--config.file={data}/prometheus.yml",
                    f"--storage.tsdb.path={data}/data",
                    f"--web.listen-address={address}",
                ]
            ),
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
