"""A repository with all kinds of models that the gateway asks."""

import shutil
import subprocess

from faults.repositories import copy_of_all
from paraformer.repositories import with_idle
from segments.repositories import MODELS
from support.environment import EXPORTS, PROJECT, variable
from support.repository import add_model, edit_config, fresh_directory, replaced, with_parameter

FEW_BYTES = 5_000_000


def _assembled(exports, *options, vad=MODELS / "fsmn_vad_steady", punc=MODELS / "ct_punc_demo"):
    """What the tool makes of exports, with the small models beside them."""
    target = fresh_directory("assembled")
    given = [word for kind, place in exports.items() for word in ("--from", f"{kind}={place}")]
    beside = ["--vad", vad, "--punc", punc]
    command = [variable("TRITON_FUNASR"), "repo", "all", *given, *beside, *options, "--to", target, "--force"]
    subprocess.run(list(map(str, command)), check=True)
    return target


def repository():
    """Writes the repository.

    - `sensevoice`, `infer_pipeline`, `streaming_paraformer`, `transcribe`, `transcribe_segments`: as users get them with all outputs
    - `few`: `transcribe` with room for FEW_BYTES
    """
    assembled = _assembled({kind: PROJECT / place for kind, place in EXPORTS.items()}, "--audio", "--outputs", "all")
    target = fresh_directory("gateway")
    shutil.copytree(assembled, target, dirs_exist_ok=True)
    add_model(target, "few", "transcribe", with_parameter("max_pending_bytes", FEW_BYTES), source=target)
    return target


def demo():
    """Writes what `cargo xtask demo --web` serves."""
    exports = {kind: PROJECT / EXPORTS[kind] for kind in ("sensevoice", "paraformer-online")}
    return _assembled(exports, "--audio", "--outputs", "all", vad=PROJECT / "demo/vad", punc=PROJECT / "demo/punc")


def without(models, model):
    """The same repository without one of its models."""
    target = fresh_directory("without")
    for each in models.iterdir():
        if each.name != model:
            (target / each.name).symlink_to(each)
    return target


def forgetful_repository():
    """Writes a repository whose streams are forgotten when nothing came for a second."""
    repository = copy_of_all("forgetful")
    edit = with_idle(1)
    config = repository / "streaming_paraformer/configs/pipeline.pbtxt"
    config.write_text(edit(config.read_text()))
    return repository


def hotword_repository():
    """Writes a repository whose `two_pass` hands hot words to a recogniser that knows them."""
    exports = {"paraformer": PROJECT / "demo/seaco", "paraformer-online": PROJECT / EXPORTS["paraformer-online"]}
    repository = _assembled(exports, vad=PROJECT / "demo/vad", punc=PROJECT / "demo/punc")
    hotwords = 'input [\n  {\n    name: "HOTWORDS"\n    data_type: TYPE_STRING\n    dims: [ -1 ]\n    optional: true\n  },\n'
    edit_config(repository / "two_pass", replaced("input [\n", hotwords))
    return repository


def keys_file(text):
    """A file of keys."""
    path = fresh_directory("keys") / "keys.txt"
    path.write_text(text, encoding="utf-8")
    return path


def log_file():
    """Where a gateway's log goes."""
    return fresh_directory("gateway-log") / "gateway.log"
