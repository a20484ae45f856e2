"""The server that the tests share; xtask/README.md says what they need in the environment."""

import itertools
import json
from pathlib import Path

import pytest

from segments import repositories
from support.client import serving


@pytest.fixture(scope="session")
def segments():
    """A client of a server with the small models."""
    with serving(repositories.repository(), "--exit-timeout-secs=2") as client:
        yield client


@pytest.fixture(scope="session")
def goldens():
    """What funasr_onnx answers with the same models."""
    return json.loads((Path(__file__).parent / "goldens.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def ids():
    """Correlation ids that no other test uses."""
    return itertools.count(1_000)
