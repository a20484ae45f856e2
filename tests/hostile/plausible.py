"""Requests that could be meant: what the generator starts from."""

import json
import urllib.request

import numpy as np

from hostile.request import FORMS, NUMPY, Request, Tensor
from support.recordings import recordings

# Ids of attackers' streams; those of the good traffic are others.
STREAM_IDS = range(1, 40)
# Values of an encoder's frame in the demo's model.
HIDDEN = 128
# Those that clients are told of are attacked more often.
TOP_LEVEL = ("sensevoice", "infer_pipeline", "streaming_paraformer")


class Models:
    """The models of a server: what their inputs are called and like."""

    def __init__(self, server):
        self.inputs = {}
        for model in _get(server, "/v2/repository/index", b"{}"):
            name = model["name"]
            self.inputs[name] = _get(server, f"/v2/models/{name}")["inputs"]
        self.inner = sorted(set(self.inputs) - set(TOP_LEVEL))
        self.with_streams = {
            name for name in self.inputs if "sequence_batching" in _get(server, f"/v2/models/{name}/config")
        } | {"streaming_paraformer"}

    def request(self, dice):
        """A plausible request to one of them."""
        model = dice.choice(TOP_LEVEL if dice.random() < 0.6 else self.inner)
        steps = dice.randint(1, 40) if "online" not in model else 20
        samples = _samples(dice)
        inputs = [_tensor(dice, each, steps, samples) for each in self.inputs[model]]
        parameters = {}
        if model in self.with_streams:
            parameters = {
                "sequence_id": dice.choice(STREAM_IDS),
                "sequence_start": dice.random() < 0.5,
                "sequence_end": dice.random() < 0.3,
            }
        return Request(model, inputs, dice.choice(FORMS), parameters=parameters)


def _get(server, path, body=None):
    request = urllib.request.Request(f"http://{server.http}{path}", data=body)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def _samples(dice):
    samples = dice.choice(recordings()).samples
    start = dice.randrange(len(samples) // 2)
    return samples[start : start + dice.choice([1, 160, 400, 9600, 9600, dice.randint(1, 20_000)])]


def _tensor(dice, like, steps, samples):
    """An input as the model's metadata describe it: `steps` long, or of these samples."""
    name, datatype = like["name"], like["datatype"]
    if name.lower() == "wav":
        return Tensor(name, datatype, [1, len(samples)], samples.tobytes())
    if name.lower() == "wav_lens":
        return Tensor(name, datatype, [1, 1], np.int32([len(samples)]).tobytes())
    shape = [1, *(steps if dim < 0 else dim for dim in like["shape"][1:])]
    if like["shape"] == [-1, -1, -1]:
        shape[-1] = HIDDEN
    ids = {"language": [0, 3, 4, 7, 11], "text_norm": [14, 15], "textnorm": [14, 15]}.get(name.lower())
    if ids or datatype.startswith("INT"):
        value = dice.choice(ids) if ids else steps
        return Tensor(name, datatype, shape, np.full(shape, value, NUMPY[datatype]).tobytes())
    random = np.random.default_rng(dice.randrange(2**32))
    return Tensor(name, datatype, shape, random.normal(0, 1, shape).astype(NUMPY[datatype]).tobytes())
