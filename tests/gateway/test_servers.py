"""Several servers behind one gateway, and a gateway that stops."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager

import openai
import pytest

from gateway.repositories import log_file
from gateway.running import Running, error_of, gateway, post
from gateway.test_safety import FILE, Slow, ask
from long_audio.asking import file_of, two_minutes
from support.client import serving
from support.environment import variable
from support.load import at_once
from support.server import free_ports

FLAGS = ("--model-config-name=pipeline", "--exit-timeout-secs=5")


@contextmanager
def doomed(models):
    """A server that will be killed."""
    with serving(models, *FLAGS) as client:
        yield client


def test_requests_go_to_all_servers(behind, models):
    with doomed(models) as other, gateway(behind, other) as running:
        running.wait_until(lambda: running.metric("server_ready") == 2)
        before = [each.statistics("sensevoice")["inference_count"] for each in (behind, other)]
        assert {status for status, _, _ in at_once(behind, [lambda: ask(running)] * 12)} == {200}
        after = [each.statistics_at_rest("sensevoice")["inference_count"] for each in (behind, other)]
        counts = [now - then for then, now in zip(before, after)]
        assert sum(counts) == 12 and min(counts) >= 3


def test_what_a_dying_server_dropped_another_one_does(behind, models):
    recording = file_of(two_minutes())
    with doomed(models) as other, gateway(behind, other) as running:
        running.wait_until(lambda: running.metric("server_ready") == 2)
        expected = post(running, recording, model="transcribe")[2]
        killed = threading.Event()

        def kill():
            running.wait_until(lambda: running.metric("server_requests", server=other.server.grpc) >= 2)
            os.kill(other.server.process.pid, signal.SIGKILL)
            killed.set()

        calls = [lambda: post(running, recording, model="transcribe")] * 8
        killing = threading.Thread(target=kill)
        killing.start()
        answers = []
        while not killed.is_set():
            answers += at_once(behind, calls)
        killing.join()
        answers += at_once(behind, calls)
        assert {status for status, _, _ in answers} == {200}
        assert {text for _, _, text in answers} == {expected}
        assert running.metric("server_gone_total", server=other.server.grpc) >= 1 and running.metric("moved_total") >= 1
        assert running.metric("server_ready", server=other.server.grpc) == 0
        assert running.is_ready()


def test_without_a_server_it_says_so():
    with gateway("127.0.0.1:1", ready=False) as running:
        running.wait_until(lambda: "Serving" in running.log())
        running.wait_until(lambda: running.get("/health/live")[0] == 200)
        assert running.get("/health/ready") == (503, "0 of 1 servers are ready\n")
        status, headers, _ = answer = ask(running)
        assert status == 503 and headers["retry-after"] == "1"
        assert error_of(answer) == {
            "message": "no Triton server is ready",
            "type": "server_error",
            "param": None,
            "code": "service_unavailable",
        }
        client = openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0)
        with pytest.raises(openai.InternalServerError):
            client.models.list()


def test_a_server_that_lets_nobody_look_is_told_of(models):
    """docs/operations.md restricts APIs; the gateway needs the list of models."""
    with serving(models, *FLAGS, "--grpc-restricted-protocol=model-repository:key=secret") as client:
        with gateway(client, ready=False) as running:
            running.wait_until(lambda: "This protocol is restricted" in running.log())
            time.sleep(2.5)
            assert running.log().count("This protocol is restricted") == 1
            assert running.get("/health/ready")[0] == 503


def test_what_is_under_way_comes_to_its_end(behind):
    with gateway(behind) as running:
        slow = Slow(running).begin()
        running.wait_until(lambda: running.metric("requests_under_way") == 1)
        running.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", running.port), timeout=5).close()
            except ConnectionRefusedError:
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert running.process.poll() is None
        status, _, text = slow.end()
        assert status == 200 and json.loads(text)["text"]
        assert running.stop() == 128 + signal.SIGTERM


def test_who_does_not_come_to_an_end_is_cut_off(behind):
    with gateway(behind, options=["--drain", 1]) as running:
        slow = Slow(running).begin()
        running.wait_until(lambda: running.metric("requests_under_way") == 1)
        started = time.monotonic()
        assert running.stop() == 128 + signal.SIGTERM
        assert 0.9 < time.monotonic() - started < 10
        assert "1 connections are cut off after 1 s" in running.log()
        assert slow.socket.recv(1000) == b""


def test_serve_starts_both_and_stops_both(models):
    (port,) = free_ports(1)
    log = log_file()
    command = [variable("TRITON_FUNASR"), "serve", "--repo", str(models), "--gateway", "--listen", f"127.0.0.1:{port}"]
    command += ["--tritonserver", variable("TRITONSERVER"), "--backends", variable("BACKENDS_DIR"), "--", *FLAGS]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    running = Running(process, port, log)
    try:
        running.wait_until(running.is_ready)
        assert f"http://127.0.0.1:{port}" in running.log()
        slow = Slow(running).begin()
        running.wait_until(lambda: running.metric("requests_under_way") == 1)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        # The server is still there for it.
        assert slow.end()[0] == 200
    finally:
        assert running.stop() == 128 + signal.SIGINT
    assert ask_fails(port)


def ask_fails(port):
    """Nobody listens there."""
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) != 0


def test_options_of_the_gateway_need_it(models):
    command = [variable("TRITON_FUNASR"), "serve", "--repo", str(models), "--max-file-mb", "3"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1 and "options of the gateway are for a server with --gateway" in ended.stderr


def test_a_recording_that_breaks_the_connection_is_given_up(behind):
    """Whoever hangs up is not worked for: the place is free again."""
    with gateway(behind) as running:
        Slow(running).begin().socket.close()
        running.wait_until(lambda: running.metric("requests_under_way") == 0 and running.metric("held_bytes") == 0)
        assert post(running, FILE, model="sensevoice")[0] == 200
