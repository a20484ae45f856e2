"""Streams through the official client, chunk by chunk."""

import queue

import numpy as np
import tritonclient.grpc as grpc

from paraformer.texts import CHUNK
from support.client import HTTP, TIMEOUT_SECONDS

MODEL = "streaming_paraformer"


def tensors(chunk):
    """The inputs of a request."""
    return {"WAV": chunk[np.newaxis], "WAV_LENS": np.int32([[len(chunk)]])}


def send(client, chunk, stream, start=False, end=False, protocol=HTTP, model=MODEL):
    """Sends one chunk of a stream; returns the text it adds."""
    flags = {"sequence_id": stream, "sequence_start": start, "sequence_end": end}
    answer = client.infer(model, tensors(chunk), ["TRANSCRIPTS"], protocol, **flags)["TRANSCRIPTS"]
    assert answer.shape == (1, 1)
    return answer[0, 0]


def send_all(client, chunks, stream, protocol=HTTP, model=MODEL):
    """Sends a whole stream, each chunk after the answer to the one before; returns the deltas."""
    last = len(chunks) - 1
    return [send(client, chunk, stream, at == 0, at == last, protocol, model) for at, chunk in enumerate(chunks)]


def transcribe(client, samples, stream, model=MODEL, protocol=HTTP):
    """The text of a stream, sent in chunks of CHUNK samples."""
    pieces = [samples[start : start + CHUNK] for start in range(0, len(samples), CHUNK)]
    return "".join(send_all(client, pieces, stream, protocol, model))


class Bidirectional:
    """A gRPC stream of requests and answers, as a `with` block."""

    def __init__(self, client, model=MODEL):
        self.client = grpc.InferenceServerClient(client.server.grpc)
        self.model = model
        self.answers = queue.Queue()

    def __enter__(self):
        self.client.start_stream(lambda result, error: self.answers.put((result, error)))
        return self

    def __exit__(self, *_):
        self.client.stop_stream()
        self.client.close()

    def send(self, chunk, stream, start, end, request_id=""):
        """Sends one chunk and does not wait for the answer."""
        inputs = []
        for name, array in tensors(chunk).items():
            inputs.append(grpc.InferInput(name, list(array.shape), "FP32" if name == "WAV" else "INT32"))
            inputs[-1].set_data_from_numpy(array)
        self.client.async_stream_infer(
            self.model, inputs, request_id=request_id, sequence_id=stream, sequence_start=start, sequence_end=end
        )

    def answer(self):
        """The next answer: the request's id, and the text it adds."""
        result, error = self.answers.get(timeout=TIMEOUT_SECONDS)
        if error is not None:
            raise error
        return result.get_response().id, result.as_numpy("TRANSCRIPTS")[0, 0].decode()
