"""Good requests that run beside what a test does, every answer checked."""

import threading
import time
from collections import Counter
from functools import partial

import numpy as np

from paraformer.streaming import send_all
from paraformer.texts import recordings as paraformer_recordings
from paraformer.texts import streams
from support.client import GRPC, HTTP, InferenceServerException
from support.recordings import WITH_ITN, recordings

# The last recording has no speech, in which an ensemble's Paraformer may find no token.
SPOKEN = 10


class Wrong(Exception):
    """An answer that is another recording's, or nobody's."""


def right(answer, expected):
    """An answer must be what it must be."""
    if answer != expected:
        raise Wrong(f"{answer!r} instead of {expected!r}")


def ask_sensevoice(client, number, protocol=HTTP, model="sensevoice"):
    """A recording through SenseVoice."""
    recording = recordings()[number % SPOKEN]
    right(client.transcribe([recording.samples], WITH_ITN, protocol=protocol, model=model)[0], recording.texts[WITH_ITN])


def ask_paraformer(client, number, protocol=HTTP, model="infer_pipeline"):
    """A recording through Paraformer."""
    recording = paraformer_recordings()[number % SPOKEN]
    tensors = {"WAV": recording.samples[np.newaxis], "WAV_LENS": np.int32([[len(recording.samples)]])}
    right(client.infer(model, tensors, ["TRANSCRIPTS"], protocol)["TRANSCRIPTS"][0, 0], recording.text)


def stream(client, ids, number, protocol=GRPC, model="streaming_paraformer"):
    """A recording through streaming Paraformer, chunk by chunk."""
    recording = streams()[number % SPOKEN]
    right(send_all(client, recording.chunks, next(ids), protocol, model), recording.deltas)


def of_all_kinds(client, ids):
    """Works for `Traffic`: every model, over HTTP and gRPC."""
    return [
        *(partial(ask_sensevoice, client, protocol=protocol) for protocol in (HTTP, GRPC)),
        *(partial(ask_paraformer, client, protocol=protocol) for protocol in (HTTP, GRPC)),
        *(partial(stream, client, ids, protocol=protocol) for protocol in (HTTP, GRPC)),
    ]


class Traffic:
    """Does each of `works` over and over, each on a thread of its own, inside a `with` block.

    A work gets the number of its turn and raises `Wrong`, or the client library's exception. At the end of the block,
    wrong answers and lost ones fail the test; refusals fail it unless `refusable`, else they are in `refusals`, by message.
    """

    def __init__(self, client, works, refusable=False):
        self.client, self.works, self.refusable = client, works, refusable
        self.answered, self.refusals, self.waits = Counter(), Counter(), []
        self._over, self._failed = threading.Event(), []

    def __enter__(self):
        self._threads = [threading.Thread(target=self._repeat, args=each) for each in enumerate(self.works)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()
        if self._failed and kind is None:
            raise self._failed[0]
        if kind is None:
            # Each of them got through.
            assert len(self.answered) == len(self.works), self.answered

    def _repeat(self, which, work):
        number = which
        try:
            while not self._over.is_set():
                began = time.monotonic()
                try:
                    work(number=number)
                    self.answered[which] += 1
                    self.waits.append(time.monotonic() - began)
                except InferenceServerException as refusal:
                    if not self.refusable:
                        raise
                    self.refusals[refusal.message()] += 1
                    time.sleep(0.005)
                number += 1
                # Lets the other threads of this process come to their turn: without, one whose answers come at once kept the
                # interpreter's lock for itself, and others waited for a second and more with their answers there.
                time.sleep(0.002)
        except Exception as error:
            # Where a test fails, this is shown: was it waiting for that long, or had it just begun?
            print(f"{work} failed {time.monotonic() - began:.1f} s after its turn {number} began")
            self._failed.append(error)
        finally:
            self.client.close()

    def wait_for(self, turns, seconds=60):
        """Waits until every work was answered so many times more."""
        goal = {which: self.answered[which] + turns for which in range(len(self.works))}
        deadline = time.monotonic() + seconds
        while any(self.answered[which] < count for which, count in goal.items()):
            assert not self._failed, self._failed[0]
            assert time.monotonic() < deadline, f"no answers: {self.answered}, wanted {goal}"
            time.sleep(0.01)

    @property
    def count(self):
        """Answers so far, all of them right."""
        return sum(self.answered.values())
