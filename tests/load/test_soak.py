"""The command that soaks a server, for a short while, with both forms; and that it tells what it must."""

import json
import subprocess

import pytest

from load.material import FORMS
from load.report import COLUMNS, Report, percentiles
from support.environment import variable
from support.repository import fresh_directory

pytestmark = pytest.mark.alone

MINUTES = 0.3
STREAMS = 300
INTERVAL = 4


@pytest.mark.parametrize("form", FORMS)
def test_a_short_soak(form):
    out = fresh_directory("soak")
    command = [variable("XTASK"), "soak", f"--minutes={MINUTES}", f"--streams={STREAMS}", f"--interval={INTERVAL}"]
    command += [f"--out={out}", *(["--pipeline"] if form == "pipeline" else [])]
    # In so short a run memory is still warming up: the bound on its slope is for longer ones.
    run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    print(run.stdout, run.stderr)
    told = json.loads((out / "soak.json").read_text(encoding="utf-8"))
    assert [fault for fault in told["faults"] if not fault.startswith("memory grows")] == []
    assert (run.returncode == 0) == (not told["faults"])
    assert told["form"] == form
    assert (told["failed"], told["wrong_texts"], told["lost_answers"]) == (0, 0, 0)
    assert told["most_open_streams"] == STREAMS
    assert told["streams"] > STREAMS
    assert told["requests"] > 3 * STREAMS
    kinds = {f"{model}, {protocol}" for model in ("sensevoice", "infer_pipeline") for protocol in ("HTTP", "gRPC")}
    kinds |= {f"streaming_paraformer, {protocol}" for protocol in ("HTTP", "gRPC", "gRPC stream")}
    assert set(told["latencies_ms"]) == kinds
    assert sum(each["answers"] for each in told["latencies_ms"].values()) == told["requests"]
    assert told["descriptors_after"] <= told["descriptors_before"]
    # What the models and their runtime take once, and far from what a leak of a request's audio would make.
    assert told["memory_mb_most"] < 1500
    rows = (out / "soak.csv").read_text().splitlines()
    assert rows[0].split(",") == COLUMNS and len(rows) > 10
    for plot in ("memory.svg", "latency.svg", "descriptors.svg"):
        assert (out / plot).read_text().startswith("<svg")


def report(grows=0.0, descriptors=0.0, **figures):
    """A run of 120 000 requests, after warm-up 60 000, in which memory grows by so many MB per 10 000."""
    made = Report("ensemble", seconds=1200, requests=120_000, **figures)
    for second in range(0, 1200, 5):
        requests = 100 * second
        made.samples.append(
            {
                "seconds": second,
                "requests": requests,
                # A warm-up that does not count, and the ups and downs of an allocator.
                "resident_mb": 300 + min(second, 150) + grows * requests / 10_000 + second % 2,
                "descriptors": 70 + descriptors * requests / 10_000,
                "threads": 50,
            }
        )
    return made


def test_a_flat_run_has_no_fault():
    flat = report(grows=0.5)
    assert flat.faults() == []
    assert flat.slope("resident_mb")[0] == pytest.approx(0.5, abs=0.02)
    assert flat.summary()["requests_after_warm_up"] == pytest.approx(60_000, rel=0.02)


FAULTS = {
    "memory": ({"grows": 2.0}, "memory grows by 2.0"),
    "descriptors": ({"descriptors": 60}, "file descriptors grow by 60.0"),
    "descriptors left": ({"descriptors_before": 70, "descriptors_after": 71}, "70 file descriptors before, 71 after"),
    "wrong": ({"wrong": 1}, "1 texts are not those of the recording alone"),
    "lost": ({"lost": 3}, "3 requests have no answer"),
    "failed": ({"failed": 2}, "2 failed"),
    "died": ({"server_died": True}, "has died"),
    "counted": ({"uncounted": {"sensevoice": 1}}, "counts otherwise"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_told(name):
    figures, words = FAULTS[name]
    (fault,) = report(**figures).faults()
    assert words in fault


def test_percentiles_are_milliseconds():
    assert percentiles([each / 1000 for each in range(101)]) == {50: 50.0, 95: 95.0, 99: 99.0}
    assert percentiles([]) == {50: "", 95: "", 99: ""}
