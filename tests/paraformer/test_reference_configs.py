"""Configs as they stand where the steps are Python, with `backend` exchanged and `component` added, no more."""

import re
import shutil
from functools import partial

import pytest

from paraformer.repositories import MODELS
from paraformer.streaming import send_all
from paraformer.test_offline import ask
from paraformer.texts import OFFLINE, ONLINE, recordings, streams, vocabulary
from support.client import GRPC, serving
from support.environment import PROJECT, scores_repository
from support.load import at_once
from support.repository import chain, edit_config, fresh_directory, replaced, with_parameter

OFFLINE_NAME = "model_repo_paraformer_large_offline"
ONLINE_NAME = "model_repo_paraformer_large_online"

# The published models have 8404 tokens, 512 values per frame, 16 caches; these are the demo models'.
TOKENS, HIDDEN, CACHES = 124, 128, 4

ONNX = 'backend: "onnxruntime"\ndefault_model_filename: "%s"'
PYTHON = 'backend: "python"'
# Triton refuses KIND_GPU on a machine without a GPU, whatever the backend: that line must change, with Python too.
ON_THE_CPU = replaced("KIND_GPU", "KIND_CPU")

CONTROLS = """
  control_input [
    { name: "START", control [ { kind: CONTROL_SEQUENCE_START fp32_false_true: [0, 1] } ] },
    { name: "READY" control [ { kind: CONTROL_SEQUENCE_READY fp32_false_true: [0, 1] } ] },
    { name: "CORRID", control [ { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } ] },
    { name: "END", control [ { kind: CONTROL_SEQUENCE_END fp32_false_true: [0, 1] } ] }
  ]
"""


def tensor(name, kind, *dims):
    """An entry of `input` or `output`; no dims are one value per row."""
    dims = f"dims: {list(dims)}" if dims else "dims: [1] reshape: { shape: [ ] }"
    return f'  {{ name: "{name}" data_type: TYPE_{kind} {dims} }}'


def config(name, runs_on, rows, inputs, outputs, batching="", instances=None, **parameters):
    """A config's text; `instances` are a count and a kind."""
    text = f'name: "{name}"\n{runs_on}\nmax_batch_size: {rows}\n{batching}\n'
    if parameters:
        entries = (f'  {{ key: "{key}" value: {{ string_value: "{value}" }} }}' for key, value in parameters.items())
        text += "parameters [\n" + ",\n".join(entries) + "\n]\n"
    text += "input [\n" + ",\n".join(inputs) + "\n]\noutput [\n" + ",\n".join(outputs) + "\n]\n"
    if instances:
        text += "instance_group [ { count: %d kind: %s } ]\n" % instances
    return text


def ensemble(name, rows, *steps):
    """A pipeline of models; a step is its model, its inputs and its outputs."""
    texts = []
    for model, inputs, outputs in steps:
        maps = [f'    input_map {{ key: "{key}" value: "{value}" }}' for key, value in inputs.items()]
        maps += [f'    output_map {{ key: "{key}" value: "{value}" }}' for key, value in outputs.items()]
        texts.append(f'  {{\n    model_name: "{model}"\n    model_version: -1\n' + "\n".join(maps) + "\n  }")
    audio = [tensor("WAV", "FP32", -1), tensor("WAV_LENS", "INT32", 1)]
    text = config(name, 'platform: "ensemble"', rows, audio, [tensor("TRANSCRIPTS", "STRING", 1)])
    return text + "ensemble_scheduling {\n step [\n" + ",\n".join(texts) + "\n ]\n}\n"


def sequences(inside="control_input [ ]", preferred="[32, 64, 128]", delay="max_queue_delay_microseconds: 300"):
    """`sequence_batching` as all streaming steps have it."""
    return (
        "sequence_batching{\n  max_sequence_idle_microseconds: 15000000\n"
        f"  oldest {{ max_candidate_sequences: 1024 preferred_batch_size: {preferred} {delay} }}\n{inside}\n}}"
    )


def state(name, next_name, kind, *dims):
    """An entry of `state`."""
    of = f"data_type: TYPE_{kind} dims: {list(dims)}"
    zeros = f'initial_state: {{ {of} zero_data: true name: "initial state" }}'
    return f'{{ input_name: "{name}" output_name: "{next_name}" {of} {zeros} }}'


