"""Repositories that the tool makes of exports with hot words, and configs that do not load."""

import json
import shutil
import subprocess

from hotwords.repositories import assembled, export
from pipelines.variants import PIPELINE, add_pipeline
from support.environment import PROJECT, variable
from support.repository import chain, fresh_directory, replaced, with_parameter
from support.server import Server


def test_what_the_tool_makes_fits():
    for source, flags in ((export(), ()), (export(seg_dict=False), ("--keep-logits",))):
        repository = assembled("hotword-checked", source, *flags)
        checked = subprocess.run([variable("TRITON_FUNASR"), "check", str(repository), "--json"], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert [json.loads(line) for line in checked.stdout.splitlines()] == []


def test_an_export_without_its_hotword_encoder_is_told():
    source = export()
    (source / "model_eb.onnx").unlink()
    done = subprocess.run(
        [variable("TRITON_FUNASR"), "repo", "paraformer", "--from", str(source), "--to", str(fresh_directory("none") / "repo")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "no model_eb.onnx" in done.stderr, done.stderr


def test_without_hot_words_nothing_is_different():
    """The demo's Paraformer has no input for them."""
    repository = fresh_directory("plain") / "repo"
    subprocess.run(
        [variable("TRITON_FUNASR"), "repo", "paraformer", "--from", str(PROJECT / "demo/paraformer"), "--to", str(repository)], check=True
    )
    assert sorted(each.name for each in repository.iterdir()) == ["encoder", "feature_extractor", "infer_pipeline", "scoring"]
    assert "hotword" not in (repository / "infer_pipeline/configs/pipeline.pbtxt").read_text()


def of_config(words):
    return with_parameter("hotwords", words)


BROKEN = {
    "long": (of_config("一二三四五六七八九十一"), "parameter 'hotwords': '一二三四五六七八九十一' has 11 tokens; parameter max_hotword_length allows 10"),
    "unknown": (of_config("一 两"), "parameter 'hotwords': '两': the model's vocabulary has no '两'"),
    "many": (chain(of_config("一 二"), with_parameter("max_hotwords", 1)), "parameter 'hotwords': there are more than 1 hot words"),
    "uncached": (
        chain(of_config("一 二 三"), with_parameter("hotword_cache_words", 3)),
        "parameter 'hotword_cache_words': is 3, but the config's own list has 3 hot words",
    ),
    "nowhere": (with_parameter("hotwords_file", "nowhere.txt"), "parameter 'hotwords_file': no file 'nowhere.txt'"),
    "no_dict": (with_parameter("seg_dict", "scoring/config.pbtxt"), "it has no word with tokens of the vocabulary"),
    "other": (with_parameter("unknown_hotwords", "drop"), "parameter 'unknown_hotwords': 'drop' is neither 'refuse' nor 'unk' nor 'skip'"),
    "kind": (replaced("TYPE_STRING\n    dims: [ -1 ]", "TYPE_INT32\n    dims: [ -1 ]"), "tensor 'HOTWORDS' is TYPE_INT32"),
}


def test_what_cannot_be_used_keeps_the_model_from_loading():
    repository = assembled("hotword-broken")
    for name, (edit, _) in BROKEN.items():
        add_pipeline(repository, f"infer_{name}", "infer_pipeline", edit)
    plain = fresh_directory("plain") / "repo"
    demo = str(PROJECT / "demo/paraformer")
    subprocess.run([variable("TRITON_FUNASR"), "repo", "paraformer", "--from", demo, "--to", str(plain)], check=True)
    shutil.rmtree(plain / "scoring/1")
    add_pipeline(plain, "infer_deaf", "infer_pipeline", of_config("一"))
    shutil.move(plain / "infer_deaf", repository)
    with Server(repository, PIPELINE, "--exit-on-error=false", "--strict-readiness=false") as server:
        log = server.log()
    for name, (_, words) in BROKEN.items():
        assert f"model 'infer_{name}'" in log and words in log, (name, words)
    words = "parameter 'hotwords': has no meaning in a config without an input 'HOTWORDS' and without parameter hotword_encoder"
    assert words in log
