"""A server that is told to end, or killed, while it works."""

import os
import re
import signal
import time
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from faults import raw, repositories, traffic, vitals
from faults.gate import Gate
from paraformer.streaming import send
from paraformer.texts import streams
from pipelines.variants import PIPELINE
from support.client import GRPC, HTTP, Client, InferenceServerException
from support.load import on_threads
from support.repository import fresh_directory
from support.server import Server

# What a server says that is about to end: its batchers have stopped, or its models are unloaded already.
REFUSALS = (
    "Server is stopping, scheduler for model has stopped accepting new inference requests",
    "has no available versions",
)
MODELS = {
    "ensembles": ("sensevoice_held", "sensevoice"),
    "pipelines": (
        *("sensevoice_held", "sensevoice_encoder_held", "sensevoice", "sensevoice_encoder"),
        *("streaming_held_encoder", "online_encoder_held", "streaming_paraformer", "online_encoder", "online_decoder"),
    ),
}
RECORDING = streams()[5]


@pytest.fixture(scope="module")
def repository():
    """A repository of each form, and its gate."""
    made = {}

    def get(form):
        if form not in made:
            gate = Gate(fresh_directory("gate") / "held")
            made[form] = getattr(repositories, form)(gate.path), gate
        return made[form]

    return get


@contextmanager
def held_server(repository, form, *flags):
    """A server with held models, a client without connections, and the gate."""
    path, gate = repository(form)
    flags = [*flags, "--model-control-mode=explicit", *(f"--load-model={model}" for model in MODELS[form])]
    with gate.held(), Server(path, *flags, *([PIPELINE] if form == "pipelines" else [])) as server:
        with closing(Client(server)) as client:
            yield server, client, gate


