"""Servers that the tests share; xtask/README.md says what they need in the environment."""

import pytest

from support.client import serving
from support.environment import telling_repository
from support.variants import repository_of_variants


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: measures time or memory, so that nothing else may run beside it")


@pytest.fixture(scope="session")
def sensevoice():
    """A client of a server with the demo's repository as users get it, and variants of its models beside them."""
    with serving(repository_of_variants()) as client:
        yield client


@pytest.fixture(scope="session")
def telling():
    """A client of a server with all of the demo's models, as pipelines with every output that they can fill."""
    with serving(telling_repository(), "--model-config-name=pipeline") as client:
        yield client
