"""Sends bytes as they are, over HTTP and gRPC, and reads what comes back. No client library checks anything on the way."""

import errno
import json
import re
import socket
from typing import NamedTuple, Optional

import grpc
from tritonclient.grpc import service_pb2

TIMEOUT_SECONDS = 120
SERVICE = "/inference.GRPCInferenceService/"


class Answer(NamedTuple):
    """What a request got: the status (of HTTP, or gRPC's by name), the error's text, the outputs' texts if it went well."""

    status: object
    error: str = ""
    texts: Optional[list] = None

    @property
    def went_well(self):
        """It was answered, not refused."""
        return self.status in (200, "OK")


GONE = Answer("closed")


def infer_head(model, length, json_length=None, *more):
    """The head of an HTTP inference request."""
    lines = [f"POST /v2/models/{model}/infer HTTP/1.1", "Host: x", "Connection: close"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    if json_length is not None:
        lines.append(f"Inference-Header-Content-Length: {json_length}")
    return "\r\n".join([*lines, *more, "", ""]).encode("utf-8", "surrogateescape")


def over_http(address, sent, whole=True):
    """Sends bytes over a connection of their own. If the request is not `whole`, says so and does not wait for more."""
    host, port = address.split(":")
    received = b""
    with socket.create_connection((host, int(port)), TIMEOUT_SECONDS) as connection:
        try:
            connection.sendall(sent)
            if not whole:
                connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(1 << 16):
                received += piece
                if _is_complete(received):
                    break
        except (ConnectionResetError, BrokenPipeError):
            # The server may close before it has read all.
            pass
        except OSError as error:
            # The same, if it happens before we say that there is no more.
            if error.errno != errno.ENOTCONN:
                raise
    return _http_answer(received)


def _is_complete(received):
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return length is not None and len(body) >= int(length[1])


def _http_answer(received):
    head, _, body = received.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.\d (\d{3})", head)
    if not status:
        return GONE
    status = int(status[1])
    if status != 200:
        return Answer(status, body.decode(errors="surrogateescape"))
    return Answer(status, texts=_http_texts(head, body))


def _http_texts(head, body):
    length = re.search(rb"(?i)\r\ninference-header-content-length: *(\d+)", head)
    if length:
        # Binary outputs are the inner models' affair.
        body = body[: int(length[1])]
    try:
        answer = json.loads(body.decode(errors="surrogateescape"))
    except ValueError:
        return None
    found = []
    for output in answer.get("outputs", []) if isinstance(answer, dict) else []:
        if output.get("datatype") == "BYTES":
            found += output.get("data", [])
    return found


class Grpc:
    """A connection for messages of any bytes."""

    def __init__(self, address):
        limits = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self.channel = grpc.insecure_channel(address, options=limits)
        self._infer = self.channel.unary_unary(SERVICE + "ModelInfer")
        self._stream = self.channel.stream_stream(SERVICE + "ModelStreamInfer")

    def infer(self, message):
        """One message of ModelInfer, one answer."""
        try:
            return _grpc_answer(self._infer(message, timeout=TIMEOUT_SECONDS))
        except grpc.RpcError as error:
            return Answer(error.code().name, error.details() or "")

    def stream(self, messages):
        """Messages of one ModelStreamInfer, and its answers until it ends."""
        answers = []
        try:
            for each in self._stream(iter(messages), timeout=TIMEOUT_SECONDS):
                answer = service_pb2.ModelStreamInferResponse.FromString(each)
                if answer.error_message:
                    answers.append(Answer("refused", answer.error_message))
                else:
                    answers.append(Answer("OK", texts=_texts(answer.infer_response)))
        except grpc.RpcError as error:
            answers.append(Answer(error.code().name, error.details() or ""))
        return answers

    def close(self):
        """Ends the connection."""
        self.channel.close()


def _grpc_answer(received):
    return Answer("OK", texts=_texts(service_pb2.ModelInferResponse.FromString(received)))


def _texts(response):
    found = []
    for output, raw in zip(response.outputs, response.raw_output_contents):
        while output.datatype == "BYTES" and len(raw) >= 4:
            end = 4 + int.from_bytes(raw[:4], "little")
            found.append(raw[4:end].decode(errors="surrogateescape"))
            raw = raw[end:]
    return found
