"""Client processes that are killed while the server works for them, and while they send."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest

from faults import doomed, raw, traffic, vitals
from faults.repositories import FEW
from support.environment import PROJECT
from support.load import at_once

OFFLINE = "sensevoice_held"
REQUESTS = 12
ROUNDS = 4


@contextlib.contextmanager
def client_process(faulty, protocol, streaming, first):
    """A client that has sent everything; killed at the end of the `with` block."""
    address = getattr(faulty.client.server, protocol)
    path = os.pathsep.join([str(PROJECT / "tests"), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, doomed.__file__, protocol, address, OFFLINE, streaming, str(first), str(REQUESTS)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        assert process.stdout.readline() == "sent\n"
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_clients_killed_while_the_server_works_for_them(faulty, ids, protocol):
    """Others get right texts meanwhile; afterwards nothing of the dead is left, and their models serve on."""
    client, server, streaming = faulty.client, faulty.client.server, "streaming_held_encoder"
    traffic.ask_sensevoice(client, 0, model=OFFLINE)
    client.close()
    files, sizes = vitals.open_files(server), []
    for _ in range(ROUNDS):
        first = [next(ids) for _ in range(REQUESTS)][0]
        with faulty.gate.held():
            with client_process(faulty, protocol, streaming, first):
                with traffic.Traffic(client, traffic.of_all_kinds(client, ids)) as others:
                    others.wait_for(1)
            with traffic.Traffic(client, traffic.of_all_kinds(client, ids)) as others:
                others.wait_for(1)
        # The requests are computed, or were found to be cancelled. No answer has a reader.
        assert vitals.comes_true(lambda: vitals.pending(client) == 0)
        traffic.ask_sensevoice(client, 1, model=OFFLINE)
        sizes.append(vitals.resident_megabytes(server))
    print("memory", [round(size) for size in sizes], "MB")
    # The heap finds its size in the first two rounds. What a round sends is REQUESTS times 4 MB: twice as much would be left.
    assert sizes[-1] < sizes[1] + REQUESTS * 4
    # Every slot is free, at once or when the stream was idle for too long.
    calls = [lambda: traffic.stream(client, ids, 2, model=streaming)] * (2 * FEW)
    at_once(client, calls)
    client.close()
    assert vitals.comes_true(lambda: vitals.open_files(server) <= files), (files, vitals.open_files(server))


def test_bodies_that_end_in_the_middle(faulty, ids):
    """Connections closed, reset or left open at any byte of a request: no other notices, and none of them stays."""
    client, server = faulty.client, faulty.client.server
    whole, head = raw.http_request("sensevoice", raw.speech(doomed.audio(2), LANGUAGE=0, TEXT_NORM=14))
    client.close()
    files = vitals.open_files(server)
    dice = np.random.default_rng(3)
    places = [1, 20, head - 1, head, head + 1, len(whole) - 1, *dice.integers(1, len(whole), 40).tolist()]
    with traffic.Traffic(client, traffic.of_all_kinds(client, ids)) as others:
        open_ones = []
        for number, place in enumerate(places):
            connection = raw.connected(server.http)
            connection.sendall(whole[:place])
            if number % 3 == 1:
                raw.reset(connection)
            elif number % 3 == 2:
                connection.close()
            else:
                open_ones.append(connection)
        others.wait_for(2)
        for connection in open_ones:
            connection.close()
        others.wait_for(1)
    assert vitals.comes_true(lambda: vitals.open_files(server) <= files), (files, vitals.open_files(server))
    assert vitals.pending(client) == 0
