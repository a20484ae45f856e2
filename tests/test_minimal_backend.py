"""The smallest backend, built, put into a repository and asked as crates/triton-backend/README.md says."""

import json
import re
from functools import partial

import numpy as np
import pytest

from support import readme
from support.client import GRPC, HTTP, PROTOCOLS, InferenceServerException, serving
from support.environment import PROJECT
from support.load import at_once
from support.repository import edit_config, fresh_directory, replaced
from support.server import Server, ServerFailed

CRATE = PROJECT / "crates/triton-backend"
EXAMPLE = CRATE / "examples/minimal"
README = (CRATE / "README.md").read_text(encoding="utf-8")
BLOCKS, UNMARKED = readme.blocks(README)
BLOCKS = {block.name: block for block in BLOCKS}


def run(name, word, other):
    """Runs a block of the README with another word in the place of one, in the project's root. Returns what it printed."""
    block = BLOCKS[name]
    return readme.run(block._replace(script=replaced(word, str(other))(block.script)), PROJECT)


@pytest.fixture(scope="module")
def repository():
    """The README's model repository."""
    models = fresh_directory("minimal")
    run("build", "models", models)
    return models


@pytest.fixture(scope="module")
def server(repository):
    """A client of a server with it."""
    with serving(repository) as client:
        yield client


def peaks(client, x, protocol=HTTP):
    """What the model answers."""
    return client.infer("peak", {"x": x}, ["peak"], protocol)["peak"]


def refusal(client, x, protocol):
    """The error that a request gets."""
    with pytest.raises(InferenceServerException) as raised:
        peaks(client, x, protocol)
    assert raised.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")
    return raised.value.message()


def test_the_readme_shows_it_whole():
    assert not UNMARKED, "no `<!-- test: NAME -->` before these"
    for file in ("lib.rs", "config.pbtxt"):
        assert (EXAMPLE / file).read_text() in README, f"{file} is not what the README shows"
    assert len((EXAMPLE / "lib.rs").read_text().splitlines()) < 60


@pytest.mark.parametrize("name", ["ask", "ask-wrong"])
def test_curl_gets_what_the_readme_prints(server, name):
    printed = run(name, "127.0.0.1:8000", server.server.http)
    shown = re.search(re.escape(BLOCKS[name].script) + r"```\n\n```text\n(.*?)\n```", README, re.DOTALL)
    assert json.loads(printed) == json.loads(shown[1])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (3, 7), (8, 2)])
def test_rows_get_their_peaks(server, protocol, shape):
    x = np.random.default_rng(7).normal(size=shape).astype(np.float32)
    assert (peaks(server, x, protocol) == np.abs(x).max(axis=1, keepdims=True)).all()


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_is_named(server, protocol, wrong):
    x = np.ones((3, 4), np.float32)
    x[2, 1] = wrong
    name = {"nan": "NaN"}.get(str(wrong), str(wrong))
    assert refusal(server, x, protocol).endswith(f"input 'x': row 2 has {name}, expected finite numbers")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_rows_without_values_are_refused(server, protocol):
    message = refusal(server, np.ones((2, 0), np.float32), protocol)
    assert message.endswith("input 'x': has shape [2, 0], expected [rows, values]")


def test_a_bad_request_fails_alone(server):
    """Of 60 requests at once, in batches that the server makes, every sixth is bad."""
    rows = [np.full((1, 3), index if index % 6 else np.nan, np.float32) for index in range(60)]

    def outcome(x):
        try:
            return peaks(server, x)[0, 0]
        except InferenceServerException as error:
            return error.message()

    outcomes = at_once(server, [partial(outcome, x) for x in rows])
    for index, found in enumerate(outcomes):
        if index % 6:
            assert found == index
        else:
            assert found.endswith("input 'x': row 0 has NaN, expected finite numbers")


@pytest.mark.parametrize("tensor", ["x", "peak"])
def test_a_config_without_the_tensor_does_not_load(repository, tensor):
    other = fresh_directory("minimal")
    model = other / "peak"
    (model / "1").mkdir(parents=True)
    for file in ("config.pbtxt", "libtriton_minimal.so"):
        (model / file).write_bytes((repository / "peak" / file).read_bytes())
    edit_config(model, replaced(f'name: "{tensor}"', 'name: "another"'))
    with pytest.raises(ServerFailed, match=f"'{tensor}'"), Server(other):
        pass
