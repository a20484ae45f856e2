"""Requests as bytes and as protobuf messages, for clients that do not behave as the official library does."""

import socket
import struct

import numpy as np
import tritonclient.http as http
from tritonclient.grpc import service_pb2
from tritonclient.utils import np_to_triton_dtype


def speech(samples, rows=1, **others):
    """The inputs of an offline model; `others` are INT32, the same for every row."""
    wav = np.repeat(np.asarray(samples, np.float32)[np.newaxis], rows, axis=0)
    column = lambda value: np.full((rows, 1), value, np.int32)  # noqa: E731
    return {"WAV": wav, "WAV_LENS": column(wav.shape[1]), **{name: column(value) for name, value in others.items()}}


def grpc_request(model, tensors, request_id="", **sequence):
    """A request as the client's library makes it; `sequence` has `sequence_id`, `sequence_start`, `sequence_end`."""
    request = service_pb2.ModelInferRequest(model_name=model, id=request_id)
    for name, array in tensors.items():
        request.inputs.add(name=name, datatype=np_to_triton_dtype(array.dtype), shape=array.shape)
        request.raw_input_contents.append(array.tobytes())
    for key, value in sequence.items():
        if isinstance(value, bool):
            request.parameters[key].bool_param = value
        else:
            request.parameters[key].int64_param = value
    return request


def http_request(model, tensors, **sequence):
    """A whole HTTP request with binary tensors, and where its body begins."""
    inputs = []
    for name, array in tensors.items():
        inputs.append(http.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype)))
        inputs[-1].set_data_from_numpy(array)
    body, length_of_json = http.InferenceServerClient.generate_request_body(inputs, **sequence)
    head = f"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: server\r\nContent-Length: {len(body)}\r\n"
    head += f"Inference-Header-Content-Length: {length_of_json}\r\n\r\n"
    return head.encode() + body, len(head)


def connected(address):
    """A connection to HOST:PORT."""
    host, port = address.split(":")
    return socket.create_connection((host, int(port)))


def reset(connection):
    """Ends a connection with a reset, as a machine that was switched off does in the end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
