"""An id's new stream has nothing of the stream that had the id before, whatever fails in between.

The first caller of an id begins a recording, and is gone. Another one begins with the same id, and its first request is refused.
"""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tritonclient.grpc as grpc

from faults.repositories import SHORT_IDLE_SECONDS
from faults.test_cancellation import future
from paraformer.streaming import MODEL, Bidirectional, send, tensors
from paraformer.texts import CHUNK, streams
from support.client import GRPC, HTTP, InferenceServerException

FIRST, GOOD = streams()[0], streams()[5]
SILENCE = np.zeros(CHUNK, np.float32)


def with_sample(value):
    """A chunk with one sample that is none."""
    chunk = GOOD.chunks[1].copy()
    chunk[77] = value
    return chunk


FINITE = "samples are finite numbers, normally in [-1, 1]"
PIPELINE_LENGTHS = "input 'WAV_LENS': row 0 is {}, expected 0 to 9600 (samples in the row of 'WAV')"
ENSEMBLE_LENGTHS = "input 'wav_lens': row 0 is {}, expected 0 to 9600 (samples of 'wav'; a chunk has up to 9600 of them)"
# A request's inputs, and what a pipeline and an ensemble say to them.
BAD = {
    "NaN": (
        tensors(with_sample(np.nan)),
        f"input 'WAV': row 0, sample 77 is NaN; {FINITE}",
        f"input 'wav': row 0, sample 77 is NaN; {FINITE}",
    ),
    "infinity": (
        tensors(with_sample(-np.inf)),
        f"input 'WAV': row 0, sample 77 is -inf; {FINITE}",
        f"input 'wav': row 0, sample 77 is -inf; {FINITE}",
    ),
    "too long": (
        tensors(np.zeros(9_600_001, np.float32)),
        "input 'WAV_LENS': row 0 is 9600001 samples; parameter max_audio_seconds (600 s) allows 9600000",
        ENSEMBLE_LENGTHS.format(9_600_001),
    ),
    "a length beyond the chunk": (
        {**tensors(GOOD.chunks[1]), "WAV_LENS": np.int32([[9601]])},
        PIPELINE_LENGTHS.format(9601),
        ENSEMBLE_LENGTHS.format(9601),
    ),
    "a negative length": (
        {**tensors(GOOD.chunks[1]), "WAV_LENS": np.int32([[-1]])},
        PIPELINE_LENGTHS.format(-1),
        ENSEMBLE_LENGTHS.format(-1),
    ),
}
BAD["no lengths"] = (
    {"WAV": GOOD.chunks[1][np.newaxis]},
    "input 'WAV_LENS' is missing",
    "input 'wav_lens' is missing",
)
WHY = {
    "refused": "its first request was refused",
    "cancelled": "a request of it was cancelled",
}


FIRST_STEP = {
    MODEL: "online_feature_extractor",
    "streaming_short": "online_feature_extractor_short",
    "streaming_held_encoder": "online_feature_extractor",
    "streaming_third_encoder": "online_feature_extractor",
    "streaming_third_decoder": "online_feature_extractor",
}


class Caller:
    """Sends requests of one id to a server of one form."""

    def __init__(self, faulty, protocol, name, model=MODEL):
        self.client, self.form = faulty.client, faulty.form
        self.protocol, self.name, self.model = protocol, name, model

    def send(self, chunk, start=False, end=False):
        """One chunk."""
        return send(self.client, chunk, self.name, start, end, self.protocol, self.model)

    def refused(self, inputs, start=False, end=False):
        """What a request is refused with."""
        flags = {"sequence_id": self.name, "sequence_start": start, "sequence_end": end}
        with pytest.raises(InferenceServerException) as caught:
            self.client.infer(self.model, inputs, ["TRANSCRIPTS"], self.protocol, **flags)
        return caught.value.message()

    def says(self, message):
        """A message as this form of the model gives it."""
        return f"in ensemble '{self.model}', {message}" if self.form == "ensembles" else message

    def refuses(self, bad, start=False, end=False):
        """Sends a bad request, which is refused as it must be."""
        inputs, *messages = BAD[bad]
        assert self.refused(inputs, start, end) == self.says(messages[self.form == "ensembles"])

    def first_caller(self, chunks=3):
        """Begins a recording and is gone."""
        for at, chunk in enumerate(FIRST.chunks[:chunks]):
            self.send(chunk, start=at == 0)

    def has_no_stream(self, why, times=2):
        """The next chunk says why it belongs to no stream, as often as it is sent, and so does the last."""
        message = self.says(f"stream {self.name} is not known here: {WHY[why]}; begin it again with the START flag")
        for _ in range(times):
            assert self.refused(tensors(GOOD.chunks[1])) == message
        assert self.refused(tensors(GOOD.chunks[1]), end=True) == message
        self.needs_start()

    def needs_start(self):
        """The server itself knows of no stream."""
        model = self.model if self.form == "pipelines" else FIRST_STEP[self.model]
        assert self.refused(tensors(GOOD.chunks[1])) == self.says(
            f"inference request for sequence {self.name} to model '{model}' must specify the START flag on the first request of "
            "the sequence"
        )

    def is_right(self):
        """A whole stream."""
        last = len(GOOD.chunks) - 1
        return "".join(self.send(chunk, at == 0, at == last) for at, chunk in enumerate(GOOD.chunks)) == GOOD.text


    def is_served(self):
        """Whether a whole stream is let through."""
        try:
            return self.is_right()
        except InferenceServerException:
            return False


