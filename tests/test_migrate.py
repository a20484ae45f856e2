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
    assert list(BLOCKS) == ["look", "exchange", "processor", "check", "serve"]
    before = printed(place, "look")
    assert shown("ctc_scoring") in before
    assert '{ key: "component" value: { string_value: "feature_extractor" } }' in before
    printed(place, "exchange")
    printed(place, "processor")
    after = printed(place, "check")
    assert shown("4 models fit").strip() == after.strip().splitlines()[-1]
    assert "Python" not in after
    printed(place, "serve")
    # What another terminal is for.
    with serving(place / REPOSITORY) as url:
        out, _ = run("transcribe", PROJECT / "demo/recordings", "--url", url)
    texts = dict(line.split("\t") for line in out.splitlines())
    assert texts == {str(PROJECT / "demo/recordings" / each.name): each.texts[WITH_ITN] for each in recordings()}
