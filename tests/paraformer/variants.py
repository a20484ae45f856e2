"""Two repositories with many variants of the demo's models, so that two servers serve most tests."""

import shutil

from paraformer.recorder import write_vocabulary
from paraformer.repositories import (
    DECODE_DATA,
    FRONT_END_DATA,
    MODELS,
    add_model,
    add_streaming,
    copy_of,
    everywhere,
    offline_repository,
    online_repository,
    with_candidates,
    with_idle,
    with_shorter_idle,
)
from support.environment import PROJECT, scores_repository
from support.repository import chain, replaced, with_parameter, with_queue_delay

# How long the patient models wait for company: far longer than a client needs to send it.
PATIENCE_MICROSECONDS = 50_000

# Streams that are idle for so long are ended, where a variant says so.
SHORT_IDLE_SECONDS = 2
FEW = 4
MANY = 2000
# 15 s become 1.5 s.
HASTY = 10

# Scalars that YAML would read as something else than what is written.
YAML_TOKENS = ["0", "-", "no", "on", "off", "5", "6", "1", "2", "3", "9", "yes", "null", "1e3", "0x1f", "~", "好"]


def offline():
    """The offline repository.

    - `infer_pipeline` and its steps: as users get them
    - `guarded_encoder`: the model with the guard for recordings without a token, which hands out scores
    - `exported_encoder`: the model as it is exported, without the guard
    - `golden_scoring`, `golden_scoring_raw`: a vocabulary of 8404 tokens, words joined or not; both wait for company
    - `yaml_scoring`: a vocabulary of YAML_TOKENS in a config.yaml
    """
    repository = copy_of(offline_repository(), "offline")
    scores = scores_repository("paraformer")
    patient = with_queue_delay(PATIENCE_MICROSECONDS)
    for name, raw in (("golden_scoring", "false"), ("golden_scoring_raw", "true")):
        model = add_model(repository, name, "scoring", chain(with_parameter("raw", raw), patient), scores)
        shutil.copy(DECODE_DATA / "tokens.json", model)
    add_model(repository, "guarded_encoder", "encoder", source=scores)
    model = add_model(repository, "exported_encoder", "encoder", source=scores)
    shutil.copy(PROJECT / "demo/paraformer/model.onnx", model / "1/model.onnx")
    model = add_model(
        repository,
        "yaml_scoring",
        "scoring",
        chain(with_parameter("vocabulary", "config.yaml"), with_parameter("raw", "true")),
        scores,
    )
    (model / "tokens.json").unlink()
    tokens = "".join(f"- {token}\n" for token in ("<blank>", "<s>", "</s>", *YAML_TOKENS))
    (model / "config.yaml").write_text(
        f"model: Paraformer\ntoken_list:\n{tokens}frontend: WavFrontend\n", encoding="utf-8"
    )
    return repository


def online():
    """The streaming repository.

    - `streaming_paraformer`, its steps and its decoder: as users get them
    - `golden_lfr_cmvn_pe`: with the recorded arrays' am.mvn
    - `recorded_cif_search`: calls `recorder` as its decoder
    - `streaming_exported`: with the exported lfr_cmvn_pe in place of the native one
    - `streaming_lost`: its decoder is not there
    - `streaming_fragile`: its decoder fails at every second call
    - `streaming_short`: streams may be idle for SHORT_IDLE_SECONDS, and there are FEW of them at a time
    - `streaming_padding`, `streaming_refusing`: short chunks in mid-stream are filled up, or refused
    - `streaming_many`: MANY streams at a time
    - `streaming_hasty`: its steps and its decoder allow HASTY times less time without a request
    """
    repository = copy_of(online_repository(), "online")
    golden = add_model(repository, "golden_lfr_cmvn_pe", "lfr_cmvn_pe", with_parameter("encoder_output_size", 512))
    shutil.copy(FRONT_END_DATA / "am.mvn", golden)
    _add_recorder(repository)
    _add_exported(repository)
    add_streaming(repository, "lost", {}, decoder="decoder_of_nobody")
    _add_stand_in(repository, "fragile", _state("calls", "INT32"))
    add_streaming(repository, "fragile", {}, decoder="fragile")
    idle = with_idle(SHORT_IDLE_SECONDS)
    add_streaming(repository, "short", everywhere(chain(idle, with_candidates(FEW))))
    add_streaming(repository, "padding", {"feature_extractor": with_parameter("short_chunks", "pad")})
    add_streaming(repository, "refusing", {"feature_extractor": with_parameter("short_chunks", "refuse")})
    add_streaming(repository, "many", everywhere(with_candidates(MANY)))
    add_streaming(repository, "hasty", everywhere(with_shorter_idle(HASTY)))
    return repository


