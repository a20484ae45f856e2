"""What the tests share; xtask/README.md says what they need in the environment."""

import pytest

from gateway.repositories import repository


@pytest.fixture(scope="session")
def models():
    """The repository of all servers."""
    return repository()
