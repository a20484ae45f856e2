"""The server that the tests share; xtask/README.md says what they need in the environment."""

import pytest

from itn import repositories
from support.client import serving


@pytest.fixture(scope="session")
def itn():
    """A client of a server whose models have grammars for numbers."""
    with serving(repositories.repository(), "--model-config-name=pipeline", "--exit-timeout-secs=5") as client:
        yield client
