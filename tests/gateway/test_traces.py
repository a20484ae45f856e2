"""A request's id, and OpenTelemetry's traces: from the client, through the gateway, to the server."""

import re
import secrets

import pytest

from gateway.collector import CLIENT, SERVER, collector
from gateway.running import gateway
from gateway.test_funasr import connected, pcm, say
from gateway.test_safety import ask
from support.client import serving
from support.recordings import recordings

GATEWAY = "triton-funasr-gateway"
FAST = {"OTEL_BSP_SCHEDULE_DELAY": "100"}


@pytest.fixture(scope="module")
def collected():
    """Where the spans of gateway and server go."""
    with collector() as own:
        yield own


@pytest.fixture(scope="module")
def traced(models, collected):
    """A server with traces of its own, which takes up those of whoever asks it."""
    settings = ["mode=opentelemetry", "rate=1", "level=TIMESTAMPS", f"opentelemetry,url={collected.address}/v1/traces"]
    settings += ["opentelemetry,bsp_schedule_delay=100", "opentelemetry,resource=service.name=triton"]
    flags = [f"--trace-config={setting}" for setting in settings]
    with serving(models, "--model-config-name=pipeline", "--exit-timeout-secs=5", *flags) as client:
        yield client


def parent():
    """What a client that traces sends: a trace, its own span, and both as a header."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return trace, span, {"traceparent": f"00-{trace}-{span}-01"}


def test_a_request_has_an_id(front):
    status, headers, _ = ask(front, headers={"X-Request-Id": "mine-1"})
    assert status == 200 and headers["x-request-id"] == "mine-1"
    assert re.search(r"POST /v1/audio/transcriptions 200 \d+ ms mine-1\n", front.log())
    for given in ({}, {"X-Request-Id": "two words"}):
        made = ask(front, headers=given)[1]["x-request-id"]
        assert re.fullmatch(r"req_[0-9a-f]{32}", made) and f" ms {made}\n" in front.log()


def test_a_trace_goes_from_the_client_to_the_server(traced, collected):
    trace, own, headers = parent()
    environment = FAST | {"OTEL_EXPORTER_OTLP_ENDPOINT": collected.address}
    with gateway(traced, environment=environment) as running:
        answer = ask(running, headers=headers | {"X-Request-Id": "mine-2"})
        assert answer[0] == 200
        assert f" ms mine-2 trace {trace}\n" in running.log()
        # Of the client's trace there are the request, its call, and what the server tells of it.
        spans = collected.of(trace, **{GATEWAY: 2, "triton": 2})
        (request,) = [span for span in spans if span.kind == SERVER and span.service == GATEWAY]
        (call,) = [span for span in spans if span.kind == CLIENT and span.service == GATEWAY]
        assert (request.name, request.parent) == ("POST /v1/audio/transcriptions", own)
        assert request.attributes["http.response.status_code"] == 200
        assert request.attributes["http.request.id"] == "mine-2"
        assert (call.name, call.parent) == ("ModelInfer sensevoice", request.id)
        assert call.attributes["server.address"] == traced.server.grpc
        (inference,) = [span for span in spans if span.parent == call.id]
        (model,) = [span for span in spans if span.parent == inference.id]
        assert {inference.service, model.service} == {"triton"}
        assert (model.attributes["triton.model_name"], model.attributes["triton.request_id"]) == ("sensevoice", "mine-2")


def test_a_failed_call_is_told(traced, collected):
    trace, _, headers = parent()
    with gateway(traced, options=["--otlp-endpoint", collected.address], environment=FAST) as running:
        assert ask(running, b"no audio at all " * 100, headers=headers)[0] == 400
        spans = [span for span in collected.of(trace, **{GATEWAY: 2}) if span.service == GATEWAY]
        assert {span.kind: span.failed for span in spans} == {SERVER: False, CLIENT: True}
        (call,) = [span for span in spans if span.kind == CLIENT]
        assert call.attributes["rpc.grpc.status_code"] == 3


def test_a_websocket_is_one_request_with_many_calls(traced, collected):
    trace, own, headers = parent()
    environment = FAST | {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collected.address}/v1/traces", "OTEL_SERVICE_NAME": "door"}
    samples = recordings()[0].samples
    with gateway(traced, environment=environment) as running:
        with connected(running, additional_headers=headers) as socket:
            say(socket, pcm(samples), mode="online")
        chunks = -(-(len(samples) + 5120) // 9600)
        running.stop()
        spans = collected.of(trace, door=1 + chunks)
    (session,) = [span for span in spans if span.kind == SERVER and span.service == "door"]
    calls = [span for span in spans if span.kind == CLIENT]
    assert (session.name, session.parent) == ("GET /", own)
    assert {(call.name, call.parent) for call in calls} == {("ModelInfer streaming_paraformer", session.id)}
    assert len(calls) == chunks


def test_without_a_collector_a_trace_goes_through(traced, collected):
    trace, own, headers = parent()
    with gateway(traced) as running:
        assert ask(running, headers=headers)[0] == 200
        assert "trace" not in running.log().split("POST")[1]
    spans = collected.of(trace, triton=1)
    assert {span.service for span in spans} == {"triton"} and own in {span.parent for span in spans}


def test_a_collector_that_is_not_there_holds_up_nothing(behind):
    environment = FAST | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    with gateway(behind, environment=environment) as running:
        assert ask(running)[0] == 200
        running.wait_until(lambda: "traces do not reach http://127.0.0.1:1/v1/traces" in running.log())
        assert ask(running)[0] == 200


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://a:4318"}, "by plain HTTP, as in http://127.0.0.1:4318"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            'OTEL_EXPORTER_OTLP_PROTOCOL="grpc": traces are sent as http/protobuf',
        ),
    ],
)
def test_what_cannot_be_done_ends_it(environment, words):
    with gateway("127.0.0.1:1", ready=False, environment=environment) as running:
        assert running.process.wait(60) == 1
        assert words in running.log()
