"""What the clients and the tool show of a stream in two passes."""

import json
import os
import pty
import subprocess
import sys
from functools import partial

import pytest

from long_audio.asking import file_of, two_minutes
from segments.material import RATE
from support.environment import PROJECT, variable
from two_pass.asking import finals, play

pytest.importorskip("soundfile", reason="the clients read recordings with soundfile")
pytest.importorskip("soxr", reason="the clients resample with soxr")

run = partial(subprocess.run, check=True, capture_output=True, text=True)
SECONDS = 15


@pytest.fixture
def speech(tmp_path):
    """A recording of some sentences."""
    path = tmp_path / "speech.wav"
    path.write_bytes(file_of(two_minutes()[: SECONDS * RATE]))
    return path


def expected(client):
    """The final texts."""
    return [message["text"] for message in finals(play(client, two_minutes()[: SECONDS * RATE]))]


def client_command(two_pass, speech, *options, protocol="http"):
    """`stream.py` with the recording."""
    address = two_pass.server.http if protocol == "http" else two_pass.server.grpc
    program = [sys.executable, PROJECT / "clients/python/stream.py", "--model", "two_pass"]
    return list(map(str, [*program, "--protocol", protocol, "--url", address, *options, speech]))


@pytest.mark.parametrize("protocol", ["http", "grpc", "grpc-stream"])
def test_the_client_prints_what_is_final_line_by_line(two_pass, speech, protocol):
    out = run(client_command(two_pass, speech, protocol=protocol)).stdout
    assert out.splitlines() == expected(two_pass) and len(out.splitlines()) > 2


def test_on_a_terminal_the_client_shows_what_may_change(two_pass, speech):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(client_command(two_pass, speech), stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            # Linux says so when the other side is closed.
            break
        shown += part
    os.close(ours)
    assert process.wait() == 0
    lines = [line.split("\r\x1b[K")[-1] for line in shown.decode().replace("\r\n", "\n").split("\n")]
    assert lines[:-1] == expected(two_pass) and lines[-1] == ""
    assert shown.count(b"\x1b[K") > 2 * len(lines)


def test_documents_of_the_client_have_both(two_pass, speech):
    out = run(client_command(two_pass, speech, "--format", "json")).stdout
    answers = [json.loads(line) for line in out.splitlines()]
    assert answers[-1]["text"].replace(" ", "") == "".join(expected(two_pass)).replace(" ", "")
    assert sum("partial" in answer for answer in answers) > 5
    assert "partial" not in answers[-1]


def test_the_tool_prints_the_text_and_subtitles(two_pass, speech):
    tool = [variable("TRITON_FUNASR"), "transcribe", "--url", f"http://{two_pass.server.http}", "--model", "two_pass", speech]
    told = json.loads(run([*tool, "--json"]).stdout)
    texts = expected(two_pass)
    assert told["text"].replace(" ", "") == "".join(texts).replace(" ", "")
    segments = [message["segment"] for message in finals(play(two_pass, two_minutes()[: SECONDS * RATE]))]
    starts = [word["start_ms"] for segment in segments for word in segment["words"]]
    assert [word["start_ms"] for word in told["result"]["words"]] == starts != []
    assert "-->" in run([*tool, "--format", "srt"]).stdout