AUDIO = {"wav": "WAV", "wav_lens": "WAV_LENS"}
WAV = [tensor("wav", "FP32", -1), tensor("wav_lens", "INT32", 1)]
SPEECH = {"speech": "SPEECH", "speech_lengths": "SPEECH_LENGTHS"}
SCORES = {"logits": "logits", "token_num": "token_num"}
STACKS = {"chunk_xs_out": "CHUNK_XS_OUT", "chunk_xs_out_len": "CHUNK_XS_OUT_LEN"}
ENCODED = {"enc": "ENC", "enc_len": "ENC_LEN", "alphas": "ALPHAS"}

OFFLINE_CONFIGS = {
    "infer_pipeline": ensemble(
        "infer_pipeline",
        64,
        ("feature_extractor", AUDIO, SPEECH),
        ("encoder", SPEECH, SCORES),
        ("scoring", SCORES, {"OUTPUT0": "TRANSCRIPTS"}),
    ),
    "feature_extractor": config(
        "feature_extractor",
        PYTHON,
        64,
        WAV,
        [tensor("speech", "FP32", -1, 560), tensor("speech_lengths", "INT32", 1)],
        "dynamic_batching {\n  }",
        (2, "KIND_GPU"),
        num_mel_bins="80",
        frame_shift_in_ms="10",
        frame_length_in_ms="25",
        sample_rate="16000",
        cmvn_path=f"./{OFFLINE_NAME}/feature_extractor/am.mvn",
        config_path=f"./{OFFLINE_NAME}/feature_extractor/config.yaml",
    ),
    "encoder": config(
        "encoder",
        ONNX % "model.onnx",
        64,
        [tensor("speech", "FP32", -1, 560), tensor("speech_lengths", "INT32")],
        [tensor("logits", "FP32", -1, TOKENS), tensor("token_num", "INT32")],
        "dynamic_batching { preferred_batch_size: [ 2,4,8,16,32,64 ] max_queue_delay_microseconds: 500 }",
        (1, "KIND_GPU"),
        cudnn_conv_algo_search="2",
    ),
    "scoring": config(
        "scoring",
        PYTHON,
        64,
        [tensor("logits", "FP32", -1, TOKENS), tensor("token_num", "INT32")],
        [tensor("OUTPUT0", "STRING", 1)],
        "dynamic_batching {\n  }",
        (2, "KIND_CPU"),
        ignore_id="-1",
        vocabulary=f"./{OFFLINE_NAME}/scoring/1/tokens.json",
        lm_path="#lm_path",
        FORCE_CPU_ONLY_INPUT_TENSORS="no",
    ),
}

