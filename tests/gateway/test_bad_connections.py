"""Clients and servers that fall silent, drip, do not read, come late; keys and certificates that change meanwhile."""

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import threading
import time

import pytest

from gateway.proxy import proxy
from gateway.repositories import fresh_directory, keys_file
from gateway.running import error_of, gateway, post
from gateway.test_funasr import connected, pcm, say, told
from gateway.test_safety import ALICE, BOB, TLS, ask, bearer
from gateway.test_servers import FLAGS
from support.client import serving
from support.recordings import recordings
from support.server import free_ports

exceptions = pytest.importorskip("websockets.exceptions")

HANDSHAKE = (
    "GET / HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
# A message of text from a client, by its first two bytes; the mask of zeros leaves it as it is.
TEXT = b"\x81\xfe"
MASK = bytes(4)


def resident(running):
    """The gateway's memory, in MB."""
    with open(f"/proc/{running.process.pid}/status", encoding="ascii") as status:
        (line,) = (line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1000


def raw(running, **options):
    """A WebSocket without a library, which does only what the test does."""
    own = socket.create_connection(("127.0.0.1", running.port), timeout=30, **options)
    own.sendall(HANDSHAKE.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += own.recv(1000)
    assert answer.startswith(b"HTTP/1.1 101")
    return own


def ends(own, seconds):
    """The other side closes within so long."""
    deadline = time.monotonic() + seconds
    own.settimeout(seconds)
    try:
        while own.recv(1 << 16):
            assert time.monotonic() < deadline
    except ConnectionError:
        pass
    return True


def is_quiet(running):
    """Nothing is left of connections but the one that asks, nor of streams."""
    return running.metric("connections") <= 1 and running.metric("streams") == 0


def test_a_message_that_drips_is_not_waited_for(behind):
    with gateway(behind, options=["--idle-timeout", 1]) as running, raw(running) as loris:
        loris.sendall(TEXT + (60_000).to_bytes(2, "big") + MASK)
        stop = threading.Event()

        def drip():
            while not stop.wait(0.1):
                try:
                    loris.send(b" ")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert ends(loris, 20)
        stop.set()
        dripping.join()
        running.wait_until(lambda: is_quiet(running))


def test_a_client_whose_cable_is_pulled_is_forgotten(behind):
    with gateway(behind, options=["--idle-timeout", 1]) as running, proxy(running.address) as between:
        running.address = between.address
        with connected(running, close_timeout=0) as client:
            client.send(json.dumps({"mode": "online", "is_speaking": True}))
            client.send(pcm(recordings()[0].samples))
            json.loads(client.recv(timeout=30))
            assert running.metric("streams", mode="online") == 1
            between.is_silent.set()
            running.wait_until(lambda: is_quiet(running))
            # The server's place is free, too.
            running.wait_until(lambda: running.metric("server_requests") == 0)


def test_a_client_that_does_not_read_is_read_no_further(behind):
    """Its answers are not collected: what it sends stays with it."""
    with gateway(behind, options=["--idle-timeout", 4]) as running, raw(running) as deaf:
        before = resident(running)
        message = TEXT + (1000).to_bytes(2, "big") + MASK + b"x" * 1000
        burst = message * 1000
        sent, largest = 0, 0
        deaf.settimeout(1)
        try:
            # Each is answered by what is wrong with it. Some MB go into the system's buffers.
            while sent < 200_000_000:
                sent += deaf.send(burst)
                largest = max(largest, resident(running))
        except TimeoutError:
            pass
        assert sent < 100_000_000
        assert max(largest, resident(running)) - before < 30
        # It is not waited for for ever. The client has not read on, so what comes first are the answers.
        running.wait_until(lambda: is_quiet(running))


def test_a_client_that_sends_faster_than_the_models_hear_waits(behind):
    samples = pcm(recordings()[0].samples)[:19_200]
    with gateway(behind) as running, raw(running) as eager:
        start = json.dumps({"mode": "online", "is_speaking": True}).encode()
        eager.sendall(b"\x81\xfe" + len(start).to_bytes(2, "big") + MASK + start)
        before = resident(running)
        burst = b"\x82\xfe" + len(samples).to_bytes(2, "big") + MASK + samples
        sent, largest, deadline = 0, 0, time.monotonic() + 3
        eager.settimeout(0.5)
        while time.monotonic() < deadline:
            try:
                sent += eager.send(burst)
            except TimeoutError:
                continue
            largest = max(largest, resident(running))
        heard = running.metric("audio_bytes_total")
        # What was not heard yet is in the system's buffers.
        assert 0 < heard <= sent < heard + 20_000_000
        assert largest - before < 30


def test_pings_are_answered_while_a_server_takes_its_time(models, behind):
    """Clients' libraries close a connection on which no ping is answered for a while."""
    audio = pcm(recordings()[0].samples)
    for mode in ("online", "offline"):
        with serving(models, *FLAGS) as own, gateway(own) as running:
            with connected(running) as socket:
                expected = "".join(each["text"] for each in say(socket, audio, mode=mode))
            asleep = threading.Timer(3.5, os.kill, (own.server.process.pid, signal.SIGCONT))
            with connected(running, ping_interval=0.3, ping_timeout=1) as socket:
                socket.send(json.dumps({"mode": mode, "is_speaking": True}))
                os.kill(own.server.process.pid, signal.SIGSTOP)
                asleep.start()
                for start in range(0, len(audio), 9600):
                    socket.send(audio[start : start + 9600])
                socket.send(json.dumps({"is_speaking": False, "is_end": True}))
                began = time.monotonic()
                assert "".join(each["text"] for each in told(socket, lambda each: each.get("is_end"))) == expected != ""
                assert time.monotonic() - began > 2.5
            asleep.join()


def test_a_client_that_closes_is_answered(front):
    with connected(front) as socket:
        socket.send(json.dumps({"mode": "online", "is_speaking": True}))
    assert socket.protocol.close_rcvd is not None and socket.protocol.close_rcvd.code == socket.protocol.close_sent.code


def test_a_form_without_boundaries_is_refused_soon(front):
    head = {"Content-Type": "multipart/form-data; boundary=nowhere"}
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=30)
    began = time.monotonic()
    connection.request("POST", "/v1/audio/transcriptions", bytes(20_000_000), head)
    answer = connection.getresponse()
    assert answer.status == 400 and "in no field" in json.loads(answer.read())["error"]["message"]
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("fields, code", [({"language": "fr"}, "language"), ({"response_format": "xml"}, "response_format")])
def test_what_is_wrong_is_told_to_who_is_still_sending(front, fields, code):
    """Forms have their fields first. A connection that is closed then takes the answer with it."""
    assert error_of(post(front, bytes(60_000_000), **fields))["param"] == code


def test_a_server_that_falls_silent_gets_no_more(behind):
    with proxy(behind.server.grpc) as between, gateway(between.address, behind) as running:
        running.wait_until(lambda: running.metric("server_ready") == 2)
        between.is_silent.set()
        running.wait_until(lambda: running.metric("server_ready", server=between.address) == 0)
        assert [ask(running)[0] for _ in range(4)] == [200] * 4
        assert running.metric("server_ready", server=behind.server.grpc) == 1


def test_a_server_may_come_after_the_gateway(behind):
    (port,) = free_ports(1)
    with gateway(f"127.0.0.1:{port}", ready=False) as running:
        running.wait_until(lambda: "Serving" in running.log())
        running.wait_until(lambda: running.get("/health/live")[0] == 200)
        assert running.get("/health/ready")[0] == 503
        with proxy(behind.server.grpc, port):
            running.wait_until(running.is_ready)
            assert ask(running)[0] == 200
        running.wait_until(lambda: running.get("/health/ready")[0] == 503)


def test_keys_that_stay_go_on_while_others_change(behind):
    path = keys_file(f"alice {ALICE}\nbob {BOB}\n")
    with gateway(behind, options=["--keys", path]) as running:
        stop, answers = threading.Event(), []

        def call():
            while not stop.is_set():
                answers.append(running.get("/v1/models", **bearer(ALICE))[0])

        calling = [threading.Thread(target=call) for _ in range(4)]
        for each in calling:
            each.start()
        others = [f"carol{number} sk-carol-{number:010}\n" for number in range(2000)]
        for round_ in range(3):
            # Not right behind a look at the file: the next one finds it half there.
            time.sleep(0.7)
            # As an editor writes it: it is empty, then half there, and then whole.
            with path.open("w") as file:
                file.flush()
                time.sleep(0.3)
                file.writelines(others[: 500 + round_])
                file.flush()
                time.sleep(0.3)
                file.writelines([*others[500 + round_ :], f"alice {ALICE}\n"])
            running.wait_until(lambda: running.log().count("2001 keys read again") == round_ + 1)
        stop.set()
        for each in calling:
            each.join()
        assert len(answers) > 20 and set(answers) == {200}
        assert running.get("/v1/models", **bearer(BOB))[0] == 401


def test_a_certificate_is_replaced_while_it_runs(behind):
    place = fresh_directory("tls")
    for name in ("cert.pem", "key.pem"):
        shutil.copy(TLS / name, place / name)
    options = ["--tls-cert", place / "cert.pem", "--tls-key", place / "key.pem"]
    with gateway(behind, options=options, ready=False, scheme="https") as running:

        def serves(name):
            """A client that trusts this certificate alone is served."""
            context = ssl.create_default_context(cafile=str(TLS / name))
            with socket.create_connection(("127.0.0.1", running.port), timeout=30) as plain:
                try:
                    with context.wrap_socket(plain, server_hostname="127.0.0.1"):
                        return True
                except ssl.SSLCertVerificationError:
                    return False

        running.wait_until(lambda: "is ready" in running.log())
        assert serves("cert.pem") and not serves("other-cert.pem")
        # The certificate first: until its key is there, too, the former one goes on.
        shutil.copy(TLS / "other-cert.pem", place / "cert.pem")
        running.wait_until(lambda: "the former certificate goes on" in running.log())
        assert serves("cert.pem")
        shutil.copy(TLS / "other-key.pem", place / "key.pem")
        running.wait_until(lambda: serves("other-cert.pem"))
        assert not serves("cert.pem")


def test_a_stream_that_does_not_end_is_cut_off(behind):
    with gateway(behind, options=["--drain", 1]) as running, connected(running) as client:
        client.send(json.dumps({"mode": "online", "is_speaking": True}))
        client.send(pcm(recordings()[0].samples))
        json.loads(client.recv(timeout=30))
        started = time.monotonic()
        assert running.stop() == 143
        assert 0.9 < time.monotonic() - started < 10
        assert "1 connections are cut off after 1 s" in running.log()
        with pytest.raises(exceptions.ConnectionClosed):
            while True:
                client.recv(timeout=30)
