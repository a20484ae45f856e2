"""Requests that share executions, and keep their own fate."""

import numpy as np
import pytest
from harness import batching, io, parameter, tensor
from tritonclient.utils import InferenceServerException

ADD = io(
    [tensor("a", "FP32", [-1]), tensor("b", "FP32", [-1])],
    [tensor("sum", "FP32", [-1]), tensor("difference", "FP32", [-1])],
)
RAGGED = io(
    [tensor("a", "FP32", [-1], "allow_ragged_batch: true"), tensor("b", "FP32", [-1], "allow_ragged_batch: true")],
    [tensor("sum", "FP32", [-1])],
)
LOOKUP = io(
    [tensor("index", "INT32", [1], "reshape { shape: [ ] }"), tensor("x", "FP32", [2])],
    [tensor("row", "FP32", [2]), tensor("doubled", "FP32", [2])],
)
SLOW = io([tensor("x", "FP32", [256])], [tensor("y", "FP32", [256])])


@pytest.fixture(scope="module")
def models(repository, onnx_server):
    repository.add("add", batching(16) + ADD, "add.onnx")
    repository.add("add_four", batching(16, preferred=4) + ADD, "add.onnx")
    repository.add("ragged", batching(8, preferred=6) + parameter("group_by_shape", "true") + RAGGED, "add.onnx")
    repository.add("lookup_four", batching(16, preferred=4) + LOOKUP, "lookup.onnx")
    repository.add("lookup_isolated", batching(16, preferred=4) + parameter("isolate_failures", "true") + LOOKUP, "lookup.onnx")
    flat = io([tensor("x", "FP32", [3])], [tensor("y", "FP32", [1], "reshape { shape: [ ] }")])
    repository.add("flat", batching(4) + flat, "flat.onnx")
    instances = "instance_group [ { count: 3 kind: KIND_CPU } ]\n"
    threads = parameter("intra_op_thread_count", 1)
    repository.add("slow_own", "max_batch_size: 4\n" + instances + threads + SLOW, "slow.onnx")
    repository.add("slow_shared", "max_batch_size: 4\n" + instances + threads + parameter("share_session", "true") + SLOW, "slow.onnx")
    for name in ("add", "add_four", "ragged", "lookup_four", "lookup_isolated", "flat", "slow_own", "slow_shared"):
        onnx_server.client.load_model(name)


def pair(rng, rows, width):
    return {name: rng.standard_normal((rows, width)).astype(np.float32) for name in "ab"}


def test_each_request_gets_its_own_rows(models, infer, together, statistics, rng):
    sent = [pair(rng, rows, 5) for rows in (1, 2, 1)]
    got = together([lambda one=one: infer("add_four", one) for one in sent])
    for outputs, one in zip(got, sent):
        np.testing.assert_array_equal(outputs["sum"], one["a"] + one["b"])
        np.testing.assert_array_equal(outputs["difference"], one["a"] - one["b"])
    stats, batches = statistics("add_four", 3)
    assert batches == {4: 1}
    assert (stats.execution_count, stats.inference_count) == (1, 4)
    assert stats.inference_stats.success.count == 3
    durations = stats.inference_stats
    assert min(durations.compute_input.ns, durations.compute_infer.ns, durations.compute_output.ns) > 0


def test_requests_of_one_execution_may_ask_for_different_outputs(models, infer, together, rng):
    sent = [pair(rng, 1, 3) for _ in range(4)]
    wanted = [["sum"], ["difference"], ["sum", "difference"], None]
    got = together([lambda one=one, names=names: infer("add_four", one, names) for one, names in zip(sent, wanted)])
    for outputs, one, names in zip(got, sent, wanted):
        assert set(outputs) == set(names or ["sum", "difference"])
        if "sum" in outputs:
            np.testing.assert_array_equal(outputs["sum"], one["a"] + one["b"])
        if "difference" in outputs:
            np.testing.assert_array_equal(outputs["difference"], one["a"] - one["b"])


def test_requests_of_different_lengths_share_an_execution(models, infer, together, statistics, rng):
    widths = [3, 7, 3, 1, 7, 3]
    sent = [pair(rng, 1, width) for width in widths]
    got = together([lambda one=one: infer("ragged", one) for one in sent])
    for outputs, one in zip(got, sent):
        np.testing.assert_array_equal(outputs["sum"], one["a"] + one["b"])
    stats, batches = statistics("ragged", 6)
    assert batches == {6: 1}


