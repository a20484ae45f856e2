"""The generator: a plausible request, and what is done to it. The same seed and number give the same attack."""

import math
import random
import struct
from dataclasses import dataclass
from typing import Callable

import numpy as np

from hostile.request import BINARY, JSON, NUMPY, RAW, SIZES, TYPED, Request, Tensor, grpc_message, http_body
from hostile.wire import SERVICE, infer_head, over_http

HUGE = [2**15, 2**31 - 1, 2**31, 2**32, 2**32 + 1, 2**61, 2**62, 2**63 - 1]
BAD_FLOATS = [np.nan, -np.nan, np.inf, -np.inf, 1e-45, -1e-40, 3.4e38, -3.4e38, 1e6, 1.0000001e6, -0.0]
BAD_INTEGERS = [0, -1, -2, 1, 2**31 - 1, -(2**31), 99, 9601, 65536, 2**24]
# Outputs that are texts.
TEXTS = ["TRANSCRIPTS", "OUTPUT0", "transcripts"]
# Elements of a tensor that is made up.
MOST_ELEMENTS = 1_000_000
# Elements of a tensor that is written as JSON: more take Python long to write.
LARGEST_JSON_TENSOR = 200_000
# JSON has no more than these where the protocol wants something else.
ODD_VALUES = [None, True, False, 0, -1, 1.5, 2**63, 2**64, "", "x", [], {}, [[]], {"a": {"b": []}}, "9" * 5000]
ODD_TEXTS = [
    "", "\x00", "a\x00b", "\x7f\x1b[2J", "x" * 101, "七" * 40, "é" * 64, "x" * 129, "x" * 5000, "../../etc", "%s%n",
    "\udcff", "\udcfe", "\udcc3(", "\udcff" * 120, "\udced\udca0\udc80", "🎤" * 30, '"}', "\r\nX: y",
]  # fmt: skip


@dataclass
class Attack:
    """Something to send. `send` takes the server and a gRPC connection and returns one answer or several."""

    number: int
    family: str
    request: Request
    send: Callable

    def __str__(self):
        inputs = [
            (str(each.name)[:20], each.datatype, str(each.shape)[:40], len(each.data)) for each in self.request.inputs
        ]
        return f"attack {self.number} ({self.family}) on {self.request.model} by {self.request.form}: {inputs}"


def attack(models, seed, number):
    """The attack of this number."""
    dice = random.Random(f"{seed} {number}")
    request = models.request(dice)
    spoil = dice.choice(FAMILIES)
    send = spoil(dice, request) or plain
    if spoil in TENSORS and dice.random() < 0.3:
        # More than one thing may be wrong.
        dice.choice(TENSORS)(dice, request)
    if send is plain and core_dies(request):
        request.form = BINARY if not request.is_grpc else RAW
    return Attack(number, spoil.__name__, request, lambda server, grpc: send(request, server, grpc))


def core_dies(request):
    """Whether tritonserver itself dies of a request, before any backend hears of it: these are not sent.

    Seen on 2.51.0: an HTTP request whose data are JSON gets a buffer of the size that its shape says, before anything is
    compared with that shape. If the product overflows, the data are written behind it (SIGSEGV in the HTTP front end);
    if it does not, the server takes as much memory as the client says.
    """
    if request.form != JSON:
        return False
    for each in request.inputs:
        dims = [dim for dim in each.shape if isinstance(dim, int)] if isinstance(each.shape, list) else []
        if math.prod(dims) > LARGEST_JSON_TENSOR or len(each.data) > LARGEST_JSON_TENSOR:
            return True
    return False


def plain(request, server, grpc):
    """Sends a request as its form says."""
    if request.is_grpc:
        return grpc.infer(grpc_message(request))
    body, json_length = http_body(request)
    return over_http(server.http, infer_head(request.model, len(body), json_length) + body)


# What is done to tensors.


