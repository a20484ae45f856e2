"""Who may come in, and what is done with those who are too many, too large, too slow or too curious."""

import hashlib
import http.client
import json
import re
import socket
import ssl
import threading
import time
import urllib.request
from pathlib import Path

import openai
import pytest

from gateway.repositories import keys_file
from gateway.running import error_of, form, gateway, post
from support.environment import PROJECT
from support.server import free_ports

FILE = (PROJECT / "crates/audio-input/tests/data/08_en.flac").read_bytes()
ALICE, BOB = "sk-alice-0123456789", "sk-bob-0123456789"
TLS = Path(__file__).parent / "tls"


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def ask(running, file=FILE, **options):
    """A transcription without a library."""
    return post(running, file, model="sensevoice", **options)


class Slow:
    """A request that comes piece by piece."""

    def __init__(self, running, **fields):
        kind, self.body = form(FILE, model="sensevoice", **fields)
        self.head = f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: gateway\r\nContent-Type: {kind}\r\n"
        self.head += f"Content-Length: {len(self.body)}\r\n\r\n"
        self.socket = socket.create_connection(("127.0.0.1", running.port), timeout=60)

    def begin(self):
        self.socket.sendall(self.head.encode() + self.body[:2000])
        return self

    def end(self):
        """The answer to the rest."""
        self.socket.sendall(self.body[2000:])
        return self.answer()

    def answer(self):
        answer = http.client.HTTPResponse(self.socket)
        answer.begin()
        return answer.status, dict(answer.getheaders()), answer.read().decode()


def test_only_those_with_a_key_come_in_and_the_file_is_read_again(behind):
    path = keys_file(f"# ours\nalice {ALICE}\nbob sha256:{hashlib.sha256(BOB.encode()).hexdigest()}\n")
    with gateway(behind, options=["--keys", path]) as running:
        assert error_of(ask(running))["code"] == "invalid_api_key"
        status, headers, _ = ask(running, headers=bearer(ALICE[:-1]))
        assert status == 401 and headers["www-authenticate"] == "Bearer"
        for given in (bearer(ALICE), bearer(BOB)):
            assert ask(running, headers=given)[0] == 200
        assert ask(running, path=f"/v1/audio/transcriptions?api_key={ALICE}")[0] == 200
        assert running.get("/v1/models")[0] == 401 and running.get("/v1/models", **bearer(BOB))[0] == 200
        assert running.metric("refused_total", reason="key") == 3
        path.write_text("carol short\n")
        running.wait_until(lambda: "the former keys go on" in running.log())
        assert ask(running, headers=bearer(ALICE))[0] == 200
        path.write_text(f"bob {BOB}\n")
        running.wait_until(lambda: ask(running, headers=bearer(ALICE))[0] == 401)
        assert ask(running, headers=bearer(BOB))[0] == 200
        client = openai.OpenAI(base_url=f"{running.url}/v1", api_key=ALICE, max_retries=0)
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
        log = running.log()
    assert re.search(r"alice POST /v1/audio/transcriptions 200 \d+ ms", log)
    for secret in (ALICE, BOB, "carol", "api_key"):
        assert secret not in log


def test_neither_text_nor_audio_is_in_the_log(behind):
    with gateway(behind) as running:
        _, _, text = ask(running, (PROJECT / "demo/recordings/06_en.wav").read_bytes())
        words = json.loads(text)["text"].split()
        assert len(words) > 2
        log = running.log()
    assert "POST /v1/audio/transcriptions 200" in log
    assert not any(word.strip(".") in log for word in words)


def test_too_large_a_file_is_refused(behind):
    large = b"RIFF" + bytes(3_000_000)
    with gateway(behind, options=["--max-file-mb", 1]) as running:
        client = openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0)
        for size in (1_100_000, 3_000_000):
            with pytest.raises(openai.APIStatusError, match="larger than 1 MB") as caught:
                client.audio.transcriptions.create(model="sensevoice", file=("a.wav", large[:size]))
            assert caught.value.status_code == 413
        # One that does not say how long it is.
        kind, body = form(large[:1_100_000], model="sensevoice")
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
        connection.request("POST", "/v1/audio/transcriptions", iter([body]), {"Content-Type": kind}, encode_chunked=True)
        assert connection.getresponse().status == 413
        assert ask(running)[0] == 200


def test_no_more_is_held_than_there_is_room_for(behind):
    with gateway(behind, options=["--max-held-mb", 1]) as running:
        error = error_of(ask(running, bytes(1_100_000)))
        assert error["code"] == "rate_limit_exceeded" and "as much audio as it has room for" in error["message"]
        assert running.metric("held_bytes") == 0 and running.metric("refused_total", reason="memory") == 1
        assert ask(running)[0] == 200


def test_no_more_are_under_way_than_may_be(behind):
    with gateway(behind, options=["--max-requests", 1]) as running:
        slow = Slow(running).begin()
        running.wait_until(lambda: running.metric("requests_under_way") == 1)
        status, headers, _ = answer = ask(running)
        assert (status, headers["retry-after"]) == (429, "1") and error_of(answer)["code"] == "rate_limit_exceeded"
        assert slow.end()[0] == 200
        assert ask(running)[0] == 200
        assert running.metric("refused_total", reason="busy") == 1


