"""The demo's models as `repo --audio` makes them, and variants."""

import re
import subprocess

from pipelines.variants import add_pipeline
from support.environment import PROJECT, variable
from support.repository import chain, edit_config, fresh_directory, replaced, with_parameter

EXPORTS = {"sensevoice": "sensevoice", "paraformer": "paraformer", "paraformer-online": "paraformer_online"}
SHORT_SECONDS = 2.5
FEW_SECONDS = 7
FEW_BYTES = 1_000_000

as_bytes = replaced('name: "WAV"\n    data_type: TYPE_FP32', 'name: "WAV"\n    data_type: TYPE_STRING')
as_integers = replaced('name: "WAV"\n    data_type: TYPE_FP32', 'name: "WAV"\n    data_type: TYPE_INT16')


def with_channels_as_rows(text):
    """Each channel is a row, which says where it comes from."""
    for name in ("AUDIO_ROW", "AUDIO_CHANNEL"):
        text += f'output {{ name: "{name}" data_type: TYPE_INT32 dims: 1 }}\n'
    return with_parameter("channels", "rows")(text)


def repository():
    """Writes the repository. Of pipelines there are beside what users get:

    - `sensevoice_int16`, `infer_int16`, `streaming_int16`: WAV is INT16
    - `sensevoice_bytes`, `infer_bytes`, `streaming_bytes`: WAV is the bytes of 16-bit samples; `sensevoice_mulaw`: of µ-law
    - `sensevoice_rows`, `infer_rows`: each channel is a row, which says where it comes from
    - `sensevoice_short`: takes SHORT_SECONDS of audio at most
    - `sensevoice_few`: has room for FEW_SECONDS of audio; `sensevoice_few_bytes`, `streaming_few_bytes`: for FEW_BYTES, of bytes
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
        ("sensevoice_bytes", "sensevoice", as_bytes),
        ("infer_bytes", "infer_pipeline", as_bytes),
        ("streaming_bytes", "streaming_paraformer", as_bytes),
        ("sensevoice_mulaw", "sensevoice", chain(as_bytes, with_parameter("pcm_format", "mulaw"))),
        ("sensevoice_rows", "sensevoice", with_channels_as_rows),
        ("infer_rows", "infer_pipeline", with_channels_as_rows),
        ("sensevoice_short", "sensevoice", with_parameter("max_audio_seconds", SHORT_SECONDS)),
        ("sensevoice_few", "sensevoice", with_parameter("max_pending_seconds", FEW_SECONDS)),
        ("sensevoice_few_bytes", "sensevoice", chain(as_bytes, with_parameter("max_pending_bytes", FEW_BYTES))),
        ("streaming_few_bytes", "streaming_paraformer", chain(as_bytes, with_parameter("max_pending_bytes", FEW_BYTES))),
        ("sensevoice_strict", "sensevoice", with_parameter("incomplete_audio", "refuse")),
    ):
        add_pipeline(target, new, like, edit)
    return target


def with_front_ends_of(data_type, repository):
    """The ensembles with WAV of another type, in place."""
    for front_end, model in (
        ("sensevoice_feature_extractor", "sensevoice"),
        ("paraformer_feature_extractor", "infer_pipeline"),
        ("online_feature_extractor", "streaming_paraformer"),
    ):
        for place, name in ((model, "WAV"), (front_end, "wav")):
            old = f'name: "{name}"\n    data_type: TYPE_'
            edit_config(repository / place, replaced(f"{old}FP32", f"{old}{data_type}"))
    return repository


def broken_config(edit):
    """An edit of SenseVoice's pipeline whose `edit` should keep it from loading."""
    return chain(edit, lambda text: re.sub(r"\n{3,}", "\n\n", text))
