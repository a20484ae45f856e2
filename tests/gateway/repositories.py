"""A repository with all kinds of models that the gateway asks."""

import shutil
import subprocess

from segments.repositories import MODELS
from support.environment import EXPORTS, PROJECT, scratch, variable
from support.repository import add_model, fresh_directory, with_parameter

FEW_BYTES = 5_000_000


def repository():
    """Writes the repository.

    - `sensevoice`, `infer_pipeline`, `streaming_paraformer`, `transcribe`, `transcribe_segments`: as users get them with all outputs
    - `few`: `transcribe` with room for FEW_BYTES
    """
    assembled = scratch() / "gateway-assembled"
    exports = [word for kind, place in EXPORTS.items() for word in ("--from", f"{kind}={PROJECT / place}")]
    beside = ["--vad", MODELS / "fsmn_vad_steady", "--punc", MODELS / "ct_punc_demo", "--audio", "--outputs", "all"]
    command = [variable("TRITON_FUNASR"), "repo", "all", *exports, *beside, "--to", assembled, "--force"]
    subprocess.run(list(map(str, command)), check=True)
    target = fresh_directory("gateway")
    shutil.copytree(assembled, target, dirs_exist_ok=True)
    add_model(target, "few", "transcribe", with_parameter("max_pending_bytes", FEW_BYTES), source=target)
    return target


def demo():
    """Writes what `cargo xtask demo --web` serves."""
    target = scratch() / "gateway-demo"
    exports = [word for kind in ("sensevoice", "paraformer-online") for word in ("--from", f"{kind}={PROJECT / EXPORTS[kind]}")]
    beside = ["--vad", PROJECT / "demo/vad", "--punc", PROJECT / "demo/punc", "--audio", "--outputs", "all"]
    command = [variable("TRITON_FUNASR"), "repo", "all", *exports, *beside, "--to", target, "--force"]
    subprocess.run(list(map(str, command)), check=True)
    return target


def keys_file(text):
    """A file of keys."""
    path = fresh_directory("keys") / "keys.txt"
    path.write_text(text, encoding="utf-8")
    return path


def log_file():
    """Where a gateway's log goes."""
    return fresh_directory("gateway-log") / "gateway.log"
