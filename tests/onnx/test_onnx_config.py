"""What a config may leave out, and what it must not say."""

import json

import numpy as np
import pytest
from harness import MODELS, batching, io, parameter, tensor
from tritonclient.utils import InferenceServerException

ADD_INPUTS = [tensor("a", "FP32", [-1]), tensor("b", "FP32", [-1])]
ADD_OUTPUTS = [tensor("sum", "FP32", [-1]), tensor("difference", "FP32", [-1])]
LENIENT = parameter("lenient_config", "true")


@pytest.fixture
def load(repository, onnx_server):
    """load(name, config, model) loads a model and returns its config."""

    def load(name, config, model, **options):
        repository.add(name, config, model, **options)
        onnx_server.client.load_model(name)
        return json.loads(_json(onnx_server.client.get_model_config(name)))["config"]

    return load


def _json(message):
    from google.protobuf.json_format import MessageToJson

    return MessageToJson(message, preserving_proto_field_name=True)


@pytest.fixture
def load_error(repository, onnx_server):
    """load_error(name, config, model) is why the model does not load."""

    def load_error(name, config, model, **options):
        repository.add(name, config, model, **options)
        return onnx_server.load_error(name)

    return load_error


def dims(tensors):
    return {each["name"]: [int(dim) for dim in each["dims"]] for each in tensors}


def test_no_config_at_all(load, infer):
    config = load("bare", None, "add.onnx")
    assert config["backend"] == "onnxruntime"
    assert config["max_batch_size"] == 4
    assert "dynamic_batching" in config
    assert dims(config["input"]) == {"a": [-1], "b": [-1]}
    assert dims(config["output"]) == {"sum": [-1], "difference": [-1]}
    assert {each["data_type"] for each in config["input"]} == {"TYPE_FP32"}
    ones = np.ones((3, 2), np.float32)
    np.testing.assert_array_equal(infer("bare", {"a": ones, "b": ones})["sum"], 2 * ones)


def test_a_batch_of_scalars_gets_a_reshape(load, infer):
    config = load("bare_lookup", "", "lookup.onnx")
    index = next(each for each in config["input"] if each["name"] == "index")
    assert index["dims"] == ["1"] and index["reshape"] == {}
    sent = {"index": np.array([[3], [0]], np.int32), "x": np.zeros((2, 2), np.float32)}
    np.testing.assert_array_equal(infer("bare_lookup", sent)["row"], [[6, 7], [0, 1]])


def test_a_file_that_cannot_batch(load, infer):
    config = load("bare_fixed", "", "fixed.onnx")
    assert config.get("max_batch_size", 0) == 0
    assert "dynamic_batching" not in config
    assert dims(config["input"]) == {"x": [2, 3]}
    assert dims(config["output"]) == {"total": [1]}
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert infer("bare_fixed", {"x": x})["total"].tolist() == [15]


def test_scalars(load, infer):
    config = load("bare_scalar", "", "scalar.onnx")
    assert dims(config["input"]) == {"limit": [1]}
    assert dims(config["output"]) == {"numbers": [-1], "count": [1]}
    got = infer("bare_scalar", {"limit": np.array([4], np.int64)})
    assert (got["numbers"].tolist(), got["count"].tolist()) == ([0, 1, 2, 3], [4])


def test_sizes_that_optimisations_find(load, infer):
    """What is filled in is what the session has that runs: with another one's sizes the model would be refused."""
    config = load("folded", None, "folded.onnx")
    assert dims(config["output"]) == {"y": [4]}
    x = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    np.testing.assert_array_equal(infer("folded", {"x": x})["y"], x.reshape(2, 4))


def test_files_for_other_gpus_are_told_not_to_be_looked_at(load, onnx_server):
    config = batching(4) + io(ADD_INPUTS, ADD_OUTPUTS)
    load("of_any_gpu", config, "add.onnx")
    load("of_each_gpu", config + 'cc_model_filenames { key: "9.0" value: "h100.onnx" }\n', "add.onnx")
    log = onnx_server.log()
    assert "model 'of_each_gpu': cc_model_filenames is not looked at" in log
    assert log.count("cc_model_filenames is not looked at") == 1