ONLINE_CONFIGS = {
    "streaming_paraformer": ensemble(
        "streaming_paraformer",
        128,
        ("feature_extractor", AUDIO, {"speech": "SPEECH"}),
        ("lfr_cmvn_pe", {"chunk_xs": "SPEECH"}, STACKS),
        ("encoder", {"speech": "CHUNK_XS_OUT", "speech_lengths": "CHUNK_XS_OUT_LEN"}, ENCODED),
        ("cif_search", ENCODED, {"transcripts": "TRANSCRIPTS"}),
    ),
    "feature_extractor": config(
        "feature_extractor",
        PYTHON,
        128,
        WAV,
        [tensor("speech", "FP32", 61, 80)],
        sequences(CONTROLS),
        (1, "KIND_GPU"),
        chunk_size_s="0.6",
        config_path=f"{ONLINE_NAME}/feature_extractor/config.yaml",
    ),
    "lfr_cmvn_pe": config(
        "lfr_cmvn_pe",
        ONNX % "lfr_cmvn_pe.onnx",
        128,
        [tensor("chunk_xs", "FP32", 61, 80)],
        # The file made for these tests fixes the sizes that an export leaves open.
        [tensor("chunk_xs_out", "FP32", 20, 560), tensor("chunk_xs_out_len", "INT32", 1)],
        sequences(
            "control_input [ ]\nstate [ %s, %s ]"
            % (state("cache", "r_cache", "FP32", 10, 560), state("offset", "r_offset", "INT32", 1))
        ),
        (1, "KIND_GPU"),
    ),
    "encoder": config(
        "encoder",
        ONNX % "model.onnx",
        128,
        [tensor("speech", "FP32", -1, 560), tensor("speech_lengths", "INT32")],
        [tensor("enc", "FP32", -1, HIDDEN), tensor("enc_len", "INT32"), tensor("alphas", "FP32", -1)],
        sequences("control_input [ ]\nstate [\n]"),
        (1, "KIND_GPU"),
        cudnn_conv_algo_search="2",
    ),
    "cif_search": config(
        "cif_search",
        PYTHON,
        128,
        [tensor("enc", "FP32", -1, HIDDEN), tensor("enc_len", "INT32"), tensor("alphas", "FP32", -1)],
        [tensor("transcripts", "STRING", 1)],
        sequences(CONTROLS, delay=""),
        (6, "KIND_CPU"),
        vocabulary=f"{ONLINE_NAME}/feature_extractor/config.yaml",
        FORCE_CPU_ONLY_INPUT_TENSORS="no",
    ),
    "decoder": config(
        "decoder",
        ONNX % "decoder.onnx",
        128,
        [
            tensor("enc", "FP32", -1, HIDDEN),
            tensor("enc_len", "INT32"),
            tensor("acoustic_embeds", "FP32", -1, HIDDEN),
            tensor("acoustic_embeds_len", "INT32"),
        ],
        [tensor("logits", "FP32", -1, TOKENS), tensor("sample_ids", "INT64", -1)],
        sequences(
            "control_input [ ]\nstate [ %s ]"
            % ", ".join(state(f"in_cache_{at}", f"out_cache_{at}", "FP32", HIDDEN, 10) for at in range(CACHES)),
            "[16, 32, 64]",
            "",
        ),
        (1, "KIND_GPU"),
        cudnn_conv_algo_search="2",
    ),
}


def swapped(component):
    """The whole migration of a step."""
    return chain(replaced(PYTHON, 'backend: "funasr"'), with_parameter("component", component))


def write(name, configs, components):
    """A repository of these configs, migrated, under its usual name."""
    path = fresh_directory("reference") / name
    for model, text in configs.items():
        (path / model / "1").mkdir(parents=True)
        (path / model / "config.pbtxt").write_text(text)
        if "KIND_GPU" in text:
            edit_config(path / model, ON_THE_CPU)
    for model, component in components.items():
        # What is replaced may stay where it was.
        (path / model / "1/model.py").write_text("raise RuntimeError('nobody runs this any more')\n")
        edit_config(path / model, swapped(component))
    return path


@pytest.fixture(scope="module")
def offline_reference():
    """The offline repository with the demo's files where the configs expect them."""
    path = write(
        OFFLINE_NAME, OFFLINE_CONFIGS, {"feature_extractor": "feature_extractor", "scoring": "paraformer_scoring"}
    )
    for file in ("am.mvn", "config.yaml"):
        shutil.copy(OFFLINE / file, path / "feature_extractor")
    shutil.copy(OFFLINE / "model.onnx", path / "encoder/1")
    shutil.copy(OFFLINE / "tokens.json", path / "scoring/1")
    return path


@pytest.fixture(scope="module")
def online_reference():
    """The streaming repository with the demo's files where the configs expect them; the front end's has the tokens."""
    path = write(
        ONLINE_NAME, ONLINE_CONFIGS, {"feature_extractor": "online_feature_extractor", "cif_search": "cif_search"}
    )
    tokens = "".join(f"- {token}\n" for token in vocabulary(ONLINE))
    export = (ONLINE / "config.yaml").read_text(encoding="utf-8")
    (path / "feature_extractor/config.yaml").write_text(f"{export}token_list:\n{tokens}", encoding="utf-8")
    shutil.copy(ONLINE / "am.mvn", path / "lfr_cmvn_pe")
    shutil.copy(MODELS / "lfr_cmvn_pe.onnx", path / "lfr_cmvn_pe/1")
    shutil.copy(ONLINE / "model.onnx", path / "encoder/1")
    shutil.copy(ONLINE / "decoder.onnx", path / "decoder/1")
    return path


