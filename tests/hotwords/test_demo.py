"""The demo's SeACo-Paraformer with and without hot words: golden.tsv has what FunASR's own class makes of its files."""

import subprocess

import pytest

from hotwords.asking import heard
from hotwords.repositories import assembled
from pipelines.variants import PIPELINE
from support.client import GRPC, HTTP, serving
from support.environment import PROJECT, variable
from support.recordings import read_wav

DEMO = PROJECT / "demo/seaco"
pytestmark = pytest.mark.skipif(not (DEMO / "golden.tsv").is_file(), reason="the demo has no SeACo-Paraformer here")


def golden():
    """Samples, the text without hot words, hot words, the text with them."""
    for line in (DEMO / "golden.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        name, _language, _reference, plain, words, biased = line.split("\t")
        own = DEMO / "recordings" / name
        yield read_wav(own if own.is_file() else PROJECT / "demo/recordings" / name), plain, words, biased


@pytest.mark.parametrize("flags", [(), (PIPELINE,)], ids=["ensemble", "pipeline"])
def test_texts_are_those_of_funasrs_own_class(flags):
    rows = list(golden())
    assert sum(plain != biased for _, plain, _, biased in rows) >= 3
    with serving(assembled("hotword-demo", DEMO), *flags) as client:
        for samples, plain, words, biased in rows:
            for given, protocol, text in (
                (None, HTTP, plain),
                ([""], GRPC, plain),
                ([words], HTTP, biased),
                (words.split(), GRPC, biased),
            ):
                # The file's texts have no spaces between words.
                assert heard(client, samples, given, protocol) == text.replace(" ", ""), (words, given)


def transcribed(client, *options):
    """What the tool prints for a recording."""
    recording = DEMO / "recordings/00_zh_hotword.wav"
    command = [variable("TRITON_FUNASR"), "transcribe", recording, "--url", f"http://{client.server.http}", *options]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return said.stdout + said.stderr, said.returncode


def test_the_tool_sends_hot_words():
    """As the README has it; a model that takes none is told before anything is sent."""
    with serving(assembled("hotword-tool", DEMO), PIPELINE) as client:
        out, code = transcribed(client, "--hotwords", "公元 在建")
        assert code == 0 and "公元在建" in out
        out, code = transcribed(client)
        assert code == 0 and "公园再见" in out
        out, code = transcribed(client, "--model", "encoder", "--kind", "paraformer", "--hotwords", "公元")
        assert code == 1 and "encoder has no input HOTWORDS" in out
