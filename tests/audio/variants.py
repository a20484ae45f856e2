"""The demo's models as `repo --audio` makes them, and variants."""

import re
import subprocess

from pipelines.variants import add_pipeline
from support.environment import PROJECT, variable
from support.repository import chain, edit_config, fresh_directory, replaced, with_parameter

EXPORTS = {"sensevoice": "sensevoice", "paraformer": "paraformer", "paraformer-online": "paraformer_online"}
SHORT_SECONDS = 2.5

as_integers = replaced('name: "WAV"\n    data_type: TYPE_FP32', 'name: "WAV"\n    data_type: TYPE_INT16')


def repository():
    """Writes the repository. Of pipelines there are beside what users get:

    - `sensevoice_int16`, `infer_int16`, `streaming_int16`: WAV is INT16
    - `sensevoice_short`: takes SHORT_SECONDS of audio at most
    - `sensevoice_strict`: refuses damaged files
    """
    target = fresh_directory("audio") / "repository"
    exports = [word for kind, place in EXPORTS.items() for word in ("--from", f"{kind}={PROJECT / 'demo' / place}")]
    tool = variable("TRITON_FUNASR")
    subprocess.run([tool, "repo", "all", *exports, "--to", str(target), "--audio"], check=True)
    for new, like, edit in (
        ("sensevoice_int16", "sensevoice", as_integers),
        ("infer_int16", "infer_pipeline", as_integers),
        ("streaming_int16", "streaming_paraformer", as_integers),
        ("sensevoice_short", "sensevoice", with_parameter("max_audio_seconds", SHORT_SECONDS)),
        ("sensevoice_strict", "sensevoice", with_parameter("incomplete_audio", "refuse")),
    ):
        add_pipeline(target, new, like, edit)
    return target


def with_front_end_of_integers(repository):
    """The ensembles with WAV as INT16, in place."""
    for front_end, model in (
        ("sensevoice_feature_extractor", "sensevoice"),
        ("paraformer_feature_extractor", "infer_pipeline"),
    ):
        edit_config(repository / model, as_integers)
        edit_config(
            repository / front_end,
            replaced('name: "wav"\n    data_type: TYPE_FP32', 'name: "wav"\n    data_type: TYPE_INT16'),
        )
    return repository


def broken_config(edit):
    """An edit of SenseVoice's pipeline whose `edit` should keep it from loading."""
    return chain(edit, lambda text: re.sub(r"\n{3,}", "\n\n", text))
