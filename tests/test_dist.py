"""What `cargo xtask dist` makes, installed into an empty folder and used without the project.

`--native` leaves out what takes ten minutes, the build for older systems; all else is the same.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from support.environment import PROJECT, variable
from support.recordings import WITHOUT_ITN, recordings
from support.repository import fresh_directory
from support.tool import run, serving

VERSION = "0.1.0"
ARCH = os.uname().machine
DEB = f"triton-funasr_{VERSION}_{'amd64' if ARCH == 'x86_64' else 'arm64'}.deb"
LIBRARIES = ["libtriton_funasr.so", "libtriton_onnxruntime.so"]


def output_of(*command, code=0):
    """What a command printed, once it has ended with this exit code."""
    ended = subprocess.run([str(each) for each in command], capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == code, f"exit code {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def made():
    """The files, in a directory of their own."""
    directory = fresh_directory("dist")
    output_of(variable("XTASK"), "dist", "--native", "--out", directory)
    return directory


@pytest.fixture(scope="module")
def unpacked(made):
    """The archive's directory, unpacked elsewhere."""
    place = fresh_directory("dist-unpacked")
    with tarfile.open(made / f"triton-funasr-{VERSION}-{ARCH}-linux.tar.gz") as archive:
        archive.extractall(place, filter="data")
    (only,) = place.iterdir()
    return only


def test_the_sums_are_those_of_the_files(made):
    lines = [line.split("  ") for line in (made / "SHA256SUMS").read_text().splitlines()]
    assert [name for _, name in lines] == [
        f"triton-funasr-{VERSION}-{ARCH}-linux.tar.gz",
        DEB,
        f"triton_funasr-{VERSION}-py3-none-linux_{ARCH}.whl",
    ]
    assert {path.name for path in made.iterdir()} == {"SHA256SUMS", *(name for _, name in lines)}
    for digest, name in lines:
        assert hashlib.sha256((made / name).read_bytes()).hexdigest() == digest


def test_packing_again_gives_the_same_bytes(made):
    again = fresh_directory("dist-again")
    output_of(variable("XTASK"), "dist", "--native", "--out", again)
    assert (again / "SHA256SUMS").read_text() == (made / "SHA256SUMS").read_text()


def test_the_archive_has_all_that_an_operator_needs(unpacked):
    assert unpacked.name == f"triton-funasr-{VERSION}-{ARCH}-linux"
    for name in ["LICENSE", "THIRD-PARTY-NOTICES", "README.md", "README.zh-CN.md", "CHANGELOG.md", "docs/configuration.md"]:
        assert (unpacked / name).read_bytes() == (PROJECT / name).read_bytes(), name
    configs = {path.relative_to(PROJECT) for path in PROJECT.glob("model_repo_*/**/config.pbtxt")}
    assert len(configs) > 10
    assert {path.relative_to(unpacked) for path in unpacked.glob("model_repo_*/**/config.pbtxt")} == configs


def test_the_bill_of_materials_has_each_crate_that_the_notices_have(unpacked):
    bill = json.loads((unpacked / "triton-funasr.cdx.json").read_text())
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "triton-funasr")
    listed = {(each["name"], each["version"]) for each in bill["components"]}
    lines = (PROJECT / "THIRD-PARTY-NOTICES").read_text().splitlines()
    noticed = {tuple(line.split()[1:]) for line in lines if line.startswith("  crate  ")}
    assert listed == noticed
    assert {"ort", "symphonia", "clap"} <= {name for name, _ in listed}
    for each in bill["components"]:
        assert each["purl"] == f"pkg:cargo/{each['name']}@{each['version'].replace('+', '%2B')}"
        assert each["licenses"][0]["expression"]


def test_the_unpacked_tool_serves_and_transcribes(unpacked, monkeypatch):
    elsewhere = fresh_directory("dist-elsewhere")
    monkeypatch.chdir(elsewhere)
    tool = unpacked / "bin/triton-funasr"
    out, _ = run("--version", program=tool)
    assert out == f"triton-funasr {VERSION}\n"
    run("repo", "sensevoice", "--from", PROJECT / "demo/sensevoice", "--to", "served", program=tool)
    first = recordings()[0]
    wav = PROJECT / "demo/recordings" / first.name
    with serving(elsewhere / "served", "--", "--model-config-name=pipeline", program=tool) as url:
        out, _ = run("transcribe", "--url", url, "--no-itn", wav, program=tool)
    assert first.texts[WITHOUT_ITN].split("|>")[-1].strip() in out


def test_the_wheel_puts_tool_and_libraries_where_they_find_each_other(made):
    place = fresh_directory("dist-venv")
    output_of(sys.executable, "-m", "venv", place)
    (wheel,) = made.glob("*.whl")
    before = {path for path in place.rglob("*") if "__pycache__" not in path.parts}
    output_of(place / "bin/pip", "install", "--no-index", "--no-deps", wheel)
    backends = place / "backends"
    backends.mkdir()
    run("install", "--to", backends, "--yes", program=place / "bin/triton-funasr")
    installed = (backends / "funasr/libtriton_funasr.so").read_bytes()
    assert installed == (place / "lib/triton-funasr/libtriton_funasr.so").read_bytes()
    with zipfile.ZipFile(wheel) as files:
        assert files.testzip() is None
        legal = [name for name in files.namelist() if ".dist-info/licenses/" in name]
        assert [Path(name).name for name in legal] == ["LICENSE", "THIRD-PARTY-NOTICES"]
    output_of(place / "bin/pip", "uninstall", "--yes", "triton-funasr")
    after = {path for path in place.rglob("*") if "__pycache__" not in path.parts and backends not in [path, *path.parents]}
    assert after - before <= {place / "lib/triton-funasr"}


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="there is no dpkg here")
def test_the_package_of_debian_installs_into_a_root_of_its_own(made, unpacked):
    root = fresh_directory("dist-root")
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    options = [f"--root={root}", f"--log={root}/dpkg.log", "--force-not-root", "--force-depends", "--force-script-chrootless"]
    output_of("dpkg", *options, "--install", made / DEB)
    fields = "${Package} ${Version} ${Depends} ${db:Status-Status}"
    told = output_of("dpkg-query", f"--admindir={root}/var/lib/dpkg", "--show", f"--showformat={fields}", "triton-funasr")
    assert told == f"triton-funasr {VERSION} libc6, libgcc-s1 | libgcc1 installed"
    tool = root / "usr/bin/triton-funasr"
    assert tool.read_bytes() == (unpacked / "bin/triton-funasr").read_bytes()
    backends = fresh_directory("dist-root-backends")
    run("install", "--to", backends, "--yes", program=tool)
    for library in LIBRARIES[:1]:
        installed = (backends / "funasr" / library).read_bytes()
        assert installed == (root / "usr/lib/triton-funasr" / library).read_bytes()
    assert (root / "usr/share/doc/triton-funasr/copyright").read_bytes() == (PROJECT / "LICENSE").read_bytes()
    configs = list((root / "usr/share/triton-funasr").glob("model_repo_*/**/config.pbtxt"))
    assert len(configs) == len(list(PROJECT.glob("model_repo_*/**/config.pbtxt")))
    output_of("dpkg", *options, "--purge", "triton-funasr")
    assert not tool.exists()


def test_what_makes_no_sense_is_refused():
    assert "--native" in output_of(variable("XTASK"), "dist", "--native", "--arch", "x86_64", code=2)
    assert "[possible values: x86_64, aarch64]" in output_of(variable("XTASK"), "dist", "--arch", "mips", code=2)