# Where the server is started: the parameters' paths are written for "beside it".
PLACES = pytest.mark.parametrize("place", ["beside it", "elsewhere"])


def started(repository, place, tmp_path):
    """A server of the repository."""
    if place == "beside it":
        return serving(f"./{repository.name}", cwd=repository.parent)
    return serving(repository, cwd=tmp_path)


@PLACES
def test_offline_configs(offline_reference, tmp_path, place):
    with started(offline_reference, place, tmp_path) as client:
        assert [ask(client, [each.samples]) for each in recordings()] == [[each.text] for each in recordings()]
        first = recordings()[0]
        assert ask(client, [first.samples] * 3) == [first.text] * 3
        calls = [partial(ask, client, [each.samples]) for each in recordings()]
        assert at_once(client, calls * 2) == [[each.text] for each in recordings()] * 2


def assert_streams_are_right(client, ids):
    """One by one, and beside each other, whose instances take turns; by numbers and by short texts."""
    for stream in streams():
        assert send_all(client, stream.chunks, next(ids)) == stream.deltas
        assert send_all(client, stream.chunks, f"s{next(ids)}") == stream.deltas
    calls = [partial(send_all, client, stream.chunks, next(ids), GRPC) for stream in streams()]
    assert at_once(client, calls) == [stream.deltas for stream in streams()]


@PLACES
def test_online_configs(online_reference, tmp_path, place, ids):
    with started(online_reference, place, tmp_path) as client:
        assert_streams_are_right(client, ids)


def test_online_configs_with_the_lfr_cmvn_pe_of_the_page(online_reference, ids):
    """What docs/migrate.md has in the place of two lines, and the two files beside it."""
    page = (PROJECT / "docs/migrate.md").read_text(encoding="utf-8")
    (block,) = re.findall(r'```text\n(backend: "funasr"\n.*?)```', page, re.DOTALL)
    repository = shutil.copytree(online_reference, fresh_directory("page") / ONLINE_NAME)
    edit_config(repository / "lfr_cmvn_pe", replaced(ONNX % "lfr_cmvn_pe.onnx", block))
    shutil.copy(ONLINE / "config.yaml", repository / "lfr_cmvn_pe")
    with serving(repository, cwd=repository.parent) as client:
        assert_streams_are_right(client, ids)


def test_online_configs_with_the_native_lfr_cmvn_pe(online_reference, ids):
    """Its config names no am.mvn and no width of the encoder, which an export has inside."""
    repository = shutil.copytree(online_reference, fresh_directory("native") / ONLINE_NAME)
    edit_config(
        repository / "lfr_cmvn_pe",
        chain(
            replaced(ONNX % "lfr_cmvn_pe.onnx", 'backend: "funasr"'),
            with_parameter("component", "lfr_cmvn_pe"),
            with_parameter("cmvn_path", f"{ONLINE_NAME}/lfr_cmvn_pe/am.mvn"),
            with_parameter("encoder_output_size", HIDDEN),
        ),
    )
    with serving(repository, cwd=repository.parent) as client:
        assert_streams_are_right(client, ids)


@pytest.mark.parametrize(
    ("reference", "shipped", "rows"),
    [("offline_reference", "paraformer", 64), ("online_reference", "paraformer-online", 128)],
)
def test_the_shipped_configs_promise_clients_the_same(request, reference, shipped, rows):
    """Names, types and batch sizes of every model are those of the Python repository, whose models hand out scores."""
    reference = request.getfixturevalue(reference)
    with serving(reference, cwd=reference.parent) as python_configs, serving(scores_repository(shipped)) as ours:
        for model in sorted(each.name for each in reference.iterdir()):
            promised, given = (client.http.get_model_metadata(model) for client in (python_configs, ours))
            for side in ("inputs", "outputs"):
                for theirs, own in zip(promised[side], given[side], strict=True):
                    assert (own["name"], own["datatype"]) == (theirs["name"], theirs["datatype"])
                    # -1 stands for any vocabulary and any width.
                    assert len(own["shape"]) == len(theirs["shape"])
                    assert all(mine in (-1, its) for mine, its in zip(own["shape"], theirs["shape"]))
            sizes = [client.http.get_model_config(model)["max_batch_size"] for client in (python_configs, ours)]
            assert sizes == [rows, rows]
