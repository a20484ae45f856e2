"""FunASR's WebSocket protocol, driven as its clients do."""

import json
from contextlib import contextmanager

import numpy as np
import pytest

from gateway.repositories import hotword_repository, keys_file
from gateway.running import gateway
from gateway.test_safety import ALICE
from long_audio.asking import ask, file_of, two_minutes
from segments.material import silence
from support.client import GRPC, serving
from support.environment import PROJECT
from support.load import at_once
from support.recordings import read_wav, recordings
from two_pass.asking import finals, messages as told_by, play

client_library = pytest.importorskip("websockets.sync.client", reason="the protocol is driven with websockets")
exceptions = pytest.importorskip("websockets.exceptions")

RATE = 16000
# What FunASR's Python client sends at a time: 60 ms * chunk_size[1] / chunk_interval.
STRIDE = 960
SECONDS = 60


def pcm(samples):
    """Samples as 16 bits."""
    return np.round(samples * 32768).clip(-32768, 32767).astype("<i2").tobytes()


@contextmanager
def connected(running, path="/", **options):
    """A connection as FunASR's clients make it."""
    url = f"ws://{running.address}{path}"
    with client_library.connect(url, subprotocols=["binary"], **{"ping_interval": None, "max_size": None, **options}) as socket:
        yield socket


def told(socket, until):
    """The messages up to the first that `until` is true of."""
    messages = []
    while not (messages and until(messages[-1])):
        messages.append(json.loads(socket.recv(timeout=SECONDS)))
    return messages


def say(socket, audio, stride=2 * STRIDE, **fields):
    """Sends audio as FunASR's clients do; all that is answered."""
    first = {"mode": "2pass", "chunk_size": [5, 10, 5], "chunk_interval": 10, "wav_name": "one", "is_speaking": True}
    socket.send(json.dumps(first | {"hotwords": "", "itn": True} | fields, ensure_ascii=False))
    for start in range(0, len(audio), stride):
        socket.send(audio[start : start + stride])
    socket.send(json.dumps({"is_speaking": False, "is_end": True}))
    return told(socket, lambda message: message.get("is_end"))


def stream_of(behind, samples):
    """What the model for streams says of it, by chunks, with the silence behind it."""
    samples = np.concatenate([np.frombuffer(pcm(samples), "<i2").astype(np.float32) / 32768, np.zeros(5120, np.float32)])
    texts = []
    starts = range(0, len(samples), 9600)
    for start in starts:
        chunk = samples[None, start : start + 9600]
        tensors = {"WAV": chunk, "WAV_LENS": np.int32([[chunk.shape[1]]])}
        place = {"sequence_id": 12345, "sequence_start": start == 0, "sequence_end": start == starts[-1]}
        texts.append(behind.infer("streaming_paraformer", tensors, ["TRANSCRIPTS"], GRPC, **place)["TRANSCRIPTS"][0, 0])
    return texts


def test_online_tells_the_stream_as_it_is_heard(front, behind):
    with connected(front) as socket:
        assert socket.subprotocol == "binary"
        # One after the other on one connection, as from a microphone.
        for recording in recordings()[:4]:
            messages = say(socket, pcm(recording.samples), mode="online", wav_name=recording.name)
            *texts, last, end = messages
            expected = stream_of(behind, recording.samples)
            assert "".join(message["text"] for message in [*texts, last]) == "".join(expected) != ""
            assert {message["mode"] for message in messages} == {"online"}
            assert {message["wav_name"] for message in messages} == {recording.name}
            assert len(texts) > 1 and not any(message["is_final"] for message in texts) and last["is_final"]
            assert end == {"mode": "online", "wav_name": recording.name, "text": "", "is_final": True, "is_end": True}
    front.wait_until(lambda: front.metric("streams") == 0)


@pytest.mark.parametrize("form", ["pcm", "wav", "wav as pcm", "mp3"])
def test_offline_tells_the_whole(front, behind, form):
    samples = two_minutes()
    file = file_of(samples)
    audio = pcm(samples) if form == "pcm" else file
    if form == "mp3":
        audio = file = (PROJECT / "crates/audio-input/tests/data/08_en.mp3").read_bytes()
    document = ask(behind, file=file)
    # FunASR's page says PCM of a WAV file, and sends it as it is.
    said = "PCM" if form == "wav as pcm" else form
    with connected(front) as socket:
        message, end = say(socket, audio, stride=100_000, mode="offline", wav_format=said)
    assert (message["mode"], message["text"], message["is_final"]) == ("offline", document["text"], True)
    words = [word for segment in document["segments"] for word in segment["words"]]
    assert json.loads(message["timestamp"]) == [[word["start_ms"], word["end_ms"]] for word in words]
    sentences = [(each["start"], each["end"]) for each in message["stamp_sents"]]
    assert sentences == [(each["start_ms"], each["end_ms"]) for each in document["sentences"]]
    first = message["stamp_sents"][0]
    # Marks within a sentence are not told, as words are told one by one.
    plain = document["sentences"][0]["text"].replace("，", "")
    assert first["text_seg"].replace(" ", "") + first["punc"] == plain
    assert first["ts_list"][0][0] == first["start"] and end["is_end"]


