"""Servers that these tests share; xtask/README.md says what they need in the environment."""

import pytest

from hostile import variants
from pipelines.variants import PIPELINE, SOON, common_repository
from support.client import serving


@pytest.fixture(scope="module", params=["ensembles", "pipelines"])
def either(request):
    """A client of a server with the demo's models, as ensembles and as pipelines."""
    with serving(common_repository(), SOON, *([PIPELINE] if request.param == "pipelines" else [])) as client:
        yield client


@pytest.fixture(scope="module")
def limited():
    """A client of a server whose pipelines and front ends take little audio, as `variants` says."""
    with serving(variants.limited(), SOON, PIPELINE) as client:
        yield client
