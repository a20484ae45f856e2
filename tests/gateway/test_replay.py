"""Streams whose server dies, is stopped, or forgets them: their text is what it would have been."""

import json
import os
import signal
import threading
import time

import numpy as np
import pytest

from gateway.mortal import ways
from gateway.repositories import forgetful_repository
from gateway.running import gateway
from gateway.test_funasr import SECONDS, connected, pcm, stream_of
from long_audio.asking import two_minutes
from segments.material import RATE, silence
from support.client import serving
from support.load import at_once
from support.recordings import recordings
from two_pass.asking import finals, play

# The server itself may crash where models or connections go under load, the likelier the busier the machine is (docs/triton-notes.md).
pytestmark = pytest.mark.alone

FLAGS = ("--model-config-name=pipeline", "--exit-timeout-secs=5")
# A chunk of the gateway's, in bytes.
CHUNK = 2 * 9600
MODES = ["online", "2pass"]


def spoken():
    """Some sentences with pauses between them."""
    voices = [each.samples for each in recordings()]
    return np.concatenate([voices[0], silence(1.2), voices[7], silence(0.3), voices[2], silence(1.5)]).astype(np.float32)


class Live:
    """A client that sends a chunk at a time, and may do something in between."""

    def __init__(self, running, mode, audio, **fields):
        self.running, self.mode, self.audio = running, mode, pcm(audio)
        self.fields = {"mode": mode, "wav_name": "live", "is_speaking": True} | fields

    def play(self, before=lambda number: None):
        """The messages; `before` each chunk something may happen."""
        with connected(self.running) as socket:
            socket.send(json.dumps(self.fields, ensure_ascii=False))
            for number, start in enumerate(range(0, len(self.audio), CHUNK)):
                before(number)
                socket.send(self.audio[start : start + CHUNK])
            before(None)
            socket.send(json.dumps({"is_speaking": False, "is_end": True}))
            messages = []
            while not (messages and messages[-1].get("is_end")):
                messages.append(json.loads(socket.recv(timeout=SECONDS)))
        *told, end = messages
        assert end["is_final"], end
        return told


def texts(messages):
    """What a client shows at the end, and what it shows meanwhile: chunks' answers may share a message at the end."""
    meanwhile = "".join(each["text"] for each in messages if each["mode"] != "2pass-offline")
    for_good = [each for each in messages if each["mode"] == "2pass-offline"]
    shown = [(each["text"], each.get("timestamp"), each.get("segment_id"), each["is_final"]) for each in for_good]
    return meanwhile, shown


@pytest.fixture(scope="module")
def three_ways(behind):
    """A gateway in front of three servers, each of which may die."""
    with ways(behind.server.grpc, 3) as made, gateway(*[each.address for each in made]) as running:
        running.wait_until(lambda: running.metric("server_ready") == 3)
        yield running, made


def kill(running, made):
    """Breaks the way on which the stream is; the one that was broken before is there again."""
    has_it = lambda: [each for each in made if running.metric("server_requests", server=each.address)]  # noqa: E731
    # Right after a death it is at neither.
    holders = running.wait_until(has_it, "no server has the stream")
    for each in made:
        if each in holders:
            each.die()
        else:
            each.live()


def at_rest(running):
    """Waits until all that was sent is answered."""
    looks = [0]

    def nothing_new():
        time.sleep(0.2)
        looks.append(running.metric("chunk_seconds_count"))
        return looks[-1] == looks[-2] > 0

    running.wait_until(nothing_new)


def kill_at_rest(running, made):
    """Breaks it when all that was sent is answered."""
    at_rest(running)
    kill(running, made)