def processes_of(server):
    """The processes of the server's session, itself included."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == server.process.pid and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def in_flight(gate, form, works):
    """Whether all these requests have come as far as they can."""
    streams_among = len(works) - len(works) // 4 * 3 if form == "pipelines" else 0
    return (gate.waiting("sensevoice_encoder"), gate.waiting("online_encoder")) == (len(works) - streams_among, streams_among)


def is_refusal(message):
    """Whether a server that ends says this to who asks for more."""
    return message is not None and any(refusal in message for refusal in REFUSALS)


def outcome(call):
    """What a call gives, or the message of its refusal."""
    try:
        return call()
    except InferenceServerException as error:
        return error.message()


def whole_stream(client, protocol, stream):
    """A stream in one request, which needs encoder and decoder several times."""
    traffic.right(send(client, RECORDING.samples, stream, True, True, protocol, "streaming_held_encoder"), RECORDING.text)


def work(client, ids, form, protocols):
    """Requests that the gate holds."""
    asks = [
        partial(outcome, partial(traffic.ask_sensevoice, client, number, protocol, "sensevoice_held"))
        for number in range(3)
        for protocol in protocols
    ]
    if form == "ensembles":
        return asks
    return [*asks, *(partial(outcome, partial(whole_stream, client, protocol, next(ids))) for protocol in protocols)]


def assert_gone(server, client):
    """The server ends well and leaves no process."""
    client.close()
    assert server.process.wait(60) == 0
    assert processes_of(server) == []


@pytest.mark.alone
@pytest.mark.parametrize("form", ["ensembles", "pipelines"])
def test_requests_in_flight_are_answered(repository, ids, form):
    """Over both protocols. Streams that are under way may go on to their end; who is new over HTTP is refused."""
    with held_server(repository, form) as (server, client, gate):
        works = work(client, ids, form, (HTTP, GRPC))

        @gate.opened_at_the_end
        def end():
            client.wait_until(lambda: in_flight(gate, form, works))
            live, text = next(ids), ""
            if form == "pipelines":
                text = send(client, RECORDING.chunks[0], live, start=True)
            server.process.send_signal(signal.SIGTERM)
            client.wait_until(lambda: "Signal (15) received" in server.log())
            assert vitals.comes_true(lambda: not server.is_ready())
            if form == "pipelines":
                for at, chunk in enumerate(RECORDING.chunks[1:], 2):
                    text += send(client, chunk, live, end=at == len(RECORDING.chunks))
                assert text == RECORDING.text

        assert on_threads(client, [*works, end]) == [None] * (len(works) + 1)
        assert_gone(server, client)


@pytest.mark.parametrize("form", ["ensembles", "pipelines"])
def test_an_open_http_connection_lets_grpc_requests_finish(repository, ids, form):
    """Else the server stops its batchers at once, and a request that needs another step is refused."""
    with held_server(repository, form) as (server, client, gate):
        connection = raw.connected(server.http)
        works = work(client, ids, form, (GRPC,))

        @gate.opened_at_the_end
        def end():
            client.wait_until(lambda: in_flight(gate, form, works))
            server.process.send_signal(signal.SIGTERM)
            client.wait_until(lambda: "HTTP service connections" in server.log())

        results = on_threads(client, [*works, end])
        connection.close()
        assert results == [None] * (len(works) + 1)
        assert_gone(server, client)


@pytest.mark.parametrize("form", ["ensembles", "pipelines"])
def test_without_one_grpc_requests_finish_or_are_refused(repository, ids, form):
    """Nobody waits for ever, and the server ends as soon as nothing is in flight."""
    with held_server(repository, form) as (server, client, gate):
        works = work(client, ids, form, (GRPC,))

        @gate.opened_at_the_end
        def end():
            client.wait_until(lambda: in_flight(gate, form, works))
            server.process.send_signal(signal.SIGTERM)
            client.wait_until(lambda: "Waiting for in-flight requests" in server.log())
            assert is_refusal(outcome(partial(traffic.ask_sensevoice, client, 0, GRPC)))

        *results, _ = on_threads(client, [*works, end])
        print(sum(each is None for each in results), "of", len(results), "were answered")
        assert all(each is None or is_refusal(each) for each in results), results
        assert_gone(server, client)


ONLINE = {
    "ensembles": ("streaming_paraformer", "online_decoder"),
    "pipelines": ("streaming_paraformer", "online_encoder", "online_decoder"),
}
# As long as a stream may be idle when the server stops, and some.
ABANDONED_SECONDS = 2.2


@contextmanager
def online_server(repository, form, models=None):
    """A server with the streaming models alone, and a client."""
    path, _ = repository(form)
    flags = ["--model-control-mode=explicit", *(f"--load-model={model}" for model in models or ONLINE[form])]
    with Server(path, *flags, *([PIPELINE] if form == "pipelines" else [])) as server:
        with closing(Client(server)) as client:
            yield server, client


def abandon(client, ids):
    """Streams that nobody ends: after each of their chunks, over both protocols; of ids that are texts; refused in the beginning."""
    for at in range(1, len(RECORDING.chunks)):
        for protocol in (HTTP, GRPC):
            for name in (next(ids), f"stream {next(ids)}"):
                for number, chunk in enumerate(RECORDING.chunks[:at]):
                    send(client, chunk, name, start=number == 0, protocol=protocol)
    for begun in (False, True):
        name = next(ids)
        if begun:
            send(client, RECORDING.chunks[0], name, start=True)
        with pytest.raises(InferenceServerException, match="NaN"):
            send(client, np.full_like(RECORDING.chunks[0], np.nan), name, start=True)


def assert_ends_soon_beside_abandoned_streams(server, client, ids):
    """Clients leave streams open and go; a while later the server is told to end."""
    abandon(client, ids)
    time.sleep(ABANDONED_SECONDS)
    client.close()
    told = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert_gone(server, client)
    took = time.monotonic() - told
    print(f"it ended after {took:.1f} s")
    assert took < 6


@pytest.mark.parametrize("form", ["ensembles", "pipelines"])
def test_abandoned_streams_do_not_hold_it_up(repository, ids, form):
    with online_server(repository, form) as (server, client):
        assert_ends_soon_beside_abandoned_streams(server, client, ids)


def test_streams_of_an_ensemble_that_is_loaded_after_its_steps_do_not_hold_it_up(repository, ids):
    """Its first step has looked for it in vain before, and knows the others all the same."""
    steps = [f"online_{step}" for step in ("feature_extractor", "lfr_cmvn_pe", "encoder", "cif_search", "decoder")]
    with online_server(repository, "ensembles", steps) as (server, client):
        # It looks every second.
        time.sleep(2.5)
        client.grpc.load_model("streaming_paraformer")
        assert_ends_soon_beside_abandoned_streams(server, client, ids)


def test_a_live_stream_ends_well_beside_abandoned_ones(repository, ids):
    """Of an ensemble, whose steps take the requests of streams under way; a pipeline's encoder does not without HTTP."""
    with online_server(repository, "ensembles") as (server, client):
        abandon(client, ids)
        live = next(ids)
        text = send(client, RECORDING.chunks[0], live, start=True, protocol=GRPC)
        for at, chunk in enumerate(RECORDING.chunks[1:], 2):
            time.sleep(0.6)
            text += send(client, chunk, live, end=at == len(RECORDING.chunks), protocol=GRPC)
            if at == len(RECORDING.chunks) // 2:
                client.http.close()
                server.process.send_signal(signal.SIGTERM)
                client.wait_until(lambda: "Waiting for in-flight requests" in server.log())
        assert text == RECORDING.text
        assert_gone(server, client)


