"""Throughput of the pipelines against the ensembles: the same models, machine and requests, in one run.

    cargo xtask test --only server -- --co -q     # once: builds and fetches
    TRITONSERVER=… BACKENDS_DIR=… ALL_REPO=… SCRATCH_DIR=… PYTHONPATH=… python3 tests/pipelines/compare.py

The variables are those of xtask/README.md. Rounds of both alternate; the best of each counts, since other programs only take away.
"""

import itertools
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from paraformer.streaming import send_all  # noqa: E402
from pipelines import variants  # noqa: E402
from pipelines.audio import SAMPLE_RATE, cut, made_up, of_many_lengths  # noqa: E402
from support.client import GRPC, serving  # noqa: E402
from support.load import counted, many_at_a_time  # noqa: E402
from support.recordings import WITH_ITN  # noqa: E402

ROUNDS = 4
CONNECTIONS = 16


def sensevoice(client, _):
    """200 requests of different lengths."""
    audio = of_many_lengths(200)
    return audio, [partial(client.transcribe, [each], WITH_ITN, protocol=GRPC) for each in audio]


def infer_pipeline(client, _):
    """The same."""
    from paraformer.test_offline import ask

    audio = of_many_lengths(200)
    return audio, [partial(ask, client, [each], protocol=GRPC) for each in audio]


def streaming_paraformer(client, ids):
    """64 streams in chunks of 600 ms, each after the answer to the one before."""
    audio = (made_up() * 4)[:64]
    return audio, [partial(send_all, client, cut(each, 9600), next(ids), GRPC) for each in audio]


ENCODERS = {
    sensevoice: "sensevoice_encoder",
    infer_pipeline: "paraformer_encoder",
    streaming_paraformer: "online_encoder",
}


def measure(client, work, ids):
    """Seconds of audio per second, and rows per execution of the encoder."""
    audio, calls = work(client, ids)
    before = client.statistics_at_rest(ENCODERS[work])
    started = time.monotonic()
    many_at_a_time(client, calls, CONNECTIONS)
    took = time.monotonic() - started
    after = client.statistics_at_rest(ENCODERS[work])
    rows = counted(before, after, "inference_count") / counted(before, after, "execution_count")
    return sum(map(len, audio)) / SAMPLE_RATE / took, rows


def main():
    """Prints a line per model."""
    repository = variants.common_repository()
    ids = itertools.count(1)
    with serving(repository, variants.SOON) as ensembles, serving(repository, variants.SOON, variants.PIPELINE) as pipelines:
        for work in ENCODERS:
            best = {}
            for _, (form, client) in itertools.product(range(ROUNDS), (("ensemble", ensembles), ("pipeline", pipelines))):
                best[form] = max(best.get(form, (0, 0)), measure(client, work, ids))
            ratio = best["pipeline"][0] / best["ensemble"][0]
            figures = ", ".join(f"{form} {speed:.0f} x real time ({rows:.2f} rows per call)" for form, (speed, rows) in best.items())
            print(f"{work.__name__}: {figures}: {ratio:.2f} times the ensemble's throughput")


if __name__ == "__main__":
    main()
