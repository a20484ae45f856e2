"""Configs as they stand where the steps are Python, with `backend` exchanged and `component` added."""

import shutil
from functools import partial

import pytest

from support.client import serving
from support.environment import PROJECT
from support.load import at_once
from support.recordings import WITH_ITN, WITHOUT_ITN, recordings
from support.repository import chain, edit_config, fresh_directory, replaced, with_parameter

REPOSITORY = "model_repo_sense_voice_small"
TOKENIZER = "chn_jpn_yue_eng_ko_spectok.bpe.model"
EXPORT = PROJECT / "demo/sensevoice"
# The published model has 25055; a config that names the vocabulary's size has to name the demo model's here.
PIECES = 178


def tensor(name, kind, dims, scalar=False):
    """An entry of `input` or `output`."""
    reshape = " reshape: { shape: [ ] }" if scalar else ""
    return f'  {{ name: "{name}" data_type: TYPE_{kind} dims: {dims}{reshape} }}'


def config(name, runs_on, inputs, outputs, instances="", **parameters):
    """A config's text; `instances` is the kind of two instances."""
    text = f'name: "{name}"\n{runs_on}\nmax_batch_size: 16\n'
    if parameters:
        entries = ",\n".join(
            f'  {{ key: "{key}" value: {{ string_value: "{value}" }} }}' for key, value in parameters.items()
        )
        text += f"parameters [\n{entries}\n]\n"
    text += "input [\n" + ",\n".join(inputs) + "\n]\noutput [\n" + ",\n".join(outputs) + "\n]\n"
    if instances:
        text += f"dynamic_batching {{\n}}\ninstance_group [ {{ count: 2 kind: {instances} }} ]\n"
    return text


def step(model, inputs, outputs):
    """An entry of an ensemble's steps."""
    maps = [f'    input_map {{ key: "{key}" value: "{value}" }}' for key, value in inputs.items()]
    maps += [f'    output_map {{ key: "{key}" value: "{value}" }}' for key, value in outputs.items()]
    return "  {\n" + f'    model_name: "{model}"\n    model_version: -1\n' + "\n".join(maps) + "\n  }"


LOGITS = {"ctc_logits": "ctc_logits", "encoder_out_lens": "encoder_out_lens"}
ENSEMBLE = config(
    "sensevoice",
    'platform: "ensemble"',
    [
        tensor("WAV", "FP32", [-1]),
        tensor("WAV_LENS", "INT32", [1]),
        tensor("LANGUAGE", "INT32", [1]),
        tensor("TEXT_NORM", "INT32", [1]),
    ],
    [tensor("TRANSCRIPTS", "STRING", [1])],
) + "ensemble_scheduling {\n step [\n%s\n ]\n}\n" % ",\n".join(
    [
        step(
            "feature_extractor",
            {"wav": "WAV", "wav_lens": "WAV_LENS"},
            {"speech": "SPEECH", "speech_lengths": "SPEECH_LENGTHS"},
        ),
        step(
            "encoder",
            {"speech": "SPEECH", "speech_lengths": "SPEECH_LENGTHS", "language": "LANGUAGE", "textnorm": "TEXT_NORM"},
            LOGITS,
        ),
        step("scoring", LOGITS, {"OUTPUT0": "TRANSCRIPTS"}),
    ]
)
FEATURE_EXTRACTOR = config(
    "feature_extractor",
    'backend: "python"',
    [tensor("wav", "FP32", [-1]), tensor("wav_lens", "INT32", [1])],
    [tensor("speech", "FP32", [-1, 560]), tensor("speech_lengths", "INT32", [1])],
    instances="KIND_GPU",
    num_mel_bins="80",
    frame_shift_in_ms="10",
    frame_length_in_ms="25",
    sample_rate="16000",
    cmvn_path=f"./{REPOSITORY}/feature_extractor/am.mvn",
    config_path=f"./{REPOSITORY}/feature_extractor/config.yaml",
)
ENCODER = config(
    "encoder",
    'backend: "onnxruntime"\ndefault_model_filename: "model.onnx"',
    [
        tensor("speech", "FP32", [-1, 560]),
        tensor("speech_lengths", "INT32", [1], scalar=True),
        tensor("language", "INT32", [1], scalar=True),
        tensor("textnorm", "INT32", [1], scalar=True),
    ],
    [tensor("ctc_logits", "FP32", [-1, PIECES]), tensor("encoder_out_lens", "INT32", [1], scalar=True)],
    instances="KIND_GPU",
    cudnn_conv_algo_search="2",
)
SCORING = config(
    "scoring",
    'backend: "python"',
    [tensor("ctc_logits", "FP32", [-1, PIECES]), tensor("encoder_out_lens", "INT32", [1], scalar=True)],
    [tensor("OUTPUT0", "STRING", [1])],
    instances="KIND_CPU",
    tokenizer_path=f"./{REPOSITORY}/scoring/{TOKENIZER}",
    FORCE_CPU_ONLY_INPUT_TENSORS="no",
)

