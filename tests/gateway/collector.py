"""A collector of OpenTelemetry's traces, as far as tests look at them: OTLP over HTTP, in protocol buffers and in JSON."""

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECONDS = 60
SERVER, CLIENT = 2, 3


@dataclass
class Span:
    """A part of a trace. Ids are hexadecimal; `parent` is empty where there is none."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    kind: int
    failed: bool
    attributes: dict = field(default_factory=dict)


def fields(data):
    """Numbers and values of a message of protocol buffers: integers, or bytes."""
    at = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = number()
        kind = key & 7
        if kind == 0:
            yield key >> 3, number()
            continue
        size = {1: 8, 5: 4}.get(kind)
        size = number() if size is None else size
        yield key >> 3, data[at : at + size]
        at += size


def inside(data, *path):
    """The values at a path of field numbers."""
    if not path:
        return [data]
    return [value for number, part in fields(data) if number == path[0] for value in inside(part, *path[1:])]


def first(data, number, default):
    """The first value of a field."""
    return next((value for own, value in fields(data) if own == number), default)


def attributes(pairs):
    """Keys and values: texts and whole numbers."""
    table = {}
    for pair in pairs:
        for number, value in fields(first(pair, 2, b"")):
            table[first(pair, 1, b"").decode()] = value.decode() if number == 1 else value
    return table


def of_messages(body):
    """The spans of `ExportTraceServiceRequest` (opentelemetry/proto/collector/trace/v1)."""
    for resource in inside(body, 1):
        service = attributes(inside(resource, 1, 1)).get("service.name", "")
        for span in inside(resource, 2, 2):
            failed = first(first(span, 15, b""), 3, 0) == 2
            trace, own, parent = (first(span, number, b"").hex() for number in (1, 2, 4))
            yield Span(service, first(span, 5, b"").decode(), trace, own, parent, first(span, 6, 0), failed, attributes(inside(span, 9)))


def of_json(body):
    """The same in JSON, where ids are hexadecimal."""
    for resource in json.loads(body)["resourceSpans"]:
        table = {each["key"]: next(iter(each["value"].values())) for each in resource["resource"]["attributes"]}
        for span in (span for scope in resource["scopeSpans"] for span in scope["spans"]):
            own = {each["key"]: next(iter(each["value"].values())) for each in span.get("attributes", [])}
            ids = (span.get(key, "") for key in ("traceId", "spanId", "parentSpanId"))
            yield Span(table["service.name"], span["name"], *ids, span.get("kind", 0), False, own)


class Collector:
    """What came so far."""

    def __init__(self, port):
        self.address = f"http://127.0.0.1:{port}"
        self.spans = []
        self.lock = threading.Lock()

    def take(self, body, is_json):
        spans = list(of_json(body) if is_json else of_messages(body))
        with self.lock:
            self.spans += spans

    def of(self, trace, **counts):
        """The spans of a trace, once there are so many of each service."""
        deadline = time.monotonic() + SECONDS
        while True:
            with self.lock:
                spans = [span for span in self.spans if span.trace == trace]
            of_services = [span.service for span in spans]
            if all(of_services.count(service) >= count for service, count in counts.items()):
                return spans
            assert time.monotonic() < deadline, spans
            time.sleep(0.05)


@contextmanager
def collector():
    """A collector that listens for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            own.take(body, "json" in self.headers["Content-Type"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        own = Collector(server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield own
        finally:
            server.shutdown()
            thread.join()
