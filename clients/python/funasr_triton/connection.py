"""One thread's connection to a Triton server, over HTTP, gRPC or gRPC's bidirectional streaming."""

from __future__ import annotations

import os
import queue
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import numpy as np

from .errors import ClientError, Refused, Unreachable

HTTP, GRPC, GRPC_STREAM = "http", "grpc", "grpc-stream"

OUTPUT = "TRANSCRIPTS"
DATATYPES = {np.dtype(np.float32): "FP32", np.dtype(np.int32): "INT32", np.dtype(object): "BYTES"}

DEFAULT_PORTS = {HTTP: 8000, GRPC: 8001, GRPC_STREAM: 8001}
# scheme: (protocol, TLS)
SCHEMES = {"http": (HTTP, False), "https": (HTTP, True), "grpc": (GRPC, False), "grpcs": (GRPC, True)}

# How gRPC words a connection that failed; the status UNAVAILABLE alone may also be the server's own answer.
LOST = re.compile(r"connect|socket closed|resolv|reset|broken pipe|transport|goaway|handshake|stream removed", re.I)

T = TypeVar("T")


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    protocol: str
    place: str
    tls: bool

    def __str__(self) -> str:
        return f"{self.place} ({'HTTP' if self.protocol == HTTP else 'gRPC'}{', TLS' if self.tls else ''})"


@dataclass(frozen=True)
class Sequence:
    """What ties the requests of one stream together."""

    id: int
    start: bool
    end: bool


def parse_address(url: str | None, protocol: str | None) -> Address:
    """HOST, HOST:PORT or SCHEME://HOST:PORT; ValueError where scheme and protocol contradict each other."""
    scheme, separator, place = (url or "127.0.0.1").rpartition("://")
    tls = False
    if separator:
        if scheme.lower() not in SCHEMES:
            raise ValueError(f"'{scheme}' is no scheme of a server; there are {', '.join(SCHEMES)}")
        meant, tls = SCHEMES[scheme.lower()]
        if protocol and protocol.split("-")[0] != meant:
            raise ValueError(f"the address says {scheme}, --protocol says {protocol}")
        protocol = protocol or meant
    protocol = protocol or HTTP
    host, slash, path = place.rstrip("/").partition("/")
    if not host:
        raise ValueError(f"'{url}' names no host")
    if not re.search(r":\d+$", host):
        host = f"{host.rstrip(':')}:{DEFAULT_PORTS[protocol]}"
    return Address(protocol, host + slash + path, tls)


class Connection:
    """Talks to one server, from one thread. `timeout` is how many seconds an answer may take."""

    def __init__(self, address: Address, timeout: float) -> None:
        self.address = address
        self.timeout = timeout

    def check(self) -> None:
        """Fails with `Unreachable` unless a server is there."""
        if not self._asked(lambda: self._is_live()):
            raise Unreachable(f"the server at {self.address} is not live")

    def infer(
        self,
        model: str,
        tensors: dict[str, np.ndarray],
        sequence: Sequence | None = None,
        outputs: tuple[str, ...] = (OUTPUT,),
    ) -> dict[str, np.ndarray]:
        """Sends arrays by name; the outputs that were asked for, by name."""
        flags: dict[str, Any] = {}
        if sequence:
            flags = {"sequence_id": sequence.id, "sequence_start": sequence.start, "sequence_end": sequence.end}
        result = self._asked(lambda: self._infer(model, tensors, outputs, flags))
        return {name: _array(result, name) for name in outputs}

    def is_ready(self, model: str) -> bool:
        """The server has the model, ready to use."""
        return self._asked(lambda: self._is_ready(model))

    def models(self) -> list[str]:
        """The names of the models that are ready."""
        index = self._asked(self._index)
        return sorted({each["name"] for each in index if each.get("state") == "READY"})

    def input_names(self, model: str) -> set[str]:
        """The names of a model's inputs."""
        return {each["name"] for each in self._asked(lambda: self._metadata(model)).get("inputs", [])}

    def output_names(self, model: str) -> set[str]:
        """The names of a model's outputs."""
        return {each["name"] for each in self._asked(lambda: self._metadata(model)).get("outputs", [])}

    def config(self, model: str) -> dict[str, Any]:
        """A model's configuration, as the server completed it."""
        return self._asked(lambda: self._config(model))

    def close(self) -> None:
        """Gives the connection back."""
        raise NotImplementedError

    # What each protocol does in its own way.

    def _is_live(self) -> bool:
        raise NotImplementedError

    def _is_ready(self, model: str) -> bool:
        raise NotImplementedError

    def _index(self) -> list[dict[str, Any]]:
        raise NotImplementedError

    def _metadata(self, model: str) -> dict[str, Any]:
        raise NotImplementedError

    def _config(self, model: str) -> dict[str, Any]:
        raise NotImplementedError

    def _infer(
        self, model: str, tensors: dict[str, np.ndarray], outputs: tuple[str, ...], flags: dict[str, Any]
    ) -> Any:
        raise NotImplementedError

    def _asked(self, call: Callable[[], T]) -> T:
        """The call's result; what went wrong becomes a `ClientError`."""
        raise NotImplementedError

    def _no_answer(self) -> NoReturn:
        raise Refused(f"no answer within {self.timeout:g} s (see --timeout)") from None

    def _not_there(self, reason: object) -> NoReturn:
        other = "gRPC, mostly on 8001" if self.address.protocol == HTTP else "HTTP, mostly on 8000"
        raise Unreachable(
            f"no Triton server answers at {self.address}: {reason}\n"
            f"Is it running, and is this the right port? The other protocol ({other}) needs --protocol and its own port."
        ) from None


