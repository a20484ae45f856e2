"""Requests through the official tritonclient, over each of its protocols, as plain arrays in and out."""

import json
import threading
import time
import urllib.request
from contextlib import contextmanager

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from support.load import counted
from support.recordings import padded
from support.server import Server

__all__ = ["GRPC", "HTTP", "JSON", "PROTOCOLS", "Client", "InferenceServerException", "serving"]

TIMEOUT_SECONDS = 120

HTTP, JSON, GRPC = PROTOCOLS = ("HTTP binary", "HTTP JSON", "gRPC")


class Client:
    """Talks to one server. May be shared between threads: each gets connections of its own."""

    def __init__(self, server):
        self.server = server
        self._own = threading.local()

    @property
    def http(self):
        """This thread's HTTP client."""
        if not hasattr(self._own, "http"):
            self._own.http = http.InferenceServerClient(
                self.server.http, connection_timeout=TIMEOUT_SECONDS, network_timeout=TIMEOUT_SECONDS
            )
        return self._own.http

    @property
    def grpc(self):
        """This thread's gRPC client."""
        if not hasattr(self._own, "grpc"):
            self._own.grpc = grpc.InferenceServerClient(self.server.grpc)
        return self._own.grpc

    def close(self):
        """Closes this thread's connections. A server that is asked to end waits for them."""
        for each in vars(self._own).values():
            each.close()
        vars(self._own).clear()

    def infer(self, model, tensors, outputs, protocol=HTTP, **options):
        """Sends arrays by name, returns the named outputs as arrays; strings come as `str`.

        `options` go to the library's `infer`: `sequence_id`, `sequence_start`, `sequence_end`.
        """
        library = grpc if protocol == GRPC else http
        inputs = []
        for name, array in tensors.items():
            array = np.asarray(array)
            tensor = library.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
            if protocol == JSON:
                tensor.set_data_from_numpy(array, binary_data=False)
            else:
                tensor.set_data_from_numpy(array)
            inputs.append(tensor)
        if protocol == GRPC:
            wanted = [grpc.InferRequestedOutput(name) for name in outputs]
            result = self.grpc.infer(model, inputs, outputs=wanted, client_timeout=TIMEOUT_SECONDS, **options)
        else:
            wanted = [http.InferRequestedOutput(name, binary_data=protocol == HTTP) for name in outputs]
            result = self.http.infer(model, inputs, outputs=wanted, **options)
        return {name: _as_array(result, name) for name in outputs}

    def transcribe(self, wavs, text_norm, language=0, protocol=HTTP, lengths=None, model="sensevoice", **padding):
        """The transcripts of a batch of recordings; `text_norm`, `language` for all rows or one per row."""
        rows = len(wavs)
        lengths = [len(wav) for wav in wavs] if lengths is None else lengths
        column = lambda value: np.broadcast_to(np.int32(value).reshape(-1, 1), (rows, 1)).copy()  # noqa: E731
        tensors = {
            "WAV": padded(wavs, **padding),
            "WAV_LENS": column(lengths),
            "LANGUAGE": column(language),
            "TEXT_NORM": column(text_norm),
        }
        answer = self.infer(model, tensors, ["TRANSCRIPTS"], protocol)["TRANSCRIPTS"]
        assert answer.shape == (rows, 1)
        return list(answer[:, 0])

    def wait_until(self, condition):
        """Waits for the server to come into a state."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "the server did not get there"
            assert self.server.is_running(), self.server.log_tail()
            time.sleep(0.02)

    def statistics(self, model):
        """The model's entry of /v2/models/MODEL/stats."""
        with urllib.request.urlopen(f"http://{self.server.http}/v2/models/{model}/stats") as answer:
            (entry,) = json.load(answer)["model_stats"]
        return entry

    def statistics_at_rest(self, model):
        """The same once nothing is under way: the server counts a request when it has answered it, not before."""
        looks = [self.statistics(model)]

        def nothing_new():
            time.sleep(0.2)
            looks.append(self.statistics(model))
            return looks[-1] == looks[-2]

        self.wait_until(nothing_new)
        return looks[-1]

    def statistics_after(self, before, model, rows):
        """The same once so many rows have been computed since `before`."""
        looks = []

        def all_counted():
            looks.append(self.statistics(model))
            return counted(before, looks[-1], "inference_count") >= rows

        self.wait_until(all_counted)
        return looks[-1]

    def metrics(self):
        """All Prometheus metrics, as text."""
        with urllib.request.urlopen(f"http://{self.server.metrics}/metrics") as answer:
            return answer.read().decode()


def metric_in(text, name, **labels):
    """The sum of a metric over all series that have these labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    series = [line for line in text.splitlines() if line.startswith(name + "{")]
    assert series, f"no metric {name}"
    return sum(float(line.rsplit(" ", 1)[1]) for line in series if all(label in line for label in wanted))


@contextmanager
def serving(repositories, *flags, **options):
    """A client of a server that lives as long as the `with` block."""
    with Server(repositories, *flags, **options) as server:
        client = Client(server)
        try:
            yield client
        finally:
            client.close()


def _as_array(result, name):
    array = result.as_numpy(name)
    if array is not None and array.dtype == object:
        decode = lambda text: text.decode() if isinstance(text, bytes) else text  # noqa: E731
        return np.array([decode(text) for text in array.ravel()], dtype=object).reshape(array.shape)
    return array
