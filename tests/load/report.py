"""The figures of a run, what is too much, and the files they are written to."""

import csv
import json
from dataclasses import dataclass, field

import numpy as np

from load.traffic import CONNECTIONS, MODELS

PERCENTILES = (50, 95, 99)
# What the slopes are given for.
REQUESTS = 10_000
# How much of a run is warm-up: at most so long. The longer a run, the rarer are moments in which more is under way than ever before, for which
# the allocator's pools grow: with a thousand streams they are nearly done after ten minutes.
WARM_UP_SECONDS, WARM_UP_PART = 600, 1 / 2

MAX_MB_PER_10_000 = 1
# In a short run a few MB are the allocator's own ups and downs, whatever slope they make.
MAX_MB_IN_ALL = 6
MAX_DESCRIPTORS_PER_10_000 = 1
# The clients' connections come and go with the load; none may be left in the end, whatever the slope.
MAX_DESCRIPTORS_IN_ALL = 2 * CONNECTIONS


@dataclass
class Report:
    """A run. `samples` are the rows of soak.csv."""

    form: str
    seconds: float = 0
    requests: int = 0
    answered: dict = field(default_factory=dict)
    streams: int = 0
    most_open_streams: int = 0
    failed: int = 0
    wrong: int = 0
    lost: int = 0
    words: list = field(default_factory=list)
    # By model and protocol: how many answers, percentiles in ms.
    latencies: dict = field(default_factory=dict)
    # By model: how many more answers the server has counted than came.
    uncounted: dict = field(default_factory=dict)
    descriptors_before: int = 0
    descriptors_after: int = 0
    server_died: bool = False
    samples: list = field(default_factory=list)

    def warm(self):
        """The samples after warm-up."""
        begin = min(WARM_UP_SECONDS, self.seconds * WARM_UP_PART)
        return [each for each in self.samples if begin <= each["seconds"] <= self.seconds]

    def slope(self, column):
        """How much a column grows per 10 000 requests after warm-up, by linear regression; and over all of them."""
        warm = self.warm()
        requests = np.array([each["requests"] for each in warm], float)
        if len(warm) < 3 or requests[0] == requests[-1]:
            return 0.0, 0.0
        slope = np.polyfit(requests, [each[column] for each in warm], 1)[0]
        return float(slope * REQUESTS), float(slope * (requests[-1] - requests[0]))

    def faults(self):
        """What must not be, in words."""
        memory, memory_in_all = self.slope("resident_mb")
        descriptors, descriptors_in_all = self.slope("descriptors")
        found = {
            "the server has died": self.server_died,
            f"{self.failed} failed": self.failed,
            f"{self.wrong} texts are not those of the recording alone": self.wrong,
            f"{self.lost} requests have no answer": self.lost,
            f"the server counts otherwise: {self.uncounted}": any(self.uncounted.values()),
            f"memory grows by {memory:.2f} MB per {REQUESTS} requests": memory > MAX_MB_PER_10_000
            and memory_in_all > MAX_MB_IN_ALL,
            f"file descriptors grow by {descriptors:.1f} per {REQUESTS} requests": descriptors
            > MAX_DESCRIPTORS_PER_10_000
            and descriptors_in_all > MAX_DESCRIPTORS_IN_ALL,
            f"{self.descriptors_before} file descriptors before, {self.descriptors_after} after": self.descriptors_after
            > self.descriptors_before,
            "nothing was asked": not self.requests,
        }
        return [words for words, fault in found.items() if fault]

    def summary(self):
        """The figures by name."""
        memory, memory_in_all = self.slope("resident_mb")
        descriptors, _ = self.slope("descriptors")
        threads, _ = self.slope("threads")
        warm = self.warm() or self.samples
        return {
            "form": self.form,
            "seconds": round(self.seconds, 1),
            "requests": self.requests,
            "streams": self.streams,
            "most_open_streams": self.most_open_streams,
            "failed": self.failed,
            "wrong_texts": self.wrong,
            "lost_answers": self.lost,
            "requests_after_warm_up": warm[-1]["requests"] - warm[0]["requests"] if warm else 0,
            "memory_mb_warm": round(warm[0]["resident_mb"], 1) if warm else None,
            "memory_mb_end": round(warm[-1]["resident_mb"], 1) if warm else None,
            "memory_mb_most": round(max((each["resident_mb"] for each in self.samples), default=0), 1),
            "memory_mb_per_10000_requests": round(memory, 3),
            "memory_mb_trend_after_warm_up": round(memory_in_all, 2),
            "descriptors_per_10000_requests": round(descriptors, 3),
            "descriptors_before": self.descriptors_before,
            "descriptors_after": self.descriptors_after,
            "threads_per_10000_requests": round(threads, 3),
            "latencies_ms": self.latencies,
            "faults": self.faults(),
        }

    def write(self, directory):
        """Writes soak.json, and soak.csv with a row per sample."""
        text = json.dumps({**self.summary(), "words": self.words}, indent=2, ensure_ascii=False)
        (directory / "soak.json").write_text(text + "\n", encoding="utf-8")
        with (directory / "soak.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.samples)

    def __str__(self):
        lines = []
        for name, value in self.summary().items():
            if name not in ("latencies_ms", "faults"):
                lines.append(f"{name:<32} {value}")
        lines.append(f"\n{'latency':<36} {'answers':>9} " + " ".join(f"{f'p{each}':>9}" for each in PERCENTILES))
        for kind, figures in self.latencies.items():
            times = " ".join(f"{figures[f'p{each}']:>6.1f} ms" for each in PERCENTILES)
            lines.append(f"{kind:<36} {figures['answers']:>9} {times}")
        return "\n".join([*lines, *self.words])


COLUMNS = ["seconds", "requests", "open_streams", "resident_mb", "descriptors", "threads", "processors"]
COLUMNS += [f"{model}_p{each}_ms" for model in MODELS for each in PERCENTILES]


def percentiles(latencies):
    """Of seconds, in ms; nothing of nothing."""
    if not len(latencies):
        return dict.fromkeys(PERCENTILES, "")
    return {each: round(float(value) * 1000, 2) for each, value in zip(PERCENTILES, np.percentile(latencies, PERCENTILES))}
