"""Servers that the tests of the pipelines share; xtask/README.md says what they need in the environment."""

import itertools

import pytest

from paraformer.texts import ONLINE
from pipelines import variants
from pipelines.rule_chain import RuleChain
from support.client import serving


@pytest.fixture(scope="session")
def pipelines():
    """A client of a server with all of the demo's models as whole pipelines, and variants beside them."""
    with serving(variants.repository(), variants.PIPELINE, variants.SOON) as client:
        yield client


@pytest.fixture(scope="session")
def ensembles():
    """A client of a server with the same models as ensembles."""
    with serving(variants.common_repository(), variants.SOON) as client:
        yield client


# Under these names the tests of the ensembles know their servers: those that are imported here try the pipelines.
@pytest.fixture(scope="session")
def sensevoice(pipelines):
    """SenseVoice as a pipeline."""
    return pipelines


@pytest.fixture(scope="session")
def offline(pipelines):
    """Offline Paraformer as a pipeline."""
    return pipelines


@pytest.fixture(scope="session")
def chain():
    """What the streaming pipeline must answer."""
    return RuleChain(ONLINE)


@pytest.fixture(scope="session")
def ids():
    """Correlation ids that no other test uses."""
    return itertools.count(1_000)
