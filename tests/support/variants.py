"""One repository with many variants of the demo's models, so that a single server serves most tests."""

import re
import shutil

from support.environment import PROJECT, scores_repository
from support.repository import add_model, chain, copy_sensevoice, replaced, with_parameter, with_queue_delay

FRONT_END_DATA = PROJECT / "crates/wav-frontend/tests/data"
SCORING_DATA = PROJECT / "crates/asr-decode/tests/data"

STEPS = ("feature_extractor", "encoder", "scoring")

# How long the patient models wait for company: far longer than a client needs to send it.
PATIENCE_MICROSECONDS = 50_000
PADDINGS = (1, 16, 64)
SHORT_LIMIT_SECONDS = 2.5


def add_pipeline(repository, suffix, edits):
    """Adds `sensevoice_SUFFIX`, with steps of its own where `edits` has an edit for them."""
    for step, edit in edits.items():
        add_model(repository, f"{step}_{suffix}", step, edit)
    names = re.compile(r'model_name: "(%s)"' % "|".join(edits))
    add_model(
        repository,
        f"sensevoice_{suffix}",
        "sensevoice",
        lambda text: names.sub(lambda match: f'model_name: "{match[1]}_{suffix}"', text),
    )


def repository_of_variants():
    """Writes the repository.

    - `sensevoice` and its steps: as users get them
    - `sensevoice_patient`: every step waits for company
    - `sensevoice_pad_N`: features rounded up to N frames
    - `sensevoice_short`: takes SHORT_LIMIT_SECONDS of audio at most
    - `golden_features`, `golden_features_pad_16`: the front end with the recorded arrays' am.mvn
    - `golden_scoring`: CTC of scores with a tokenizer of 25055 pieces
    """
    repository = copy_sensevoice("variants")
    patient = with_queue_delay(PATIENCE_MICROSECONDS)
    add_pipeline(repository, "patient", {step: patient for step in STEPS})
    for frames in PADDINGS:
        add_pipeline(repository, f"pad_{frames}", {"feature_extractor": with_parameter("pad_to_multiple", frames)})
    add_pipeline(repository, "short", {"feature_extractor": with_parameter("max_audio_seconds", SHORT_LIMIT_SECONDS)})
    for name, frames in (("golden_features", 1), ("golden_features_pad_16", 16)):
        edit = chain(with_parameter("pad_to_multiple", frames), patient)
        model = add_model(repository, name, "feature_extractor", edit)
        shutil.copy(FRONT_END_DATA / "am.mvn", model / "am.mvn")
    model = add_model(
        repository,
        "golden_scoring",
        "scoring",
        chain(replaced("chn_jpn_yue_eng_ko_spectok.bpe.model", "tokenizer.bpe.model"), patient),
        scores_repository("sensevoice"),
    )
    shutil.copy(SCORING_DATA / "tokenizer.bpe.model", model)
    return repository