def test_2pass_corrects_at_each_pause(front, behind):
    samples = two_minutes()[: 30 * RATE]
    documents = play(behind, np.frombuffer(pcm(samples), "<i2").astype(np.float32) / 32768)
    with connected(front) as socket:
        *messages, end = say(socket, pcm(samples))
    offline = [message for message in messages if message["mode"] == "2pass-offline"]
    online = [message for message in messages if message["mode"] == "2pass-online"]
    assert len(offline) + len(online) == len(messages) and end["mode"] == "2pass"
    assert [message["is_final"] for message in offline] == [False] * (len(offline) - 1) + [True]
    if not offline[-1]["text"]:
        # The last segment was over before the audio was.
        del offline[-1]
    expected = finals(documents)
    assert len(expected) > 4 and messages[0]["mode"] == "2pass-online" and messages[1]["mode"] != messages[-1]["mode"]
    before = ""
    for message, final in zip(offline, expected, strict=True):
        # English has a space between two segments.
        assert message["text"].strip() == final["text"] and message["text"].startswith(" ") == spaced(before, final["text"])
        before = final["text"]
        segment = final["segment"]
        assert json.loads(message["timestamp"]) == [[word["start_ms"], word["end_ms"]] for word in segment["words"]]
        assert [(each["start"], each["end"]) for each in message["stamp_sents"]] == [
            (each["start_ms"], each["end_ms"]) for each in final["sentences"]
        ]
        for name in ("segment_id", "start_ms", "end_ms"):
            assert message[name] == final[name]
        for name in ("language", "emotion", "event", "confidence"):
            assert message.get(name) == segment[name]
    assert {message["language"] for message in offline} == {"zh", "en"}
    deltas = [message["delta"] for message in told_by(documents) if not message["is_final"]]
    assert "".join(message["text"] for message in online).replace(" ", "") == "".join(deltas).replace(" ", "") != ""


def spaced(before, text):
    """Whether there is a space between two texts."""
    return bool(before) and before[-1].isascii() and text[:1].isascii()


def test_2pass_without_such_a_model_tells_the_stream_and_then_the_whole(plain, behind):
    recording = recordings()[0]
    document = ask(behind, file=file_of(recording.samples))
    with connected(plain) as socket:
        *online, offline, end = say(socket, pcm(recording.samples))
    assert {message["mode"] for message in online} == {"2pass-online"}
    assert "".join(message["text"] for message in online) == "".join(stream_of(behind, recording.samples))
    assert (offline["mode"], offline["text"]) == ("2pass-offline", document["text"]) and offline["is_final"]
    assert end["mode"] == "2pass"


def test_2pass_of_silence_has_an_end(front):
    with connected(front) as socket:
        last, end = say(socket, bytes(4 * RATE))
    assert (last["mode"], last["text"], last["is_final"], end["is_end"]) == ("2pass-offline", "", True, True)


def test_a_client_that_does_not_wait_for_an_end_gets_none(front):
    """As FunASR's page does."""
    with connected(front) as socket:
        socket.send(json.dumps({"mode": "offline", "wav_name": "h5", "wav_format": "PCM", "audio_fs": RATE, "is_speaking": True}))
        socket.send(pcm(recordings()[0].samples))
        socket.send(json.dumps({"is_speaking": False}))
        (message,) = told(socket, lambda message: message["is_final"])
        assert message["text"] and "is_end" not in message
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.5)


def test_other_rates(front):
    """Twice as many samples at twice the rate."""
    samples = np.repeat(recordings()[0].samples, 2)
    with connected(front) as socket:
        message, _ = say(socket, pcm(samples), mode="offline", audio_fs=2 * RATE)
        assert len(message["text"]) > 3
        *texts, _ = say(socket, pcm(samples), mode="online", audio_fs=2 * RATE)
        assert len("".join(text["text"] for text in texts)) > 3