def test_the_exit_timeout_ends_what_does_not_end(repository, ids):
    """A stream that nobody ends: the server gives up on it in time, and its exit code says so."""
    with held_server(repository, "pipelines", "--exit-timeout-secs=1") as (server, client, _):
        send(client, RECORDING.chunks[0], next(ids), start=True, protocol=GRPC)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 1
        assert "Exit timeout expired" in server.log()
        assert processes_of(server) == []


def written_files(server):
    """The files that a server has open for writing, or has in shared memory: what it could leave behind."""
    process, found = Path(f"/proc/{server.process.pid}"), set()
    for info in process.glob("fdinfo/*"):
        target = os.readlink(process / "fd" / info.name)
        flags = int(re.search(r"flags:\s+(\d+)", info.read_text())[1], 8)
        if target.startswith("/") and not target.startswith("/dev/") and flags & os.O_ACCMODE != os.O_RDONLY:
            found.add(target)
    return found | set(re.findall(r"\s(/dev/shm/\S+)$", (process / "maps").read_text(), re.MULTILINE))


def listing(path):
    """Everything in a directory, with size and time."""
    return {str(each): (each.stat().st_size, each.stat().st_mtime_ns) for each in path.rglob("*")}


def test_killed_and_restarted(repository, ids):
    """`kill -9` in the middle of work; the next server is ready and right. Neither leaves a file."""
    path, gate = repository("pipelines")
    before = listing(path)
    with held_server(repository, "pipelines") as (server, client, gate):
        asks = work(client, ids, "pipelines", (GRPC,))

        @gate.opened_at_the_end
        def kill():
            client.wait_until(lambda: in_flight(gate, "pipelines", asks))
            nonlocal written
            written = written_files(server)
            server.process.kill()
            server.process.wait()

        written = None
        *results, _ = on_threads(client, [*asks, kill])
        assert all(results), "answered by a killed server"
        assert processes_of(server) == []
    # Others are not ours: ONNX Runtime's in the home directory, DCGM's in /var/log.
    assert {each for each in written if each.startswith(("/tmp/", "/dev/shm/", str(path)))} <= {str(server.log_path)}
    assert listing(path) == before
    with held_server(repository, "pipelines") as (server, client, gate):
        gate.open()
        for number in range(3):
            traffic.ask_sensevoice(client, number, GRPC, "sensevoice_held")
        whole_stream(client, GRPC, next(ids))
        server.process.send_signal(signal.SIGTERM)
        assert_gone(server, client)
    assert listing(path) == before