def shapes(dice, request):
    """Dimensions that are 0, negative, huge, too many, too few, or do not fit the data."""
    tensor = _any_input(dice, request)
    shape = list(tensor.shape) if isinstance(tensor.shape, list) else []
    kind = dice.randrange(8)
    if kind == 0 and shape:
        shape[dice.randrange(len(shape))] = dice.choice([0, 0, -1, -(2**31), -(2**63)])
    elif kind == 1 and shape:
        shape[dice.randrange(len(shape))] = dice.choice(HUGE)
    elif kind == 2:
        # Products that overflow, to 0 or to the right size.
        shape = dice.choice([[2**32, 2**32], [2**33, 2**31, 1], [2**62, 4], [1, 2**62], [-1, -1], [-(2**62), 4]])
    elif kind == 3:
        shape = [1] * dice.choice([0, 1, 3, 4, 9, 100, 3000])
    elif kind == 4:
        shape = shape[::-1]
    elif kind == 5 and shape:
        shape[-1] += dice.choice([-1, 1, 100])
    elif kind == 6:
        # Nothing at all, in an orderly way.
        tensor.data = b""
        shape = [*shape[:1], *([0] * (len(shape) - 1))]
    else:
        rows = dice.choice([2, 3, 16, 17, 64, 65, 128, 129])
        for each in request.inputs if dice.random() < 0.7 else [tensor]:
            if isinstance(each.shape, list) and each.shape:
                each.shape = [rows, *each.shape[1:]]
                each.data = each.data * rows
        return
    tensor.shape = shape


