"""The server that the tests share; xtask/README.md says what they need in the environment."""

import pytest

from long_audio import repositories
from support.client import serving


@pytest.fixture(scope="session")
def long_audio():
    """A client of a server with `transcribe`, its variants and what they call."""
    with serving(repositories.repository(), "--model-config-name=pipeline", "--exit-timeout-secs=5") as client:
        yield client
