"""A repository with the demo's Paraformers, `transcribe`, and grammars for numbers."""

import shutil

from long_audio.repositories import assembled
from pipelines.variants import add_pipeline, common_repository
from support.environment import variable
from support.repository import add_model, chain, fresh_directory, replaced, with_parameter

PATH = "itn_path"
TEXT_NORM = replaced(
    "input [\n",
    'input [\n  {\n    name: "TEXT_NORM"\n    data_type: TYPE_INT32\n    dims: [ 1 ]\n    optional: true\n  },\n',
)
STEP = """\
name: "itn"
backend: "funasr"
max_batch_size: 16
parameters { key: "component" value: { string_value: "itn" } }
input [ { name: "TEXT", data_type: TYPE_STRING, dims: [ 1 ] } ]
output [ { name: "TEXT", data_type: TYPE_STRING, dims: [ 1 ] } ]
instance_group [ { count: 1, kind: KIND_CPU } ]
"""
# What keeps a pipeline from loading, and the words that say so.
BROKEN = {
    "infer_nowhere": (with_parameter(PATH, "nowhere"), "parameter 'itn_path': no file 'nowhere'"),
    "infer_empty": (with_parameter(PATH, "infer_pipeline"), "has no grammar: neither zh/itn/tagger.fst nor"),
    "infer_alone": (with_parameter("itn", "true"), "parameter 'itn': is true, but there is no parameter itn_path"),
    "infer_asked": (TEXT_NORM, "input 'TEXT_NORM' has no meaning without parameter itn_path"),
}


def repository():
    """Writes the repository.

    - `itn`: texts alone
    - `infer_asked`: numbers are written where a request wants it. `infer_always`: where it does not say otherwise
    - `transcribe_asked`, `transcribe_always`: the same of long recordings; `transcribe`: as users get it
    """
    repository = fresh_directory("itn")
    shutil.copytree(assembled("paraformer"), repository, dirs_exist_ok=True)
    shutil.copytree(variable("ITN_GRAMMARS"), repository / "itn/grammars", ignore=shutil.ignore_patterns("ja", "tn"))
    with_path = with_parameter(PATH, "itn/grammars")
    (repository / "itn/1").mkdir(parents=True)
    (repository / "itn/config.pbtxt").write_text(with_path(STEP))
    asked = chain(with_path, TEXT_NORM)
    always = chain(asked, with_parameter("itn", "true"))
    add_pipeline(repository, "infer_asked", "infer_pipeline", asked)
    add_pipeline(repository, "infer_always", "infer_pipeline", always)
    add_model(repository, "transcribe_asked", "transcribe", asked, source=repository)
    add_model(repository, "transcribe_always", "transcribe", always, source=repository)
    return repository


def broken():
    """Pipelines that do not load."""
    repository = shutil.copytree(common_repository(), fresh_directory("itn-broken"), dirs_exist_ok=True)
    for name, (edit, _) in BROKEN.items():
        add_pipeline(repository, name, "infer_pipeline", edit)
    return repository
