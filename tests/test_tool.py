"""`triton-funasr` as an operator runs it: a repository assembled, checked and served, recordings transcribed, libraries installed."""

import json
import shutil
from pathlib import Path

import pytest

from support.environment import PROJECT, scores_repository
from support.recordings import WITH_ITN, WITHOUT_ITN, recordings
from support.repository import edit_config, fresh_directory, replaced, without_parameter
from support.server import free_ports
from support.tool import run, serving

RECORDINGS = PROJECT / "demo/recordings"


@pytest.fixture(scope="module")
def repository():
    """SenseVoice's, assembled by the tool."""
    target = fresh_directory("tool-repository") / "models"
    run("repo", "sensevoice", "--from", PROJECT / "demo/sensevoice", "--to", target)
    return target


def test_a_repository_is_assembled_served_and_asked(repository):
    out, _ = run("check", repository)
    assert "fit; 0 warnings, 0 advices" in out
    expected = {recording.name: recording.texts for recording in recordings()}
    with serving(repository) as url:
        out, err = run("transcribe", RECORDINGS, "--url", url)
        given = dict(line.split("\t") for line in out.splitlines())
        assert given == {str(RECORDINGS / name): texts[WITH_ITN] for name, texts in expected.items()}
        assert err == ""
        out, err = run("transcribe", RECORDINGS / "03_zh.wav", "missing.wav", "--no-itn", "--json", "--url", url, code=1)
        good, bad = map(json.loads, out.splitlines())
        assert good["text"] == expected["03_zh.wav"][WITHOUT_ITN]
        assert good["audio_seconds"] > 1 and good["latency_ms"] > 0
        assert bad["file"] == "missing.wav" and "cannot read" in bad["error"]
        assert "1 of 2 recordings failed" in err
        _, err = run("transcribe", RECORDINGS / "03_zh.wav", "--model", "other", "--url", url, code=1)
        assert "what does other take?" in err
        _, err = run("transcribe", RECORDINGS / "03_zh.wav", "--format", "srt", "--url", url, code=1)
        assert "sensevoice says no times: its outputs are TRANSCRIPTS; `triton-funasr repo --outputs all`" in err
        out, _ = run("transcribe", RECORDINGS / "03_zh.wav", "--format", "json", "--url", url)
        assert "result" not in json.loads(out)


def said(telling, model, *options):
    """What a model says of each recording, by the tool."""
    out, _ = run("transcribe", RECORDINGS, "--model", model, "--format", "json", "--url", f"http://{telling.server.http}", *options)
    lines = map(json.loads, out.splitlines())
    return {Path(line["file"]).name: line for line in lines}


def test_all_that_models_say(telling):
    lines = said(telling, "sensevoice")
    assert list(lines) == [recording.name for recording in recordings()]
    for recording in recordings():
        line, result = lines[recording.name], lines[recording.name]["result"]
        assert line["text"] == result["raw"] == recording.texts[WITH_ITN]
        spaced = lambda text: "".join(text.split())  # noqa: E731
        assert spaced(result["text"]) == spaced("".join(word["text"] for word in result["words"]))
        assert 0 < result["confidence"] <= 1 or not result["words"]
    assert lines["06_en.wav"]["result"]["language"] == "en"
    streams = said(telling, "streaming_paraformer")
    result = streams["07_en.wav"]["result"]
    assert result["text"] == streams["07_en.wav"]["text"] == "music four doctor weather"
    assert [word["text"] for word in result["words"]] == ["music", "four", "doctor", "weather"]
    assert 0 < result["confidence"] <= 1 and streams["10_nospeech.wav"]["result"]["confidence"] == 0


def clock(milliseconds, point):
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"00:00:{seconds:02}{point}{milliseconds:03}"


