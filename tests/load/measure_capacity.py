"""What a chunk of a stream, and a second of a recording, costs the server in processor time; no test by itself.

`cargo xtask test --only server -- -s tests/load/measure_capacity.py`

It prints what benches/capacity/figures.json holds. Processor time, not seconds: it is nearly the same whatever else the machine does.
"""

import json
import os
import threading
from functools import partial
from itertools import cycle

import numpy as np
import pytest

from paraformer.streaming import send
from support.client import GRPC, serving
from support.environment import variable
from support.load import many_at_a_time
from support.recordings import WITH_ITN, recordings

FORMS = {"ensemble": (), "pipeline": ("--model-config-name=pipeline",)}
CHUNK = 9600
CHUNKS = 1600
SPEECH = np.concatenate([each.samples for each in recordings()])
PIECES = [SPEECH[at : at + CHUNK] for at in range(0, len(SPEECH) - CHUNK, CHUNK)]


def seconds(server):
    """The processor time that a server has taken so far."""
    with open(f"/proc/{server.process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def streams(client, count, ids):
    """So many endless streams, each chunk sent when the one before is answered."""
    each = CHUNKS // count

    def stream(number):
        pieces = cycle(PIECES[number % len(PIECES) :] + PIECES[: number % len(PIECES)])
        for at in range(each):
            send(client, next(pieces), number, at == 0, at == each - 1, GRPC)

    threads = [threading.Thread(target=stream, args=(next(ids),)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return each * count


@pytest.mark.parametrize("form", FORMS)
def test_processor_time(form):
    ids = iter(range(1, 100_000))
    told = {"chunk_core_ms": {}, "audio_core_ms_per_s": {}}
    with serving(variable("ALL_REPO"), *FORMS[form]) as client:
        streams(client, 4, ids)
        for count in (1, 4, 16, 64):
            before = seconds(client.server)
            sent = streams(client, count, ids)
            told["chunk_core_ms"][count] = round((seconds(client.server) - before) / sent * 1000, 3)
        long = np.tile(SPEECH, 2)[: 10 * 16_000]
        for name, wavs in {"recordings": [each.samples for each in recordings()], "10 s": [long]}.items():
            calls = [partial(client.transcribe, [wav], WITH_ITN, protocol=GRPC) for wav in wavs] * (200 // len(wavs))
            before = seconds(client.server)
            many_at_a_time(client, calls, threads=16)
            audio = sum(len(wav) for wav in wavs) / 16_000 * (200 // len(wavs))
            told["audio_core_ms_per_s"][name] = round((seconds(client.server) - before) / audio * 1000, 3)
    print("\n" + json.dumps({form: told}))
