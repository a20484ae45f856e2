"""The repositories of the talking models, as `triton-funasr repo` makes them, and variants of their models beside them."""

import shutil
import subprocess
from pathlib import Path

from hotwords.talking import write_texts
from paraformer.repositories import add_ensemble, add_model
from paraformer.texts import OFFLINE
from pipelines.variants import add_pipeline
from support.environment import variable
from support.repository import chain, fresh_directory, replaced, with_parameter

MODELS = Path(__file__).parent / "models"
CONFIGS_OWN = (["一二", "hello"], ["三四", "五六"])
FEW = 3
CACHED = 2


def export(name="export", seg_dict=True):
    """A directory with the talking models, as FunASR exports a model."""
    directory = fresh_directory(name)
    for file in ("model.onnx", "model_eb.onnx"):
        shutil.copy(MODELS / file, directory)
    for file in ("am.mvn", "config.yaml"):
        shutil.copy(OFFLINE / file, directory)
    write_texts(directory)
    if not seg_dict:
        (directory / "seg_dict").unlink()
    return directory


def assembled(name, source=None, *flags):
    """The repository that the tool makes of an export."""
    repository = fresh_directory(name)
    given = ["--from", str(source or export()), "--to", str(repository), *flags]
    subprocess.run([variable("TRITON_FUNASR"), "repo", "paraformer", *given], check=True)
    return repository


def with_own_list():
    """An edit: hot words in the config, some of them in a file."""
    inline, in_file = CONFIGS_OWN
    path = fresh_directory("lists") / "list.txt"
    path.write_text("".join(f"{word} {weight}\n" for word, weight in zip(in_file, (20, 5))), encoding="utf-8")
    return chain(with_parameter("hotwords", " ".join(inline)), with_parameter("hotwords_file", path))


# Tokens are told one by one, the one for no hot word too.
RAW = with_parameter("raw", "true")


def ensembles():
    """Writes the repository.

    - `infer_pipeline`: the ensemble as users get it, but for RAW
    - `infer_own`: with hot words in its config
    - `infer_sharing`: its encoder waits for company
    """
    repository = assembled("hotword-ensembles")
    scoring = repository / "scoring/config.pbtxt"
    scoring.write_text(RAW(scoring.read_text()))
    add_model(repository, "hotword_embedding_own", "hotword_embedding", with_own_list())
    add_ensemble(repository, "infer_own", "infer_pipeline", {"hotword_embedding": "hotword_embedding_own"})
    patient = chain(
        replaced("  preferred_batch_size: [ 1 ]\n", ""),
        replaced("max_queue_delay_microseconds: 1\n", "max_queue_delay_microseconds: 1000000\n"),
    )
    add_model(repository, "encoder_sharing", "encoder", patient)
    add_ensemble(repository, "infer_sharing", "infer_pipeline", {"encoder": "encoder_sharing"})
    return repository


SHARING = chain(RAW, with_parameter("encoder_serves_silence", "true"), with_parameter("calls_in_flight", 1))


def pipelines():
    """Writes the repository.

    - `infer_pipeline`: the pipeline as users get it
    - `infer_raw`: the same, but for RAW. All others are like it, and:
    - `infer_sharing`: rows may share calls of its encoder
    - `infer_own`: with hot words in its config; warmed up
    - `infer_unk`, `infer_skip`: what becomes of words that the vocabulary lacks
    - `infer_few`: FEW hot words a row
    - `infer_spelling`: without a dictionary
    - `infer_counted`: a hot word encoder of its own, of which CACHED words are remembered
    - `infer_int64`: one that takes INT64
    - `infer_deaf`: its hot word encoder is not there
    """
    repository = assembled("hotword-pipelines")
    add_model(repository, "counted_encoder", "hotword_encoder")
    int64 = add_model(repository, "int64_encoder", "hotword_encoder", replaced("TYPE_INT32", "TYPE_INT64"))
    shutil.copy(MODELS / "model_eb_int64.onnx", int64 / "1/model.onnx")
    for new, edit in (
        ("infer_raw", RAW),
        ("infer_sharing", SHARING),
        ("infer_own", chain(SHARING, with_own_list(), with_parameter("warmup", "1x2"))),
        ("infer_unk", chain(RAW, with_parameter("unknown_hotwords", "unk"))),
        ("infer_skip", chain(RAW, with_parameter("unknown_hotwords", "skip"))),
        ("infer_few", chain(RAW, with_parameter("max_hotwords", FEW))),
        ("infer_spelling", chain(RAW, with_parameter("seg_dict", ""))),
        ("infer_counted", chain(RAW, with_parameter("hotword_encoder", "counted_encoder"), with_parameter("hotword_cache_words", CACHED))),
        ("infer_int64", chain(RAW, with_parameter("hotword_encoder", "int64_encoder"), with_parameter("hotword_ids", "int64"))),
        ("infer_deaf", chain(RAW, with_parameter("hotword_encoder", "model_of_nobody"))),
    ):
        add_pipeline(repository, new, "infer_pipeline", edit)
    return repository

