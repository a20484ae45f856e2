"""What a server older than the pinned one is told in another way, so that the same tests run on it.

`--metrics-address` came with 2.3x, `--model-config-name` with 2.4x; `tritonserver --help` says which flags there are.
"""

import itertools
import subprocess
from functools import cache
from pathlib import Path

from support.environment import scratch, variable

CONFIG_NAME = "--model-config-name="

_numbers = itertools.count(1)


@cache
def _help():
    """What the server says of its flags. It ends with an error then."""
    ended = subprocess.run([variable("TRITONSERVER"), "--help"], capture_output=True, text=True, timeout=60, check=False)
    return ended.stdout + ended.stderr


def knows(flag):
    """Whether the server has this flag."""
    return flag in _help()


def adapted(repositories, flags):
    """The repositories and flags for this server: where it cannot pick configs by name, links to the models with these configs."""
    named = [flag for flag in flags if flag.startswith(CONFIG_NAME)]
    if not named or knows(CONFIG_NAME.rstrip("=")):
        return repositories, flags
    name = f"{named[-1].removeprefix(CONFIG_NAME)}.pbtxt"
    others = [flag for flag in flags if flag not in named]
    return [_with_config(repository, name) for repository in repositories], others


def _with_config(repository, name):
    target = scratch() / f"configs-{next(_numbers):03}"
    for model in sorted(path for path in Path(repository).iterdir() if path.is_dir()):
        place = target / model.name
        place.mkdir(parents=True)
        chosen = model / "configs" / name
        for entry in model.iterdir():
            is_config = entry.name == "config.pbtxt" and chosen.exists()
            (place / entry.name).symlink_to((chosen if is_config else entry).resolve())
        if chosen.exists() and not (place / "config.pbtxt").exists():
            (place / "config.pbtxt").symlink_to(chosen.resolve())
    return target
