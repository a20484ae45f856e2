"""Every data type and shape, in and out."""

import ml_dtypes
import numpy as np
import pytest
from harness import batching, io, tensor

KINDS = ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "fp16", "bf16", "fp32", "fp64", "string"]


def values(kind, shape, rng):
    """(type on the wire, array to send, array to expect)"""
    if kind == "bool":
        array = rng.integers(0, 2, shape).astype(bool)
    elif kind == "string":
        texts = [b"", "ümläut 语音".encode(), b"a,b\n\"c\"", b"x" * 3000]
        array = np.array([texts[i] for i in rng.integers(0, len(texts), int(np.prod(shape)))], dtype=object).reshape(shape)
        return "BYTES", array, array
    elif kind == "bf16":
        array = rng.standard_normal(shape).astype(ml_dtypes.bfloat16)
    elif kind.startswith("fp"):
        array = rng.standard_normal(shape).astype(f"float{kind[2:]}")
        array.flat[0] = np.inf
    else:
        info = np.iinfo(kind)
        array = rng.integers(info.min, info.max, shape, dtype=kind, endpoint=True)
        array.flat[0], array.flat[-1] = info.min, info.max
    return kind.upper(), array, array


@pytest.fixture(scope="module")
def models(repository, onnx_server):
    def lists(dims):
        return io(
            [tensor(f"in_{kind}", kind.upper(), dims) for kind in KINDS],
            [tensor(f"out_{kind}", kind.upper(), dims) for kind in KINDS],
        )

    repository.add("types_batched", batching(8, preferred=5) + lists([-1]), "identity.onnx")
    repository.add("types_whole", "max_batch_size: 0\n" + lists([-1, -1]), "identity.onnx")
    repository.add("types_platform", batching(8) + lists([-1]), "identity.onnx", backend='platform: "onnxruntime_onnx"\n')
    for name in ("types_batched", "types_whole", "types_platform"):
        onnx_server.client.load_model(name)


def check(got, sent):
    assert set(got) == {f"out_{kind}" for kind in KINDS}
    for kind, (_, _, expected) in sent.items():
        array = got[f"out_{kind}"]
        assert array.shape == expected.shape, kind
        np.testing.assert_array_equal(array, expected, err_msg=kind)


def request(shape, rng):
    return {kind: values(kind, shape, rng) for kind in KINDS}


def wire(sent):
    return {f"in_{kind}": (name, array) for kind, (name, array, _) in sent.items()}


@pytest.mark.parametrize("model", ["types_whole", "types_platform"])
def test_every_type_keeps_its_values(models, infer, rng, model):
    sent = request((2, 3), rng)
    check(infer(model, wire(sent)), sent)


def test_every_type_is_split_by_request(models, infer, together, statistics, rng):
    sent = [request((rows, 4), rng) for rows in (1, 2, 2)]
    got = together([lambda one=one: infer("types_batched", wire(one)) for one in sent])
    for outputs, one in zip(got, sent):
        check(outputs, one)
    stats, batches = statistics("types_batched", 3)
    assert batches == {5: 1}
    assert (stats.execution_count, stats.inference_count) == (1, 5)


def test_no_elements_at_all(models, infer, rng):
    sent = {kind: (name, array[:, :0], expected[:, :0]) for kind, (name, array, expected) in request((2, 1), rng).items()}
    check(infer("types_whole", wire(sent)), sent)


def test_only_what_is_asked_for_comes_back(models, infer, rng):
    sent = request((1, 2), rng)
    got = infer("types_whole", wire(sent), ["out_int64", "out_string"])
    assert set(got) == {"out_int64", "out_string"}
    np.testing.assert_array_equal(got["out_int64"], sent["int64"][2])


@pytest.mark.parametrize("bad, problem", [(b"a\0b", "NUL"), (b"\xff\xfe", "UTF-8")])
def test_strings_that_onnx_runtime_cannot_carry(models, infer, rng, bad, problem):
    sent = wire(request((1, 2), rng))
    sent["in_string"] = ("BYTES", np.array([[b"fine", bad]], dtype=object))
    with pytest.raises(Exception, match=f"(?s)'types_whole'.*'in_string'.*string 1.*{problem}"):
        infer("types_whole", sent)
