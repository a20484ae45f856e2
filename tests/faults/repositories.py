"""Repositories in which some encoders and decoders fail, or answer when a test lets them."""

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from faults.failing_chains import FailingPipeline
from paraformer.repositories import ONLINE_STEPS, add_ensemble, with_candidates, with_idle
from paraformer.repositories import add_model as add_copy
from paraformer.texts import streams
from pipelines.variants import add_pipeline, common_repository
from support.environment import PROJECT
from support.repository import chain, edit_config, fresh_directory, replaced, with_parameter

FAIL_EVERY = 3
FEW = 4
# The recording whose first token the decoder of `streaming_poisoned` fails at.
POISONED = 3
# Outputs that a stand-in answers NaN in, and which model's they are.
NAN_OUTPUTS = {
    "enc": "online_encoder",
    "alphas": "online_encoder",
    "out_cache_3": "online_decoder",
    "token_log_probs": "online_decoder",
}
IN_FLIGHT = 2
SHORT_IDLE_SECONDS = 2.5
# These tests ask what a fault does to others, not how long a machine may stand still: on a slow one with much to do, the
# shipped 15 seconds went by between two requests of a stream.
PATIENT_IDLE_SECONDS = 120


@cache
def faulty_library():
    """The backend `faulty`, built as the others are."""
    command = [os.environ.get("CARGO", "cargo"), "build", "--release", "-p", "faulty-backend", "--message-format=json"]
    built = subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.PIPE, text=True).stdout
    files = [file for line in built.splitlines() for file in json.loads(line).get("filenames", [])]
    (library,) = (Path(file) for file in files if file.endswith("libtriton_faulty.so"))
    return library


def copy_of_all(name):
    """A copy of the repository with all of the demo's models that may be changed; streams may be idle PATIENT_IDLE_SECONDS."""
    repository = shutil.copytree(common_repository(), fresh_directory(name), dirs_exist_ok=True)
    for config in (*repository.glob("*/config.pbtxt"), *repository.glob("*/configs/*.pbtxt")):
        text = config.read_text()
        if "max_sequence_idle_microseconds: 15000000" in text:
            config.write_text(with_idle(PATIENT_IDLE_SECONDS)(text))
    return repository


def add_stand_in(repository, new, target, pipeline, **parameters):
    """Adds a model of the backend `faulty` with the tensors of `target`, in the config that pipelines use or the other."""
    model = repository / new
    (model / "1").mkdir(parents=True)
    shutil.copy(faulty_library(), model)
    config = repository / target / "configs/pipeline.pbtxt"
    shutil.copy(config if pipeline and config.exists() else repository / target / "config.pbtxt", model / "config.pbtxt")
    edit_config(model, lambda text: _as_stand_in(text, new))
    for key, value in {"target": target, **parameters}.items():
        edit_config(model, with_parameter(key, value))


def _as_stand_in(text, name):
    text = re.sub(r"#.*", "", text)
    text = re.sub(r'^name: ".*"$', f'name: "{name}"', text, flags=re.MULTILINE)
    text = replaced('backend: "onnxruntime"', 'backend: "faulty"')(text)
    text = re.sub(r"^default_model_filename: .*$", "", text, flags=re.MULTILINE)
    # As clients send them: the target reshapes.
    text = text.replace("reshape: { shape: [ ] }", "")
    text = re.sub(r"instance_group \[.*?\]", "instance_group [ { count: 1 kind: KIND_CPU } ]", text, flags=re.DOTALL)
    # The streams' states and slots are the target's.
    return re.sub(r"^sequence_batching \{.*?^\}", "", text, flags=re.DOTALL | re.MULTILINE)


