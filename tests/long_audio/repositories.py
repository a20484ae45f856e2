"""A repository with the demo's recognisers and the small models beside them, as `triton-funasr repo all` makes it, and variants."""

import shutil
import subprocess

from segments.repositories import MODELS
from support.environment import EXPORTS, PROJECT, scratch, variable
from support.repository import add_model, chain, fresh_directory, replaced, with_parameter, without_parameter

NOBODY = "model_of_nobody"
SHORT_WINDOW = 20


def assembled(*kinds, vad=MODELS / "fsmn_vad_steady", punc=MODELS / "ct_punc_demo", own=None):
    """What the tool makes of these kinds: of the demo's exports, but for those of one's own."""
    target = scratch() / "-".join(["long", vad.name, *kinds])
    places = {kind: PROJECT / EXPORTS[kind] for kind in kinds} | (own or {})
    exports = [word for kind in kinds for word in ("--from", f"{kind}={places[kind]}")]
    beside = ["--vad", vad, "--punc", punc]
    command = [variable("TRITON_FUNASR"), "repo", "all", *exports, *beside, "--to", target, "--force"]
    subprocess.run(list(map(str, command)), check=True)
    return target


def trained():
    """The repository of the demo's models alone."""
    return assembled("sensevoice", vad=PROJECT / "demo/vad", punc=PROJECT / "demo/punc")


def repository():
    """Writes the repository.

    - `transcribe`, `transcribe_segments`, which call `sensevoice`, and what they call: as users get them
    - `paraformer`: the same with Paraformer, as users get it
    - `plain`: without punctuation. `plain_segments`: decoupled
    - `windows`, `windows_segments`: in windows of SHORT_WINDOW s. `one_by_one`: one segment after the other
    - `no_vad`, `no_recogniser`, `no_marks`: what they call is not there; `strict`: then nothing is transcribed
    - `integers`: INT16 samples
    - `minute`: takes a minute at most. `few`: has little room
    """
    repository = fresh_directory("long")
    shutil.copytree(assembled("sensevoice"), repository, dirs_exist_ok=True)
    paraformer = assembled("paraformer")
    for model in paraformer.iterdir():
        if model.name.startswith("paraformer_") or model.name == "infer_pipeline":
            shutil.copytree(model, repository / model.name)
    add_model(repository, "paraformer", "transcribe", source=paraformer)
    plain = without_parameter("punctuation")
    integers = replaced('name: "WAV"\n    data_type: TYPE_FP32', 'name: "WAV"\n    data_type: TYPE_INT16')
    for new, like, edit in (
        ("plain", "transcribe", plain),
        ("plain_segments", "transcribe_segments", plain),
        ("windows", "transcribe", with_parameter("window_seconds", SHORT_WINDOW)),
        ("windows_segments", "transcribe_segments", with_parameter("window_seconds", SHORT_WINDOW)),
        ("one_by_one", "transcribe", with_parameter("seconds_in_flight", 1)),
        ("no_vad", "transcribe", with_parameter("vad", NOBODY)),
        ("no_recogniser", "transcribe", with_parameter("recogniser", NOBODY)),
        ("no_marks", "transcribe", with_parameter("punctuation", NOBODY)),
        ("strict", "transcribe", chain(with_parameter("punctuation", NOBODY), with_parameter("failed_segments", "refuse"))),
        ("integers", "transcribe", integers),
        ("minute", "transcribe", with_parameter("max_audio_seconds", 60)),
        ("few", "transcribe", with_parameter("max_pending_bytes", 100_000)),
    ):
        add_model(repository, new, like, edit, source=repository)
    return repository
