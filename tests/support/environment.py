"""The variables that `cargo xtask test` sets (xtask/README.md says what they are)."""

import os
import subprocess
from functools import cache
from pathlib import Path


def variable(name):
    """The value of a variable."""
    value = os.environ.get(name)
    if not value:
        raise RuntimeError(f"{name} is not set: run these tests with `cargo xtask test --only server`")
    return value


EXPORTS = {
    "sensevoice": "demo/sensevoice",
    "paraformer": "demo/paraformer",
    "paraformer-online": "demo/paraformer_online",
}
PROJECT = Path(os.environ.get("PROJECT_DIR") or Path(__file__).parents[2])


def sensevoice_repository():
    """The repository with the demo model, as users get it. Copy it before changing it."""
    return Path(variable("SENSEVOICE_REPO"))


@cache
def scores_repository(kind):
    """The repository of a kind of the demo's models, or of `all`, whose models hand out scores as exports do. Copy it before changing it."""
    return _assembled(kind, scratch() / f"scores-{kind}", "--keep-logits")


@cache
def telling_repository(*options):
    """The repository of all of the demo's models, which list every output that they can fill. Copy it before changing it."""
    return _assembled("all", scratch() / "-".join(["telling", *(option.strip("-") for option in options)]), "--outputs", "all", *options)


@cache
def timed_repository(*options, sensevoice=EXPORTS["sensevoice"], paraformer="demo/paraformer_bicif"):
    """The repository of the demo's models that tell times, assembled with `options`. Copy it before changing it."""
    exports = {**EXPORTS, "sensevoice": sensevoice, "paraformer": paraformer}
    return _assembled("all", scratch() / "-".join(["timed", *(option.strip("-") for option in options)]), *options, exports=exports)


def device_repository(device):
    """A repository of all of the demo's models for a device. It may be changed."""
    return _assembled("all", scratch() / f"device-{device}", "--device", device)


def _assembled(kind, target, *options, exports=EXPORTS):
    if kind == "all":
        given = [word for name, place in exports.items() for word in ("--from", f"{name}={PROJECT / place}")]
    else:
        given = ["--from", str(PROJECT / exports[kind])]
    tool = variable("TRITON_FUNASR")
    subprocess.run([tool, "repo", kind, *given, "--to", str(target), "--force", *options], check=True)
    return target


def scratch():
    """A directory for logs and repositories, of this process alone where several run tests."""
    directory = Path(variable("SCRATCH_DIR")) / os.environ.get("PYTEST_XDIST_WORKER", "")
    directory.mkdir(exist_ok=True)
    return directory