class HttpConnection(Connection):
    """Over HTTP, tensors as binary data."""

    def __init__(self, address: Address, timeout: float) -> None:
        super().__init__(address, timeout)
        import tritonclient.http as http

        self._library = http
        self._client = http.InferenceServerClient(
            address.place, ssl=address.tls, connection_timeout=timeout, network_timeout=timeout
        )

    def close(self) -> None:
        self._client.close()

    def _is_live(self) -> bool:
        return self._client.is_server_live()

    def _is_ready(self, model: str) -> bool:
        return self._client.is_model_ready(model)

    def _index(self) -> list[dict[str, Any]]:
        return self._client.get_model_repository_index()

    def _metadata(self, model: str) -> dict[str, Any]:
        return self._client.get_model_metadata(model)

    def _config(self, model: str) -> dict[str, Any]:
        return self._client.get_model_config(model)

    def _infer(
        self, model: str, tensors: dict[str, np.ndarray], outputs: tuple[str, ...], flags: dict[str, Any]
    ) -> Any:
        sent, wanted = _request(self._library, tensors, outputs)
        return self._client.infer(model, sent, outputs=wanted, headers=_headers(flags), **flags)

    def _asked(self, call: Callable[[], T]) -> T:
        from http.client import HTTPException

        from tritonclient.utils import InferenceServerException

        try:
            return call()
        except InferenceServerException as error:
            raise Refused(f"the server says: {error.message()}") from None
        except TimeoutError:
            self._no_answer()
        except (OSError, HTTPException) as error:
            self._not_there(getattr(error, "strerror", None) or error)
        except ValueError as error:
            # JSON was expected: whoever listens there, it is no Triton.
            self._not_there(error)


