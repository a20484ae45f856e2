"""The commands of README.md work as they are printed, in a fresh copy of the project."""

import re
import shutil
import time

import pytest

from support import readme
from support.environment import PROJECT

BLOCKS, UNMARKED = readme.blocks((PROJECT / "README.md").read_text(encoding="utf-8"))

# The command that runs this very test. Running it from here would never end, and is no news if the test passes.
THIS_RUN = "cargo xtask test\n"


@pytest.fixture(scope="module")
def clone():
    """A fresh copy of the project, which all blocks share as a reader's does."""
    copy = readme.fresh_copy()
    yield copy
    # Gigabytes may be built in it.
    shutil.rmtree(copy, ignore_errors=True)


def test_every_block_says_how_it_is_tested():
    assert not UNMARKED, "no `<!-- test: NAME -->` before these"
    assert {"demo", "test"} <= {block.name for block in BLOCKS}


def test_the_copy_is_what_a_clone_has(clone):
    assert (clone / "Cargo.toml").is_file() and (clone / "tests/test_readme.py").is_file()
    assert not (clone / "target").exists()
    assert not list(clone.rglob("__pycache__"))


@pytest.fixture(scope="module")
def used_clone(clone):
    """The copy with the dependencies there."""
    readme.take_along(clone)
    return clone


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.script != THIS_RUN], ids=lambda block: block.name)
def test_block(block, used_clone):
    readme.run(block, used_clone)


SAMPLE = """
# A sample

<!-- test: greet -->
```sh
echo hello > greeting
cat greeting
```

   <!-- test: count FILE=greeting -->
   ```sh
   wc -c < FILE
   ```

<!-- test: forever until "third" -->
```sh
for word in first second third; do echo $word; done
exec sleep 1000
```

<!-- not tested: needs a GPU -->
```sh
nvidia-smi
```

<!-- test: fails -->
```sh
echo before
false
echo behind
```

```text
no command
```
"""


def test_blocks_are_found():
    blocks = {block.name: block for block in readme.blocks(SAMPLE)[0]}
    assert list(blocks) == ["greet", "count", "forever", "fails"]
    assert blocks["greet"].script == "echo hello > greeting\ncat greeting\n"
    assert blocks["count"].script.strip() == "wc -c < greeting"
    assert blocks["forever"].until == "third"
    assert SAMPLE.splitlines()[blocks["fails"].line - 1] == "```sh"


def test_a_block_nobody_speaks_for_is_told():
    assert readme.blocks(SAMPLE)[1] == []
    assert readme.blocks("```sh\nrm -r here\n```\n") == ([], ["line 1: rm -r here"])
    assert readme.blocks("<!-- test me -->\n```sh\nrm -r here\n```\n") == ([], ["line 2: rm -r here"])
    with pytest.raises(AssertionError, match="FOO"):
        readme.blocks("<!-- test: x FOO=1 -->\n```sh\ntrue\n```\n")


def test_blocks_run_one_after_the_other(tmp_path):
    greet, count, forever, fails = readme.blocks(SAMPLE)[0]
    assert readme.run(greet, tmp_path) == "hello\n"
    assert readme.run(count, tmp_path).strip() == "6"
    started = time.monotonic()
    assert readme.run(forever, tmp_path).startswith("first\nsecond\nthird\n")
    assert time.monotonic() - started < 60
    with pytest.raises(AssertionError, match=re.compile("fails .line .* ended with 1:\nbefore\n$")):
        readme.run(fails, tmp_path)
