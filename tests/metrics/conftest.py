"""The servers that the tests share; xtask/README.md says what they need in the environment."""

import itertools

import pytest

from faults.gate import Gate
from metrics.repositories import repository
from pipelines.variants import PIPELINE, SOON, common_repository
from support.client import serving
from support.repository import fresh_directory


@pytest.fixture(scope="session")
def stage():
    """A client of a server with all pipelines and variants of them, and the gate."""
    gate = Gate(fresh_directory("gate") / "held")
    with serving(repository(gate.path), PIPELINE, SOON) as client:
        yield client, gate


@pytest.fixture(scope="session")
def ensembles():
    """A client of a server with the same models as ensembles."""
    with serving(common_repository(), SOON) as client:
        yield client


@pytest.fixture(scope="session")
def ids():
    """Correlation ids that no other test uses."""
    return itertools.count(1_000)