@pytest.mark.parametrize("model", ["sensevoice", "streaming_paraformer"])
def test_subtitles(telling, model, tmp_path):
    url = ["--url", f"http://{telling.server.http}", "--model", model]
    result = said(telling, model)["06_en.wav"]["result"]
    start, end, text = result["words"][0]["start_ms"], result["words"][-1]["end_ms"], result["text"].strip()
    assert start < 500 and 1500 < end < 3000
    file = RECORDINGS / "06_en.wav"
    for form, expected in {
        "srt": f"1\n{clock(start, ',')} --> {clock(end, ',')}\n{text}\n\n",
        "vtt": f"WEBVTT\n\n{clock(start, '.')} --> {clock(end, '.')}\n{text}\n\n",
        "tsv": f"start\tend\ttext\n{start}\t{end}\t{text}\n",
    }.items():
        out, _ = run("transcribe", file, "--format", form, *url)
        assert out == expected
    # One file each, and of silence one without a cue.
    out, err = run("transcribe", RECORDINGS, "--format", "srt", "--to", tmp_path / "new", *url)
    assert out == "" and err.count("Wrote") == 11
    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "new").iterdir()}
    assert sorted(written) == [Path(recording.name).stem + ".srt" for recording in recordings()]
    assert written["06_en.srt"].splitlines()[2] == text and written["10_nospeech.srt"] == ""
    _, err = run("transcribe", RECORDINGS, "--format", "srt", *url, code=1)
    assert "11 recordings need a file of subtitles each: --to" in err


def test_subtitles_of_a_model_that_says_words_without_times(telling):
    arguments = ["--model", "infer_pipeline", "--format", "srt", "--url", f"http://{telling.server.http}"]
    _, err = run("transcribe", RECORDINGS / "04_zh.wav", *arguments, code=1)
    assert "the model says no times of its words: docs/results.md" in err


@pytest.mark.parametrize("options", [(), ("--", "--model-config-name=pipeline")], ids=["ensemble", "pipeline"])
def test_streams_are_transcribed_to_their_end(options):
    target = fresh_directory("tool-online") / "models"
    run("repo", "paraformer-online", "--from", PROJECT / "demo/paraformer_online", "--to", target)
    with serving(target, *options) as url:
        out, _ = run("transcribe", RECORDINGS / "00_zh.wav", RECORDINGS / "06_en.wav", "--url", url)
    texts = [line.split("\t")[1] for line in out.splitlines()]
    assert texts == ["红色空调晚上朋友", "water world please you school"]


def test_nobody_there_is_said():
    _, err = run("transcribe", RECORDINGS / "03_zh.wav", "--url", f"http://127.0.0.1:{free_ports(1)[0]}", code=1)
    assert "is there a server at http://127.0.0.1:" in err
    _, err = run("transcribe", code=2)
    assert "Usage: triton-funasr transcribe" in err


def test_a_repository_with_python_steps_is_told_what_to_change():
    """What `check` says to do makes it fit."""
    copy = shutil.copytree(scores_repository("sensevoice"), fresh_directory("tool-python") / "models")
    scoring = copy / "scoring"
    edit_config(scoring, replaced('backend: "funasr"', 'backend: "python"'))
    edit_config(scoring, without_parameter("component"))
    edit_config(copy / "encoder", replaced("dims: [ -1, 178 ]", "dims: [ -1, -1 ]"))
    out, err = run("check", copy, "--json", code=1)
    findings = [json.loads(line) for line in out.splitlines()]
    assert [(finding["level"], finding["place"]) for finding in findings] == [
        ("error", "encoder/config.pbtxt"),
        ("advice", "scoring/config.pbtxt"),
    ]
    assert "keep it from working" in err
    shape, step = findings
    assert shape["how"] == "write dims: [-1, 178]"
    assert 'string_value: "ctc_scoring"' in step["how"]


def test_installing_is_shown_before_it_is_done():
    target = fresh_directory("tool-backends")
    out, err = run("install", "--to", target)
    assert "funasr/libtriton_funasr.so (new)" in out and "Nothing was changed" in out
    assert "no ONNX Runtime backend" in err
    assert list(target.iterdir()) == []
    run("install", "--to", target, "--onnxruntime", "--yes")
    placed = sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())
    assert placed == [
        "funasr/libtriton_funasr.so",
        "onnxruntime/libonnxruntime.so.1",
        "onnxruntime/libtriton_onnxruntime.so",
    ]
    out, _ = run("install", "--to", target, "--onnxruntime")
    assert out.count("(is there already)") == 3
    # Somebody else's backend is not touched.
    (target / "onnxruntime/libtriton_onnxruntime.so").write_bytes(b"another")
    _, err = run("install", "--to", target, "--onnxruntime", "--yes", code=1)
    assert "is another ONNX Runtime backend" in err
    assert (target / "onnxruntime/libtriton_onnxruntime.so").read_bytes() == b"another"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_name_the_commands(shell):
    out, _ = run("completions", shell)
    assert all(command in out for command in ("repo", "check", "install", "serve", "transcribe"))
