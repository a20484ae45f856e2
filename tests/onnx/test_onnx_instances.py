"""What several instances of a model have in common: weights and threads."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc
from harness import Repository, Server, io, parameter, tensor
from long_audio import ENCODER, add_encoder, request

INSTANCES = 8
SLOW = io([tensor("x", "FP32", [256])], [tensor("y", "FP32", [256])])


def group(count):
    return f"instance_group [ {{ count: {count} kind: KIND_CPU }} ]\n"


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


@pytest.fixture
def threads(tmp_path):
    """threads(name, config, *arguments) -> how many the server has with a model that was asked once"""

    def threads(name, config, *arguments):
        directory = tmp_path / name
        repository = Repository(directory / "repository")
        repository.add("slow", "max_batch_size: 4\n" + config + SLOW, "slow.onnx")
        arguments = [f"--backend-config=onnxruntime,{argument}" for argument in arguments]
        with Server(repository, directory, arguments=arguments) as server:
            server.client.load_model("slow")
            x = grpc.InferInput("x", [1, 256], "FP32").set_data_from_numpy(np.ones((1, 256), np.float32))
            server.client.infer("slow", [x])
            return len(os.listdir(f"/proc/{server.process.pid}/task"))

    return threads


def test_instances_have_a_pool_of_threads_in_common(threads):
    def about(count):
        # The server has one more now and then.
        return pytest.approx(count, abs=4)

    own = parameter("intra_op_thread_count", 21)
    one = threads("one", group(1), "intra_op_thread_count=5")
    # An instance has a thread of the server's, with which it computes.
    assert threads("four", group(4), "intra_op_thread_count=5") == about(one + 3)
    assert threads("wider", group(1), "intra_op_thread_count=45") == about(one + 40)
    # The pool is there, but those whose config says how many threads they have use their own.
    assert threads("own", group(4) + own, "intra_op_thread_count=45") == about(one + 40 + 3 + 4 * 20)
    assert threads("each", group(4) + own, "enable-global-threadpool=0") == about(one - 4 + 3 + 4 * 20)
