"""The commands of docs/operations.md work as they are printed, on one server that is started as it says."""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
import tritonclient.grpc as grpc

from support import readme
from support.client import InferenceServerException, serving
from support.environment import PROJECT, variable
from support.recordings import WITH_ITN, recordings
from support.repository import fresh_directory
from support.server import free_ports

TEXT = (PROJECT / "docs/operations.md").read_text(encoding="utf-8")
BLOCKS, UNMARKED = readme.blocks(TEXT)
BLOCKS = {block.name: block for block in BLOCKS}

# The ports that the document names: gRPC listens on all addresses there, so none of them may be taken here.
PORTS = ("8000", "8001", "8002", "8443")
KEY = "a key of the test"
RESTRICTED = "model-repository,shared-memory,statistics,trace,logging"


def needs(program):
    """Skips the test on a machine without a program that the document uses."""
    if not shutil.which(program):
        pytest.skip(f"{program} is not on this machine")


class Deployment:
    """The directory in which the document's commands run, and the ports that stand for the document's."""

    def __init__(self):
        self.directory = fresh_directory("operations")
        for name in ("clients", "demo"):
            (self.directory / name).symlink_to(PROJECT / name)
        (self.directory / "models").symlink_to(variable("ALL_REPO"))
        programs = self.directory / "bin"
        programs.mkdir()
        # The server of the tests, where the document has an installed one.
        server, backends = variable("TRITONSERVER"), variable("BACKENDS_DIR")
        (programs / "tritonserver").write_text(f'#!/bin/sh\nexec "{server}" --backend-directory="{backends}" "$@"\n')
        (programs / "tritonserver").chmod(0o755)
        self.ports = dict(zip(PORTS, map(str, free_ports(len(PORTS)))))
        packages = os.environ.get("PYTHONPATH", "")
        self.settings = f"export PATH='{programs}':\"$PATH\" PYTHONPATH='{packages}' PYTHONDONTWRITEBYTECODE=1\n"

    def with_ports(self, text):
        """A text of the document with this deployment's ports."""
        return re.sub(r"\b(%s)\b" % "|".join(PORTS), lambda match: self.ports[match[0]], text)

    def run(self, name):
        """Runs a block; returns what it printed."""
        for program in ("openssl", "curl", "nginx"):
            if re.search(rf"\b{program} -", BLOCKS[name].script):
                needs(program)
        script = self.settings + self.with_ports(BLOCKS[name].script)
        return readme.run(BLOCKS[name]._replace(script=script), self.directory)

    @contextmanager
    def serving(self):
        """The server of the block `serve`, while the `with` block lasts."""
        block = BLOCKS["serve"]
        # The shell becomes the server, which so gets the signals itself.
        script = self.settings + self.with_ports(block.script).replace("\ntritonserver ", "\nexec tritonserver ")
        assert "exec" in script
        log = self.directory / "server.log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", script],
                cwd=self.directory,
                env=readme.readers_environment(self.directory),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + 120
            while block.until not in log.read_text(errors="replace"):
                assert server.poll() is None and time.monotonic() < deadline, log.read_text(errors="replace")
                time.sleep(0.1)
            yield server
        finally:
            if server.poll() is None:
                server.send_signal(signal.SIGTERM)
                try:
                    server.wait(90)
                except subprocess.TimeoutExpired:
                    server.kill()
                    server.wait()


@pytest.fixture(scope="module")
def deployment():
    """The document's server, which all blocks share."""
    needs("openssl")
    made = Deployment()
    made.run("certificate")
    with made.serving():
        yield made


def test_every_block_says_how_it_is_tested():
    assert not UNMARKED, "no `<!-- test: NAME -->` before these"
    assert set(BLOCKS) == {
        *("certificate", "serve", "refused", "allowed", "transcribe", "ready", "canary", "metrics", "reload", "drained")
    }


def test_who_lacks_the_key_is_refused(deployment):
    printed = deployment.run("refused").strip()
    # As the document shows it, too.
    assert printed.splitlines() == ['{"error":"This API is restricted, expecting header \'admin-key\'"}', "403"]
    assert f"```text\n{printed}\n```" in TEXT