def test_outputs_alone_are_filled_in(load, infer):
    config = load("no_outputs", f"max_batch_size: 2\ninput [ {', '.join(ADD_INPUTS)} ]\n", "add.onnx")
    assert config["max_batch_size"] == 2
    assert dims(config["output"]) == {"sum": [-1], "difference": [-1]}


def test_inputs_written_with_their_batch_dimension(load, load_error, infer):
    inputs = [tensor("a", "FP32", [-1, -1]), tensor("b", "FP32", [-1, -1])]
    inputs = f"input [ {', '.join(inputs)} ]\n"
    message = load_error("whole_inputs_strictly", inputs, "add.onnx")
    assert "input 'a'" in message and "write dims: [ -1 ]" in message, message
    config = load("whole_inputs", LENIENT + inputs, "add.onnx")
    assert config.get("max_batch_size", 0) == 0
    assert dims(config["output"]) == {"sum": [-1, -1], "difference": [-1, -1]}
    ones = np.ones((5, 2), np.float32)
    np.testing.assert_array_equal(infer("whole_inputs", {"a": ones, "b": ones})["difference"], 0 * ones)


def test_fewer_outputs_than_the_file_has(load, infer):
    load("one_output", batching(4) + io(ADD_INPUTS, [tensor("sum", "FP32", [-1])]), "add.onnx")
    ones = np.ones((1, 2), np.float32)
    assert set(infer("one_output", {"a": ones, "b": ones})) == {"sum"}


def test_an_input_with_a_default(load, infer):
    inputs = [tensor("x", "FP32", [2]), tensor("scale", "FP32", [1], "optional: true")]
    load("scaled", io(inputs, [tensor("y", "FP32", [2])]), "scaled.onnx")
    x = np.array([1, 2], np.float32)
    np.testing.assert_array_equal(infer("scaled", {"x": x})["y"], [10, 20])
    np.testing.assert_array_equal(infer("scaled", {"x": x, "scale": np.array([3], np.float32)})["y"], [3, 6])


def test_a_directory_with_external_weights(load, infer):
    filename = 'default_model_filename: "weights"\n'
    outputs = [tensor("y", "FP32", [3]), tensor("z", "FP32", [3])]
    x = np.zeros((2, 3), np.float32)
    load("external", batching(4) + filename + io([tensor("x", "FP32", [3])], outputs), "external", filename="weights")
    assert infer("external", {"x": x})["y"].tolist() == [[1, 2, 3]] * 2
    load("external_z", batching(4) + filename + io([tensor("x", "FP32", [3])], outputs[1:]), "external", filename="weights")
    assert infer("external_z", {"x": x})["z"].tolist() == [[-1, -2, -3]] * 2


def test_an_output_that_the_config_does_not_list_is_not_computed(load, infer):
    inputs = [tensor("index", "INT32", [1], "reshape { shape: [ ] }"), tensor("x", "FP32", [2])]
    outputs = {name: tensor(name, "FP32", [2]) for name in ("row", "doubled")}
    load("lookup_whole", batching(4) + io(inputs, outputs.values()), "lookup.onnx")
    load("lookup_doubled", batching(4) + io(inputs, [outputs["doubled"]]), "lookup.onnx")
    # There is no row 99: who computes it fails.
    sent = {"index": np.array([[99]], np.int32), "x": np.ones((1, 2), np.float32)}
    with pytest.raises(InferenceServerException, match="idx=99"):
        infer("lookup_whole", sent, ["doubled"])
    assert infer("lookup_doubled", sent)["doubled"].tolist() == [[2, 2]]


def test_another_file_name(load, infer):
    lists = io(ADD_INPUTS, ADD_OUTPUTS)
    load("renamed", batching(4) + 'default_model_filename: "decoder.onnx"\n' + lists, "add.onnx", filename="decoder.onnx")
    ones = np.ones((1, 2), np.float32)
    np.testing.assert_array_equal(infer("renamed", {"a": ones, "b": ones})["sum"], 2 * ones)


