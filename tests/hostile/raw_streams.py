"""Streams whose ids are any bytes: HTTP passes on what no client library would send."""

from hostile.request import BINARY, Request, Tensor, http_body
from hostile.wire import infer_head, over_http
from paraformer.streaming import MODEL, tensors


def chunk_request(chunk, stream, start=False, end=False, form=BINARY):
    """A request with one chunk; `stream` is a number, or bytes."""
    name = stream.decode("utf-8", "surrogateescape") if isinstance(stream, bytes) else stream
    inputs = [
        Tensor(name, "FP32" if name == "WAV" else "INT32", list(array.shape), array.tobytes())
        for name, array in tensors(chunk).items()
    ]
    flags = {"sequence_id": name, "sequence_start": start, "sequence_end": end, "binary_data_output": False}
    return Request(MODEL, inputs, form, parameters=flags)


def send(client, request):
    """What a request got over HTTP."""
    body, json_length = http_body(request)
    return over_http(client.server.http, infer_head(request.model, len(body), json_length) + body)
