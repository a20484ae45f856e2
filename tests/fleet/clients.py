"""Clients that talk all the time: streams, one after the other on each thread, and recordings beside them."""

import itertools
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from gateway.running import post
from gateway.test_funasr import connected, pcm
from long_audio.asking import file_of
from support.client import GRPC, HTTP, Client
from support.recordings import WITHOUT_ITN, recordings

# Of the models' windows.
CHUNK = 9600
SILENCE = np.zeros(5120, np.float32)
SECONDS = 120


@dataclass
class Talk:
    """A stream, or a recording: what became of it. Times are of `time.monotonic`."""

    name: str
    number: int
    key: str
    began: float
    ended: float = 0.0
    text: str = ""
    error: str = ""
    waits: list = field(default_factory=list)


class Clients:
    """So many at a time, until they are told to stop."""

    def __init__(self, kinds):
        """`kinds` are pairs of a function that makes one talk, and how many threads call it."""
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.live = {}
        self.over = []
        self.threads = [threading.Thread(target=self._run, args=(talk,)) for talk, count in kinds for _ in range(count)]
        self.numbers = itertools.count()

    def _run(self, make):
        while not self.stopping.is_set():
            number = next(self.numbers)
            talk = Talk(make.__name__, number, str(100_000 + number), time.monotonic())
            with self.lock:
                self.live[talk.key] = talk
            try:
                talk.text = make(talk)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told at the end
                talk.error = f"{type(error).__name__}: {error}"
            talk.ended = time.monotonic()
            with self.lock:
                del self.live[talk.key]
                self.over.append(talk)

    def living(self):
        """The keys of the streams that go on now."""
        with self.lock:
            return {key for key, talk in self.live.items() if talk.name == "stream"}

    def so_far(self):
        """What is over."""
        with self.lock:
            return list(self.over)

    def failed(self):
        """What ended with an error."""
        return [talk for talk in self.so_far() if talk.error]

    def wait_for_more(self, count):
        """Waits until so many more talks are over."""
        until, deadline = len(self.so_far()) + count, time.monotonic() + SECONDS
        while len(self.so_far()) < until:
            assert time.monotonic() < deadline, "the clients stand still"
            time.sleep(0.05)


@contextmanager
def talking(*kinds):
    """Clients that talk while the `with` block lasts, and come to their end then."""
    clients = Clients(kinds)
    for thread in clients.threads:
        thread.start()
    try:
        yield clients
    finally:
        clients.stopping.set()
        for thread in clients.threads:
            thread.join()


def recording_of(talk):
    """What a talk says."""
    return recordings()[talk.number % 11]


def chunks_of(samples):
    """A recording in chunks, with silence behind it."""
    samples = np.concatenate([samples, SILENCE]).astype(np.float32)
    return [samples[start : start + CHUNK] for start in range(0, len(samples), CHUNK)]


def through_balancer(balancer, pause):
    """Makes a stream, and a recording, of Triton's own clients."""
    client = Client(balancer)

    def stream(talk):
        # The client's own number too, so that streams of several clients differ.
        chunks, text = chunks_of(recording_of(talk).samples), ""
        try:
            for number, chunk in enumerate(chunks):
                tensors = {"WAV": chunk[None], "WAV_LENS": np.int32([[len(chunk)]])}
                place = {"sequence_id": int(talk.key), "sequence_start": number == 0, "sequence_end": number == len(chunks) - 1}
                sent = time.monotonic()
                answer = client.infer(
                    "streaming_paraformer", tensors, ["TRANSCRIPTS"], GRPC, headers={"triton-sequence": talk.key}, **place
                )
                talk.waits.append(time.monotonic() - sent)
                text += answer["TRANSCRIPTS"][0, 0]
                if not place["sequence_end"]:
                    time.sleep(pause)
        finally:
            client.close()
        return text

    def recording(talk):
        try:
            samples = recording_of(talk).samples
            numbers = {"WAV_LENS": len(samples), "LANGUAGE": 0, "TEXT_NORM": WITHOUT_ITN}
            tensors = {"WAV": samples[None]} | {name: np.int32([[number]]) for name, number in numbers.items()}
            return client.infer("sensevoice", tensors, ["TEXT"], HTTP)["TEXT"][0, 0]
        finally:
            client.close()

    return stream, recording


def through_gateway(running, pause):
    """Makes a stream, and a recording, of the gateway's clients."""

    def stream(talk):
        audio, text = pcm(recording_of(talk).samples), ""
        with connected(running) as socket:
            socket.send(json.dumps({"mode": "online", "wav_name": talk.key, "is_speaking": True}))
            for start in range(0, len(audio), 2 * CHUNK):
                socket.send(audio[start : start + 2 * CHUNK])
                time.sleep(pause)
            sent = time.monotonic()
            socket.send(json.dumps({"is_speaking": False, "is_end": True}))
            while not (message := json.loads(socket.recv(timeout=SECONDS))).get("is_end"):
                text += message["text"]
            talk.waits.append(time.monotonic() - sent)
            assert message["is_final"], message
        return text

    def recording(talk):
        status, _, answer = post(running, file_of(recording_of(talk).samples), model="sensevoice", itn="false")
        assert status == 200, answer
        return json.loads(answer)["text"]

    return stream, recording
