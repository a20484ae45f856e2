"""One test of each kind, quick enough for every version of the server: ensembles, pipelines, streams, errors, metrics, and a server that is
no program of its own."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from metrics.reading import Change
from paraformer import texts
from paraformer.streaming import Bidirectional, send_all
from support.client import GRPC, PROTOCOLS, InferenceServerException, serving
from support.environment import PROJECT, telling_repository, variable
from support.recordings import WITH_ITN, WITHOUT_ITN, recordings

PIPELINE = "--model-config-name=pipeline"
# Of the server's own library, which has a checksum in its name.
LIBRARY = "libtritonserver*.so"


@pytest.fixture(scope="module")
def ensembles():
    """A client of a server with all of the demo's models as ensembles."""
    with serving(variable("ALL_REPO")) as client:
        yield client


@pytest.fixture(scope="module")
def pipelines():
    """A client of a server with the same models as pipelines."""
    with serving(telling_repository(), PIPELINE) as client:
        yield client


@pytest.fixture(params=["ensembles", "pipelines"])
def client(request):
    """A client of each."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def ids():
    """Correlation ids."""
    return itertools.count(1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_recordings(client, protocol):
    some = recordings()[:4]
    answers = client.transcribe([each.samples for each in some], WITH_ITN, protocol=protocol)
    assert answers == [each.texts[WITH_ITN] for each in some]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_streams(client, ids, protocol):
    for each in texts.streams()[:3]:
        assert send_all(client, each.chunks, next(ids), protocol) == each.deltas


def test_recordings_for_paraformer(client):
    for each in texts.recordings()[:3]:
        tensors = {"WAV": each.samples[np.newaxis], "WAV_LENS": np.int32([[len(each.samples)]])}
        assert client.infer("infer_pipeline", tensors, ["TRANSCRIPTS"], GRPC)["TRANSCRIPTS"].tolist() == [[each.text]]


def test_streams_over_one_connection(client, ids):
    each = texts.streams()[0]
    with Bidirectional(client) as stream:
        number, last = next(ids), len(each.chunks) - 1
        for at, chunk in enumerate(each.chunks):
            stream.send(chunk, number, at == 0, at == last)
        assert [stream.answer()[1] for _ in each.chunks] == each.deltas


def test_a_bad_request_and_the_next(client):
    good = recordings()[0]
    with pytest.raises(InferenceServerException, match="(?i)input 'wav_lens': row 0 is"):
        client.transcribe([good.samples], WITH_ITN, lengths=[len(good.samples) + 1])
    assert client.transcribe([good.samples], WITH_ITN) == [good.texts[WITH_ITN]]


def test_metrics(pipelines):
    change = Change(pipelines)
    samples = recordings()[0].samples
    pipelines.transcribe([samples], WITH_ITN)
    assert change("audio_seconds_total", "sensevoice") == pytest.approx(len(samples) / 16_000, abs=1e-9)


def test_a_server_inside_another_program():
    server = Path(variable("TRITONSERVER"))
    libraries = server.parents[3] / "nvidia_pytriton.libs"
    found = sorted(libraries.glob(LIBRARY))
    if not found:
        pytest.skip("this server's library is not where the wheel has it")
    first = recordings()[0]
    program = Path(__file__).with_name("in_process.py")
    repository = variable("SENSEVOICE_REPO")
    wav = PROJECT / "demo/recordings" / first.name
    ended = subprocess.run(
        [sys.executable, str(program), str(found[0]), repository, variable("BACKENDS_DIR"), str(wav)],
        env=dict(os.environ, LD_LIBRARY_PATH=str(libraries)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    assert ended.stdout.splitlines()[-1] == first.texts[WITHOUT_ITN]
