"""The demo's SenseVoice encoder, audio of any length for it, and the memory of the server that runs it."""

import re
from pathlib import Path

import numpy as np
import tritonclient.grpc as grpc
from harness import MODELS, batching

ENCODER = MODELS.parents[2] / "demo" / "sensevoice" / "model.onnx"
FRAMES_A_SECOND = 1000 / 60


def add_encoder(repository, name, config=""):
    """The encoder, one instance of it, its tensors filled in from the file."""
    group = "instance_group [ { count: 1 kind: KIND_CPU } ]\n"
    repository.add(name, batching(4) + group + config, ENCODER)


def transcribe(client, model, seconds):
    """Sends features of so many seconds, and returns the shape of the scores."""
    frames = round(seconds * FRAMES_A_SECOND)
    speech = np.random.default_rng(0).standard_normal((1, frames, 560), np.float32)
    inputs = [grpc.InferInput("speech", speech.shape, "FP32").set_data_from_numpy(speech)]
    for name, value in (("speech_lengths", frames), ("language", 0), ("textnorm", 15)):
        inputs.append(grpc.InferInput(name, [1, 1], "INT32").set_data_from_numpy(np.array([[value]], np.int32)))
    result = client.infer(model, inputs, client_timeout=300)
    return result.as_numpy("ctc_logits").shape


class Memory:
    """What the kernel says of a process, in MiB."""

    def __init__(self, pid):
        self.directory = Path("/proc") / str(pid)

    def now(self):
        return self._read("VmRSS")

    def peak(self):
        """The most since the last reset."""
        return self._read("VmHWM")

    def reset(self):
        (self.directory / "clear_refs").write_text("5")

    def _read(self, key):
        status = (self.directory / "status").read_text()
        return int(re.search(rf"{key}:\s+(\d+) kB", status)[1]) / 1024