@pytest.mark.parametrize("mode", MODES)
def test_a_death_anywhere_changes_nothing(three_ways, behind, mode):
    running, made = three_ways
    audio = spoken()
    expected = texts(Live(running, mode, audio).play())
    if mode == "online":
        assert expected[0] == "".join(stream_of(behind, audio)) != ""
    chunks = -(-len(audio) * 2 // CHUNK)
    before = running.metric("replays_total")
    # All places of the plain model, every other one of the other.
    for place in [*range(2, chunks, 1 if mode == "online" else 2), None]:

        def die(number, place=place):
            if number == place:
                # Every other time the chunks before it are still under way.
                (kill if place and place % 2 else kill_at_rest)(running, made)

        assert texts(Live(running, mode, audio).play(die)) == expected, place
    assert running.metric("replays_total", outcome="whole") > before
    assert running.metric("replays_total", outcome="cut") == running.metric("replays_total", outcome="failed") == 0
    running.wait_until(lambda: running.metric("server_requests") == 0)


@pytest.mark.parametrize("mode", MODES)
def test_many_deaths_in_one_stream(three_ways, mode):
    running, made = three_ways
    audio = spoken()
    expected = texts(Live(running, mode, audio).play())
    before = running.metric("replays_total")

    def die(number):
        if number is None or number % 3 == 2:
            kill_at_rest(running, made)

    assert texts(Live(running, mode, audio).play(die)) == expected
    # Of deaths that follow each other while it is heard again, one is counted.
    assert running.metric("replays_total") >= before + 2


@pytest.mark.parametrize("mode", MODES)
def test_a_long_stream_is_heard_again_from_a_pause(behind, mode):
    """However long it is, a server that dies costs some seconds."""
    audio = two_minutes()[: 50 * RATE]
    # One is begun anew where it is settled, the other where it is lost.
    seconds = 12 if mode == "2pass" else 120
    with ways(behind.server.grpc, 3) as made, gateway(*[each.address for each in made], options=["--replay-seconds", seconds]) as running:
        running.wait_until(lambda: running.metric("server_ready") == 3)
        expected = texts(Live(running, mode, audio).play())
        assert running.metric("replays_total") == 0

        def die(number):
            if number is not None and number % 8 == 7:
                kill_at_rest(running, made)

        assert texts(Live(running, mode, audio).play(die)) == expected
        deaths = running.metric("replays_total", outcome="whole")
        assert deaths >= 3 and running.metric("replays_total") == deaths
        assert running.metric("replayed_seconds_total") < (10 if mode == "2pass" else 31) * deaths
    if mode == "online":
        assert expected[0] == "".join(stream_of(behind, audio))
    else:
        # Where it was begun anew does not matter to the text.
        alone = finals(play(behind, np.frombuffer(pcm(audio), "<i2").astype(np.float32) / 32768))
        assert [text.strip() for text, *_ in expected[1]] == [message["text"] for message in alone]


def test_where_nobody_pauses_the_text_goes_on(behind):
    """More is spoken than is kept: the segment's text so far is its last, and the rest is one more."""
    voices = [each.samples for each in recordings()]
    audio = np.concatenate([voices[number % 11] for number in range(14)]).astype(np.float32)
    with ways(behind.server.grpc, 3) as made, gateway(*[each.address for each in made], options=["--replay-seconds", 10]) as running:
        running.wait_until(lambda: running.metric("server_ready") == 3)
        for mode in MODES:
            whole = texts(Live(running, mode, audio).play())

            def die(number):
                if number == 24:
                    kill_at_rest(running, made)

            meanwhile, _ = texts(Live(running, mode, audio).play(die))
            assert running.metric("replays_total", outcome="cut") >= 1
            # At the seam a word may be lost or come twice.
            assert abs(len(meanwhile) - len(whole[0])) <= 0.1 * len(whole[0]), (meanwhile, whole[0])


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_streams_of_a_server_that_goes_are_another_ones(behind, models, how):
    audio = spoken()
    with serving(models, *FLAGS) as other, gateway(behind, other) as running:
        running.wait_until(lambda: running.metric("server_ready") == 2)
        expected = {mode: texts(Live(running, mode, audio).play()) for mode in MODES}
        began = threading.Semaphore(0)
        gone = threading.Event()

        def pace(number):
            if number == 4:
                began.release()
            elif number == 7:
                assert gone.wait(SECONDS)

        def end():
            for _ in range(12):
                assert began.acquire(timeout=SECONDS)
            at_rest(running)
            os.kill(other.server.process.pid, how)
            gone.set()

        killing = threading.Thread(target=end)
        killing.start()
        lives = [Live(running, MODES[number % 2], audio) for number in range(12)]
        answers = at_once(behind, [lambda each=each: texts(each.play(pace)) for each in lives])
        killing.join()
        assert answers == [expected[each.mode] for each in lives]
        assert running.metric("replays_total", outcome="whole") >= 1
        assert running.metric("replays_total", outcome="failed") == 0


def test_a_stream_that_its_server_forgot_is_heard_again(behind):
    """A client that was quiet for longer than the server keeps a stream."""
    with serving(forgetful_repository(), *FLAGS) as forgetful, gateway(forgetful) as running:
        audio = spoken()
        pause = lambda number: time.sleep(3) if number == 6 else None  # noqa: E731
        told = texts(Live(running, "online", audio).play(pause))
        assert told[0] == "".join(stream_of(behind, audio))
        assert running.metric("replays_total", outcome="whole") == 1