def test_who_has_the_key_is_not(deployment):
    assert '"name":"sensevoice"' in deployment.run("allowed")


def test_clients_are_served_over_tls(deployment):
    assert deployment.run("transcribe").splitlines() == ["红色空调晚上朋友。", "water world please you school"]


def test_who_speaks_no_tls_is_not_served(deployment):
    client = grpc.InferenceServerClient(f"127.0.0.1:{deployment.ports['8001']}")
    with pytest.raises(InferenceServerException):
        client.is_server_live(client_timeout=10)
    client.close()


@pytest.mark.parametrize("name", ["ready", "canary", "metrics", "drained"])
def test_block(deployment, name):
    # `drained` waits as long as a stream may be idle: nobody streams any more.
    deployment.run(name)


def test_the_log_has_its_format(deployment):
    lines = (deployment.directory / "server.log").read_text(errors="replace").splitlines()
    assert any(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ I ", line) for line in lines)
    # No request leaves a line, and nothing of what was said.
    assert not [line for line in lines if "空调" in line or "water" in line]


def test_the_rules_ask_for_metrics_there_are(deployment):
    rules = TEXT.split("<!-- prometheus rules -->")[1].split("```")[1]
    with urllib.request.urlopen(f"http://127.0.0.1:{deployment.ports['8002']}/metrics") as answer:
        metrics = answer.read().decode()
    # The gateway's are looked for in front of it, by tests/gateway.
    named = {name for name in re.findall(r"\b(?:nv|funasr)_\w+", rules) if not name.startswith("funasr_gateway_")}
    assert len(named) >= 4
    for name in named:
        assert re.search(rf"^{name}\{{", metrics, re.MULTILINE), name
    for model in ("sensevoice", "infer_pipeline", "streaming_paraformer"):
        assert model in rules and f'model="{model}"' in metrics
    (reasons,) = set(re.findall(r'reason=~"([\w|]+)"', rules))
    for reason in reasons.split("|"):
        assert f'reason="{reason}"' in metrics


@contextmanager
def nginx(deployment, conf):
    """nginx in front of the servers that `conf` names."""
    (deployment.directory / "logs").mkdir(exist_ok=True)
    temporary = "".join(
        f"{kind}_temp_path {deployment.directory}/temp-{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    own = "pid nginx.pid; error_log logs/error.log;\n"
    conf = own + deployment.with_ports(conf).replace("http {", f"http {{ access_log off; {temporary}", 1)
    (deployment.directory / "nginx.conf").write_text(conf)
    command = ["nginx", "-p", str(deployment.directory), "-c", "nginx.conf"]
    running = subprocess.Popen([*command, "-g", "daemon off;"], start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not (deployment.directory / "nginx.pid").is_file() or not listens(deployment.ports["8443"]):
            assert running.poll() is None and time.monotonic() < deadline, log_of(deployment)
            time.sleep(0.1)
        yield
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(30)


def listens(port):
    """Whether somebody takes connections on a port of this machine."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", int(port))) == 0


def log_of(deployment):
    """What nginx has to say."""
    return (deployment.directory / "logs/error.log").read_text(errors="replace")


def test_an_upgrade_behind_the_proxy_cuts_no_stream_off(deployment):
    """Streams that began before nginx knew of the new server end on the old one, later ones go to the new."""
    needs("nginx")
    conf = TEXT.split("<!-- nginx.conf -->\n```nginx\n")[1].split("```")[0]
    served = (variable("ALL_REPO"), "--model-config-name=pipeline")
    with serving(*served) as old, serving(*served) as new:
        for printed, own in (("127.0.0.1:8000", old.server.http), ("127.0.0.1:8001", old.server.grpc)):
            conf = conf.replace(printed, own)
        with nginx(deployment, conf):
            assert status(deployment, "/v2/health/ready") == 200
            assert status(deployment, "/v2/repository/index", b"") == 403
            assert status(deployment, "/v2/models/sensevoice/infer", bytes(41 << 20)) == 413
            streams = stream_in_the_background(deployment)
            old.wait_until(lambda: chunks(old) >= 3)
            file = deployment.directory / "nginx.conf"
            changed = file.read_text().replace(old.server.http, new.server.http)
            file.write_text(changed.replace(old.server.grpc, new.server.grpc))
            at_reload = chunks(old)
            deployment.run("reload")
            new.wait_until(lambda: chunks(new) >= 3)
            output, _ = streams.communicate(timeout=120)
        assert streams.returncode == 0, output
        texts = [line.rsplit(": ", 1)[1] for line in output.splitlines()]
        assert texts == SPOKEN
        print(f"{at_reload} chunks on the old server before, {chunks(old) - at_reload} after, {chunks(new)} on the new")
        assert chunks(old) > at_reload
        assert chunks(old, "fail") == chunks(new, "fail") == 0


def chunks(client, how="success"):
    """The chunks that a server has answered, or failed to."""
    return int(client.statistics("streaming_paraformer")["inference_stats"][how].get("count", 0))


# What the pipeline hears in recordings 0 to 9.
SPOKEN = "红色空调晚上朋友 再见七九二九 四七零 七七 零九五四 七八九".split()
SPOKEN += ["water world please you school", "music four doctor weather", "good", "doctor eight left world"]


def stream_in_the_background(deployment):
    """All recordings but the one in which nobody speaks, two at a time, at the pace of speech."""
    spoken = [str(path) for path in sorted((PROJECT / "demo/recordings").glob("*_??.wav"))]
    assert len(spoken) == len(SPOKEN)
    script = f"""{deployment.settings}export GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=$PWD/server.crt
        exec python3 clients/python/stream.py --realtime --streams 2 --protocol grpc-stream \\
            --url grpcs://localhost:{deployment.ports["8443"]} "$@"
    """
    return subprocess.Popen(
        ["bash", "-c", script, "bash", *spoken],
        cwd=deployment.directory,
        env=readme.readers_environment(deployment.directory),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def status(deployment, path, body=None):
    """The status of a request through the proxy."""
    trusting = ssl.create_default_context(cafile=deployment.directory / "server.crt")
    try:
        url = f"https://localhost:{deployment.ports['8443']}{path}"
        return urllib.request.urlopen(urllib.request.Request(url, body), context=trusting, timeout=60).status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture(scope="module")
def restricted():
    """A client of a server with the document's restrictions, without what else a deployment has."""
    flags = [f"--{flag}={RESTRICTED}:admin-key={KEY}" for flag in ("http-restricted-api", "grpc-restricted-protocol")]
    with serving(variable("SENSEVOICE_REPO"), *flags) as client:
        yield client


def test_the_document_restricts_this():
    assert f"ADMIN={RESTRICTED}\n" in TEXT


ADMIN_CALLS = {
    "index": lambda client, **key: client.get_model_repository_index(**key),
    "shared memory": lambda client, **key: client.get_system_shared_memory_status(**key),
    "statistics": lambda client, **key: client.get_inference_statistics("sensevoice", **key),
    "trace": lambda client, **key: client.get_trace_settings(**key),
    "logging": lambda client, **key: client.get_log_settings(**key),
}


@pytest.mark.parametrize("call", ADMIN_CALLS.values(), ids=ADMIN_CALLS)
@pytest.mark.parametrize("protocol, header", [("http", "admin-key"), ("grpc", "triton-grpc-protocol-admin-key")])
def test_admin_calls_want_the_key(restricted, protocol, header, call):
    client = getattr(restricted, protocol)
    with pytest.raises(InferenceServerException, match="restricted, expecting header"):
        call(client)
    with pytest.raises(InferenceServerException, match="restricted, expecting header"):
        call(client, headers={header: "another key"})
    assert call(client, headers={header: KEY}) is not None


@pytest.mark.parametrize("call", ["load_model", "unload_model"])
def test_nobody_loads_without_the_key(restricted, call):
    with pytest.raises(InferenceServerException, match="restricted, expecting header"):
        getattr(restricted.http, call)("sensevoice")


def test_clients_need_no_key(restricted):
    first = recordings()[0]
    for protocol in ("HTTP binary", "gRPC"):
        assert restricted.transcribe([first.samples], WITH_ITN, protocol=protocol) == [first.texts[WITH_ITN]]
    assert restricted.http.get_model_config("sensevoice") and restricted.grpc.get_model_metadata("sensevoice")
