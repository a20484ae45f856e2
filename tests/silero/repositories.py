"""A repository with Silero's model, as `triton-funasr repo vad` makes it, and variants."""

import re
import shutil
import subprocess
from pathlib import Path

from support.environment import PROJECT, scratch, variable
from support.repository import add_model, chain, edit_config, fresh_directory, with_parameter, without_parameter

NOBODY = "model_of_nobody"
FEW_FRAMES = 70
WINDOWS = "silero_vad.onnx"
OPTIONS = {
    "vad_eager": {
        "threshold": 0.3,
        "neg_threshold": 0.25,
        "min_speech_duration_ms": 0,
        "speech_pad_ms": 100,
        "min_silence_duration_ms": 40,
    },
    "vad_short": {"max_speech_duration_s": 1.5, "min_silence_duration_ms": 800},
}
# Parameters that a model does not load with, and what is said of them.
BROKEN = {
    "vad_sure": (with_parameter("threshold", 1.5), "threshold is 1.5, expected 0 to 1"),
    "vad_upside_down": (with_parameter("neg_threshold", 0.6), "neg_threshold is 0.6, expected 0 to threshold"),
    "vad_never": (with_parameter("max_speech_duration_s", 0.05), "max_speech_duration_s is 0.05, expected more than a window"),
    "vad_other": (with_parameter("vad_kind", "webrtc"), "parameter 'vad_kind': 'webrtc' is neither fsmn nor silero"),
}


def models():
    """The package's directory with models."""
    return Path(variable("SILERO_MODELS"))


def windows():
    """A directory as older versions of the package have it: without a model for sequences."""
    directory = fresh_directory("silero")
    shutil.copy(models() / WINDOWS, directory)
    return directory


def tool(*words):
    """Runs the tool."""
    return subprocess.run([variable("TRITON_FUNASR"), *map(str, words)], capture_output=True, text=True)


def assembled(source, name):
    """What the tool makes of a directory."""
    target = scratch() / name
    done = tool("repo", "vad", "--from", source, "--to", target, "--force")
    assert done.returncode == 0, done.stderr
    return target


def repository():
    """Writes the repository.

    - `vad`, `streaming_vad` and `silero_vad`: as users get them
    - `vad_loop`, `streaming_loop`: of the model that takes one window a call
    - `vad_pieces`: calls of FEW_FRAMES frames at most. `vad_warm`: warmed up. `vad_lost`: what it calls is not there
    - `vad_eager`, `vad_short`: with other parameters. `vad_mixed`: with one of FSMN-VAD
    """
    repository = fresh_directory("silero")
    shutil.copytree(assembled(models(), "silero-sequence"), repository, dirs_exist_ok=True)
    loop = assembled(windows(), "silero-windows")
    shutil.copytree(loop / "silero_vad", repository / "silero_loop")
    edit_config(repository / "silero_loop", lambda text: re.sub('"silero_vad"', '"silero_loop"', text))
    calls_loop = with_parameter("encoder", "silero_loop")
    unlimited = without_parameter("max_speech_duration_s")
    of = lambda options: chain(*(with_parameter(key, value) for key, value in options.items()))  # noqa: E731
    for new, like, edit in (
        ("vad_loop", "vad", calls_loop),
        ("streaming_loop", "streaming_vad", calls_loop),
        ("vad_pieces", "vad", with_parameter("frames_per_call", FEW_FRAMES)),
        ("vad_warm", "vad", with_parameter("warmup", "2x1, 0.5x1")),
        ("vad_lost", "vad", with_parameter("encoder", NOBODY)),
        ("vad_eager", "vad", chain(unlimited, of(OPTIONS["vad_eager"]))),
        ("vad_short", "vad", of(OPTIONS["vad_short"])),
        ("vad_mixed", "vad", with_parameter("max_end_silence_time", 500)),
    ):
        add_model(repository, new, like, edit, source=repository)
    return repository


def broken():
    """Models that do not load."""
    repository = fresh_directory("silero-broken")
    for name, (edit, _) in BROKEN.items():
        add_model(repository, name, "vad", edit, source=scratch() / "silero-sequence")
    return repository


def long_audio():
    """`transcribe` and what it calls, with Silero's model as `vad`."""
    target = scratch() / "silero-long"
    beside = ["--vad", models(), "--punc", PROJECT / "tests/segments/models/ct_punc_demo"]
    done = tool("repo", "all", "--from", f"sensevoice={PROJECT / 'demo/sensevoice'}", *beside, "--to", target, "--force")
    assert done.returncode == 0, done.stderr
    return target
