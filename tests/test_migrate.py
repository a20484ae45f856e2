"""The commands of docs/migrate.md make a repository with Python steps one without, and its texts are right."""

import re
import shutil

import pytest

from support import readme
from support.environment import PROJECT, variable
from support.recordings import WITH_ITN, recordings
from support.repository import fresh_directory
from support.server import free_ports
from support.tool import environment, run, serving
from test_reference_configs import ENCODER, ENSEMBLE, EXPORT, FEATURE_EXTRACTOR, REPOSITORY, SCORING, TOKENIZER

PAGE = (PROJECT / "docs/migrate.md").read_text(encoding="utf-8")
BLOCKS = {block.name: block for block in readme.blocks(PAGE)[0]}


@pytest.fixture(scope="module")
def place():
    """A directory with the repository as the Python steps have it, and the demo's files in it."""
    directory = fresh_directory("migrate")
    repository = directory / REPOSITORY
    for name, text in {"sensevoice": ENSEMBLE, "feature_extractor": FEATURE_EXTRACTOR, "encoder": ENCODER, "scoring": SCORING}.items():
        (repository / name / "1").mkdir(parents=True)
        (repository / name / "config.pbtxt").write_text(text)
    for name in ("feature_extractor", "scoring"):
        (repository / name / "1/model.py").write_text("raise RuntimeError('nobody runs this any more')\n")
    for name in ("am.mvn", "config.yaml"):
        shutil.copy(EXPORT / name, repository / "feature_extractor")
    shutil.copy(EXPORT / TOKENIZER, repository / "scoring")
    shutil.copy(EXPORT / "model.onnx", repository / "encoder/1")
    programs = directory / "bin"
    programs.mkdir()
    (programs / "triton-funasr").symlink_to(variable("TRITON_FUNASR"))
    return directory


def printed(place, name):
    """What a block prints in a reader's shell that has the tool, and the server in its cache."""
    block = BLOCKS[name]
    port = free_ports(1)[0]
    script = block.script.replace("8000", str(port))
    settings = f"export PATH='{place}/bin':\"$PATH\" XDG_CACHE_HOME='{environment()['XDG_CACHE_HOME']}'\n"
    return readme.run(block._replace(script=settings + script), place)


def shown(line):
    """The block of output in the page that has a line."""
    return next(block for block in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL) if line in block)


def test_the_page_from_beginning_to_end(place):
    assert list(BLOCKS) == ["look", "exchange", "steps", "processor", "convolutions", "check", "serve"]
    before = printed(place, "look")
    assert "warning encoder/config.pbtxt: with cudnn_conv_algo_search" in before
    assert shown("ctc_scoring") in before
    assert '{ key: "component" value: { string_value: "feature_extractor" } }' in before
    printed(place, "exchange")
    for name in ("steps", "processor", "convolutions"):
        printed(place, name)
    after = printed(place, "check")
    assert shown("4 models fit").strip() == after.strip().splitlines()[-1]
    assert "Python" not in after
    encoder = (place / REPOSITORY / "encoder/config.pbtxt").read_text()
    assert '"cudnn_conv_algo_search" value: { string_value: "1" }' in encoder
    printed(place, "serve")
    # What another terminal is for; by another name, as in a container. What is left of the old one is nobody's.
    renamed = (place / REPOSITORY).rename(place / "models")
    for path in ("feature_extractor/am.mvn", "scoring/" + TOKENIZER):
        spoiled = place / REPOSITORY / path
        spoiled.parent.mkdir(parents=True, exist_ok=True)
        spoiled.write_text("of another repository")
    with serving(renamed) as url:
        out, _ = run("transcribe", PROJECT / "demo/recordings", "--url", url)
    texts = dict(line.split("\t") for line in out.splitlines())
    assert texts == {str(PROJECT / "demo/recordings" / each.name): each.texts[WITH_ITN] for each in recordings()}
