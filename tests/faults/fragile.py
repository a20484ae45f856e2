"""Pipelines whose encoders fail, or spoil, the rows that the tests say, and all that they compute together with them."""

import re

import numpy as np

from faults.repositories import add_stand_in, copy_of_all
from paraformer.reference_chain import read_cmvn
from paraformer.texts import OFFLINE
from pipelines.variants import add_pipeline
from support.recordings import WITHOUT_ITN
from support.repository import chain, edit_config, with_parameter

# What ONNX Runtime says when an encoder as it was exported finds no token.
NO_TOKEN = (
    "onnx runtime error 1: Non-zero status code returned while running Expand node. Name:'/Expand' Status Message: "
    "invalid expand shape, Invalid input shape: {0}"
)


def _batching(batching):
    """An edit: an encoder with a dynamic batcher, which waits for company, or without."""

    def edit(text):
        text = re.sub(r"^dynamic_batching \{[^}]*\}\n", "", text, flags=re.MULTILINE)
        return text + ("dynamic_batching { max_queue_delay_microseconds: 3000 }\n" if batching else "# alone\n")

    return edit


def silence():
    """The beginning of a frame of silence, as offline Paraformer's encoder is given it."""
    shift, scale = read_cmvn(OFFLINE / "am.mvn")
    frame = (np.log(np.finfo(np.float32).eps) + shift) * scale
    return ", ".join(f"{value:.6f}" for value in frame[:16])


def repository():
    """Writes the repository. Its encoders fail all that they compute together with a row that they fail.

    - `sensevoice_batching`, `sensevoice_plain`: they fail at nothing that gets to them. The first's encoder batches by itself
    - `sensevoice_choosy`: its encoder batches, too, and fails at TEXT_NORM 15 with INVALID_ARGUMENT
    - `sensevoice_broken`: the same with INTERNAL, and without batching
    - `sensevoice_nan`: rows with TEXT_NORM 15 have probabilities of NaN, as scores of NaN make them
    - `infer_nan`: all have
    - `infer_unguarded`: its encoder batches, and fails at silence as one that was exported does
    """
    repository = copy_of_all("fragile")
    poison = {"poison_input": "textnorm", "poison": WITHOUT_ITN}
    for name, model, batching, parameters in (
        ("sensevoice_batching", "sensevoice", True, {"poison_input": "language", "poison": 99, "code": "INVALID_ARGUMENT"}),
        ("sensevoice_plain", "sensevoice", False, {"poison_input": "language", "poison": 99}),
        ("sensevoice_choosy", "sensevoice", True, {**poison, "code": "INVALID_ARGUMENT", "error": "no such norm"}),
        ("sensevoice_broken", "sensevoice", False, {**poison, "code": "INTERNAL", "error": "out of memory"}),
        ("sensevoice_nan", "sensevoice", False, {**poison, "spoil": "token_log_probs"}),
        ("infer_nan", "infer_pipeline", False, {"spoil": "token_log_probs"}),
        ("infer_unguarded", "infer_pipeline", True, {"poison_input": "speech", "poison": silence(), "error": NO_TOKEN}),
    ):
        target = "sensevoice_encoder" if model == "sensevoice" else "paraformer_encoder"
        add_stand_in(repository, f"{name}_encoder", target, pipeline=True, whole_batches="true", **parameters)
        edit_config(repository / f"{name}_encoder", _batching(batching))
        edit = with_parameter("encoder", f"{name}_encoder")
        if model == "infer_pipeline":
            edit = chain(edit, with_parameter("encoder_serves_silence", str(name == "infer_nan").lower()))
        add_pipeline(repository, name, model, edit)
    return repository