def test_each_key_has_its_rate_and_its_share(behind):
    path = keys_file(f"alice {ALICE}\nbob {BOB}\n")
    with gateway(behind, options=["--keys", path, "--key-rate", 3, "--key-requests", 1]) as running:
        assert [ask(running, headers=bearer(ALICE))[0] for _ in range(3)] == [200] * 3
        status, headers, _ = answer = ask(running, headers=bearer(ALICE))
        assert status == 429 and 1 <= int(headers["retry-after"]) <= 20
        assert "3 transcriptions and streams a minute" in error_of(answer)["message"]
        slow = Slow(running)
        slow.head = slow.head.replace("\r\n\r\n", f"\r\nAuthorization: Bearer {BOB}\r\n\r\n")
        slow.begin()
        running.wait_until(lambda: running.metric("requests_under_way") == 1)
        assert "1 transcriptions and streams under way" in error_of(ask(running, headers=bearer(BOB)))["message"]
        assert slow.end()[0] == 200
        assert ask(running, headers=bearer(BOB))[0] == 200


def test_who_is_slow_is_not_waited_for(behind):
    with gateway(behind, options=["--idle-timeout", 1]) as running:
        # In the middle of the head, and before it: the connection ends.
        for sent in (b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost:", b""):
            with socket.create_connection(("127.0.0.1", running.port), timeout=30) as loris:
                loris.sendall(sent)
                started = time.monotonic()
                assert loris.recv(1000)[:12] in (b"", b"HTTP/1.1 408")
                assert 0.5 < time.monotonic() - started < 15
        # In the middle of the body.
        status, _, text = Slow(running).begin().answer()
        assert status == 408 and "nothing came for 1 s" in text
        running.wait_until(lambda: running.metric("requests_under_way") == 0 and running.metric("held_bytes") == 0)


def test_a_request_has_an_end(behind):
    with gateway(behind, options=["--timeout", 2]) as running:
        slow = Slow(running)
        slow.socket.sendall(slow.head.encode())
        done = threading.Event()

        def drip():
            for byte in slow.body[:2000]:
                if done.wait(0.05):
                    return
                slow.socket.sendall(bytes([byte]))

        dripping = threading.Thread(target=drip)
        dripping.start()
        status, _, text = slow.answer()
        done.set()
        dripping.join()
        assert status == 504 and "no transcript within 2 s" in text


def test_connections_are_as_many_as_may_be(behind):
    with gateway(behind, options=["--max-connections", 2, "--idle-timeout", 2]) as running:
        idle = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(8)]
        # They are closed two by two, and then it is our turn.
        assert ask(running)[0] == 200
        for each in idle:
            each.close()


def test_browsers_may_call_from_the_origins_that_are_named(behind, front):
    def preflight(running, origin):
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-stainless-lang"}
        connection.request("OPTIONS", "/v1/audio/transcriptions", headers=headers)
        return dict(connection.getresponse().getheaders())

    with gateway(behind, options=["--cors", "https://app.example"]) as running:
        allowed = preflight(running, "https://app.example")
        assert allowed["access-control-allow-origin"] == "https://app.example"
        # OpenAI's client for browsers has headers of its own.
        assert allowed["access-control-allow-headers"] == "authorization,x-stainless-lang"
        assert "access-control-allow-origin" not in preflight(running, "https://other.example")
        _, headers, _ = ask(running, headers={"Origin": "https://app.example"})
        assert headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-origin" not in preflight(front, "https://app.example")


def test_tls(behind):
    options = ["--tls-cert", TLS / "cert.pem", "--tls-key", TLS / "key.pem"]
    with gateway(behind, options=options, ready=False, scheme="https") as running:
        context = ssl.create_default_context(cafile=str(TLS / "cert.pem"))

        def status(path):
            with urllib.request.urlopen(f"https://{running.address}{path}", context=context, timeout=30) as answer:
                return answer.status

        running.wait_until(lambda: "is ready" in running.log())
        assert status("/v1/models") == 200 and status("/health/live") == 200
        # Who does not speak TLS gets no answer.
        with pytest.raises((http.client.HTTPException, OSError)):
            post(running, FILE)


def test_metrics_can_have_a_door_of_their_own(behind):
    (port,) = free_ports(1)
    with gateway(behind, options=["--metrics-listen", f"127.0.0.1:{port}"]) as running:
        assert ask(running)[0] == 200
        assert running.get("/metrics")[0] == 404
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'funasr_gateway_requests_total{api="transcriptions",status="200"} 1' in text
    assert f"funasr_gateway_audio_bytes_total {len(FILE)}" in text
    assert f'funasr_gateway_server_ready{{server="{behind.server.grpc}"}} 1' in text
    assert 'funasr_gateway_request_seconds_count{api="transcriptions"} 1' in text