def test_many_at_once_are_each_their_own(front, behind):
    all_of_them = recordings()

    def one(recording):
        with connected(front) as socket:
            *texts, _ = say(socket, pcm(recording.samples), mode="online")
        return "".join(text["text"] for text in texts)

    expected = ["".join(stream_of(behind, recording.samples)) for recording in all_of_them]
    assert at_once(behind, [lambda each=each: one(each) for each in all_of_them * 3]) == expected * 3


def test_what_is_wrong_is_told_and_the_next_is_served(front):
    samples = pcm(recordings()[0].samples)
    with connected(front) as socket:
        for fields, words in (
            ({"mode": "online", "wav_format": "mp3"}, "streams take pcm"),
            ({"mode": "3pass"}, "none of offline, online, 2pass"),
            ({"mode": "offline", "wav_format": "others"}, "AUDIO"),
        ):
            audio = samples if fields["mode"] != "offline" else b"no audio at all " * 100
            messages = say(socket, audio, **{"wav_format": "pcm"} | fields)
            assert messages[-1]["is_final"] is False and words in messages[-1]["error"], messages
            # The same is told again at the end, for a client that looks there alone.
            socket.send(json.dumps({"is_speaking": False, "is_end": True, "mode": "offline", "wav_format": "pcm"}))
            assert told(socket, lambda message: message.get("is_final"))[-1]["is_end"]
        message, _ = say(socket, samples, mode="offline")
        assert message["text"]
        socket.send("no json")
        assert "a text message is a JSON object" in json.loads(socket.recv(timeout=SECONDS))["error"]


def test_a_client_that_goes_leaves_nothing(front):
    with connected(front) as socket:
        socket.send(json.dumps({"mode": "2pass", "is_speaking": True}))
        socket.send(pcm(recordings()[0].samples))
        json.loads(socket.recv(timeout=SECONDS))
        assert front.metric("streams", mode="2pass") == 1
        socket.socket.close()
    front.wait_until(lambda: front.metric("streams") == 0 and front.metric("held_bytes") == 0)
    front.wait_until(lambda: front.metric("server_requests") == 0)


def test_limits_go_for_streams(behind):
    path = keys_file(f"alice {ALICE}\n")
    with gateway(behind, options=["--keys", path, "--max-streams", 1, "--max-file-mb", 1]) as running:
        with pytest.raises(exceptions.InvalidStatus, match="401"), connected(running):
            pass
        key = f"/?api_key={ALICE}"
        with connected(running, key) as socket:
            with pytest.raises(exceptions.InvalidStatus, match="429"), connected(running, key):
                pass
            error = say(socket, bytes(1_100_000), stride=100_000, mode="offline")[-1]["error"]
            assert "larger than 1 MB" in error
        running.wait_until(lambda: running.metric("connections") <= 1)
        # As FunASR's Python client can: --host alice:KEY@127.0.0.1
        url = f"ws://alice:{ALICE}@{running.address}"
        with client_library.connect(url, subprotocols=["binary"]) as socket:
            assert say(socket, pcm(recordings()[0].samples), mode="offline")[0]["text"]


def test_a_gateway_that_stops_lets_an_utterance_end(behind):
    with gateway(behind) as running, connected(running) as quiet, connected(running) as socket:
        socket.send(json.dumps({"mode": "online", "is_speaking": True}))
        socket.send(pcm(recordings()[0].samples))
        json.loads(socket.recv(timeout=SECONDS))
        running.process.terminate()
        with pytest.raises(exceptions.ConnectionClosed) as closed:
            quiet.recv(timeout=SECONDS)
        assert closed.value.rcvd.code == 1012
        socket.send(json.dumps({"is_speaking": False, "is_end": True}))
        assert told(socket, lambda message: message.get("is_end"))[-1]["is_final"]
        with pytest.raises(exceptions.ConnectionClosed):
            socket.recv(timeout=SECONDS)
        assert running.stop() == 143


def test_hot_words_are_heard_in_streams_too():
    """The recogniser of the second pass knows them, as its own config and that of `two_pass` say."""
    spoken = read_wav(PROJECT / "demo/seaco/recordings/00_zh_hotword.wav")
    audio = pcm(np.concatenate([silence(0.5), spoken, silence(1)]))
    flags = ("--model-config-name=pipeline", "--exit-timeout-secs=5")
    with serving(hotword_repository(), *flags) as client, gateway(client) as running, connected(running) as socket:
        for words, expected in (("", "公园再见"), (json.dumps({"公元": 20, "在建": 10}), "公元在建"), ("公元,在建", "公元在建")):
            *messages, _ = say(socket, audio, hotwords=words)
            text = "".join(message["text"] for message in messages if message["mode"] == "2pass-offline")
            assert text.replace("，", "").startswith(expected), messages
