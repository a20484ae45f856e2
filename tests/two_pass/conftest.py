"""The server that the tests share; xtask/README.md says what they need in the environment."""

import pytest

from support.client import serving
from two_pass import repositories


@pytest.fixture(scope="session")
def two_pass():
    """A client of a server with `two_pass`, its variants and what they call."""
    with serving(repositories.repository(), "--model-config-name=pipeline", "--exit-timeout-secs=5") as client:
        yield client
