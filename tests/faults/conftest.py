"""Servers that the tests of faults share; xtask/README.md says what they need in the environment."""

import itertools
from typing import NamedTuple

import pytest

from faults import repositories
from faults.gate import Gate
from pipelines.variants import PIPELINE, SOON
from support.client import Client, serving
from support.repository import fresh_directory


class Faulty(NamedTuple):
    """A server with models that fail, or are held."""

    form: str
    client: Client
    gate: Gate


def _faulty(form):
    gate = Gate(fresh_directory("gate") / "held")
    repository = getattr(repositories, form)(gate.path)
    flags = [PIPELINE, SOON] if form == "pipelines" else [SOON]
    with serving(repository, *flags) as client:
        yield Faulty(form, client, gate)


@pytest.fixture(scope="session")
def faulty_pipelines():
    """The models as pipelines."""
    yield from _faulty("pipelines")


@pytest.fixture(scope="session")
def faulty_ensembles():
    """The models as ensembles."""
    yield from _faulty("ensembles")


@pytest.fixture(scope="session", params=["ensembles", "pipelines"])
def faulty(request):
    """Each of them."""
    return request.getfixturevalue(f"faulty_{request.param}")


@pytest.fixture(scope="session")
def ids():
    """Correlation ids that no other test uses."""
    return itertools.count(1_000)
