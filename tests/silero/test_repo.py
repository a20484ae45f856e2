"""What the tool makes of the package's files."""

import shutil

from silero.repositories import WINDOWS, assembled, long_audio, models, tool, windows
from support.environment import PROJECT
from support.repository import fresh_directory


def test_what_the_tool_makes_fits():
    for repository in (assembled(models(), "silero-sequence"), assembled(windows(), "silero-windows"), long_audio()):
        checked = tool("check", repository)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_either_kind_takes_the_place_of_the_other():
    target = fresh_directory("silero-place") / "repo"
    fsmn = PROJECT / "tests/segments/models/fsmn_vad"
    for source, inner in ((models(), "silero_vad"), (fsmn, "fsmn_vad"), (windows(), "silero_vad")):
        done = tool("repo", "vad", "--from", source, "--to", target, "--force")
        assert done.returncode == 0, done.stderr
        assert sorted(each.name for each in target.iterdir()) == sorted(["vad", "streaming_vad", inner])


def test_a_slower_model_is_said_to_be():
    target = fresh_directory("silero-note") / "repo"
    done = tool("repo", "vad", "--from", windows(), "--to", target)
    assert "takes one window a call" in done.stderr, done.stderr


def test_other_models_are_told():
    source = fresh_directory("silero-other")
    target = source / "repo"
    shutil.copy(PROJECT / "tests/segments/models/fsmn_vad/model.onnx", source / WINDOWS)
    done = tool("repo", "vad", "--from", source, "--to", target)
    assert done.returncode == 1 and not target.exists()
    for words in ("is not the model of silero-vad 5 or newer", "there is no input input", "there is no output speech_probs"):
        assert words in done.stderr, done.stderr
