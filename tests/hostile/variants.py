"""Repositories made from the one that users get."""

import shutil

from pipelines.variants import common_repository
from support.repository import fresh_directory, with_parameter

# Every component that takes audio, where it is; and the limit it gets. A chunk of the ensemble has 0.6 s at most.
LIMITS = {
    "sensevoice/configs/pipeline.pbtxt": 2.3,
    "infer_pipeline/configs/pipeline.pbtxt": 2.3,
    "streaming_paraformer/configs/pipeline.pbtxt": 2.3,
    "sensevoice_feature_extractor/config.pbtxt": 2.3,
    "paraformer_feature_extractor/config.pbtxt": 2.3,
    "online_feature_extractor/config.pbtxt": 0.3,
}


def copy_of_all():
    """A copy of the demo's common repository that may be changed."""
    return shutil.copytree(common_repository(), fresh_directory("hostile"), dirs_exist_ok=True)


def set_limit(repository, config, value):
    """Gives a model's config the parameter max_audio_seconds."""
    path = repository / config
    path.write_text(with_parameter("max_audio_seconds", value)(path.read_text()))


def limited():
    """The models with the limits above."""
    repository = copy_of_all()
    for config, seconds in LIMITS.items():
        set_limit(repository, config, seconds)
    return repository
