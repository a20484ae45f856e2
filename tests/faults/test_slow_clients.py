"""Clients that send a byte now and then, or do not read their answers: others do not notice."""

import socket
import threading

import grpc
from tritonclient.grpc import service_pb2_grpc

from faults import doomed, raw, traffic, vitals

TRICKLING = 24
DEAF = 12
# Others' longest wait, on a machine with other things to do. A server whose threads were taken would let them wait for ever.
LONG_SECONDS = 20


def test_requests_that_trickle_in(faulty, ids):
    """More of them than the server has threads for HTTP; their answers are right in the end."""
    client, server = faulty.client, faulty.client.server
    recording = traffic.recordings()[2]
    # The head goes in one piece: of an address that is split, the server's parser reads a letter twice.
    whole, head = raw.http_request("sensevoice", raw.speech(recording.samples, LANGUAGE=0, TEXT_NORM=14))
    connections = [raw.connected(server.http) for _ in range(TRICKLING)]
    # Half an HTTP/2 preface, over and over again never the other half.
    prefaces = [raw.connected(server.grpc) for _ in range(8)]
    over = threading.Event()
    sent = [head + number * 977 % 200 for number in range(TRICKLING)]
    for connection, first in zip(connections, sent):
        connection.sendall(whole[:first])
    for connection in prefaces:
        connection.sendall(b"PRI * HTTP/2.0\r\n")

    def trickle():
        while not over.wait(0.01):
            for at, connection in enumerate(connections):
                connection.sendall(whole[sent[at] : sent[at] + 23])
                sent[at] += 23

    slowly = threading.Thread(target=trickle)
    slowly.start()
    try:
        with traffic.Traffic(client, traffic.of_all_kinds(client, ids)) as others:
            others.wait_for(3)
    finally:
        over.set()
        slowly.join()
    assert max(others.waits) < LONG_SECONDS
    assert max(sent) < len(whole)
    expected = recording.texts[traffic.WITH_ITN].encode()
    for at, connection in enumerate(connections):
        connection.settimeout(30)
        connection.sendall(whole[sent[at] :])
        answer = b""
        while expected not in answer:
            try:
                part = connection.recv(65536)
            except TimeoutError:
                part = b""
            assert part, (at, sent[at], len(whole), answer)
            answer += part
    for connection in [*connections, *prefaces]:
        connection.close()


def _read_nothing(client, ids):
    """Clients that ask and never read, and go; others are served meanwhile."""
    server = client.server
    minute = {"wav": raw.speech(doomed.audio(60))["WAV"], "wav_lens": raw.speech(doomed.audio(60))["WAV_LENS"]}
    model = "sensevoice_feature_extractor"
    traffic.ask_sensevoice(client, 0)
    whole, _ = raw.http_request(model, minute)
    connections = []
    for _ in range(DEAF):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(tuple(server.http.split(":"))[:1] + (int(server.http.split(":")[1]),))
        connection.sendall(whole)
        connections.append(connection)
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(server.grpc, options) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        # Nothing takes the answers out of these streams.
        deaf = [stub.ModelStreamInfer(iter([raw.grpc_request(model, minute)] * 4)) for _ in range(3)]
        with traffic.Traffic(client, traffic.of_all_kinds(client, ids)) as others:
            others.wait_for(3)
        for stream in deaf:
            stream.cancel()
    assert max(others.waits) < LONG_SECONDS
    for connection in connections:
        connection.close()


def test_answers_that_nobody_reads(faulty, ids):
    """Features of a minute are more than the buffers on the way hold. When the clients go, what was kept for them goes too."""
    client, server = faulty.client, faulty.client.server
    # The server opens a few files for good while it meets more connections at a time than before; what is kept of a client would
    # add DEAF files each time.
    _read_nothing(client, ids)
    client.close()
    files = vitals.open_files(server)
    for _ in range(2):
        _read_nothing(client, ids)
    assert vitals.comes_true(lambda: vitals.open_files(server) < files + DEAF), (files, vitals.open_files(server))
    with traffic.Traffic(client, traffic.of_all_kinds(client, ids)) as others:
        others.wait_for(1)
