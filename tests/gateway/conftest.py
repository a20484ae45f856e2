"""What the tests share; xtask/README.md says what they need in the environment."""

import pytest

from gateway.repositories import repository, without
from gateway.running import gateway
from support.client import serving

openai = pytest.importorskip("openai", reason="the gateway is asked by OpenAI's own client")


@pytest.fixture(scope="session")
def models():
    """The repository behind the gateways."""
    return repository()


@pytest.fixture(scope="session")
def behind(models):
    """A client of the server behind the gateway."""
    with serving(models, "--model-config-name=pipeline", "--exit-timeout-secs=5") as client:
        yield client


@pytest.fixture(scope="session")
def front(behind):
    """A gateway in front of it, as without any option."""
    with gateway(behind) as running:
        yield running


@pytest.fixture(scope="session")
def client(front):
    """OpenAI's client of that gateway."""
    with openai.OpenAI(base_url=f"{front.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def plain(models):
    """A gateway in front of a server without the model that hears its segments twice."""
    flags = ("--model-config-name=pipeline", "--exit-timeout-secs=5")
    with serving(without(models, "two_pass"), *flags) as client, gateway(client) as running:
        yield running