def test_rows_without_elements(models, infer):
    empty = np.zeros((3, 0), np.float32)
    got = infer("add", {"a": empty, "b": empty})
    assert got["sum"].shape == (3, 0)


def lookups(infer, together, model, indices):
    """What came of one request for each index, all in one batch."""

    def call(index):
        x = np.array([[index, 0.5]], np.float32)
        return infer(model, {"index": np.array([[index]], np.int32), "x": x})

    return together([lambda index=index: call(index) for index in indices], errors=True)


def assert_looked_up(outcome, index):
    row = index % 4
    np.testing.assert_array_equal(outcome["row"], [[2 * row, 2 * row + 1]])
    np.testing.assert_array_equal(outcome["doubled"], [[2 * index, 1]])


def test_a_batch_that_fails_fails_all_its_requests(models, onnx_server, infer, together, statistics):
    got = lookups(infer, together, "lookup_four", [1, 99, 3, -1])
    stats = statistics("lookup_four", 4)[0]
    assert (stats.inference_stats.success.count, stats.inference_stats.fail.count) == (0, 4)
    assert len({outcome.message() for outcome in got}) == 1
    for outcome in got:
        assert outcome.status() == "StatusCode.INTERNAL"
        message = outcome.message()
        assert message.startswith("onnx runtime error 2: Non-zero status code returned while running Gather node."), message
        assert "idx=99" in message and "lookup" not in message and "INT32" not in message
    # The log is not as terse.
    lines = [line for line in onnx_server.log().splitlines() if "model 'lookup_four': ONNX Runtime: Non-zero status" in line]
    assert len(lines) == 1
    assert lines[0].startswith("W") and "the inputs: index INT32[1] = [" in lines[0]
    # Nothing is left of it.
    for index, outcome in zip([1, 2, 3, -1], lookups(infer, together, "lookup_four", [1, 2, 3, -1])):
        assert_looked_up(outcome, index)


def test_with_isolate_failures_an_error_belongs_to_the_request_that_caused_it(models, infer, together, statistics):
    indices = [1, 99, 3, -1]
    got = lookups(infer, together, "lookup_isolated", indices)
    stats, batches = statistics("lookup_isolated", 4)
    assert batches == {4: 1}
    assert (stats.inference_stats.success.count, stats.inference_stats.fail.count) == (3, 1)
    for index, outcome in zip(indices, got):
        if index == 99:
            message = outcome.message()
            for part in ("'lookup_isolated'", "idx=99", "index INT32[1] = [99]", "x FP32[1,2] = [99, 0.5]"):
                assert part in message, message
            assert outcome.status() == "StatusCode.INVALID_ARGUMENT"
        else:
            assert_looked_up(outcome, index)


def test_many_values_are_not_quoted(models, infer):
    sent = {"index": np.full((16, 1), 70000, np.int32), "x": np.full((16, 2), 0.123456, np.float32)}
    with pytest.raises(InferenceServerException) as error:
        infer("lookup_isolated", sent)
    assert "index INT32[16]," in error.value.message()
    assert error.value.message().endswith("x FP32[16,2]")


def test_shapes_that_the_model_refuses(models, onnx_server, infer):
    sent = {"a": np.zeros((2, 3), np.float32), "b": np.zeros((2, 4), np.float32)}
    with pytest.raises(InferenceServerException, match="^.StatusCode.INTERNAL. onnx runtime error 1: Non-zero"):
        infer("add", sent)
    assert "'add': ONNX Runtime: " in onnx_server.log()
    assert "a FP32[2,3] = [0, 0, 0, 0, 0, 0], b FP32[2,4]" in onnx_server.log()


def test_an_output_that_is_no_batch(models, infer):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    with pytest.raises(InferenceServerException, match=r"'flat'.*output 'y' has shape \[6\].*batch, 2"):
        infer("flat", {"x": x})


@pytest.mark.parametrize("model", ["slow_own", "slow_shared"])
def test_instances_side_by_side(models, infer, together, statistics, rng, model):
    sent = [rng.standard_normal((1, 256)).astype(np.float32) for _ in range(24)]
    got = together([lambda x=x: infer(model, {"x": x}) for x in sent])
    for outputs, x in zip(got, sent):
        np.testing.assert_allclose(outputs["y"], x, rtol=1e-5)
    stats = statistics(model, 24)[0]
    assert stats.execution_count == 24
    durations = stats.inference_stats
    # Sending an answer may wait for a processor; reading this little input takes next to nothing.
    assert durations.compute_infer.ns > durations.compute_input.ns