def _state(name, kind):
    zeros = f'initial_state: {{ name: "start" data_type: TYPE_{kind} dims: [ 1 ] zero_data: true }}'
    return f'{{ input_name: "{name}" output_name: "new_{name}" data_type: TYPE_{kind} dims: [ 1 ] {zeros} }}'


def _add_stand_in(repository, name, state, controls=""):
    """Adds a model in the decoder's place."""
    tensors = {
        "enc": "FP32 -1, -1",
        "acoustic_embeds": "FP32 -1, -1",
        "enc_len": "INT32",
        "acoustic_embeds_len": "INT32",
    }
    inputs = []
    for tensor, kind in tensors.items():
        kind, _, dims = kind.partition(" ")
        dims = f"dims: [ {dims} ]" if dims else "dims: [ 1 ] reshape: { shape: [ ] }"
        inputs.append(f'{{ name: "{tensor}" data_type: TYPE_{kind} {dims} }}')
    (repository / name / "1").mkdir(parents=True)
    shutil.copy(MODELS / f"{name}.onnx", repository / name / "1/model.onnx")
    (repository / name / "config.pbtxt").write_text(
        f"""\
name: "{name}"
backend: "onnxruntime"
default_model_filename: "model.onnx"
max_batch_size: 128
sequence_batching {{
  max_sequence_idle_microseconds: 15000000
  oldest {{ max_candidate_sequences: 1024 }}
  control_input [ {controls} ]
  state [ {state} ]
}}
input [ {", ".join(inputs)} ]
output [ {{ name: "sample_ids" data_type: TYPE_INT64 dims: [ -1 ] }} ]
instance_group [ {{ count: 1 }} ]
"""
    )


def _add_recorder(repository):
    controls = ", ".join(
        f'{{ name: "{kind}" control [ {{ kind: CONTROL_SEQUENCE_{kind} fp32_false_true: [ 0, 1 ] }} ] }}'
        for kind in ("START", "END")
    )
    _add_stand_in(repository, "recorder", _state("calls", "FP32"), controls)
    model = add_model(
        repository,
        "recorded_cif_search",
        "cif_search",
        chain(
            with_parameter("decoder", "recorder"),
            with_parameter("decoder_outputs", "scores"),
            with_parameter("raw", "true"),
        ),
    )
    write_vocabulary(model / "tokens.json")


def _add_exported(repository):
    """The lfr_cmvn_pe of an export, in a config as exports bring it along."""
    edit = chain(
        replaced('backend: "funasr"', 'backend: "onnxruntime"\ndefault_model_filename: "lfr_cmvn_pe.onnx"'),
        # The file made for these tests fixes the sizes that an export leaves open.
        replaced("dims: [ -1, 560 ]", "dims: [ 20, 560 ]"),
        replaced("dims: [ -1 ]", "dims: [ 1 ]"),
        # Parameters of the native step, which an ONNX model would not know.
        lambda text: text[: text.index("parameters [")] + text[text.index("sequence_batching {") :],
    )
    add_streaming(repository, "exported", {"lfr_cmvn_pe": edit})
    model = repository / "lfr_cmvn_pe_exported"
    for file in ("am.mvn", "config.yaml"):
        (model / file).unlink()
    shutil.copy(MODELS / "lfr_cmvn_pe.onnx", model / "1")