OPTIONS = {
    "threads": parameter("intra_op_thread_count", 2) + parameter("inter_op_thread_count", 2) + parameter("execution_mode", 1),
    "defaults": parameter("intra_op_thread_count", 0) + parameter("execution_mode", 0),
    "memory": parameter("enable_mem_arena", 0)
    + parameter("enable_mem_pattern", 0)
    + parameter("session.use_device_allocator_for_initializers", 1),
    "shrinkage": parameter("memory.enable_memory_arena_shrinkage", "cpu:0"),
    "cuda": parameter("cudnn_conv_algo_search", 2) + parameter("gpu_mem_limit", 4294967200),
    "shrinkage_off": parameter("memory.enable_memory_arena_shrinkage", ""),
    "no_arena_to_shrink": parameter("enable_mem_arena", "OFF"),
    "as_the_official_backend_takes_them": parameter("intra_op_thread_count", -3)
    + parameter("enable_mem_arena", "True")
    + parameter("enable_mem_pattern", "off"),
    **{f"level{level}": f"optimization {{ graph {{ level: {level} }} }}\n" for level in (-1, 1, 2, 7)},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_that_are_known(onnx_server, load, infer, name):
    load(f"option_{name}", batching(4) + OPTIONS[name] + io(ADD_INPUTS, ADD_OUTPUTS), "add.onnx")
    ones = np.ones((2, 2), np.float32)
    np.testing.assert_array_equal(infer(f"option_{name}", {"a": ones, "b": ones})["sum"], 2 * ones)
    assert f"model 'option_{name}': the backend does not know" not in onnx_server.log()


def test_an_unknown_parameter_is_warned_of(onnx_server, load):
    config = batching(4) + parameter("intra_op_threads", 2) + parameter("zeal", 9) + io(ADD_INPUTS, ADD_OUTPUTS)
    load("unknown_parameter", config, "add.onnx")
    lines = [line for line in onnx_server.log().splitlines() if "'unknown_parameter': the backend does not know" in line]
    assert len(lines) == 1
    assert lines[0].startswith("W") and "intra_op_threads, zeal" in lines[0]


ADD = io(ADD_INPUTS, ADD_OUTPUTS)
BROKEN = {
    "execution_mode": (batching(4) + parameter("execution_mode", 2) + ADD, "add.onnx", ["'execution_mode'", "'2' is none of 0, 1"]),
    "thread_count": (batching(4) + parameter("intra_op_thread_count", "many") + ADD, "add.onnx", ["'intra_op_thread_count'", "'many'"]),
    "empty_number": (batching(4) + parameter("inter_op_thread_count", "") + ADD, "add.onnx", ["'inter_op_thread_count'", "''"]),
    "yes": (batching(4) + parameter("enable_mem_arena", "yes") + ADD, "add.onnx", ["'enable_mem_arena'", "'yes'", "true, on, 1"]),
    "gpu_arena": (
        batching(4) + parameter("memory.enable_memory_arena_shrinkage", "cpu:0;gpu:0") + ADD,
        "add.onnx",
        ["'memory.enable_memory_arena_shrinkage'", "'gpu:0'", "cpu:0;"],
    ),
    "arena_that_is_off": (
        batching(4) + parameter("enable_mem_arena", 0) + parameter("memory.enable_memory_arena_shrinkage", "cpu:0") + ADD,
        "add.onnx",
        ["'memory.enable_memory_arena_shrinkage'", "'cpu:0'", "no arena"],
    ),
    "ragged": (
        batching(4) + io([tensor("a", "FP32", [-1], "allow_ragged_batch: true"), ADD_INPUTS[1]], ADD_OUTPUTS),
        "add.onnx",
        ["input 'a'", "allow_ragged_batch", "group_by_shape: true"],
    ),
    "optional_without_default": (
        "max_batch_size: 0\n" + io([tensor("x", "FP32", [2, 3], "optional: true")], [tensor("total", "FP32", [1])]),
        "fixed.onnx",
        ["input 'x'", "no default"],
    ),
    "openvino": (
        batching(4) + 'optimization { execution_accelerators { cpu_execution_accelerator: [ { name: "openvino" } ] } }\n' + ADD,
        "add.onnx",
        ["accelerator OpenVINO", "built without it"],
    ),
    "accelerator": (
        batching(4) + 'optimization { execution_accelerators { cpu_execution_accelerator: [ { name: "dnnl" } ] } }\n' + ADD,
        "add.onnx",
        ["cpu_execution_accelerator 'dnnl'", "openvino"],
    ),
    "batch_input": (
        batching(4)
        + 'batch_input [ { kind: BATCH_ELEMENT_COUNT target_name: "n" data_type: TYPE_FP32 source_input: "a" } ]\n'
        + ADD,
        "add.onnx",
        ["batch_input is not supported"],
    ),
    "unknown_input": (
        batching(4) + io([*ADD_INPUTS, tensor("c", "FP32", [-1])], ADD_OUTPUTS),
        "add.onnx",
        ["input 'c'", "'a', 'b'"],
    ),
    "unknown_output": (
        batching(4) + io(ADD_INPUTS, [tensor("total", "FP32", [-1])]),
        "add.onnx",
        ["output 'total'", "'sum', 'difference'"],
    ),
    "unlisted_input": (batching(4) + io(ADD_INPUTS[:1], ADD_OUTPUTS), "add.onnx", ["input 'b'", "FP32 [-1,-1]", "'a'"]),
    "data_type": (
        batching(4) + io([ADD_INPUTS[0], tensor("b", "FP16", [-1])], ADD_OUTPUTS),
        "add.onnx",
        ["input 'b'", "TYPE_FP16", "FP32"],
    ),
    "rank": (
        batching(4) + io([ADD_INPUTS[0], tensor("b", "FP32", [-1, 2])], ADD_OUTPUTS),
        "add.onnx",
        ["input 'b'", "[-1,-1]", "[-1,-1,2]"],
    ),
    "dims": (
        "max_batch_size: 0\n" + io([tensor("x", "FP32", [2, 4])], [tensor("total", "FP32", [1])]),
        "fixed.onnx",
        ["input 'x'", "[2,3]", "[2,4]", "write dims: [ 2, 3 ]"],
    ),
    "no_batch": (
        batching(4) + io([tensor("x", "FP32", [3])], [tensor("total", "FP32", [1])]),
        "fixed.onnx",
        ["input 'x'", "max_batch_size is 4", "[2,3]", "max_batch_size: 0"],
    ),
    "no_batch_to_complete": ("max_batch_size: 4\n", "fixed.onnx", ["max_batch_size is 4", "[2,3]"]),
    "no_tensor": (batching(4) + io([tensor("x", "FP32", [2])], [tensor("pieces", "FP32", [2])]), "pieces.onnx", ["output 'pieces'", "cannot be served"]),
    "no_file": (batching(4) + ADD, None, ["there is no file", "/1/model.onnx", "the directory is empty"]),
    "not_onnx": (batching(4) + ADD, b"these are not the bytes of a model", ["/1/model.onnx", "ONNX Runtime", "rotobuf"]),
    "not_onnx_to_complete": ("", b"\x00" * 100, ["/1/model.onnx", "ONNX Runtime"]),
    "empty_file": (batching(4) + ADD, b"", ["/1/model.onnx", "ONNX Runtime"]),
    "truncated": (batching(4) + ADD, (MODELS / "slow.onnx").read_bytes()[:-500], ["/1/model.onnx", "ONNX Runtime"]),
    "opset": (
        batching(4) + io([tensor("x", "FP32", [2])], [tensor("y", "FP32", [2])]),
        "future.onnx",
        ["/1/model.onnx", "ONNX Runtime", "pset"],
    ),
}


# What the official backend refuses, and this one takes with lenient_config: config, model, parts of the message, what is sent, what comes.
LENIENTLY = {
    "open_input": (
        "max_batch_size: 0\n" + io([tensor("x", "FP32", [2, -1])], [tensor("total", "FP32", [1])]),
        "fixed.onnx",
        ["input 'x'", "shape [2,3]", "says [2,-1]", "write dims: [ 2, 3 ]"],
        {"x": np.ones((2, 3), np.float32)},
        {"total": [6]},
    ),
    "open_output": (
        batching(4) + io([tensor("index", "INT32", [1], "reshape { shape: [ ] }"), tensor("x", "FP32", [2])], [tensor("row", "FP32", [-1])]),
        "lookup.onnx",
        ["output 'row'", "shape [-1,2]", "says [-1,-1]", "write dims: [ 2 ]"],
        {"index": np.array([[2]], np.int32), "x": np.ones((1, 2), np.float32)},
        {"row": [[4, 5]]},
    ),
    "fixed_output": (
        batching(4) + io(ADD_INPUTS, [tensor("sum", "FP32", [3])]),
        "add.onnx",
        ["output 'sum'", "shape [-1,-1]", "says [-1,3]", "write dims: [ -1 ]"],
        {"a": np.ones((1, 3), np.float32), "b": np.ones((1, 3), np.float32)},
        {"sum": [[2, 2, 2]]},
    ),
    "open_scalar": (
        "max_batch_size: 0\n" + io([tensor("limit", "INT64", [1])], [tensor("numbers", "INT64", [-1]), tensor("count", "INT64", [-1])]),
        "scalar.onnx",
        ["output 'count' is a scalar", "says [-1]"],
        {"limit": np.array([3], np.int64)},
        {"numbers": [0, 1, 2], "count": [3]},
    ),
    "default_that_is_not_optional": (
        "max_batch_size: 0\n" + io([tensor("x", "FP32", [2]), tensor("scale", "FP32", [1])], [tensor("y", "FP32", [2])]),
        "scaled.onnx",
        ["input 'scale'", "write optional: true"],
        {"x": np.ones(2, np.float32), "scale": np.array([3], np.float32)},
        {"y": [3, 3]},
    ),
}


@pytest.mark.parametrize("name", LENIENTLY)
def test_what_only_a_lenient_look_takes(load, load_error, infer, name):
    config, model, parts, sent, expected = LENIENTLY[name]
    message = load_error(f"strict_{name}", config, model)
    for part in (f"model 'strict_{name}'", "lenient_config: true", *parts):
        assert part in message, message
    load(f"lenient_{name}", LENIENT + config, model)
    got = infer(f"lenient_{name}", sent)
    assert {name: array.tolist() for name, array in got.items()} == expected


def test_an_input_may_be_narrower_than_the_file(load, infer):
    load("narrow", batching(4) + io([tensor("a", "FP32", [3]), tensor("b", "FP32", [3])], ADD_OUTPUTS), "add.onnx")
    three, four = np.ones((1, 3), np.float32), np.ones((1, 4), np.float32)
    assert infer("narrow", {"a": three, "b": three})["sum"].tolist() == [[2, 2, 2]]
    with pytest.raises(InferenceServerException, match="unexpected shape for input '[ab]'.*Expected .-1,3."):
        infer("narrow", {"a": four, "b": four})


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_work_fails_the_load(load_error, name):
    config, model, parts = BROKEN[name]
    message = load_error(f"broken_{name}", config, model)
    for part in (f"model 'broken_{name}'", *parts):
        assert part in message, message


def test_the_server_survives_all_that(onnx_server, load, infer):
    load("after_all", batching(4) + ADD, "add.onnx")
    ones = np.ones((2, 2), np.float32)
    np.testing.assert_array_equal(infer("after_all", {"a": ones, "b": ones})["sum"], 2 * ones)
    with pytest.raises(InferenceServerException):
        infer("broken_opset", {"x": ones})


def test_loading_again_and_again(onnx_server, load, infer):
    load("reloaded", batching(4) + ADD, "add.onnx")
    ones = np.ones((2, 2), np.float32)
    for _ in range(5):
        onnx_server.client.unload_model("reloaded")
        onnx_server.client.load_model("reloaded")
        np.testing.assert_array_equal(infer("reloaded", {"a": ones, "b": ones})["sum"], 2 * ones)
