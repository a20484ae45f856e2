"""A model whose config or files are wrong does not load, and the error says what to mend."""

import re
import shutil
from collections.abc import Callable
from typing import NamedTuple

import pytest

from support.client import InferenceServerException, serving
from support.environment import PROJECT, scores_repository
from support.recordings import WITH_ITN, recordings
from support.repository import (
    add_model,
    chain,
    copy_sensevoice,
    edit_config,
    fresh_directory,
    replaced,
    with_parameter,
    without_parameter,
)
from support.server import Server, ServerFailed

TOKENIZER = "chn_jpn_yue_eng_ko_spectok.bpe.model"


class Broken(NamedTuple):
    """A step of the demo's repository, what breaks it, and words the error must have."""

    name: str
    step: str
    damage: Callable
    words: tuple


def config(edit):
    """Damage: the config says something else."""
    return lambda model: edit_config(model, edit)


def parameter(key, value):
    """Damage: a parameter has another value."""
    return config(with_parameter(key, value))


def removed(file):
    """Damage: a file is not there."""
    return lambda model: (model / file).unlink()


def written(file, content):
    """Damage: a file has another content."""

    def damage(model):
        path = model / file
        path.unlink()
        path.write_bytes(content)

    return damage


def narrower_cmvn(model):
    """Damage: an am.mvn of 400 columns."""
    path = model / "am.mvn"

    def cut(match):
        return "[ " + " ".join(match[1].split()[:400]) + " ]"

    text = path.read_text()
    narrow, vectors = re.subn(r"\[\s((?:[-+.\de]+\s+){560})\]", cut, text)
    assert vectors == 2, text[:500]
    narrow = re.sub(r"\b560\b", "400", narrow)
    path.unlink()
    path.write_text(narrow)


