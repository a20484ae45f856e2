"""Weights of a trained model: its checkpoint, or what an exported one says, so that training goes on from there."""

import numpy as np
import onnx
import torch
from onnx import numpy_helper


def from_onnx(path):
    """A state dict by FunASR's names, from a Paraformer or SenseVoice that FunASR's export wrote; without LSTMs.

    The exporter keeps the names of biases and norms but for `.model`, which the export's own classes put in. A Linear's weight
    is transposed and loses its name: its bias, which is added next, tells it, or, for the one kind without, the norm before.
    """
    graph = onnx.load(str(path)).graph
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    named = {name: name.replace(".model.", ".") for name, array in arrays.items() if "::" not in name and name[0] != "/"}
    found = {name: arrays[key] for key, name in named.items() if arrays[key].ndim}
    producers = {output: node for node in graph.node for output in node.output}
    consumers = {}
    for node in graph.node:
        for name in node.input:
            consumers.setdefault(name, []).append(node)
    for node in graph.node:
        weight = next((name for name in node.input if name in arrays), None)
        if node.op_type != "MatMul" or weight is None:
            continue
        after = _bias(consumers.get(node.output[0], ()), named)
        before = _bias([producers.get(name) for name in node.input], named)
        if after:
            found[after.removesuffix("bias") + "weight"] = arrays[weight].T
        elif before and before.endswith("feed_forward.norm.bias"):
            found[before.removesuffix("norm.bias") + "w_2.weight"] = arrays[weight].T
    return {name: torch.from_numpy(np.array(array)) for name, array in found.items()}


def _bias(nodes, named):
    """The name of the bias that one of the nodes adds, if any."""
    added = [named[name] for node in nodes if node is not None and node.op_type == "Add" for name in node.input if name in named]
    return added[0] if added and added[0].endswith("bias") else None


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
