"""The lines of README.md that send a file with curl, as they are printed."""

import json
import re
import shutil
import subprocess

import pytest

from support.environment import PROJECT

ADDRESS = "127.0.0.1:8000"
BLOCK = re.compile(r"```sh\n(file=.*?)```", re.DOTALL)
needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl")


def lines(document):
    """The block of a document, which has one."""
    (block,) = BLOCK.findall((PROJECT / document).read_text(encoding="utf-8"))
    return block


@needs_curl
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_file_is_sent_with_curl(either, shell):
    block = lines("README.md")
    assert ADDRESS in block
    script = block.replace(ADDRESS, either.server.http)
    ended = subprocess.run([shell, "-euc", script], cwd=PROJECT, capture_output=True, timeout=60, check=True)
    answer = json.loads(ended.stdout)
    outputs = {each["name"]: each["data"] for each in answer["outputs"]}
    assert "good" in outputs["TRANSCRIPTS"][0] and outputs["WARNING"] == [""]


def test_in_chinese_they_are_the_same():
    assert lines("README.zh-CN.md") == lines("README.md")