@pytest.fixture(params=[HTTP, GRPC])
def protocol(request):
    return request.param


@pytest.fixture(params=["a number", "a text"])
def caller(request, faulty, protocol, ids):
    name = next(ids)
    return Caller(faulty, protocol, name if request.param == "a number" else f"stream {name}")


@pytest.mark.parametrize("bad", BAD)
def test_a_start_that_is_refused_ends_what_its_id_held(caller, bad):
    caller.first_caller()
    caller.refuses(bad, start=True)
    caller.has_no_stream("refused")
    assert caller.is_right()


@pytest.mark.parametrize("bad", ["NaN", "a negative length"])
def test_after_a_good_end_a_bad_end_and_a_whole_bad_stream(caller, bad):
    assert caller.is_right()
    caller.refuses(bad, start=True)
    caller.has_no_stream("refused")
    caller.first_caller()
    caller.refuses(bad, end=True)
    caller.needs_start()
    caller.refuses(bad, start=True)
    caller.has_no_stream("refused")
    caller.first_caller()
    caller.refuses(bad, start=True, end=True)
    caller.needs_start()
    assert caller.is_right()


@pytest.mark.parametrize("bad", BAD)
def test_a_refused_chunk_changes_nothing(caller, bad):
    text, last = "", len(GOOD.chunks) - 1
    for at, chunk in enumerate(GOOD.chunks):
        text += caller.send(chunk, at == 0, at == last)
        if at < last:
            caller.refuses(bad)
    assert text == GOOD.text


def test_after_the_idle_time(caller):
    caller.model = "streaming_short"
    caller.first_caller()
    time.sleep(1.5 * SHORT_IDLE_SECONDS)
    caller.needs_start()
    caller.refuses("NaN", start=True)
    caller.has_no_stream("refused")
    assert caller.is_right()


def test_after_a_cancelled_request(caller, faulty):
    """While the encoder has it."""
    caller.model = "streaming_held_encoder"
    caller.first_caller()
    inputs = []
    for name, array in tensors(FIRST.chunks[3]).items():
        inputs.append(grpc.InferInput(name, list(array.shape), "FP32" if name == "WAV" else "INT32"))
        inputs[-1].set_data_from_numpy(array)
    with faulty.gate.held():
        answered = threading.Event()
        call = caller.client.grpc.async_infer(
            caller.model, inputs, callback=lambda result, error: answered.set(), sequence_id=caller.name
        )
        caller.client.wait_until(lambda: faulty.gate.waiting("online_encoder") == 1)
        call.cancel()
        assert answered.wait(60)
        # The client knows of it before the server does.
        time.sleep(1)
    if caller.form == "pipelines":
        caller.has_no_stream("cancelled", times=1)
    else:
        # The server ends the stream in the steps behind the encoder, sooner or later, and with it what comes meanwhile.
        caller.client.wait_until(caller.is_served)
    caller.first_caller()
    caller.refuses("NaN", start=True)
    caller.has_no_stream("refused")
    assert caller.is_right()


@pytest.mark.parametrize("which", ["encoder", "decoder"])
def test_after_a_failed_call(caller, which):
    """Whichever of the first caller's requests it was."""
    caller.model = f"streaming_third_{which}"
    for chunks in range(1, 5):
        for at, chunk in enumerate(FIRST.chunks[:chunks]):
            try:
                caller.send(chunk, start=at == 0)
            except InferenceServerException as failed:
                assert "was to fail" in failed.message() or "START" in failed.message(), failed
        caller.refuses("NaN", start=True)
        caller.has_no_stream("refused")