def pipelines(gate):
    """A repository for pipelines. While the file `gate` is there, the encoders of `*_held` answer nothing.

    - `sensevoice_third`, `infer_third`, `streaming_third_encoder`, `streaming_third_decoder`: every third call fails
    - `sensevoice_held`, `streaming_held_encoder`: each row is a call of its own. The latter is short, too
    - `sensevoice_held_few`: IN_FLIGHT calls of the encoder at a time, of a row each
    - `streaming_held`, `streaming_held_few`: rows share calls; of the latter IN_FLIGHT calls may be under way
    - `streaming_poisoned`: its decoder fails when a row of a call has the first token of the recording POISONED; rows share calls
    - `streaming_short`: streams may be idle for SHORT_IDLE_SECONDS, and there are FEW of them at a time
    - `streaming_nan_OUTPUT`: this output of encoder or decoder has a NaN in a call's first row
    """
    repository = copy_of_all("faulty-pipelines")
    # Each request waits at the gate, where it can be counted.
    one_by_one = chain(with_parameter("max_rows_per_call", 1), with_parameter("calls_in_flight", 64))
    for stand_in, target in (
        ("sensevoice_encoder", "sensevoice_encoder"),
        ("paraformer_encoder", "paraformer_encoder"),
        ("online_encoder", "online_encoder"),
        ("online_decoder", "online_decoder"),
    ):
        add_stand_in(repository, f"{stand_in}_third", target, pipeline=True, fail_every=FAIL_EVERY)
        add_stand_in(repository, f"{stand_in}_held", target, pipeline=True, hold_while=gate)
    (_, (embedding, *_)), *_ = FailingPipeline().embeddings(streams()[POISONED].samples)
    add_stand_in(
        repository,
        "online_decoder_poisoned",
        "online_decoder",
        pipeline=True,
        poison_input="acoustic_embeds",
        poison=", ".join(f"{value:.6f}" for value in embedding[:16]),
        delay_ms=20,
        code="INVALID_ARGUMENT",
    )
    for new, like, edit in (
        ("sensevoice_third", "sensevoice", with_parameter("encoder", "sensevoice_encoder_third")),
        ("infer_third", "infer_pipeline", with_parameter("encoder", "paraformer_encoder_third")),
        ("streaming_third_encoder", "streaming_paraformer", with_parameter("encoder", "online_encoder_third")),
        ("streaming_third_decoder", "streaming_paraformer", with_parameter("decoder", "online_decoder_third")),
        ("sensevoice_held", "sensevoice", chain(with_parameter("encoder", "sensevoice_encoder_held"), one_by_one)),
        (
            "sensevoice_held_few",
            "sensevoice",
            chain(
                with_parameter("encoder", "sensevoice_encoder_held"),
                with_parameter("max_rows_per_call", 1),
                with_parameter("calls_in_flight", IN_FLIGHT),
            ),
        ),
        (
            "streaming_held_encoder",
            "streaming_paraformer",
            chain(
                with_parameter("encoder", "online_encoder_held"),
                one_by_one,
                with_candidates(FEW),
                with_idle(SHORT_IDLE_SECONDS),
            ),
        ),
        ("streaming_held", "streaming_paraformer", with_parameter("encoder", "online_encoder_held")),
        (
            "streaming_held_few",
            "streaming_paraformer",
            chain(with_parameter("encoder", "online_encoder_held"), with_parameter("calls_in_flight", IN_FLIGHT)),
        ),
        (
            "streaming_poisoned",
            "streaming_paraformer",
            chain(with_parameter("decoder", "online_decoder_poisoned"), with_parameter("calls_in_flight", 1)),
        ),
        ("streaming_short", "streaming_paraformer", chain(with_idle(SHORT_IDLE_SECONDS), with_candidates(FEW))),
    ):
        add_pipeline(repository, new, like, edit)
    for output, target in NAN_OUTPUTS.items():
        stand_in = f"{target}_nan_{output}"
        add_stand_in(repository, stand_in, target, pipeline=True, nan_output=output)
        calls = with_parameter(target.removeprefix("online_"), stand_in)
        add_pipeline(repository, f"streaming_nan_{output}", "streaming_paraformer", calls)
    return repository


def ensembles(gate):
    """The same for ensembles, but for `sensevoice_held_few`, `streaming_held`, `streaming_held_few` and `streaming_poisoned`."""
    repository = copy_of_all("faulty-ensembles")
    stand_ins = ("sensevoice_encoder", "paraformer_encoder", "online_encoder", "online_decoder")
    for target in stand_ins:
        add_stand_in(repository, f"{target}_third", target, pipeline=False, fail_every=FAIL_EVERY)
        add_stand_in(repository, f"{target}_held", target, pipeline=False, hold_while=gate)
    for kind in ("third", "held"):
        for new, like, encoder in (
            (f"sensevoice_{kind}", "sensevoice", "sensevoice_encoder"),
            (f"infer_{kind}", "infer_pipeline", "paraformer_encoder"),
            (f"streaming_{kind}_encoder", "streaming_paraformer", "online_encoder"),
        ):
            add_ensemble(repository, new, like, {encoder: f"{encoder}_{kind}"})
        calls = with_parameter("decoder", f"online_decoder_{kind}")
        add_copy(repository, f"online_cif_search_{kind}", "online_cif_search", calls)
        steps = {"online_cif_search": f"online_cif_search_{kind}"}
        add_ensemble(repository, f"streaming_{kind}_decoder", "streaming_paraformer", steps)
    for output in ("enc", "alphas"):
        add_stand_in(repository, f"online_encoder_nan_{output}", "online_encoder", pipeline=False, nan_output=output)
        steps = {"online_encoder": f"online_encoder_nan_{output}"}
        add_ensemble(repository, f"streaming_nan_{output}", "streaming_paraformer", steps)
    for step in ONLINE_STEPS:
        edit = chain(with_idle(SHORT_IDLE_SECONDS), with_candidates(FEW))
        add_copy(repository, f"online_{step}_short", f"online_{step}", edit)
    steps = {f"online_{step}": f"online_{step}_short" for step in ONLINE_STEPS}
    add_ensemble(repository, "streaming_short", "streaming_paraformer", steps)
    return repository
