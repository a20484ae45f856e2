"""Outputs are filled as far as the config lists them, in steps and in pipelines."""

import re
import shutil

import numpy as np
import pytest

from support.client import GRPC, HTTP, serving
from support.environment import sensevoice_repository, variable
from support.recordings import WITH_ITN, WITHOUT_ITN, padded, recordings
from support.repository import edit_config, fresh_directory
from support.server import Server, ServerFailed

TEXT = 'output [ { name: "TEXT" data_type: TYPE_STRING dims: [ 1 ] } ]\n'
PIPELINE = "--model-config-name=pipeline"


def clean(text):
    """A transcript without tags, and without the space they leave in front."""
    return re.sub(r"<\|.*?\|>", "", text).strip()


@pytest.fixture(scope="module", params=["ensemble", "pipeline"])
def client(request):
    """SenseVoice with TEXT beside its transcripts."""
    repository = shutil.copytree(sensevoice_repository(), fresh_directory("outputs"), dirs_exist_ok=True)
    if request.param == "pipeline":
        path = repository / "sensevoice/configs/pipeline.pbtxt"
        path.write_text(path.read_text() + TEXT)
        flags = [PIPELINE]
    else:
        edit_config(repository / "scoring", lambda text: text + TEXT)
        step = 'output_map { key: "OUTPUT0" value: "TRANSCRIPTS" }'
        more = step + '\n      output_map { key: "TEXT" value: "TEXT" }'
        edit_config(repository / "sensevoice", lambda text: text.replace(step, more) + TEXT)
        flags = []
    with serving(repository, *flags) as client:
        yield client


def ask(client, outputs, protocol=HTTP):
    """All recordings as the rows of one request, padded; without ITN."""
    wavs = [recording.samples for recording in recordings()]
    column = lambda values: np.array(values, np.int32).reshape(-1, 1)  # noqa: E731
    tensors = {
        "WAV": padded(wavs),
        "WAV_LENS": column([len(wav) for wav in wavs]),
        "LANGUAGE": column([0] * len(wavs)),
        "TEXT_NORM": column([WITHOUT_ITN] * len(wavs)),
    }
    answer = client.infer("sensevoice", tensors, outputs, protocol)
    return [answer[name].ravel().tolist() for name in outputs]


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_text_is_the_transcript_without_tags(client, protocol):
    texts, transcripts = ask(client, ["TEXT", "TRANSCRIPTS"], protocol)
    assert transcripts == [recording.texts[WITHOUT_ITN] for recording in recordings()]
    assert texts == [clean(transcript) for transcript in transcripts]
    # Some have words, and none a tag.
    assert texts[0] == "红色空调晚上朋友" and texts[6] == "water world please you school" and texts[10] == ""


def test_each_alone_is_asked_for_by_name(client):
    (texts,) = ask(client, ["TEXT"])
    assert texts[1] == "再见七九二九"
    (transcripts,) = ask(client, ["TRANSCRIPTS"])
    assert transcripts[1].endswith("<|woitn|>再见七九二九")


def test_the_text_keeps_what_the_model_normalised(client):
    answer = client.transcribe([recordings()[1].samples], WITH_ITN)
    assert answer == ["<|zh|><|NEUTRAL|><|Speech|><|withitn|>再见7929。"]


@pytest.mark.parametrize(
    ("model", "pipeline"),
    [("scoring", False), ("sensevoice", True), ("infer_pipeline", True), ("streaming_paraformer", True), ("cif_search", False)],
)
def test_an_output_that_nobody_can_fill_keeps_a_model_from_loading(model, pipeline):
    source = {"scoring": "SENSEVOICE", "sensevoice": "SENSEVOICE", "infer_pipeline": "PARAFORMER"}.get(model, "PARAFORMER_ONLINE")
    repository = shutil.copytree(variable(f"{source}_REPO"), fresh_directory("outputs"), dirs_exist_ok=True)
    path = repository / model / ("configs/pipeline.pbtxt" if pipeline else "config.pbtxt")
    path.write_text(path.read_text() + TEXT.replace("TEXT", "EMOTIONS"))
    with pytest.raises(ServerFailed, match="there is no output 'EMOTIONS' here; there are TRANSCRIPTS, OUTPUT0, transcripts, TEXT"):
        with Server(repository, *([PIPELINE] if pipeline else [])):
            pass