def cut_in_half(file):
    """Damage: a download that broke off."""

    def damage(model):
        path = model / file
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content[: len(content) // 2])

    return damage


FRONT_END, ENCODER, SCORING = "feature_extractor", "encoder", "scoring"
BROKEN = [
    Broken("no am.mvn", FRONT_END, removed("am.mvn"), ("cmvn_path", "am.mvn")),
    Broken("am.mvn of another width", FRONT_END, narrower_cmvn, ("am.mvn", "400", "560")),
    Broken("am.mvn that is none", FRONT_END, written("am.mvn", b"<html>404</html>\n"), ("cmvn_path", "am.mvn")),
    Broken("half an am.mvn", FRONT_END, cut_in_half("am.mvn"), ("cmvn_path", "am.mvn")),
    Broken("no cmvn_path", FRONT_END, config(without_parameter("cmvn_path")), ("cmvn_path",)),
    Broken(
        "unknown component",
        FRONT_END,
        parameter("component", "feature_extracter"),
        ("component", "feature_extracter", "feature_extractor", "ctc_scoring"),
    ),
    Broken(
        "no component",
        FRONT_END,
        config(without_parameter("component")),
        ("component", "feature_extractor", "ctc_scoring"),
    ),
    Broken("no config.yaml", FRONT_END, removed("config.yaml"), ("config_path", "config.yaml")),
    Broken(
        "broken config.yaml",
        FRONT_END,
        written("config.yaml", b"frontend_conf: [1, {\n"),
        ("config_path", "config.yaml"),
    ),
    Broken(
        "config.yaml with a word for a number",
        FRONT_END,
        written("config.yaml", b"frontend_conf:\n    n_mels: eighty\n"),
        ("config.yaml", "n_mels", "eighty"),
    ),
    Broken("pad_to_multiple no number", FRONT_END, parameter("pad_to_multiple", "eight"), ("pad_to_multiple", "eight")),
    Broken("pad_to_multiple 0", FRONT_END, parameter("pad_to_multiple", "0"), ("pad_to_multiple", "0")),
    Broken("pad_to_multiple negative", FRONT_END, parameter("pad_to_multiple", "-8"), ("pad_to_multiple", "-8")),
    Broken(
        "max_audio_seconds no number", FRONT_END, parameter("max_audio_seconds", "long"), ("max_audio_seconds", "long")
    ),
    Broken("max_audio_seconds 0", FRONT_END, parameter("max_audio_seconds", "0"), ("max_audio_seconds", "0")),
    Broken("dither no number", FRONT_END, parameter("dither", "some"), ("dither", "some")),
    Broken("features of another width", FRONT_END, config(replaced("-1, 560", "-1, 480")), ("speech", "480", "560")),
    Broken("input of another name", FRONT_END, config(replaced('"wav"', '"audio"')), ("wav",)),
    Broken("no tokenizer", SCORING, removed(TOKENIZER), ("tokenizer_path", TOKENIZER)),
    Broken("no tokenizer_path", SCORING, config(without_parameter("tokenizer_path")), ("tokenizer_path",)),
    Broken("tokenizer that is none", SCORING, written(TOKENIZER, b"<html>404</html>\n"), ("tokenizer_path", TOKENIZER)),
    Broken("empty tokenizer", SCORING, written(TOKENIZER, b""), ("tokenizer_path", TOKENIZER)),
    Broken("half a tokenizer", SCORING, cut_in_half(TOKENIZER), ("tokenizer_path", TOKENIZER)),
    Broken(
        "tokenizer of another size",
        SCORING,
        config(replaced("-1, -1", "-1, 25055")),
        ("ctc_logits", "25055", "178"),
    ),
    Broken("no ONNX file", ENCODER, removed("1/model.onnx"), ("model.onnx",)),
    Broken("another ONNX file", ENCODER, config(replaced('"model.onnx"', '"other.onnx"')), ("other.onnx",)),
    Broken(
        "an ONNX file that is not one", ENCODER, written("1/model.onnx", b"<html>404</html>\n"), ("model.onnx", "ONNX")
    ),
    Broken("half an ONNX file", ENCODER, cut_in_half("1/model.onnx"), ("model.onnx", "ONNX")),
    Broken(
        "input the ONNX file lacks", ENCODER, config(replaced('"textnorm"', '"text_norm"')), ("text_norm", "textnorm")
    ),
    Broken(
        "vocabulary the ONNX file lacks",
        ENCODER,
        config(replaced("-1, 178", "-1, 25055")),
        ("ctc_logits", "25055", "178"),
    ),
]


@pytest.fixture(scope="module")
def on_demand():
    """A client of a server that loads models when it is told to, and the repository it looks into."""
    repository = fresh_directory("broken")
    with serving(repository, "--model-control-mode=explicit") as client:
        yield client, repository


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_the_model_does_not_load_and_the_error_says_why(on_demand, broken):
    client, repository = on_demand
    name = re.sub(r"\W+", "_", broken.name)
    model = add_model(repository, name, broken.step, source=scores_repository("sensevoice"))
    broken.damage(model)
    with pytest.raises(InferenceServerException) as caught:
        client.http.load_model(name)
    message = caught.value.message()
    assert name in message
    # What the server says around it must not do for the words.
    told = message.replace(name, "")
    for word in broken.words:
        assert word in told, message
    assert "panic" not in told, message
    assert not client.http.is_model_ready(name)

    # Mended, it loads: nothing of the failed attempt is left.
    shutil.rmtree(model)
    add_model(repository, name, broken.step)
    client.http.load_model(name)
    assert client.http.is_model_ready(name)
    client.http.unload_model(name)


@pytest.mark.parametrize("value", ["nan", "-1", "101"])
def test_padding_that_no_call_can_have(on_demand, value):
    client, repository = on_demand
    name, source = f"padding_{len(list(repository.iterdir()))}", scores_repository("sensevoice")
    model = add_model(repository, name, "sensevoice", source=source)
    # Its files are in these.
    for step in ("feature_extractor", "scoring"):
        shutil.copytree(source / step, repository / step, dirs_exist_ok=True)
    shutil.copy(model / "configs/pipeline.pbtxt", model / "config.pbtxt")
    edit_config(model, chain(replaced('name: "sensevoice"', f'name: "{name}"'), with_parameter("max_padding_percent", value)))
    with pytest.raises(InferenceServerException, match="max_padding_percent.*from 0 to 100"):
        client.http.load_model(name)


@pytest.mark.parametrize("value", ["0", "7999", "192001"])
def test_a_rate_that_no_recording_has(on_demand, value):
    client, repository = on_demand
    name = f"rate_{len(list(repository.iterdir()))}"
    model = add_model(repository, name, "transcribe", source=PROJECT / "model_repo_transcribe")
    edit_config(model, with_parameter("sample_rate", value))
    with pytest.raises(InferenceServerException, match="sample_rate.*from 8000 to 192000"):
        client.http.load_model(name)


@pytest.mark.parametrize(
    ("form", "key", "value", "words"),
    [
        ("cif_search", "chunk_size", "5, 10, 5, x", "three frame counts"),
        ("cif_search", "chunk_size", "5, 10, 1000000000000", "a minute"),
        ("pipeline", "chunk_size", "5, 10, 1000000000000", "a minute"),
        ("pipeline", "decoder_caches", "1000000000000", "from 1 to 1024"),
        ("pipeline", "decoder_cache_frames", "0", "from 1 to 1024"),
    ],
)
def test_sizes_that_no_streaming_model_has(on_demand, form, key, value, words):
    """Memory for them would be asked for at once, or by a stream; there is none, and the server must live on."""
    client, repository = on_demand
    name = f"{form}_{key}_{len(list(repository.iterdir()))}"
    like = "streaming_paraformer" if form == "pipeline" else form
    source = scores_repository("paraformer-online")
    model = add_model(repository, name, like, source=source)
    if form == "pipeline":
        # Its files are in these.
        for step in ("lfr_cmvn_pe", "cif_search"):
            shutil.copytree(source / step, repository / step, dirs_exist_ok=True)
        shutil.copy(model / "configs/pipeline.pbtxt", model / "config.pbtxt")
        edit_config(model, replaced(f'name: "{like}"', f'name: "{name}"'))
    edit_config(model, with_parameter(key, value))
    with pytest.raises(InferenceServerException) as caught:
        client.http.load_model(name)
    message = caught.value.message()
    assert key in message and words in message, message


def test_an_unknown_parameter_is_a_warning_with_the_nearest_name(on_demand):
    client, repository = on_demand
    name = "misspelt"
    given = {"pad_to_multiples": "8", "dithr": "1", "colour": "blue", "ignore_id": "-1", "EXECUTION_ENV_PATH": "/nowhere"}
    add_model(repository, name, FRONT_END, chain(*(with_parameter(*pair) for pair in given.items())))
    client.http.load_model(name)
    assert client.http.is_model_ready(name)
    client.http.unload_model(name)
    lines = [line for line in client.server.log().splitlines() if f"model '{name}': component" in line]
    assert all(line.startswith("W") for line in lines)
    about = f"model '{name}': component 'feature_extractor' does not know parameter"
    assert [line.partition("] ")[2].strip('"') for line in lines] == [
        f"{about} 'colour'",
        f"{about} 'dithr'; did you mean 'dither'?",
        f"{about} 'pad_to_multiples'; did you mean 'pad_to_multiple'?",
    ]


def test_a_server_that_loads_everything_does_not_start():
    """Without model control the log holds the same message, and the server ends by itself."""
    repository = copy_sensevoice("no-cmvn")
    (repository / "feature_extractor/am.mvn").unlink()
    with pytest.raises(ServerFailed) as caught, Server(repository):
        pass
    assert "cmvn_path" in str(caught.value)
    assert str(repository / "feature_extractor/am.mvn") in str(caught.value)


def test_other_models_work_beside_one_that_does_not_load():
    repository = copy_sensevoice("one-broken")
    add_model(repository, "no_component", "scoring", without_parameter("component"))
    with serving(repository, "--exit-on-error=false", "--strict-readiness=false") as client:
        first = recordings()[0]
        assert client.transcribe([first.samples], WITH_ITN) == [first.texts[WITH_ITN]]
        assert not client.http.is_model_ready("no_component")
