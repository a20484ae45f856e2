"""Weights of a trained model: its checkpoint, or what an exported one says, so that training goes on from there."""

import numpy as np
import onnx
import torch
from onnx import numpy_helper


def from_onnx(path):
    """A state dict by FunASR's names, from an ONNX file of its export.

    The exporter keeps the names of biases and norms but for `.model`, which the export's own classes put in; a Linear's
    weight is transposed and loses its name, so that the node it stands in has to tell it. Exporters before torch 2 number
    their nodes: of those, use the checkpoint. LSTMs are not read.
    """
    graph = onnx.load(str(path)).graph
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    found = {name.replace(".model.", "."): array for name, array in arrays.items() if "::" not in name and array.ndim}
    for node in graph.node:
        if node.op_type != "MatMul":
            continue
        for name in node.input:
            if name in arrays:
                found[f"{_module(node.name)}.weight"] = arrays[name].T
    return {name: torch.from_numpy(np.array(array)) for name, array in found.items() if not name.startswith("/")}


def _module(node):
    """The module of a node: `/encoder/encoders0/encoders0.0/norm1/MatMul` is `encoder.encoders0.0.norm1`."""
    parts = node.strip("/").split("/")[:-1]
    merged = [part for part, following in zip(parts, [*parts[1:], ""]) if not following.startswith(f"{part}.")]
    return ".".join(merged)


def load(path):
    """A state dict from a checkpoint (.pt) or an exported model (.onnx)."""
    return torch.load(path) if path.suffix == ".pt" else from_onnx(path)


def start(model, state, expected_missing=()):
    """Puts `state` into the model: names and, but for a vocabulary that grew at its end, shapes must be the model's.

    Refuses when the model has weights that `state` lacks, other than those whose name begins with one of
    `expected_missing`. Returns the names that stayed random.
    """
    own = model.state_dict()
    for name, value in state.items():
        if name not in own:
            raise SystemExit(f"the model has no weight {name} ({list(value.shape)})")
        if own[name].shape == value.shape:
            own[name] = value
        elif own[name].shape[1:] == value.shape[1:] and len(own[name]) > len(value):
            own[name][: len(value)] = value
        else:
            raise SystemExit(f"weight {name}: {list(value.shape)} does not fit {list(own[name].shape)}")
    missing = [name for name in own if name not in state]
    unexpected = [name for name in missing if not name.startswith(tuple(expected_missing) or "\0")]
    if unexpected:
        raise SystemExit(f"no start for {', '.join(unexpected)}")
    model.load_state_dict(own)
    return missing