def fitting_shapes(dice, request):
    """Dimensions that the data fit, but no model: the server lets pass what its config leaves open."""
    tensor = _any_input(dice, request)
    size = SIZES.get(tensor.datatype)
    if not size or not isinstance(tensor.shape, list) or len(tensor.shape) < 2:
        return
    axis = dice.randrange(1, len(tensor.shape))
    tensor.shape = [*tensor.shape]
    tensor.shape[axis] = dice.choice([0, 1, 2, 3, 7, 19, 21, 61, 127, 129, 560, 5000])
    count = math.prod(tensor.shape)
    if count < MOST_ELEMENTS:
        tensor.data = (tensor.data * (count * size // max(1, len(tensor.data)) + 1))[: count * size]
    if dice.random() < 0.5:
        # The lengths with it, so that this is not what is refused.
        for each in request.inputs:
            if each.datatype == "INT32" and len(each.data) == 4 and "len" in each.name.lower():
                each.data = struct.pack("<i", tensor.shape[axis])


def datatypes(dice, request):
    """Another type, with the bytes for it or without; a type that does not exist."""
    tensor = _any_input(dice, request)
    tensor.datatype = dice.choice([*SIZES, "FP33", "", "fp32", "TYPE_FP32", dice.choice(ODD_TEXTS)])
    if dice.random() < 0.5 and isinstance(tensor.shape, list) and SIZES.get(tensor.datatype):
        count = max(1, min(int(np.prod([max(1, dim) for dim in tensor.shape[:6]], dtype=np.float64)), 100_000))
        tensor.data = dice.randbytes(count * SIZES[tensor.datatype])


def byte_counts(dice, request):
    """Data of another size than the shape says, or than the request says."""
    tensor = _any_input(dice, request)
    kind = dice.randrange(4)
    if kind == 0:
        tensor.data = tensor.data[: dice.randrange(len(tensor.data) + 1)]
    elif kind == 1:
        tensor.data += dice.randbytes(dice.choice([1, 3, 4, 1000, 100_000]))
    elif kind == 2:
        tensor.size = dice.choice([0, 1, len(tensor.data) + 4, len(tensor.data) * 2, *HUGE, -1, -4, *ODD_VALUES])
    else:
        tensor.data = b""


def values(dice, request):
    """NaN, infinities, denormals and giants among floats, nonsense among integers, or any bits."""
    tensor = _any_input(dice, request)
    if tensor.datatype not in NUMPY or dice.random() < 0.2:
        tensor.data = dice.randbytes(len(tensor.data))
        return
    size = SIZES[tensor.datatype]
    array = np.frombuffer(tensor.data[: len(tensor.data) // size * size], NUMPY[tensor.datatype]).copy()
    bad = BAD_FLOATS if tensor.datatype.startswith("FP") else BAD_INTEGERS
    with np.errstate(all="ignore"):
        if not array.size:
            return
        if dice.random() < 0.3:
            array[:] = np.array(dice.choice(bad)).astype(array.dtype)
        for _ in range(dice.choice([1, 1, 3, 100])):
            array[dice.randrange(array.size)] = np.array(dice.choice(bad)).astype(array.dtype)
    tensor.data = array.tobytes()


def lengths(dice, request):
    """Lengths that lie."""
    integers = [each for each in request.inputs if each.datatype == "INT32"] or request.inputs
    if integers:
        tensor = dice.choice(integers)
        value = dice.choice([0, -1, 1, 2**31 - 1, -(2**31), dice.randint(-70_000, 70_000), dice.randint(0, 100)])
        tensor.data = struct.pack("<i", value) * max(1, len(tensor.data) // 4)


def texts_as_tensors(dice, request):
    """BYTES tensors whose lengths add up, or do not, where numbers belong."""
    tensor = _any_input(dice, request)
    tensor.datatype = "BYTES"
    strings = [dice.randbytes(dice.choice([0, 1, 7, 300])) for _ in range(dice.choice([1, 1, 2, 50]))]
    tensor.data = b"".join(struct.pack("<I", len(each)) + each for each in strings)
    tensor.shape = dice.choice([[1, len(strings)], [len(strings)], [1, 1], [1, 2**31]])
    if dice.random() < 0.4:
        tensor.data = dice.choice(
            [dice.randbytes(64), b"\xff\xff\xff\xff", b"\xff\xff\xff\x7fabc", b"\x04\x00\x00", tensor.data[:-1]]
        )


# What is done to the rest of a request.


def inputs(dice, request):
    """Inputs that are missing, there twice, unknown, or called something impossible."""
    kind = dice.randrange(6)
    if kind == 0:
        request.inputs.pop(dice.randrange(len(request.inputs)))
    elif kind == 1:
        request.inputs.clear()
    elif kind == 2:
        request.inputs.append(_any_input(dice, request))
    elif kind == 3:
        _any_input(dice, request).name = dice.choice([*ODD_TEXTS, "wav", "WAV ", "START", "READY", "CORRID", "cache"])
    elif kind == 4:
        name = dice.choice([*ODD_TEXTS, "cache", "offset", "START", "in_cache_0"])
        request.inputs.append(Tensor(name, "FP32", [1, 1], bytes(4)))
    else:
        extra = [Tensor(f"EXTRA{index}", "INT8", [1, 1], b"\0") for index in range(dice.choice([10, 1000]))]
        request.inputs += extra
        dice.shuffle(request.inputs)


def outputs(dice, request):
    """Outputs that do not exist, come twice, or are wanted in impossible ways."""
    names = [*TEXTS, "speech", "enc", "NOPE", *ODD_TEXTS]
    odd = [
        {"classification": dice.choice([1, 5, 0, -1, 2**31, 2**63 - 1, "x"])},
        {"binary_data": dice.choice([True, False, "yes", 7])},
        {"shared_memory_region": "nowhere", "shared_memory_byte_size": dice.choice([0, 4, 2**62, -1])},
        {"shared_memory_region": "nowhere"},
        {"shared_memory_offset": dice.choice([0, -1, 2**63])},
        {dice.choice(ODD_TEXTS): dice.choice(ODD_VALUES)},
        {},
    ]
    request.outputs = [(dice.choice(names), dice.choice(odd)) for _ in range(dice.choice([1, 1, 2, 200]))]
    # The front ends of 2.51.0 divide by the size of an element to find the best classes, and that of a text is 0 (SIGFPE).
    # Later ones refuse it (source). No backend is told of the wish, so that none can refuse it.
    request.outputs = [(name, {} if "classification" in odd and name in TEXTS else odd) for name, odd in request.outputs]


def shared_memory(dice, request):
    """Regions that nobody registered."""
    tensor = _any_input(dice, request)
    tensor.parameters["shared_memory_region"] = dice.choice(["nowhere", *ODD_TEXTS])
    if dice.random() < 0.9:
        tensor.parameters["shared_memory_byte_size"] = dice.choice([0, 4, len(tensor.data), *HUGE, -1, "x"])
    if dice.random() < 0.5:
        tensor.parameters["shared_memory_offset"] = dice.choice([0, 4, *HUGE, -1, "x"])


def parameters(dice, request):
    """Parameters that nobody knows, or that the server knows with another type."""
    known = [
        "sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "binary_data_output", "headers",
        "triton_enable_empty_final_response", "max_audio_seconds",
    ]  # fmt: skip
    for _ in range(dice.choice([1, 1, 3, 300])):
        request.parameters[dice.choice([*known, *ODD_TEXTS])] = dice.choice([*ODD_VALUES, *HUGE, *ODD_TEXTS])


def ids(dice, request):
    """Ids of requests and streams that are long, empty, or not UTF-8."""
    if dice.random() < 0.3:
        request.id = dice.choice([*ODD_TEXTS, *ODD_VALUES])
    request.parameters |= {
        "sequence_id": dice.choice([*ODD_TEXTS, "x" * dice.randint(95, 135), "七" * dice.randint(30, 45)]),
        "sequence_start": dice.random() < 0.6,
        "sequence_end": dice.random() < 0.3,
    }


def sequence_order(dice, request):
    """Chunks without START, with several, after END, of stream 0, in a burst, some with a spoilt tensor."""
    texts = ["a", "b", "七", "\udcff", "\udcfe"]
    stream = dice.choice([0, dice.randint(1, 9), dice.choice(texts), "x" * 120])
    request.parameters = {"sequence_id": stream}
    burst = []
    # A stream whose first chunk is refused is known to the server, but not to the model.
    lost = dice.random() < 0.4
    for place in range(dice.randint(2, 6)):
        flags = {"sequence_start": dice.random() < 0.4, "sequence_end": dice.random() < 0.3}
        if lost and place < 2:
            flags = {"sequence_start": place == 0, "sequence_end": False}
        own = [Tensor(each.name, each.datatype, each.shape, each.data) for each in request.inputs]
        part = Request(request.model, own, request.form, parameters={"sequence_id": stream, **flags})
        if lost and place == 0:
            part.inputs[-1].data = b"\xff" * len(part.inputs[-1].data)
        elif dice.random() < 0.3:
            dice.choice([values, lengths, byte_counts])(dice, part)
        burst.append(part)

    def send(_, server, grpc):
        if request.form == RAW:
            return grpc.stream([grpc_message(part) for part in burst])
        return [plain(part, server, grpc) for part in burst]

    return send


# What is done to bytes.


def broken_json(dice, request):
    """An HTTP body whose JSON is cut, changed, or something else."""
    request.form = dice.choice([BINARY, JSON])
    body, length = http_body(request)
    kind = dice.randrange(5)
    end = len(body) if length is None else length
    if kind == 0:
        body = body[: dice.randrange(end)]
    elif kind == 1:
        body = _flipped(dice, body, end)
    elif kind == 2:
        body = dice.randbytes(dice.choice([0, 1, 100, 100_000]))
    elif kind == 3:
        odd = [b"null", b"[]", b"{}", b'{"inputs":null}', b'{"inputs":{}}', b'{"inputs":[{}]}', b'{"inputs":[null]}']
        odd += [b'{"inputs":[[]]}', b'{"inputs":[{"name":1}]}', b'"', b"{" * 50, b"[" * 50 + b"]" * 50, b"\xff\xfe{}"]
        body = dice.choice(odd)
    else:
        body = b" " * dice.choice([1, 10_000]) + body
    head = infer_head(request.model, len(body), length if dice.random() < 0.7 else None)
    return lambda request, server, _: over_http(server.http, head + body)


def broken_http(dice, request):
    """Lengths that lie, bodies that end too early, heads that are none."""
    request.form = dice.choice([BINARY, JSON])
    body, length = http_body(request)
    size, whole, more = len(body), True, []
    kind = dice.randrange(9)
    if kind == 0:
        length = dice.choice([0, 1, -1, size - 1, size, size + 1, 2**31, 2**32, 2**63, 2**64, "x", "", " 5", "5,6"])
    elif kind == 1:
        size, whole = size + dice.choice([1, 1000, 2**31, 2**40]), False
    elif kind == 2:
        size = dice.randrange(size + 1)
    elif kind == 3:
        body, whole = body[: dice.randrange(len(body))], False
    elif kind == 4:
        size = dice.choice([-1, "x", "", "0x10", 2**64, 2**80, "+5"])
        whole = False
    elif kind == 5:
        size = None
        more.append("Transfer-Encoding: chunked")
        pieces = [body[start : start + 500] for start in range(0, min(len(body), 5000), 500)]
        lie = dice.choice([0, 1, -1, 2**31, "x"])
        sizes = [format(len(piece) + lie, "x") if isinstance(lie, int) else lie for piece in pieces]
        body = b"".join(each.encode() + b"\r\n" + piece + b"\r\n" for each, piece in zip(sizes, pieces))
        whole = False
    elif kind == 6:
        more.append(f"Content-Encoding: {dice.choice(['gzip', 'deflate', 'br', 'x', ''])}")
    elif kind == 7:
        more += [f"X-{index}: {'y' * dice.choice([10, 5000])}" for index in range(dice.choice([1, 100]))]
    else:
        sent = dice.choice([b"", b"\r\n\r\n", b"GET", b"POST / HTTP/9.9\r\n\r\n", dice.randbytes(500), b"\x16\x03\x01" * 50])
        return lambda request, server, _: over_http(server.http, sent, whole=False)
    sent = infer_head(request.model, size, length, *more) + body
    return lambda request, server, _: over_http(server.http, sent, whole)


def places(dice, request):
    """Models, versions and paths that are not there, and methods that are not theirs."""
    model, name = request.model, dice.choice(["nobody", "x" * 3000, "..%2f..", "%00", "%ff%fe", "七", ""])
    paths = [
        f"models/{name}/infer", f"models/{model}/versions/{dice.choice([0, 2, -1, 2**63, 'x'])}/infer", f"models/{model}",
        f"models/{model}/generate", f"models/{model}/generate_stream", f"models/{name}/config", f"models/{name}/ready",
        "systemsharedmemory/region/nowhere/register", "systemsharedmemory/region/nowhere/unregister",
        "cudasharedmemory/region/nowhere/register", f"systemsharedmemory/region/{name}/status", "models//infer", "x",
    ]  # fmt: skip
    request.form = JSON
    body, _ = http_body(request)
    body = dice.choice([body, b"", b"{}", b'{"key":"/nowhere","offset":0,"byte_size":64}', dice.randbytes(100)])
    method = dice.choice(["POST", "POST", "POST", "GET", "PUT", "DELETE", "HEAD", "BREW"])
    head = f"{method} /v2/{dice.choice(paths)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return lambda request, server, _: over_http(server.http, head.encode() + body, whole=False)


def broken_messages(dice, request):
    """gRPC messages with bytes changed, cut off, or made up; contents in both places, or in too few."""
    request.form = dice.choice([RAW, TYPED])
    message = grpc_message(request)
    kind = dice.randrange(4)
    if kind == 0:
        # The tensors' data are most of the message; what describes them stands before.
        message = _flipped(dice, message, min(len(message), 200))
    elif kind == 1:
        message = message[: dice.randrange(len(message))]
    elif kind == 2:
        message = dice.randbytes(dice.choice([0, 1, 50, 10_000]))
    else:
        # Field 7, raw_input_contents: once more, or none for an input.
        message += dice.choice([b"\x3a\x04abcd", b"\x3a\x00", b"\x3a\x00" * 3000, grpc_message(request)])
    if dice.random() < 0.2:
        return lambda request, server, grpc: grpc.stream([message, grpc_message(request), message])
    return lambda request, server, grpc: grpc.infer(message)


def _flipped(dice, data, end):
    data = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 10])):
        at = dice.randrange(max(1, end))
        data[at : at + 1] = dice.choice([b"", bytes([dice.randrange(256)]), dice.randbytes(3), data[at : at + 1] * 2])
    return bytes(data)


def _any_input(dice, request):
    if not request.inputs:
        request.inputs.append(Tensor("WAV", "FP32", [1, 1], bytes(4)))
    return dice.choice(request.inputs)


TENSORS = [shapes, fitting_shapes, datatypes, byte_counts, values, lengths, texts_as_tensors]
# What the server lets pass comes more often: the backends have to deal with it.
FAMILIES = [
    *TENSORS, fitting_shapes, values, values, lengths, sequence_order, inputs, outputs, shared_memory, parameters, ids, sequence_order, broken_json, broken_http, places,
    broken_messages,
]  # fmt: skip
