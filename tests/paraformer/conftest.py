"""Servers that the tests of both Paraformers share; xtask/README.md says what they need in the environment."""

import itertools

import pytest

from paraformer import variants
from support.client import serving


@pytest.fixture(scope="session")
def offline():
    """A client of a server with the demo's offline repository as users get it, and variants beside it."""
    with serving(variants.offline()) as client:
        yield client


@pytest.fixture(scope="session")
def online():
    """A client of a server with the demo's streaming repository as users get it, and variants beside it."""
    # Streams that tests left in the middle would keep the server from ending until they are idle for too long.
    with serving(variants.online(), "--exit-timeout-secs=2") as client:
        yield client


@pytest.fixture(scope="session")
def ids():
    """Correlation ids that no other test uses."""
    return itertools.count(1_000)
