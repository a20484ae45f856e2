"""One repository with all pipelines, as users get them and in variants."""

import re
import shutil
from pathlib import Path

from paraformer.repositories import with_idle
from support.environment import variable
from support.repository import chain, edit_config, fresh_directory, replaced, with_parameter, with_queue_delay
from support.variants import PATIENCE_MICROSECONDS, SHORT_LIMIT_SECONDS

PIPELINE = "--model-config-name=pipeline"
# The server waits so long for streams that tests left in the middle.
SOON = "--exit-timeout-secs=2"
SHORT_IDLE_SECONDS = 0.5
PADDING_PERCENT = 30
PADDING_ON_GPUS = 20
FEW_IDS = 14
SHARING = chain(with_parameter("encoder_serves_silence", "true"), with_parameter("max_rows_per_call", 64))
NOBODY = "model_of_nobody"


def common_repository():
    """The repository with all of the demo's models, as users get it. Copy it before changing it."""
    return Path(variable("ALL_REPO"))


def add_pipeline(repository, new, like, edit):
    """Adds a pipeline under a new name; `edit` turns its config's text into another."""
    model = repository / new
    (model / "1").mkdir(parents=True)
    shutil.copy(repository / like / "configs/pipeline.pbtxt", model / "config.pbtxt")
    edit_config(model, lambda text: re.sub(r'^name: ".*"$', f'name: "{new}"', text, flags=re.MULTILINE))
    edit_config(model, edit)


def repository():
    """Writes the repository.

    - the pipelines and what they call: as users get them, but that `sensevoice` may pad PADDING_ON_GPUS
    - `sensevoice_patient`: requests wait for company
    - `sensevoice_short`: takes SHORT_LIMIT_SECONDS of audio at most
    - `sensevoice_single`: one row per call of the encoder
    - `sensevoice_named`: LANGUAGE and TEXT_NORM are texts
    - `sensevoice_few_ids`: its encoder knows FEW_IDS ids
    - `sensevoice_lost`, `infer_lost`, `streaming_deaf`, `streaming_mute`: their encoder, or decoder, is not there
    - `infer_sharing`: rows share calls. `infer_padded`: also those of different lengths
    - `streaming_plain`: without silence at the end of a stream
    - `streaming_short`: streams may be idle for SHORT_IDLE_SECONDS
    """
    repository = shutil.copytree(common_repository(), fresh_directory("pipelines"), dirs_exist_ok=True)
    # As where the encoder runs on a GPU: rows of different lengths share executions.
    path = repository / "sensevoice/configs/pipeline.pbtxt"
    path.write_text(with_parameter("max_padding_percent", PADDING_ON_GPUS)(path.read_text()))
    for new, like, edit in (
        ("sensevoice_patient", "sensevoice", with_queue_delay(PATIENCE_MICROSECONDS)),
        ("sensevoice_short", "sensevoice", with_parameter("max_audio_seconds", SHORT_LIMIT_SECONDS)),
        ("sensevoice_single", "sensevoice", with_parameter("max_rows_per_call", 1)),
        ("sensevoice_named", "sensevoice", _with_texts),
        ("sensevoice_few_ids", "sensevoice", with_parameter("prompt_ids", FEW_IDS)),
        ("sensevoice_lost", "sensevoice", with_parameter("encoder", NOBODY)),
        ("infer_lost", "infer_pipeline", with_parameter("encoder", NOBODY)),
        ("infer_sharing", "infer_pipeline", SHARING),
        ("infer_padded", "infer_pipeline", chain(SHARING, with_parameter("max_padding_percent", PADDING_PERCENT))),
        ("streaming_deaf", "streaming_paraformer", with_parameter("encoder", NOBODY)),
        ("streaming_mute", "streaming_paraformer", with_parameter("decoder", NOBODY)),
        ("streaming_plain", "streaming_paraformer", with_parameter("tail_padding_ms", 0)),
        ("streaming_short", "streaming_paraformer", with_idle(SHORT_IDLE_SECONDS)),
    ):
        add_pipeline(repository, new, like, edit)
    return repository


def _with_texts(text):
    for name in ("LANGUAGE", "TEXT_NORM"):
        text = replaced(f'name: "{name}"\n    data_type: TYPE_INT32', f'name: "{name}"\n    data_type: TYPE_STRING')(text)
    return text
