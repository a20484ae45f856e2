"""OpenAI's realtime transcription, driven by OpenAI's own client, whose types all events are read into."""

import base64
import io
import itertools
import json

import numpy as np
import openai
import pytest

from gateway.repositories import keys_file
from gateway.running import gateway
from gateway.test_funasr import pcm
from gateway.test_safety import ALICE
from long_audio.asking import file_of
from segments.material import silence
from support.recordings import recordings
from two_pass.asking import finals, messages, play

soundfile = pytest.importorskip("soundfile", reason="telephone's samples are made with soundfile")
client_library = pytest.importorskip("websockets.sync.client")
exceptions = pytest.importorskip("websockets.exceptions")

RATE = 24_000
CHUNK = RATE * 6 // 10
TRANSCRIPTION = "conversation.item.input_audio_transcription"
INTENT = {"intent": "transcription"}


def at_rate(samples, rate):
    """Samples of 16 kHz at another rate, as 16 bits, and as what a server is asked with."""
    count = len(samples) * rate // 16_000
    other = np.interp(np.arange(count) * 16_000 / rate, np.arange(len(samples)), samples)
    raw = pcm(other)
    return raw, np.frombuffer(raw, "<i2").astype(np.float32) / 32768


def speech(first, *others):
    """Recordings with pauses between and behind them, at 16 kHz."""
    parts = [first.samples]
    for each in others:
        parts += [silence(1.5), each.samples]
    return np.concatenate([*parts, silence(2)]).astype(np.float32)


def session_with(**settings):
    return {"type": "transcription", "audio": {"input": settings}}


def append(connection, raw, step=4800):
    for start in range(0, len(raw), step):
        connection.input_audio_buffer.append(audio=base64.b64encode(raw[start : start + step]).decode())


def told(connection, until):
    """Events up to the one that `until` is true of."""
    events = []
    while not (events and until(events[-1])):
        events.append(connection.recv())
        assert events[-1].event_id
        # A type that the library does not know would have come as another's.
        assert json.loads(events[-1].to_json())["type"] == events[-1].type
    return events


def of_type(*names):
    return lambda event: event.type in names


def of_item(events, item):
    """What was told of an item, without its text's parts."""

    def id_of(event):
        inner = getattr(event, "item", None)
        return inner.id if inner else getattr(event, "item_id", None)

    return [event for event in events if id_of(event) == item and not event.type.endswith(".delta")]


@pytest.fixture
def connection(client):
    with client.realtime.connect(extra_query=INTENT) as own:
        (created,) = told(own, of_type("session.created"))
        # The server behind has a model that finds the ends of turns.
        detection = created.session.audio.input.turn_detection
        assert created.session.type == "transcription" and detection.type == "server_vad"
        yield own


def test_turns_end_where_somebody_stops_speaking(connection, behind):
    samples = speech(*recordings()[:3])
    raw, floats = at_rate(samples, RATE)
    expected = play(behind, floats, chunk=CHUNK, SAMPLE_RATE=RATE)
    last = [message for message in finals(expected) if message["text"]]
    assert len(last) >= 3
    connection.session.update(session=session_with(format={"type": "audio/pcm", "rate": RATE}))
    assert told(connection, of_type("session.updated"))[0].session.audio.input.turn_detection.type == "server_vad"
    # Messages end where they end, within a sample too.
    append(connection, raw, step=4801)
    events = []
    for _ in last:
        events += told(connection, of_type(f"{TRANSCRIPTION}.completed"))
    previous = None
    completed = [event for event in events if event.type == f"{TRANSCRIPTION}.completed"]
    for event, message in zip(completed, last):
        own = of_item(events, event.item_id)
        assert [each.type for each in own] == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            f"{TRANSCRIPTION}.completed",
        ]
        started, stopped, committed, added, *_ = own
        assert (started.audio_start_ms, stopped.audio_end_ms) == (message["start_ms"], message["end_ms"])
        assert (committed.previous_item_id, added.previous_item_id) == (previous, previous)
        assert added.item.role == "user" and added.item.content[0].type == "input_audio"
        assert (event.transcript, event.usage.type) == (message["text"], "duration")
        assert event.usage.seconds == pytest.approx((message["end_ms"] - message["start_ms"]) / 1000)
        deltas = [each.delta for each in events if each.type.endswith(".delta") and each.item_id == event.item_id]
        parts = [each["delta"] for each in messages(expected) if each["segment_id"] == message["segment_id"] and not each["is_final"]]
        assert "".join(deltas) == "".join(parts)
        previous = event.item_id
    assert sum(event.type.endswith(".delta") for event in events) >= 3