class GrpcConnection(Connection):
    """Over gRPC, a call per request."""

    def __init__(self, address: Address, timeout: float) -> None:
        super().__init__(address, timeout)
        # The library's own reports on standard error; its exceptions say the same.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        import tritonclient.grpc as grpc

        if "/" in address.place:
            raise ClientError(f"{address}: a gRPC address has no path")
        self._library = grpc
        self._client = grpc.InferenceServerClient(address.place, ssl=address.tls)

    def close(self) -> None:
        self._client.close()

    def _is_live(self) -> bool:
        return self._client.is_server_live(client_timeout=self.timeout)

    def _is_ready(self, model: str) -> bool:
        return self._client.is_model_ready(model, client_timeout=self.timeout)

    def _index(self) -> list[dict[str, Any]]:
        return self._client.get_model_repository_index(as_json=True, client_timeout=self.timeout).get("models", [])

    def _metadata(self, model: str) -> dict[str, Any]:
        return self._client.get_model_metadata(model, as_json=True, client_timeout=self.timeout)

    def _config(self, model: str) -> dict[str, Any]:
        return self._client.get_model_config(model, as_json=True, client_timeout=self.timeout)["config"]

    def _infer(
        self, model: str, tensors: dict[str, np.ndarray], outputs: tuple[str, ...], flags: dict[str, Any]
    ) -> Any:
        sent, wanted = _request(self._library, tensors, outputs)
        more = {"headers": _headers(flags), "client_timeout": self.timeout}
        return self._client.infer(model, sent, outputs=wanted, **more, **flags)

    def _asked(self, call: Callable[[], T]) -> T:
        from tritonclient.utils import InferenceServerException

        try:
            return call()
        except queue.Empty:
            self._no_answer()
        except InferenceServerException as error:
            status, message = str(error.status()), error.message()
            if status.endswith("DEADLINE_EXCEEDED"):
                self._no_answer()
            if status.endswith("UNAVAILABLE") and LOST.search(message):
                self._not_there(message)
            raise Refused(f"the server says: {message}") from None


class GrpcStreamConnection(GrpcConnection):
    """Over gRPC's bidirectional streaming: one call carries all requests, one after the other."""

    def __init__(self, address: Address, timeout: float) -> None:
        super().__init__(address, timeout)
        self._answers: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
        self._started = False

    def close(self) -> None:
        if self._started:
            self._client.stop_stream(cancel_requests=True)
        super().close()

    def _infer(
        self, model: str, tensors: dict[str, np.ndarray], outputs: tuple[str, ...], flags: dict[str, Any]
    ) -> Any:
        from tritonclient.utils import InferenceServerException

        if not self._started:
            self._client.start_stream(lambda result, error: self._answers.put((result, error)))
            self._started = True
        sent, wanted = _request(self._library, tensors, outputs)
        try:
            self._client.async_stream_infer(model, sent, outputs=wanted, **flags)
        except InferenceServerException:
            # The call has ended by itself; why is what came as an answer since.
            if self._answers.empty():
                raise
        # The next request waits for this answer: an ensemble's steps do not keep a stream's requests in order.
        result, error = self._answers.get(timeout=self.timeout)
        if error:
            raise error
        return result


def _headers(flags: dict[str, Any]) -> dict[str, str] | None:
    """What a balancer in front of several servers knows a stream by: all of it goes to one of them."""
    return {"triton-sequence": str(flags["sequence_id"])} if flags else None


KINDS: dict[str, type[Connection]] = {
    HTTP: HttpConnection,
    GRPC: GrpcConnection,
    GRPC_STREAM: GrpcStreamConnection,
}


def connect(address: Address, timeout: float) -> Connection:
    """A connection for this thread; nothing is sent yet."""
    try:
        return KINDS[address.protocol](address, timeout)
    except ImportError as error:
        missing = f"pip install 'tritonclient[{address.protocol.split('-')[0]}]'"
        raise ClientError(f"{error}; for this protocol: {missing}") from error


class Connections:
    """A connection for every thread that asks."""

    def __init__(self, address: Address, timeout: float) -> None:
        self.address = address
        self.timeout = timeout
        self._own = threading.local()

    def __call__(self) -> Connection:
        if not hasattr(self._own, "connection"):
            self._own.connection = connect(self.address, self.timeout)
        return self._own.connection


def _request(
    library: Any, tensors: dict[str, np.ndarray], outputs: tuple[str, ...]
) -> tuple[list[Any], list[Any]]:
    """A request's inputs and the outputs it asks for, as the library has them."""
    inputs = []
    for name, array in tensors.items():
        tensor = library.InferInput(name, list(array.shape), DATATYPES[array.dtype])
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    return inputs, [library.InferRequestedOutput(name) for name in outputs]


def _array(result: Any, name: str) -> np.ndarray:
    array = result.as_numpy(name)
    if array is None:
        raise Refused(f"the server sent no {name}")
    return array
