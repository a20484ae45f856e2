"""One process of the traffic: many streams and a few offline requests at a time, through the official asyncio clients.

It tells once a second what has happened, as a `Tick`, and compares every text with the one of that recording alone.
"""

import asyncio
import itertools
import random
import signal
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import tritonclient.grpc.aio as grpc
import tritonclient.http.aio as http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from load.material import NORMS, tensors

SENSEVOICE, PARAFORMER, STREAM = MODELS = ("sensevoice", "infer_pipeline", "streaming_paraformer")
HTTP, GRPC, BIDIRECTIONAL = ("HTTP", "gRPC", "gRPC stream")

# A request without an answer for so long has none.
TIMEOUT_SECONDS = 300
TELL_SECONDS = 1
# Each request under way over HTTP has a connection of its own; others wait for one.
CONNECTIONS = 100
# Faulty answers that are told in full.
TOLD = 20


class Order(NamedTuple):
    """What a process is to do."""

    number: int
    http: str
    grpc: str
    seconds: float
    streams: int
    offline: int
    # From one chunk of a stream to the next, on average.
    interval: float


@dataclass
class Tick:
    """What happened since the last one, in the process of this number."""

    number: int
    # By model and protocol.
    latencies: dict = field(default_factory=lambda: defaultdict(list))
    asked: int = 0
    finished_streams: int = 0
    open_streams: int = 0
    wrong: int = 0
    failed: int = 0
    words: list = field(default_factory=list)
    last: bool = False


def run(order, material, ticks):
    """The process: puts ticks into the queue until the time is over and everything is answered."""
    # Ctrl-C is for the process that started this one, which then ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_Traffic(order, material, ticks).run())


