"""Runs the shell commands of a document as they are printed.

Every ```sh block of the document has a comment in the line before it:

    <!-- test: NAME -->                       runs the block
    <!-- test: NAME DIR=demo/sensevoice -->   the same, with every word DIR in it replaced
    <!-- test: NAME until "TEXT" -->          the block does not end by itself: Ctrl-C once its output has TEXT
    <!-- as in FILE: NAME -->                 is the block NAME of another document, word for word, and run there
    <!-- not tested: REASON -->

A block without one fails a test. Relative paths are relative to the copy of the project in which the block runs.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple, Optional

from support.environment import PROJECT
from support.repository import fresh_directory

SECONDS = 900
# The reader's cache, in the copy, so that it goes with it.
CACHE = "target/cache"
# What `cargo xtask test` tells pytest is no part of a reader's environment.
OURS = ("TRITONSERVER", "BACKENDS_DIR", "PROJECT_DIR", "SENSEVOICE_REPO", "PARAFORMER_REPO", "PARAFORMER_ONLINE_REPO", "ALL_REPO", "SCRATCH_DIR", "XTASK",
        "TRITON_FUNASR", "SILERO_MODELS", "ITN_GRAMMARS", "DEPLOY_PACKAGES", "HELM_PACKAGE", "PYTHONPATH")
# Nor is what cargo and rustup tell the programs they run.
CARGOS = re.compile(
    r"CARGO$|CARGO_(PKG|MANIFEST|BIN|CRATE|PRIMARY)|RUSTUP_TOOLCHAIN$|RUST_RECURSION_COUNT$|LD_LIBRARY_PATH$"
)
REPEATED = re.compile(r"<!-- as in (\S+): ([\w-]+) -->")


class Block(NamedTuple):
    """A block of commands to run."""

    name: str
    line: int
    script: str
    until: Optional[str]


def blocks(text):
    """The blocks to run, in order, and of those that have no comment before them the line and first command."""
    found, unmarked = [], []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if not re.match(r"\s*```\s*(sh|bash|shell|console)\s*$", line):
            continue
        end = next(index for index in range(number + 1, len(lines)) if lines[index].strip() == "```")
        script = "\n".join(lines[number + 1 : end]) + "\n"
        comment = lines[number - 1].strip() if number else ""
        if re.fullmatch(r"<!-- not tested: \S.*-->", comment) or REPEATED.fullmatch(comment):
            continue
        mark = re.fullmatch(r'<!-- test: ([\w-]+)((?: \w+=\S+)*)(?: until "([^"]+)")? -->', comment)
        if not mark:
            unmarked.append(f"line {number + 1}: {script.splitlines()[0]}")
            continue
        for word in mark[2].split():
            key, value = word.split("=", 1)
            script, count = re.subn(rf"\b{key}\b", value, script)
            assert count, f"line {number + 1}: no {key} in the block"
        found.append(Block(mark[1], number + 1, script, mark[3]))
    names = [block.name for block in found]
    assert len(set(names)) == len(names), f"a name occurs twice: {names}"
    return found, unmarked


def repeated(text):
    """The blocks that are those of other documents: the document, the block's name there, and the block."""
    found = re.findall(REPEATED.pattern + r"\n```sh\n(.*?)```", text, re.DOTALL)
    return [(document, name, script) for document, name, script in found]


def as_printed(text, name):
    """A block as it stands in the document, before words in it are replaced."""
    (script,) = re.findall(rf"<!-- test: {name}(?: [^>]*)? -->\n```sh\n(.*?)```", text, re.DOTALL)
    return script


def fresh_copy():
    """The project as a clone has it: what git would commit, and nothing that was built or fetched.

    Files keep their times, by which cargo tells what it has compiled.
    """
    copy = fresh_directory("clone")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True).stdout.decode().split("\0")
    for name in filter(None, listed):
        if (PROJECT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, copy / name)
    return copy


def take_along(copy):
    """Gives the copy what cargo has compiled here, and what xtask has fetched.

    It is the same for every clone, and minutes to make again. Cargo takes one clone's crates for the other's as long as each of
    the files that they were made from is there and as old: one that git does not have is still missed. What is linked last is
    linked again. The target directory itself is not shared: what changes in one clone must not change in the other.
    """
    if not os.environ.get("XTASK"):
        return
    target = Path(os.environ["XTASK"]).parents[1]
    for profile in ("debug", "release"):
        for part in (".fingerprint", "build", "deps"):
            if (target / profile / part).is_dir():
                shutil.copytree(target / profile / part, copy / "target" / profile / part, ignore=_of_no_use)
    for fetched in ("server", *(path.name for path in (target / "xtask").glob("python-*"))):
        if (target / "xtask" / fetched).is_dir():
            # Read and never written: links will do.
            copied = copy / "target/xtask" / fetched
            shutil.copytree(target / "xtask" / fetched, copied, symlinks=True, copy_function=_link_or_copy)
    # What the operator's tool keeps, it keeps in the reader's cache.
    server = target / "xtask/server"
    shutil.copytree(server, copy / CACHE / "triton-funasr/server", symlinks=True, copy_function=_link_or_copy)


def _of_no_use(directory, names):
    """The large programs among what cargo has made, most of them tests."""
    if Path(directory).name != "deps":
        return []
    return [name for name in names if Path(name).suffix not in (".rlib", ".rmeta", ".so", ".d")]


def _link_or_copy(source, destination):
    try:
        os.link(source, destination, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, destination)


def readers_environment(directory):
    """The variables a reader's shell has."""
    ours = (*OURS, "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR")
    kept = {key: value for key, value in os.environ.items() if key not in ours and not CARGOS.match(key)}
    return dict(kept, XDG_CACHE_HOME=str(directory / CACHE))


def run(block, directory):
    """Runs a block in a shell that stops at the first failure. Returns what it printed; fails as the block does."""
    output = fresh_directory("readme") / f"{block.name}.log"
    with output.open("wb") as log:
        shell = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", block.script],
            cwd=directory,
            env=readers_environment(directory),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        if block.until:
            _wait_for(block, shell, output)
            os.killpg(shell.pid, signal.SIGINT)
        status = shell.wait(SECONDS)
    finally:
        _end(shell)
    text = output.read_text(errors="replace")
    # A shell whose command Ctrl-C has ended, itself ended by it or by reporting it.
    fine = (0, 130, -signal.SIGINT) if block.until else (0,)
    assert status in fine, f"{shlex.quote(block.name)} (line {block.line}) ended with {status}:\n{text}"
    return text


def _wait_for(block, shell, output):
    deadline = time.monotonic() + SECONDS
    while block.until not in output.read_text(errors="replace"):
        text = output.read_text(errors="replace")
        assert shell.poll() is None, f"{block.name} (line {block.line}) ended before {block.until!r}:\n{text}"
        assert time.monotonic() < deadline, f"{block.name} (line {block.line}) never printed {block.until!r}:\n{text}"
        time.sleep(0.1)


def _end(shell):
    """Leaves nothing of the block running."""
    for name in ("SIGINT", "SIGKILL"):
        if shell.poll() is not None:
            return
        os.killpg(shell.pid, getattr(signal, name))
        try:
            shell.wait(60)
        except subprocess.TimeoutExpired:
            continue
