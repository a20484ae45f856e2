"""What a long request leaves of the memory it took."""

import time

import pytest
from harness import Repository, Server, parameter
from long_recordings import FRAMES_A_SECOND, Memory, add_encoder, transcribe

pytestmark = pytest.mark.alone

SECONDS = 180


def settled(memory):
    """What is taken once it has not become less for a second."""
    taken = memory.now()
    while True:
        time.sleep(1)
        before, taken = taken, memory.now()
        if taken > before - 5:
            return taken


@pytest.fixture
def left_over(tmp_path):
    """left_over(config) is the share that stays of what a long request took at its peak."""

    def left_over(config):
        repository = Repository(tmp_path / "repository")
        add_encoder(repository, "encoder", config)
        with Server(repository, tmp_path) as server:
            server.client.load_model("encoder")
            memory = Memory(server.process.pid)
            transcribe(server.client, "encoder", 2)
            before = memory.now()
            # The outputs of the last one lie in the midst of what it took.
            for seconds in (SECONDS, 2, SECONDS):
                memory.reset()
                assert transcribe(server.client, "encoder", seconds)[:2] == (1, round(seconds * FRAMES_A_SECOND) + 4)
            peak = memory.peak()
            after = settled(memory)
        print(f"{before:.0f} MiB before, {peak:.0f} MiB at the peak, {after:.0f} MiB after")
        assert peak - before > 300
        return (after - before) / (peak - before)

    return left_over


def test_memory_comes_back_after_a_long_request(left_over):
    assert left_over("") < 0.3


def test_an_empty_parameter_keeps_the_memory(left_over):
    assert left_over(parameter("memory.enable_memory_arena_shrinkage", "")) > 0.7

