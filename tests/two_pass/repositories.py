"""A repository with the demo's recognisers and the small models beside them, as `triton-funasr repo all` makes it, and variants."""

import re
import shutil

from faults.repositories import add_stand_in
from long_audio.repositories import assembled
from pipelines.variants import add_pipeline
from support.repository import add_model, chain, fresh_directory, replaced, with_parameter, without_parameter

NOBODY = "model_of_nobody"
# What the model `few` has place for, and how long a stream of it may be idle.
FEW, IDLE_SECONDS = 2, 1
SHORT_SECONDS = 3


def few(streams):
    """An edit: so few streams, which may not be idle for long."""

    def edit(text):
        text = re.sub(r"max_candidate_sequences: \d+", f"max_candidate_sequences: {streams}", text)
        return re.sub(r"(max_sequence_idle_microseconds: )\d+", rf"\g<1>{IDLE_SECONDS * 10**6}", text)

    return edit


def repository():
    """Writes the repository.

    - `two_pass`, which hears again with `sensevoice`, and what it calls: as users get it
    - `paraformer`: the same with Paraformer, as users get it
    - `plain`: without punctuation
    - `integers`, `bytes`: samples in other forms
    - `short`: cuts what is longer than SHORT_SECONDS. `few`: see there
    - `no_vad`, `no_first_pass`, `no_recogniser`, `no_marks`: what they call is not there; `strict`, `strict_marks`: then the stream is over
    """
    repository = fresh_directory("two-pass")
    shutil.copytree(assembled("sensevoice", "paraformer-online"), repository, dirs_exist_ok=True)
    paraformer = assembled("paraformer", "paraformer-online")
    for model in paraformer.iterdir():
        if model.name.startswith("paraformer_") or model.name == "infer_pipeline":
            shutil.copytree(model, repository / model.name)
    add_model(repository, "paraformer", "two_pass", source=paraformer)
    refuse = with_parameter("failed_segments", "refuse")
    floats = 'name: "WAV"\n    data_type: TYPE_FP32\n    dims: [ -1 ]\n    # Requests of different lengths share a batch.\n    allow_ragged_batch: true'
    for new, edit in (
        ("plain", without_parameter("punctuation")),
        ("integers", replaced('name: "WAV"\n    data_type: TYPE_FP32', 'name: "WAV"\n    data_type: TYPE_INT16')),
        ("bytes", replaced(floats, 'name: "WAV"\n    data_type: TYPE_STRING\n    dims: [ 1 ]')),
        ("short", with_parameter("max_segment_seconds", SHORT_SECONDS)),
        ("few", few(FEW)),
        ("no_vad", with_parameter("vad", NOBODY)),
        ("no_first_pass", with_parameter("first_pass", NOBODY)),
        ("no_recogniser", with_parameter("recogniser", NOBODY)),
        ("no_marks", with_parameter("punctuation", NOBODY)),
        ("strict", chain(with_parameter("recogniser", NOBODY), refuse)),
        ("strict_marks", chain(with_parameter("punctuation", NOBODY), refuse)),
    ):
        add_model(repository, new, "two_pass", edit, source=repository)
    return repository


def held_repository(gate):
    """The same with `held` and `held_one`, which has place for one stream: while the file `gate` is there, their second passes are not answered."""
    held = repository()
    add_stand_in(held, "sensevoice_encoder_held", "sensevoice_encoder", pipeline=True, hold_while=gate)
    add_pipeline(held, "sensevoice_held", "sensevoice", with_parameter("encoder", "sensevoice_encoder_held"))
    again = with_parameter("recogniser", "sensevoice_held")
    add_model(held, "held", "two_pass", again, source=held)
    add_model(held, "held_one", "two_pass", chain(again, few(1)), source=held)
    return held
