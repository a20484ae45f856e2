#!/usr/bin/env python3
"""Prints the server's memory with several instances of a model of 101 MiB of weights.

Needs what the tests need (harness.py) and `pip install onnx`.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import tritonclient.grpc as grpc
from harness import Repository, Server, io, parameter, tensor
from onnx import TensorProto, helper, numpy_helper

WIDTH, LAYERS = 2304, 5


def model():
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.standard_normal((WIDTH, WIDTH), np.float32) * np.float32(0.02), f"w{i}")
        for i in range(LAYERS)
    ]
    nodes = [helper.make_node("MatMul", [f"h{i}", f"w{i}"], [f"h{i + 1}"]) for i in range(LAYERS)]
    ends = [helper.make_tensor_value_info(f"h{i}", TensorProto.FLOAT, ["N", WIDTH]) for i in (0, LAYERS)]
    graph = helper.make_graph(nodes, "large", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def save(model, path, external):
    if external:
        path.mkdir(parents=True)
        onnx.save(model, path / "model.onnx", save_as_external_data=True, location="weights.bin")
        # save() leaves the model without its weights.
        onnx.load_external_data_for_model(model, str(path))
    else:
        onnx.save(model, path)


def memory(process):
    """(MiB of its own, MiB of files)"""
    lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    sizes = dict(line.split(":", 1) for line in lines if ":" in line)
    return tuple(int(sizes[key].split()[0]) // 1024 for key in ("Pss_Anon", "Pss_File"))


def measure(instances, settings="", external=False):
    with tempfile.TemporaryDirectory() as directory:
        repository = Repository(Path(directory) / "repository")
        if instances:
            lists = io([tensor("h0", "FP32", [WIDTH])], [tensor(f"h{LAYERS}", "FP32", [WIDTH])])
            group = f"instance_group [ {{ count: {instances} kind: KIND_CPU }} ]\n"
            repository.add("large", "max_batch_size: 8\n" + group + settings + lists)
            save(model(), repository.path / "large" / "1" / "model.onnx", external)
        with Server(repository, directory) as server:
            if instances:
                server.client.load_model("large")
                row = grpc.InferInput("h0", [1, WIDTH], "FP32").set_data_from_numpy(np.ones((1, WIDTH), np.float32))
                for _ in range(20):
                    server.client.infer("large", [row])
            return memory(server.process)


def main():
    shared = parameter("share_session", "true")
    plain = parameter("session.disable_prepacking", 1)
    for name, arguments in {
        "no model": (0,),
        "1 instance": (1,),
        "2 instances": (2,),
        "4 instances": (4,),
        "4 instances, share_session": (4, shared),
        "1 instance, external weights": (1, "", True),
        "4 instances, external weights": (4, "", True),
        "4 instances, external weights, no prepacking": (4, plain, True),
    }.items():
        own, files = measure(*arguments)
        print(f"{name:45} {own:5} MiB of its own {files:5} MiB of files", flush=True)


if __name__ == "__main__":
    main()