# Triton refuses KIND_GPU without a GPU, whatever the backend: that line must change there, for Python too.
ON_THE_CPU = replaced("KIND_GPU", "KIND_CPU")


def swapped(component):
    """The whole migration of a step."""
    return chain(replaced('backend: "python"', 'backend: "funasr"'), with_parameter("component", component))


@pytest.fixture(scope="module")
def repository():
    """The repository under its usual name, with the demo's files."""
    path = fresh_directory("reference") / REPOSITORY
    configs = {
        "sensevoice": ENSEMBLE,
        "feature_extractor": FEATURE_EXTRACTOR,
        "encoder": ENCODER,
        "scoring": SCORING,
    }
    for name, text in configs.items():
        (path / name / "1").mkdir(parents=True)
        (path / name / "config.pbtxt").write_text(text)
    shutil.copy(EXPORT / "am.mvn", path / "feature_extractor")
    shutil.copy(EXPORT / "config.yaml", path / "feature_extractor")
    shutil.copy(EXPORT / TOKENIZER, path / "scoring")
    shutil.copy(EXPORT / "model.onnx", path / "encoder/1")
    for name, component in (("feature_extractor", "feature_extractor"), ("scoring", "ctc_scoring")):
        # What is replaced may stay where it was.
        (path / name / "1/model.py").write_text("raise RuntimeError('nobody runs this any more')\n")
        edit_config(path / name, swapped(component))
    for name in ("feature_extractor", "encoder"):
        edit_config(path / name, ON_THE_CPU)
    return path


@pytest.mark.parametrize("place", ["beside it", "elsewhere", "inside it", "beside it, relative"])
def test_they_give_the_same_texts_wherever_the_server_is_started(repository, tmp_path, place):
    cwd, argument = {
        # What the parameters' paths are written for.
        "beside it": (repository.parent, repository),
        "beside it, relative": (repository.parent, f"./{REPOSITORY}"),
        "elsewhere": (tmp_path, repository),
        "inside it": (repository / "encoder", ".."),
    }[place]
    with serving(argument, cwd=cwd) as client:
        for norm in (WITH_ITN, WITHOUT_ITN):
            alone = [client.transcribe([each.samples], norm) for each in recordings()]
            assert alone == [[each.texts[norm]] for each in recordings()]
            batch = client.transcribe([each.samples for each in recordings()], norm)
            assert batch == [each.texts[norm] for each in recordings()]
        # No input is declared ragged: equal lengths share executions, others take turns.
        calls = [partial(client.transcribe, [each.samples], WITH_ITN) for each in recordings()]
        assert at_once(client, calls * 3) == [[each.texts[WITH_ITN]] for each in recordings()] * 3


def test_the_shipped_configs_promise_clients_the_same(repository):
    """Names, types and batch sizes of the ensemble, and of every step, are those of the Python repository. What a step takes
    beyond them comes last, and may be left out."""
    shipped = PROJECT / REPOSITORY
    with serving(repository) as python_configs, serving([_filled(shipped)]) as ours:
        for model in ("sensevoice", "feature_extractor", "encoder", "scoring"):
            promised, given = (client.http.get_model_metadata(model) for client in (python_configs, ours))
            for side in ("inputs", "outputs"):
                count = len(promised[side])
                further = [each["name"] for each in given[side][count:]]
                assert further == (["language", "textnorm"] if (model, side) == ("feature_extractor", "inputs") else [])
                declared = ours.http.get_model_config(model)["input"]
                assert all(each["optional"] for each in declared if each["name"] in further)
                for theirs, own in zip(promised[side], given[side][:count], strict=True):
                    assert (own["name"], own["datatype"]) == (theirs["name"], theirs["datatype"])
                    # -1 stands for any vocabulary.
                    assert len(own["shape"]) == len(theirs["shape"])
                    assert all(mine in (-1, its) for mine, its in zip(own["shape"], theirs["shape"]))
            sizes = [client.http.get_model_config(model)["max_batch_size"] for client in (python_configs, ours)]
            assert sizes == [16, 16]


def _filled(shipped):
    """The repository of this project with the demo's files put where its README says."""
    path = fresh_directory("shipped")
    shutil.copytree(shipped, path, dirs_exist_ok=True)
    edit_config(path / "encoder", replaced("dims: [ -1, 25055 ]", f"dims: [ -1, {PIECES} ]"))
    shutil.copy(EXPORT / "am.mvn", path / "feature_extractor")
    shutil.copy(EXPORT / "config.yaml", path / "feature_extractor")
    shutil.copy(EXPORT / TOKENIZER, path / "scoring")
    shutil.copy(EXPORT / "model.onnx", path / "encoder/1")
    return path
