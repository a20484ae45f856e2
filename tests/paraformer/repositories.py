"""The model repositories of both Paraformers, and variants of their models beside them."""

import re
import shutil
from pathlib import Path

from support.environment import PROJECT, variable
from support.repository import chain, edit_config, fresh_directory, with_parameter

FRONT_END_DATA = PROJECT / "crates/wav-frontend/tests/data"
DECODE_DATA = PROJECT / "crates/asr-decode/tests/data"
MODELS = Path(__file__).parent / "models"

OFFLINE_STEPS = ("feature_extractor", "encoder", "scoring")
ONLINE_STEPS = ("feature_extractor", "lfr_cmvn_pe", "encoder", "cif_search")


def offline_repository():
    """The repository with the demo's offline model, as users get it. Copy it before changing it."""
    return Path(variable("PARAFORMER_REPO"))


def online_repository():
    """The repository with the demo's streaming model, as users get it. Copy it before changing it."""
    return Path(variable("PARAFORMER_ONLINE_REPO"))


def copy_of(repository, name):
    """A copy that may be changed."""
    return shutil.copytree(repository, fresh_directory(name), dirs_exist_ok=True)


def add_model(repository, new, like, edit=None, source=None):
    """Copies a model of the repository, or of another one, to a new name; `edit` turns its config's text into another."""
    shutil.copytree((source or repository) / like, repository / new)
    edit_config(repository / new, lambda text: re.sub(r'^name: ".*"$', f'name: "{new}"', text, flags=re.MULTILINE))
    if edit:
        edit_config(repository / new, edit)
    return repository / new


def add_ensemble(repository, new, like, steps):
    """Copies an ensemble to a new name, with some of its steps exchanged for others."""
    names = re.compile(r'model_name: "(%s)"' % "|".join(steps))
    return add_model(
        repository, new, like, lambda text: names.sub(lambda match: f'model_name: "{steps[match[1]]}"', text)
    )


def add_streaming(repository, suffix, edits, decoder=None):
    """Adds `streaming_SUFFIX`, with steps of its own, and a decoder, where `edits` has an edit for them.

    `decoder` is the name of another decoder that is there, or is not.
    """
    edits = dict(edits)
    if "decoder" in edits:
        decoder = f"decoder_{suffix}"
        add_model(repository, decoder, "decoder", edits.pop("decoder"))
    if decoder:
        calls = with_parameter("decoder", decoder)
        if decoder != f"decoder_{suffix}":
            calls = chain(calls, with_parameter("decoder_outputs", "scores"))
        edits["cif_search"] = chain(edits["cif_search"], calls) if "cif_search" in edits else calls
    for step, edit in edits.items():
        add_model(repository, f"{step}_{suffix}", step, edit)
    steps = {step: f"{step}_{suffix}" for step in edits}
    add_ensemble(repository, f"streaming_{suffix}", "streaming_paraformer", steps)


def everywhere(edit):
    """The same edit for each step that keeps streams apart, and for the decoder."""
    return dict.fromkeys((*ONLINE_STEPS, "decoder"), edit)


def with_idle(seconds):
    """An edit: streams may be idle this long."""
    return _with_number("max_sequence_idle_microseconds", lambda _: int(seconds * 1_000_000))


def with_shorter_idle(divisor):
    """An edit: streams may be idle for a fraction of the time they may."""
    return _with_number("max_sequence_idle_microseconds", lambda microseconds: microseconds // divisor)


def with_candidates(count):
    """An edit: so many streams at a time."""
    return _with_number("max_candidate_sequences", lambda _: count)


def _with_number(key, change):
    def edit(text):
        after, count = re.subn(rf"(\b{key}: )(\d+)", lambda match: f"{match[1]}{change(int(match[2]))}", text)
        assert count == 1, f"{count} times {key} in\n{text}"
        return after

    return edit
