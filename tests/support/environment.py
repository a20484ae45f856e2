"""The variables that `cargo xtask test` sets (xtask/README.md says what they are)."""

import os
from pathlib import Path


def variable(name):
    """The value of a variable."""
    value = os.environ.get(name)
    if not value:
        raise RuntimeError(f"{name} is not set: run these tests with `cargo xtask test --only server`")
    return value


PROJECT = Path(os.environ.get("PROJECT_DIR") or Path(__file__).parents[2])


def sensevoice_repository():
    """The repository with the demo model, as users get it. Copy it before changing it."""
    return Path(variable("SENSEVOICE_REPO"))


def scratch():
    """A directory for logs and repositories."""
    return Path(variable("SCRATCH_DIR"))
