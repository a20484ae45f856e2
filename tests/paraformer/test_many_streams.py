"""Ten thousand streams leave nothing behind: no memory, and no sequence slot."""

import collections
import itertools
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from paraformer.reference_chain import StreamingChain
from paraformer.repositories import ONLINE_STEPS, online_repository
from paraformer.streaming import send_all
from paraformer.texts import CHUNK, ONLINE, streams
from support.client import GRPC, serving
from support.load import many_at_a_time

pytestmark = pytest.mark.alone

STREAMS = 10_000
ROUND = 1_000
WARM_UP_ROUNDS = 3
THREADS = 8
# 600 bytes a stream: the heap levels off only after some thousand. One cache of 128 x 10 has 5120.
MEGABYTES_FLAT = 6

SPOKEN = streams()[9]
SILENCE = np.zeros(CHUNK, np.float32)
# With tokens at once, without any, with a last chunk that fires none, so that a throwaway call must end the decoder.
SHORT = (
    [SPOKEN.chunks[0]],
    [SILENCE],
    [streams()[4].chunks[2], SILENCE],
    [SILENCE, SPOKEN.chunks[0]],
    [SPOKEN.chunks[0][:5000]],
)


@pytest.fixture
def client():
    """A client of a server of its own."""
    with serving(online_repository()) as client:
        yield client


def resident_megabytes(client):
    """The server's resident memory."""
    status = Path(f"/proc/{client.server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def test_memory_stays_flat_and_no_slot_leaks(client):
    """The last round is logged as with --log-verbose=1: had others lost a slot, higher ones would be in use now."""
    chain = StreamingChain(ONLINE)
    expected = [chain.transcribe(np.concatenate(chunks)) for chunks in SHORT]
    ids = [chain.ids(np.concatenate(chunks)) for chunks in SHORT]
    assert any(each[0] and not each[-1] for each in ids) and any(not any(each) for each in ids)
    ids = itertools.count(1)
    memory = []

    def send_round():
        kinds = [each % len(SHORT) for each in range(ROUND)]
        calls = [partial(send_all, client, SHORT[kind], next(ids), GRPC) for kind in kinds]
        assert many_at_a_time(client, calls, threads=THREADS) == [expected[kind] for kind in kinds]
        memory.append(resident_megabytes(client))

    for _ in range(WARM_UP_ROUNDS + STREAMS // ROUND):
        send_round()
    warm = memory[WARM_UP_ROUNDS - 1 :]
    growth = np.polyfit(np.arange(len(warm)), warm, 1)[0] * (len(warm) - 1)
    assert growth < MEGABYTES_FLAT, memory

    client.http.update_log_settings({"log_verbose_level": 1})
    first = next(ids) + 1
    send_round()
    assert_no_slot_leaked(client.server.log_path, set(map(str, range(first, first + ROUND))))


def assert_no_slot_leaked(log_path, streams):
    """As many sequences ended as began, in every model's batcher, in few slots, and none was ended for being idle."""
    began, ended, slots = (collections.defaultdict(set) for _ in range(3))
    with log_path.open(errors="replace") as log:
        for line in log:
            assert "force-end" not in line, line
            if enqueued := re.search(r"Enqueuing CORRID (\d+) into batcher (\w+?)_\d+_\d+, sequence slot (\d+)", line):
                stream, model, slot = enqueued.groups()
                began[model].add(stream)
                slots[model].add(slot)
            elif end := re.search(r"end sequence CORRID (\d+) in batcher (\w+?)_\d+_\d+, slot", line):
                ended[end[2]].add(end[1])
    for model in ONLINE_STEPS:
        assert began[model] == ended[model] == streams, model
    # Its sequences have numbers of their own, used again when they ended.
    assert 0 < len(began["decoder"]) <= 2 * THREADS and began["decoder"] == ended["decoder"], began["decoder"]
    for model, used in slots.items():
        # The server always takes the first free slot.
        assert set(map(int, used)) <= set(range(2 * THREADS)), (model, used)
