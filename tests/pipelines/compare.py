"""Throughput of the pipelines against the ensembles: the same models, machine and requests, in one run.

    cargo xtask test --only server -- --co -q     # once: builds and fetches
    TRITONSERVER=… BACKENDS_DIR=… ALL_REPO=… SCRATCH_DIR=… PYTHONPATH=… python3 tests/pipelines/compare.py

The variables are those of xtask/README.md. Rounds of both alternate; the best of each counts, since other programs only take away.
"""

import itertools
import os
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from paraformer.streaming import send_all  # noqa: E402
from paraformer.test_offline import ask  # noqa: E402
from pipelines import variants  # noqa: E402
from pipelines.audio import SAMPLE_RATE, cut, made_up, of_many_lengths  # noqa: E402
from support.client import GRPC, serving  # noqa: E402
from support.load import counted, many_at_a_time  # noqa: E402
from support.recordings import WITH_ITN  # noqa: E402

ROUNDS = 3
CONNECTIONS = 16


def sensevoice(client, _, model="sensevoice"):
    """200 requests of different lengths."""
    audio = of_many_lengths(200)
    return audio, [partial(client.transcribe, [each], WITH_ITN, protocol=GRPC, model=model) for each in audio]


def infer_pipeline(client, _):
    """The same, but none with nothing to hear: the ensemble would fail."""
    audio = of_many_lengths(200, least=6)
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


def measure(client, encoder, audio, calls):
    """Seconds of audio per second, per second of the server's processor time, and rows per execution of the encoder."""
    before = client.statistics_at_rest(encoder)
    started, computing = time.monotonic(), processor_seconds(client)
    many_at_a_time(client, calls, CONNECTIONS)
    took, computed = time.monotonic() - started, processor_seconds(client) - computing
    after = client.statistics_at_rest(encoder)
    rows = counted(before, after, "inference_count") / counted(before, after, "execution_count")
    seconds = sum(map(len, audio)) / SAMPLE_RATE
    return seconds / took, seconds / computed, rows


def processor_seconds(client):
    """What the server has used of the processors so far."""
    fields = Path(f"/proc/{client.server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    """Prints a line per model."""
    repository, ids = variants.repository(), itertools.count(1)
    with serving(repository, variants.SOON) as ensembles, serving(repository, variants.SOON, variants.PIPELINE) as pipelines:
        for work, encoder in ENCODERS.items():
            forms = {"ensemble": (ensembles, work), "pipeline": (pipelines, work)}
            if work is sensevoice:
                forms["pipeline, a row per call"] = (pipelines, partial(work, model="sensevoice_single"))
            best = dict.fromkeys(forms, (0, 0, 0))
            for _ in range(ROUNDS):
                for form, (client, calls_of) in forms.items():
                    best[form] = max(best[form], measure(client, encoder, *calls_of(client, ids)))
            for form, (speed, thrift, rows) in best.items():
                ratio, saving = speed / best["ensemble"][0], thrift / best["ensemble"][1]
                print(
                    f"{work.__name__}, {form}: {speed:.0f} x real time, {ratio:.2f} of the ensemble; per processor second "
                    f"{saving:.2f} of the ensemble; {rows:.2f} rows per call",
                    flush=True,
                )


if __name__ == "__main__":
    main()
