"""A repository with the small models of models/, as `triton-funasr repo vad` and `repo punctuation` make them, and variants."""

import re
import shutil
import subprocess
from pathlib import Path

from support.environment import PROJECT, scratch, variable
from support.repository import add_model, edit_config, fresh_directory, with_parameter

MODELS = Path(__file__).parent / "models"
DEMO = PROJECT / "demo"
NOBODY = "model_of_nobody"
FEW_FRAMES = 70


def assembled(kind, export, *flags, models=MODELS):
    """What the tool makes of an export."""
    target = scratch() / f"segments-{models.name}-{export}"
    command = [variable("TRITON_FUNASR"), "repo", kind, "--from", models / export, "--to", target, "--force", *flags]
    subprocess.run(list(map(str, command)), check=True)
    return target


def add_trained(repository, model, name=None, **called):
    """Copies a model, with `demo_` in front of its name and of what it calls unless other names are given."""
    called = {"fsmn_vad": "demo_fsmn_vad", "ct_transformer": "demo_ct_transformer"} | called
    name = name or f"demo_{model.name}"
    shutil.copytree(model, repository / name)
    edit_config(repository / name, lambda text: re.sub(r'^name: ".*"$', f'name: "{name}"', text, flags=re.MULTILINE))
    if model.name not in called:
        edit_config(repository / name, lambda text: re.sub('"(fsmn_vad|ct_transformer)(?=["/])', lambda found: f'"{called[found[1]]}', text))


def repository():
    """Writes the repository.

    - `vad`, `streaming_vad`, `punctuation`, `streaming_punctuation` and what they call: as users get them; the realtime model is
      `ct_realtime` here, since both kinds would be `ct_transformer`
    - the same with `demo_` in front, and what they call: of the demo's trained models
    - `vad_pieces`: calls of FEW_FRAMES frames at most
    - `vad_long`, `vad_first`: with other parameters. `vad_warm`: warmed up
    - `vad_lost`, `punctuation_lost`: what they call is not there
    - `punctuation_by_word`: English marks behind English words
    - `punctuation_short`: takes five words at most
    """
    repository = fresh_directory("segments")
    for made in (assembled("vad", "fsmn_vad"), assembled("punctuation", "ct_punc")):
        shutil.copytree(made, repository, dirs_exist_ok=True)
    realtime = assembled("punctuation", "ct_punc_realtime")
    shutil.copytree(realtime / "ct_transformer", repository / "ct_realtime")
    shutil.copytree(realtime / "streaming_punctuation", repository / "streaming_punctuation")
    rename = lambda text: re.sub("ct_transformer", "ct_realtime", text)  # noqa: E731
    edit_config(repository / "ct_realtime", rename)
    edit_config(repository / "streaming_punctuation", rename)
    for made in (assembled("vad", "vad", models=DEMO), assembled("punctuation", "punc", models=DEMO)):
        for model in made.iterdir():
            add_trained(repository, model)
    realtime = assembled("punctuation", "punc_realtime", models=DEMO)
    add_trained(repository, realtime / "ct_transformer", "demo_ct_realtime")
    add_trained(repository, realtime / "streaming_punctuation", ct_transformer="demo_ct_realtime")
    for new, like, edit in (
        ("vad_pieces", "vad", with_parameter("frames_per_call", FEW_FRAMES)),
        ("vad_long", "vad", with_parameter("max_single_segment_time", 60_000)),
        ("vad_first", "vad", with_parameter("detect_mode", "one")),
        ("vad_warm", "vad", with_parameter("warmup", "2x1, 0.5x1")),
        ("vad_lost", "vad", with_parameter("encoder", NOBODY)),
        ("punctuation_by_word", "punctuation", with_parameter("marks", "by_word")),
        ("punctuation_lost", "punctuation", with_parameter("punctuation_model", NOBODY)),
        ("punctuation_short", "punctuation", with_parameter("max_words", 5)),
    ):
        add_model(repository, new, like, edit, source=repository)
    return repository
