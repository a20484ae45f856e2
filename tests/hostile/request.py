"""A request as plain data, which may say anything, and its bytes in both protocols."""

import json
from dataclasses import dataclass, field

import numpy as np
from tritonclient.grpc import service_pb2

SIZES = {
    "BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8,
    "FP16": 2, "FP32": 4, "FP64": 8, "BYTES": 0, "BF16": 2,
}  # fmt: skip
NUMPY = {
    "BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64, "INT8": np.int8,
    "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
}  # fmt: skip
CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip

# How a request's tensors travel.
BINARY, JSON, RAW, TYPED = FORMS = ("HTTP binary", "HTTP JSON", "gRPC raw", "gRPC typed")


@dataclass
class Tensor:
    """An input. `size` is what a binary HTTP request says of its bytes, if it lies."""

    name: object
    datatype: object
    shape: object
    data: bytes
    parameters: dict = field(default_factory=dict)
    size: object = None


@dataclass
class Request:
    """A request. Values may be of types that the protocol does not have there."""

    model: str
    inputs: list
    form: str
    outputs: list = field(default_factory=list)
    parameters: dict = field(default_factory=dict)
    id: object = ""

    @property
    def is_grpc(self):
        """It goes over gRPC."""
        return self.form in (RAW, TYPED)

    def strings(self):
        """All the texts the client chose, to look for in errors."""
        own = [self.id, *self.parameters, *self.parameters.values()]
        for each in self.inputs:
            own += [each.name, each.datatype, str(each.shape), *each.parameters.values()]
        for name, parameters in self.outputs:
            own += [name, *parameters, *parameters.values()]
        return [each for each in own if isinstance(each, str)]


def http_body(request):
    """The body of an HTTP request, and the length of its JSON part, or None if there is no other."""
    binary = request.form == BINARY
    inputs, tail = [], []
    for each in request.inputs:
        entry = {"name": each.name, "shape": each.shape, "datatype": each.datatype}
        parameters = dict(each.parameters)
        if binary:
            parameters["binary_data_size"] = len(each.data) if each.size is None else each.size
            tail.append(each.data)
        else:
            entry["data"] = json_values(each)
        if parameters:
            entry["parameters"] = parameters
        inputs.append(entry)
    whole = {"inputs": inputs}
    if request.id != "":
        whole["id"] = request.id
    if request.parameters:
        whole["parameters"] = request.parameters
    if request.outputs:
        whole["outputs"] = [{"name": name, "parameters": parameters} for name, parameters in request.outputs]
    # Surrogates stand for bytes that are not UTF-8.
    head = json.dumps(whole, ensure_ascii=False).encode("utf-8", "surrogateescape")
    return head + b"".join(tail), len(head) if binary else None


def json_values(tensor):
    """A tensor's data as JSON values."""
    if tensor.datatype in NUMPY:
        size = SIZES[tensor.datatype]
        with np.errstate(all="ignore"):
            return np.frombuffer(tensor.data[: len(tensor.data) // size * size], NUMPY[tensor.datatype]).tolist()
    return [chr(byte) for byte in tensor.data[:64]]


def grpc_message(request):
    """The bytes of a gRPC request. Texts that are not UTF-8 stand in it as they are, though protobuf forbids it."""
    swaps = {}

    def text(value):
        value = value if isinstance(value, str) else str(value)
        raw = value.encode("utf-8", "surrogateescape")
        try:
            return raw.decode()
        except UnicodeDecodeError:
            # A text of the same length, which is exchanged once protobuf has written it.
            stand_in = f"{len(swaps)}" + "\x01" * (len(raw) - 1)
            swaps[stand_in.encode()] = raw
            return stand_in

    def parameter(target, value):
        if isinstance(value, bool):
            target.bool_param = value
        elif isinstance(value, int) and -(2**63) <= value < 2**63:
            target.int64_param = value
        elif isinstance(value, int) and 0 <= value < 2**64:
            target.uint64_param = value
        elif isinstance(value, float):
            target.double_param = value
        else:
            target.string_param = text(value)

    message = service_pb2.ModelInferRequest(model_name=request.model, id=text(request.id))
    for key, value in request.parameters.items():
        parameter(message.parameters[text(key)], value)
    for each in request.inputs:
        entry = message.inputs.add(name=text(each.name), datatype=text(each.datatype))
        if isinstance(each.shape, list):
            whole = [dim for dim in each.shape if isinstance(dim, int)]
            entry.shape.extend((dim + 2**63) % 2**64 - 2**63 for dim in whole)
        for key, value in each.parameters.items():
            parameter(entry.parameters[text(key)], value)
        field = CONTENTS.get(each.datatype) if isinstance(each.datatype, str) else None
        if request.form == TYPED and field:
            values = [each.data] if each.datatype == "BYTES" else json_values(each)
            getattr(entry.contents, field).extend(values)
        else:
            message.raw_input_contents.append(each.data)
    for name, parameters in request.outputs:
        entry = message.outputs.add(name=text(name))
        for key, value in parameters.items():
            parameter(entry.parameters[text(key)], value)
    written = message.SerializeToString()
    for stand_in, raw in swaps.items():
        written = written.replace(stand_in, raw)
    return written