def turns(behind, rate, subtype):
    """Recordings in a format, how many samples they have, and what the model hears in them, where it hears something."""
    for recording in recordings():
        raw, _ = at_rate(recording.samples, rate)
        encoded = io.BytesIO()
        soundfile.write(encoded, np.frombuffer(raw, "<i2"), rate, subtype=subtype, format="RAW", endian="LITTLE")
        layout = {"samplerate": rate, "channels": 1, "format": "RAW", "subtype": subtype, "endian": "LITTLE"}
        decoded, _ = soundfile.read(io.BytesIO(encoded.getvalue()), dtype="int16", **layout)
        documents = play(behind, decoded.astype(np.float32) / 32768, chunk=rate * 6 // 10, SAMPLE_RATE=rate)
        heard = [message["text"] for message in finals(documents) if message["text"]]
        if len(heard) == 1:
            yield encoded.getvalue(), len(decoded), heard[0]


@pytest.mark.parametrize(("name", "subtype"), [("audio/pcm", "PCM_16"), ("audio/pcmu", "ULAW"), ("audio/pcma", "ALAW")])
def test_turns_end_where_the_client_says_so(connection, behind, name, subtype):
    rate = RATE if name == "audio/pcm" else 8_000
    connection.session.update(session=session_with(format={"type": name}, turn_detection=None))
    updated = told(connection, of_type("session.updated"))[0].session.audio.input
    assert updated.format.type == name and updated.turn_detection is None
    previous = None
    for encoded, count, expected in itertools.islice(turns(behind, rate, subtype), 2):
        append(connection, encoded)
        connection.input_audio_buffer.commit()
        events = told(connection, of_type(f"{TRANSCRIPTION}.completed"))
        completed = events[-1]
        assert completed.transcript == expected
        kinds = [event.type for event in events if not event.type.endswith(".delta")]
        assert kinds == ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done", f"{TRANSCRIPTION}.completed"]
        first = next(event for event in events if event.type == "input_audio_buffer.committed")
        assert (first.item_id, first.previous_item_id) == (completed.item_id, previous)
        assert completed.usage.seconds == pytest.approx(count / rate, abs=0.002)
        assert {event.item_id for event in events if event.type.endswith(".delta")} == {completed.item_id}
        previous = completed.item_id


def test_a_model_for_recordings_hears_a_turn_as_a_whole(connection, client):
    samples = recordings()[0].samples
    raw, _ = at_rate(samples, RATE)
    transcription = {"model": "sensevoice", "language": "zh"}
    connection.session.update(session=session_with(transcription=transcription, turn_detection=None))
    told(connection, of_type("session.updated"))
    append(connection, raw)
    connection.input_audio_buffer.commit()
    *_, completed = told(connection, of_type(f"{TRANSCRIPTION}.completed"))
    header = file_of(np.zeros(0, np.float32))
    header = header[:24] + RATE.to_bytes(4, "little") + (2 * RATE).to_bytes(4, "little") + header[32:40] + len(raw).to_bytes(4, "little")
    whole = client.audio.transcriptions.create(model="sensevoice", file=("a.wav", header + raw), language="zh")
    assert completed.transcript == whole.text != ""


def test_what_was_cleared_is_not_heard(connection):
    connection.session.update(session=session_with(turn_detection=None))
    told(connection, of_type("session.updated"))
    append(connection, at_rate(recordings()[0].samples, RATE)[0])
    connection.input_audio_buffer.clear()
    told(connection, of_type("input_audio_buffer.cleared"))
    connection.input_audio_buffer.commit()
    (error,) = told(connection, of_type("error"))
    assert error.error.code == "input_audio_buffer_commit_empty"


def test_a_commit_ends_a_turn_that_goes_on(connection):
    """As a push of a button does, where turns are found by the model."""
    samples = recordings()[0].samples
    append(connection, at_rate(samples, RATE)[0])
    connection.input_audio_buffer.commit()
    *_, completed = told(connection, of_type(f"{TRANSCRIPTION}.completed"))
    assert completed.transcript
    # Of silence, too, something is told: the client waits for it.
    append(connection, bytes(2 * RATE))
    connection.input_audio_buffer.commit()
    committed, *_, completed = told(connection, of_type(f"{TRANSCRIPTION}.completed"))
    assert committed.type == "input_audio_buffer.committed" and completed.transcript == ""
    # Times go on where the last turn ended.
    append(connection, at_rate(speech(recordings()[1]), RATE)[0])
    events = told(connection, of_type(f"{TRANSCRIPTION}.completed"))
    (started,) = [event for event in events if event.type == "input_audio_buffer.speech_started"]
    assert started.audio_start_ms >= len(samples) / 16 + 1000 - 1


def test_what_is_wrong_is_told_and_the_session_goes_on(connection):
    def error():
        (event,) = told(connection, of_type("error"))
        return event.error

    connection.send({"type": "response.create", "event_id": "mine"})
    found = error()
    assert (found.event_id, found.code, found.param) == ("mine", "unknown_event", "type")
    assert 'not "response.create"' in found.message
    connection.input_audio_buffer.append(audio="§", event_id="other")
    found = error()
    assert (found.event_id, found.param) == ("other", "audio")
    for settings, param in (
        ({"turn_detection": {"type": "semantic_vad"}}, "session.audio.input.turn_detection"),
        ({"transcription": {"language": "fr"}}, "session.audio.input.transcription.language"),
        ({"format": {"type": "audio/pcm", "rate": 16000}}, "session.audio.input.format"),
    ):
        connection.session.update(session=session_with(**settings))
        assert error().param == param
    connection.input_audio_buffer.commit()
    assert error().code == "input_audio_buffer_commit_empty"
    connection.session.update(session=session_with(turn_detection=None))
    told(connection, of_type("session.updated"))
    append(connection, at_rate(recordings()[0].samples, RATE)[0])
    connection.session.update(session=session_with(format={"type": "audio/pcmu"}))
    events = told(connection, of_type("error"))
    assert "commit or clear it first" in events[-1].error.message
    connection.input_audio_buffer.commit()
    assert told(connection, of_type(f"{TRANSCRIPTION}.completed"))[-1].transcript


def test_clients_of_the_beta(front):
    client = openai.OpenAI(base_url=f"{front.url}/v1", websocket_base_url=f"ws://{front.address}/v1", api_key="none")
    with client, client.beta.realtime.connect(model="whisper-1", extra_query=INTENT) as connection:
        told(connection, of_type("session.created"))
        settings = {"input_audio_format": "pcm16", "input_audio_transcription": {"model": "whisper-1"}, "turn_detection": None}
        connection.transcription_session.update(session=settings)
        updated = told(connection, of_type("transcription_session.updated"))[-1].session
        assert (updated.input_audio_format, updated.turn_detection) == ("pcm16", None)
        append(connection, at_rate(recordings()[0].samples, RATE)[0])
        connection.input_audio_buffer.commit()
        events = told(connection, of_type(f"{TRANSCRIPTION}.completed"))
        assert "conversation.item.created" in [event.type for event in events]
        assert "".join(event.delta for event in events if event.type.endswith(".delta")) and events[-1].transcript


def test_browsers_say_by_a_protocol_that_they_are_of_the_beta(front):
    for protocols, kind in (["openai-beta.realtime-v1"], "conversation.item.created"), ([], "conversation.item.added"):
        url = f"ws://{front.address}/v1/realtime?intent=transcription"
        with client_library.connect(url, subprotocols=["realtime", *protocols]) as socket:
            audio = base64.b64encode(at_rate(recordings()[0].samples, RATE)[0]).decode()
            turns = {"turn_detection": None}
            session = turns if protocols else {"type": "transcription", "audio": {"input": turns}}
            name = "transcription_session.update" if protocols else "session.update"
            for event in ({"type": name, "session": session}, {"type": "input_audio_buffer.append", "audio": audio}, {"type": "input_audio_buffer.commit"}):
                socket.send(json.dumps(event))
            kinds = []
            while not (kinds and kinds[-1].endswith(".completed")):
                kinds.append(json.loads(socket.recv(timeout=60))["type"])
            assert kind in kinds, kinds


def test_a_turn_that_fails_is_told_once(behind):
    with gateway(behind, options=["--max-file-mb", 1]) as running:
        client = openai.OpenAI(base_url=f"{running.url}/v1", api_key="none")
        with client, client.realtime.connect(extra_query=INTENT) as connection:
            connection.session.update(session=session_with(transcription={"model": "sensevoice"}, turn_detection=None))
            told(connection, of_type("session.updated"))
            append(connection, bytes(1_200_000), step=100_000)
            connection.input_audio_buffer.commit()
            append(connection, at_rate(recordings()[0].samples, RATE)[0])
            connection.input_audio_buffer.commit()
            first, *events = told(connection, of_type(f"{TRANSCRIPTION}.completed"))
            assert first.type == f"{TRANSCRIPTION}.failed" and "larger than 1 MB" in first.error.message
            assert events[0].type == "input_audio_buffer.committed" and events[-1].transcript
            assert running.metric("held_bytes") == 0
        running.wait_until(lambda: running.metric("streams") == 0)


def test_keys_and_addresses(behind):
    path = keys_file(f"alice {ALICE}\n")
    with gateway(behind, options=["--keys", path]) as running:

        def connect(query="intent=transcription", **options):
            return client_library.connect(f"ws://{running.address}/v1/realtime?{query}", **options)

        with pytest.raises(exceptions.InvalidStatus, match="401"):
            connect()
        # As OpenAI's clients in browsers do, which cannot set headers.
        with connect(subprotocols=["realtime", f"openai-insecure-api-key.{ALICE}"]) as socket:
            assert socket.subprotocol == "realtime"
            assert json.loads(socket.recv(timeout=60))["type"] == "session.created"
        headers = {"Authorization": f"Bearer {ALICE}"}
        with pytest.raises(exceptions.InvalidStatus, match="400"):
            connect("intent=conversation", additional_headers=headers)
        assert running.get("/v1/realtime", **headers)[0] == 426
        assert "alice GET /v1/realtime 101 " in running.log() and ALICE not in running.log()


def test_a_gateway_that_stops_tells_what_it_heard(behind):
    with gateway(behind) as running:
        with client_library.connect(f"ws://{running.address}/v1/realtime") as socket:
            raw, _ = at_rate(recordings()[0].samples, RATE)
            socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(raw).decode()}))
            events = [json.loads(socket.recv(timeout=60))["type"] for _ in range(3)]
            assert events[:2] == ["session.created", "input_audio_buffer.speech_started"]
            running.process.terminate()
            with pytest.raises(exceptions.ConnectionClosed) as closed:
                while True:
                    events.append(json.loads(socket.recv(timeout=60))["type"])
            assert closed.value.rcvd.code == 1012 and events[-1] == f"{TRANSCRIPTION}.completed"
        assert running.stop() == 143