class _Traffic:
    def __init__(self, order, material, ticks):
        self.order = order
        self.material = material
        self.ticks = ticks
        self.tick = Tick(order.number)
        self.open = 0
        self.ids = itertools.count((order.number + 1) << 32)
        self.over = time.monotonic() + order.seconds

    async def run(self):
        self.http = http.InferenceServerClient(
            self.order.http, conn_limit=CONNECTIONS, conn_timeout=TIMEOUT_SECONDS
        )
        self.grpc = grpc.InferenceServerClient(self.order.grpc)
        telling = asyncio.create_task(self.keep_telling())
        await asyncio.gather(
            *(self.streams(number) for number in range(self.order.streams)),
            *(self.offline(number) for number in range(self.order.offline)),
        )
        telling.cancel()
        await self.http.close()
        await self.grpc.close()
        self.tick.last = True
        self.tell()

    async def keep_telling(self):
        while True:
            await asyncio.sleep(TELL_SECONDS)
            self.tell()

    def tell(self):
        self.tick.open_streams = self.open
        told, self.tick = self.tick, Tick(self.order.number)
        told.latencies = {kind: np.array(each, np.float32) for kind, each in told.latencies.items()}
        self.ticks.put(told)

    def is_over(self):
        return time.monotonic() >= self.over

    # Offline requests: each after the answer to the one before.

    async def offline(self, number):
        dice = random.Random(f"offline {self.order.number} {number}")
        while not self.is_over():
            rows = dice.choice([1, 1, 1, 2, 3, 4])
            if dice.random() < 0.5:
                indices = dice.choices(range(len(self.material.audio)), k=rows)
                norm = dice.choice(NORMS)
                expected = [self.material.sensevoice[index][norm] for index in indices]
                model, inputs = SENSEVOICE, tensors([self.material.audio[index] for index in indices], norm)
            else:
                indices = dice.choices(dice.choice(self.material.companions()), k=rows)
                expected = [self.material.paraformer[index] for index in indices]
                model, inputs = PARAFORMER, tensors([self.material.audio[index] for index in indices])
            try:
                texts = await self.ask(model, dice.choice([HTTP, GRPC]), inputs)
            except Exception as error:
                await self.failure(model, error)
                continue
            self.compare(model, indices, texts, expected)

    # Streams: one after the other, each chunk after the answer to the one before, and not before its time.

    async def streams(self, number):
        dice = random.Random(f"stream {self.order.number} {number}")
        # Everybody's turn comes once in an interval.
        await asyncio.sleep(dice.uniform(0, self.order.interval))
        while not self.is_over():
            index = dice.randrange(len(self.material.audio))
            protocol = dice.choice([HTTP, GRPC, GRPC, BIDIRECTIONAL])
            stream = next(self.ids)
            # Texts are correlation ids too.
            stream = f"call {stream}" if dice.random() < 0.2 else stream
            self.open += 1
            try:
                text = await self.one_stream(stream, protocol, self.material.pieces(index, dice), dice)
            except Exception as error:
                await self.failure(f"{STREAM} over {protocol}", error)
            else:
                self.tick.finished_streams += 1
                self.compare(STREAM, [index], [text], [self.material.stream[index]])
            finally:
                self.open -= 1

    async def one_stream(self, stream, protocol, pieces, dice):
        both = _Bidirectional(self.grpc) if protocol == BIDIRECTIONAL else None
        text = ""
        try:
            for at, piece in enumerate(pieces):
                sent = time.monotonic()
                flags = {"sequence_id": stream, "sequence_start": at == 0, "sequence_end": at == len(pieces) - 1}
                (delta,) = await self.ask(STREAM, protocol, tensors([piece]), both, **flags)
                text += delta
                await self.wait_until(sent + self.order.interval * dice.uniform(0.5, 1.5))
        except BaseException:
            if both:
                both.cancel()
            raise
        if both:
            await asyncio.wait_for(both.end(), TIMEOUT_SECONDS)
        return text

    async def wait_until(self, moment):
        """Until then, but no longer than the run lasts: afterwards streams end as fast as they can."""
        await asyncio.sleep(max(0, min(moment, self.over) - time.monotonic()))

    # Requests of both.

    async def ask(self, model, protocol, inputs, both=None, **flags):
        """Sends one request; the texts of its answer."""
        library = http if protocol == HTTP else grpc
        sent = [_tensor(library, name, array) for name, array in inputs.items()]
        wanted = [library.InferRequestedOutput("TRANSCRIPTS")]
        self.tick.asked += 1
        began = time.perf_counter()
        if both:
            result = await asyncio.wait_for(both.ask(model, sent, wanted, flags), TIMEOUT_SECONDS)
        elif protocol == HTTP:
            result = await asyncio.wait_for(self.http.infer(model, sent, outputs=wanted, **flags), TIMEOUT_SECONDS)
        else:
            result = await self.grpc.infer(model, sent, outputs=wanted, client_timeout=TIMEOUT_SECONDS, **flags)
        self.tick.latencies[model, protocol].append(time.perf_counter() - began)
        return [text.decode() for text in result.as_numpy("TRANSCRIPTS")[:, 0]]

    def compare(self, model, indices, texts, expected):
        if texts != expected:
            self.tick.wrong += 1
            self.say(f"wrong: {model} answers {texts} to {indices} in place of {expected}")

    async def failure(self, what, error):
        self.tick.failed += 1
        self.say(f"failed: {what}: {type(error).__name__} {error}")
        # A server that refuses everything is not to be stormed.
        await asyncio.sleep(1)

    def say(self, words):
        if len(self.tick.words) < TOLD:
            self.tick.words.append(words)


class _Bidirectional:
    """One gRPC stream of requests and answers; one request at a time."""

    def __init__(self, client):
        self.requests = asyncio.Queue()
        self.answers = client.stream_infer(self.sent())

    async def sent(self):
        while request := await self.requests.get():
            yield request

    async def ask(self, model, inputs, outputs, flags):
        self.requests.put_nowait({"model_name": model, "inputs": inputs, "outputs": outputs, **flags})
        result, error = await anext(self.answers)
        if error:
            raise error
        return result

    def cancel(self):
        """Ends both directions at once."""
        self.answers.cancel()

    async def end(self):
        """Ends both directions in order; an answer that nobody asked for would come here."""
        self.requests.put_nowait(None)
        async for result, error in self.answers:
            raise InferenceServerException(f"an answer to nothing: {error or result.get_response()}")


def _tensor(library, name, array):
    tensor = library.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array)
    return tensor
