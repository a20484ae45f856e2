"""A client process that is killed while the server works for it.

    doomed.py http|grpc ADDRESS SENSEVOICE_MODEL STREAMING_MODEL FIRST_ID COUNT

It sends COUNT requests of a second, padded to a minute, and COUNT first chunks of streams. Over HTTP every third body ends in
the middle. Then it says "sent" and
waits for its end.
"""

import queue
import sys
import time

import numpy as np

from faults import raw


def audio(seconds):
    """Noise: what it says does not matter."""
    return np.random.default_rng(1).uniform(-0.1, 0.1, int(16_000 * seconds)).astype(np.float32)


def over_http(address, requests):
    """Sends requests and reads nothing."""
    connections = []
    for number, (model, tensors, sequence) in enumerate(requests):
        whole, head = raw.http_request(model, tensors, **sequence)
        connection = raw.connected(address)
        connection.sendall(whole if number % 3 else whole[: (head + len(whole)) // 2])
        connections.append(connection)
    return connections


def over_grpc(address, requests):
    """Every second request by itself, the others through one bidirectional call."""
    import grpc
    from tritonclient.grpc import service_pb2_grpc

    channel = grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)])
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    messages = [raw.grpc_request(model, tensors, **sequence) for model, tensors, sequence in requests]
    waiting = queue.Queue()
    for message in messages[1::2]:
        waiting.put(message)
    return [*map(stub.ModelInfer.future, messages[::2]), stub.ModelStreamInfer(iter(waiting.get, None))]


def main(protocol, address, offline, streaming, first, count):
    """Sends everything and waits."""
    requests = []
    for number in range(int(count)):
        padded = raw.speech(np.resize(audio(1), 960_000), LANGUAGE=0, TEXT_NORM=14)
        padded["WAV_LENS"][:] = 16_000
        requests.append((offline, padded, {}))
        place = {"sequence_id": int(first) + number, "sequence_start": True, "sequence_end": False}
        requests.append((streaming, raw.speech(audio(0.6)), place))
    kept = {"http": over_http, "grpc": over_grpc}[protocol](address, requests)
    print("sent", flush=True)
    time.sleep(600)
    return kept


if __name__ == "__main__":
    main(*sys.argv[1:])
