"""The server that the tests share; xtask/README.md says what they need in the environment."""

import itertools
import json
from pathlib import Path

import pytest

from segments.material import AUDIO, audio, noisy
from silero import repositories
from support.client import serving


@pytest.fixture(scope="session")
def silero():
    """A client of a server with Silero's model."""
    with serving(repositories.repository(), "--exit-timeout-secs=2") as client:
        yield client


@pytest.fixture(scope="session")
def silero_goldens():
    """What the package silero-vad answers with the same model."""
    return json.loads((Path(__file__).parent / "goldens.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def material():
    """Recordings as they are, and with noise."""
    return [audio(number) for number in range(AUDIO)] + [noisy(number) for number in range(AUDIO)]


@pytest.fixture(scope="session")
def silero_ids():
    """Correlation ids that no other test uses."""
    return itertools.count(50_000)
