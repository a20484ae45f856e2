"""Servers that these tests share; xtask/README.md says what they need in the environment."""

import itertools

import pytest

from audio import variants
from pipelines.variants import PIPELINE, SOON
from support.client import serving


@pytest.fixture(scope="session")
def pipelines():
    """A client of a server whose pipelines take files, rates and channels, and variants beside them."""
    with serving(variants.repository(), PIPELINE, SOON) as client:
        yield client


@pytest.fixture(scope="session")
def ensembles():
    """A client of a server with the same models as ensembles."""
    with serving(variants.repository(), SOON) as client:
        yield client


@pytest.fixture(params=["pipelines", "ensembles"])
def either(request):
    """Each of them."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def ids():
    """Correlation ids that no other test uses."""
    return itertools.count(7_000)
