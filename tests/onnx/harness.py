"""A tritonserver for the tests of the ONNX Runtime backend.

TRITONSERVER is the server's binary; BACKENDS_DIR holds onnxruntime/libtriton_onnxruntime.so with libonnxruntime.so.1 beside it.
"""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import tritonclient.grpc

from support.older_servers import knows

MODELS = Path(__file__).parent / "models"
START_SECONDS = 60


def required(variable):
    path = os.environ.get(variable)
    if not path:
        raise RuntimeError(f"set {variable}: {__doc__}")
    return path


def tensor(name, kind, dims, extra=""):
    """One entry of a config's input or output."""
    dims = ", ".join(str(dim) for dim in dims)
    return f'{{ name: "{name}" data_type: TYPE_{kind} dims: [ {dims} ] {extra} }}'


def io(inputs, outputs):
    """The input and output lists of a config."""
    return f"input [ {', '.join(inputs)} ]\noutput [ {', '.join(outputs)} ]\n"


def parameter(key, value):
    return f'parameters {{ key: "{key}" value: {{ string_value: "{value}" }} }}\n'


def batching(size, preferred=None, delay=2_000_000):
    """Batches of up to `size`. With `preferred`, the server waits for company until that many rows are there."""
    if preferred is None:
        return f"max_batch_size: {size}\ndynamic_batching {{ }}\n"
    return (
        f"max_batch_size: {size}\n"
        f"dynamic_batching {{ preferred_batch_size: [ {preferred} ] max_queue_delay_microseconds: {delay} }}\n"
    )


class Repository:
    """A model repository in a directory of its own."""

    def __init__(self, path):
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)

    def add(self, name, config=None, model=None, filename="model.onnx", backend='backend: "onnxruntime"\n'):
        """A model called `name`; `model` is a file or directory of models/, or bytes. Without a config, none is written."""
        version = self.path / name / "1"
        version.mkdir(parents=True)
        if config is not None:
            (version.parent / "config.pbtxt").write_text(backend + config)
        if isinstance(model, bytes):
            (version / filename).write_bytes(model)
        elif model is not None:
            source = MODELS / model
            if source.is_dir():
                shutil.copytree(source, version / filename)
            else:
                shutil.copy(source, version / filename)


class Server:
    """A running tritonserver on free ports of 127.0.0.1; models load on demand."""

    def __init__(self, repository, directory, backends=None, arguments=(), environment=None):
        self.log_path = Path(directory) / "server.log"
        self.http, self.grpc, self.metrics = free_ports(3)
        command = [
            required("TRITONSERVER"),
            f"--model-repository={repository.path}",
            f"--backend-directory={backends or required('BACKENDS_DIR')}",
            "--model-control-mode=explicit",
            *(f"--{kind}-address=127.0.0.1" for kind in ("http", "grpc", "metrics") if knows(f"--{kind}-address")),
            f"--http-port={self.http}",
            f"--grpc-port={self.grpc}",
            f"--metrics-port={self.metrics}",
            *arguments,
        ]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
            )
        self.client = tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{self.grpc}")

    def __enter__(self):
        try:
            self.wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def wait(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self.log()}")
            try:
                if self.client.is_server_live():
                    return
            except tritonclient.grpc.InferenceServerException:
                pass
            time.sleep(0.05)
        raise RuntimeError(f"the server did not start within {START_SECONDS} s:\n{self.log()}")

    def stop(self):
        self.client.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def log(self):
        return self.log_path.read_text(errors="replace")

    def load_error(self, name):
        """Loads a model that must not load, and returns why it did not."""
        try:
            self.client.load_model(name)
        except tritonclient.grpc.InferenceServerException as error:
            return error.message()
        raise AssertionError(f"{name} loaded")


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
