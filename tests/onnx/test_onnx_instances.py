"""What several instances of a model have in common."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from harness import Repository, Server, parameter
from long_audio import ENCODER, add_encoder, request

INSTANCES = 8


def own_memory(process):
    """MiB that nobody else has."""
    lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:")) / 1024


@pytest.fixture
def encoder(tmp_path):
    """encoder(name, instances, config) -> (MiB of the server's own, the answers to a request asked of all at a time)"""

    def encoder(name, instances, config=""):
        directory = tmp_path / name
        repository = Repository(directory / "repository")
        add_encoder(repository, "encoder", config, instances)
        with Server(repository, directory) as server:
            server.client.load_model("encoder")
            with ThreadPoolExecutor(2 * INSTANCES) as pool:
                asked = [pool.submit(server.client.infer, "encoder", request(3)) for _ in range(4 * INSTANCES)]
                answers = [one.result().as_numpy("ctc_logits") for one in asked]
            return own_memory(server.process), answers

    return encoder


def test_weights_are_there_once(encoder):
    one, (alone, *_) = encoder("one", 1)
    shared, answers = encoder("shared", INSTANCES)
    apart, others = encoder("apart", INSTANCES, parameter("share_weights", "false"))
    print(f"{one:.0f} MiB with one instance, {INSTANCES} instances: {shared:.0f} MiB, each with its own weights {apart:.0f} MiB")
    # What else an instance needs, it needs either way.
    assert apart - shared > 0.6 * (INSTANCES - 1) * ENCODER.stat().st_size / 2**20
    for answer in answers + others:
        np.testing.assert_array_equal(answer, alone)
