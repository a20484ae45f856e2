"""Servers that the tests of hot words share; xtask/README.md says what they need in the environment."""

import pytest

from hotwords import repositories
from pipelines.variants import PIPELINE
from support.client import serving


@pytest.fixture(scope="session")
def ensembles():
    """A client of a server with the talking models as ensembles."""
    with serving(repositories.ensembles()) as client:
        yield client


@pytest.fixture(scope="session")
def pipelines():
    """A client of a server with the talking models as pipelines."""
    with serving(repositories.pipelines(), PIPELINE) as client:
        yield client
