"""Servers that the tests share; xtask/README.md says what they need in the environment."""

import pytest

from support.client import Client
from support.environment import sensevoice_repository
from support.server import Server


@pytest.fixture(scope="session")
def sensevoice():
    """A client of a server with the demo's repository as users get it."""
    with Server(sensevoice_repository()) as server:
        yield Client(server)