def test_a_start_whose_call_of_the_encoder_fails(faulty, protocol, ids):
    """A pipeline's stream goes on without that chunk; an ensemble's later steps never heard of it, and have nothing left."""
    caller = Caller(faulty, protocol, None, "streaming_third_encoder")
    dice = random.Random(7)
    for _ in range(100):
        caller.name = next(ids)
        try:
            # How many calls that makes is anything.
            caller.first_caller(dice.choice([1, 2, 3]))
        except InferenceServerException:
            continue
        try:
            caller.send(SILENCE, start=True)
        except InferenceServerException as failed:
            assert "was to fail" in failed.message(), failed
            break
    else:
        raise AssertionError("no START failed")
    if caller.form == "pipelines":
        assert caller.send(SILENCE) + caller.send(SILENCE) == ""
    else:
        message = caller.refused(tensors(SILENCE))
        assert message.endswith("must specify the START flag on the first request of the sequence"), message


def test_an_end_and_the_next_start_whose_calls_of_the_encoder_fail(faulty_ensembles, protocol, ids):
    """The later steps heard neither of the one nor of the other."""
    caller = Caller(faulty_ensembles, protocol, None, "streaming_third_encoder")
    other = Caller(faulty_ensembles, protocol, next(ids), "streaming_third_encoder")
    for _ in range(20):
        caller.name = next(ids)
        try:
            caller.first_caller(2)
        except InferenceServerException:
            continue
        with pytest.raises(InferenceServerException, match="was to fail"):
            caller.send(FIRST.chunks[2], end=True)
        break
    other.first_caller(2)
    with pytest.raises(InferenceServerException, match="was to fail"):
        caller.send(SILENCE, start=True)
    message = caller.refused(tensors(SILENCE))
    assert message.endswith("must specify the START flag on the first request of the sequence"), message


def test_an_end_that_is_on_its_way_is_not_overtaken(faulty_ensembles, ids):
    """By the END that a START on its id makes, since the steps behind have the old stream still: both have their whole text."""
    client, gate, model = faulty_ensembles.client, faulty_ensembles.gate, "streaming_held_encoder"
    for name in (next(ids), f"stream {next(ids)}"):
        caller = Caller(faulty_ensembles, GRPC, name, model)
        text = "".join(caller.send(chunk, at == 0) for at, chunk in enumerate(GOOD.chunks[:-1]))
        with gate.held(), ThreadPoolExecutor(2) as threads:
            end = threads.submit(caller.send, GOOD.chunks[-1], end=True)
            client.wait_until(lambda: gate.waiting("online_encoder") == 1)
            start = threads.submit(caller.send, GOOD.chunks[0], start=True)
            # The START waits for a second at most.
            time.sleep(0.2)
            gate.open()
            assert text + end.result() == GOOD.text
            text = start.result()
        last = len(GOOD.chunks) - 1
        text += "".join(caller.send(chunk, end=at == last) for at, chunk in enumerate(GOOD.chunks) if at)
        assert text == GOOD.text


def test_a_stream_of_cif_search_that_is_cancelled_while_its_decoder_works(faulty_ensembles, ids):
    """It is over, with whatever the decoder answers."""
    client, gate, model = faulty_ensembles.client, faulty_ensembles.gate, "online_cif_search_held"
    (hidden,) = {each.shape[-1] for each in client.grpc.get_model_metadata("online_encoder").outputs if each.name == "enc"}
    enc = np.zeros((1, 20, hidden), np.float32)
    tensors = {"enc": enc, "enc_len": np.int32([[20]]), "alphas": np.full((1, 20), 0.3, np.float32)}
    stream = next(ids)
    with gate.held():
        call = future(client, model, tensors, sequence_id=stream, sequence_start=True, sequence_end=False)
        client.wait_until(lambda: gate.waiting("online_decoder") == 1)
        assert call.cancel()
        # The client knows of it before the server does.
        time.sleep(1)
    with pytest.raises(InferenceServerException) as refused:
        client.infer(model, tensors, ["transcripts"], GRPC, sequence_id=stream)
    assert refused.value.message().endswith(
        f"stream {stream} is not known here: a request of it was cancelled; begin it again with the START flag"
    )


def test_a_bad_start_that_follows_the_other_callers_chunks_without_a_pause(faulty, ids):
    for name in (next(ids), f"stream {next(ids)}"):
        caller = Caller(faulty, GRPC, name)
        with Bidirectional(caller.client) as both:
            for at, chunk in enumerate(FIRST.chunks[:3]):
                both.send(chunk, name, at == 0, False)
            both.send(with_sample(np.nan), name, True, False)
            both.send(GOOD.chunks[1], name, False, False)
            answers = [both.answers.get(timeout=60) for _ in range(5)]
        errors = Counter(error.message() for _, error in answers if error is not None)
        _, *messages = BAD["NaN"]
        assert errors == Counter(
            [
                caller.says(messages[caller.form == "ensembles"]),
                caller.says(
                    f"stream {name} is not known here: its first request was refused; begin it again with the START flag"
                ),
            ]
        )
        caller.has_no_stream("refused")
