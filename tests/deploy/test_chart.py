"""The Helm chart, rendered by helm and held against the schemas of Kubernetes' API; and its drain hook, run."""

import re
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import kubernetes_validate
import pytest
import yaml

from deploy.helm import CHART, VERSIONS, helm, rendered, validate
from support.environment import PROJECT

# Ways to have it that differ in which objects there are, or what is in them.
WAYS = {
    "plain": {"models__existingClaim": "models"},
    "everything": {
        "models__image__reference": "registry.example/models:1",
        "autoscaling": {"enabled": True, "streams": {"enabled": True}, "queue": {"enabled": True}},
        "triton__gpu": {"enabled": True, "count": 2, "runtimeClassName": "nvidia"},
        "metrics__serviceMonitor__enabled": True,
        "gateway__keys__secret": "keys",
        "gateway__tlsSecret": "certificate",
        "gateway__options": {"max-requests": 1000000, "default-model": "transcribe", "no-page": True},
        "networkPolicy__clients": [{"podSelector": {"matchLabels": {"app": "batch"}}}],
        "networkPolicy__egress": [{"ports": [{"port": 4318}]}],
        "imagePullSecrets": [{"name": "registry"}],
    },
    "without a gateway": {"models__claim__create": True, "gateway__enabled": False, "networkPolicy__enabled": False, "disruption__enabled": False},
    "copied models": {"models__init__image": "models:1", "triton__pipelines": False, "triton__extraArgs": ["--log-verbose=1"]},
}
# Objects of operators, which Kubernetes' own schemas do not have.
FOREIGN = {"ServiceMonitor"}


def container_of(thing):
    (container,) = thing["spec"]["template"]["spec"]["containers"]
    return container


def test_helm_has_nothing_to_say():
    out = helm("lint", "--strict", CHART, "--set", "models.existingClaim=models")
    assert "1 chart(s) linted, 0 chart(s) failed" in out
    assert "[WARNING]" not in out and "[ERROR]" not in out


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_kubernetes_takes_what_it_makes(way, version):
    objects = rendered(version, **WAYS[way])
    for (kind, _), thing in objects.items():
        if kind in FOREIGN:
            continue
        # Images as volumes are younger than that.
        if kind == "StatefulSet" and way == "everything" and version == "1.27":
            with pytest.raises(kubernetes_validate.ValidationError, match="image"):
                validate(thing, version)
        else:
            validate(thing, version)


def test_the_schemas_refuse_what_is_wrong():
    servers = rendered(**WAYS["plain"])["StatefulSet", "asr-triton"]
    container_of(servers)["livenessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenessProb"):
        validate(servers, "1.33")


def test_what_there_is():
    kinds = {way: sorted(f"{kind}/{name.removeprefix('asr').removeprefix('-')}" for kind, name in rendered(**values)) for way, values in WAYS.items()}
    plain = [
        "ConfigMap/drain", "Deployment/gateway", "NetworkPolicy/gateway", "NetworkPolicy/triton", "PodDisruptionBudget/gateway",
        "PodDisruptionBudget/triton", "Service/gateway", "Service/servers", "Service/triton", "ServiceAccount/", "StatefulSet/triton",
    ]
    assert kinds["plain"] == kinds["copied models"] == plain
    assert kinds["everything"] == sorted([*plain, "HorizontalPodAutoscaler/triton", "ServiceMonitor/gateway", "ServiceMonitor/triton"])
    assert kinds["without a gateway"] == [
        "ConfigMap/drain", "PersistentVolumeClaim/models", "Service/servers", "Service/triton", "ServiceAccount/", "StatefulSet/triton",
    ]


@pytest.mark.parametrize("way", WAYS)
def test_selectors_find_their_pods(way):
    objects = rendered(**WAYS[way])
    pods = [thing["spec"]["template"]["metadata"]["labels"] for (kind, _), thing in objects.items() if kind in ("StatefulSet", "Deployment")]
    found = lambda wanted: [labels for labels in pods if wanted.items() <= labels.items()]  # noqa: E731
    for (kind, name), thing in objects.items():
        spec = thing["spec"] if kind not in ("ServiceAccount", "ConfigMap") else {}
        wanted = {
            "Service": lambda: spec["selector"],
            "StatefulSet": lambda: spec["selector"]["matchLabels"],
            "Deployment": lambda: spec["selector"]["matchLabels"],
            "PodDisruptionBudget": lambda: spec["selector"]["matchLabels"],
            "NetworkPolicy": lambda: spec["podSelector"]["matchLabels"],
        }.get(kind)
        if wanted:
            (labels,) = found(wanted())
            assert labels["app.kubernetes.io/component"] == ("gateway" if name.endswith("gateway") else "triton")
    # ServiceMonitors look for services, each for one.
    services = [thing["metadata"]["labels"] for (kind, _), thing in objects.items() if kind == "Service"]
    for (kind, name), thing in objects.items():
        if kind == "ServiceMonitor":
            wanted = thing["spec"]["selector"]["matchLabels"]
            assert len([labels for labels in services if wanted.items() <= labels.items()]) == 1, name


def test_the_gateway_knows_each_server_that_there_may_be():
    servers = lambda objects: [  # noqa: E731
        word.removeprefix("--triton=") for word in container_of(objects["Deployment", "asr-gateway"])["args"] if word.startswith("--triton=")
    ]
    name = "asr-triton-{}.asr-servers.speech.svc:8001"
    assert servers(rendered(**WAYS["plain"])) == [name.format(0), name.format(1)]
    objects = rendered(**WAYS["everything"])
    scaler = objects["HorizontalPodAutoscaler", "asr-triton"]["spec"]
    assert servers(objects) == [name.format(each) for each in range(scaler["maxReplicas"])]
    # These names are those of the pods, and there are as many at first as the autoscaler may have least: the API makes one of no number.
    stateful = objects["StatefulSet", "asr-triton"]["spec"]
    assert stateful["serviceName"] == "asr-servers" and stateful["replicas"] == scaler["minReplicas"]
    assert objects["Service", "asr-servers"]["spec"]["clusterIP"] == "None"
    assert "publishNotReadyAddresses" not in objects["Service", "asr-servers"]["spec"]


def test_options_and_secrets_of_the_gateway():
    objects = rendered(**WAYS["everything"])
    gateway = container_of(objects["Deployment", "asr-gateway"])
    for word in ("--no-page", "--max-requests=1000000", "--default-model=transcribe", "--drain=300", "--keys=/etc/triton-funasr/keys/keys", "--tls-cert=/etc/triton-funasr/tls/tls.crt"):
        assert word in gateway["args"]
    assert gateway["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    mounts = {each["name"]: each["mountPath"] for each in gateway["volumeMounts"]}
    assert mounts == {"keys": "/etc/triton-funasr/keys", "tls": "/etc/triton-funasr/tls"}
    # Traces go somewhere.
    for name in ("asr-gateway", "asr-triton"):
        assert {"ports": [{"port": 4318}]} in objects["NetworkPolicy", name]["spec"]["egress"]


def test_pods_are_shut():
    for way in WAYS.values():
        for (kind, _), thing in rendered(**way).items():
            if kind not in ("StatefulSet", "Deployment"):
                continue
            pod = thing["spec"]["template"]["spec"]
            assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 1000
            assert pod["automountServiceAccountToken"] is False
            for container in pod["containers"] + pod.get("initContainers", []):
                context = container["securityContext"]
                assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
                assert context["capabilities"] == {"drop": ["ALL"]}


def test_gpus_models_and_time_to_go():
    objects = rendered(**WAYS["everything"])
    pod = objects["StatefulSet", "asr-triton"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"] == {"memory": "12Gi", "nvidia.com/gpu": 2}
    assert pod["runtimeClassName"] == "nvidia"
    assert pod["volumes"][0] == {"name": "models", "image": {"reference": "registry.example/models:1", "pullPolicy": "IfNotPresent"}}
    # 15 s until all know, 600 s for streams, 60 s for the server's end.
    assert pod["terminationGracePeriodSeconds"] == 705
    plain = rendered(**WAYS["plain"])["StatefulSet", "asr-triton"]["spec"]["template"]["spec"]
    assert "nvidia.com/gpu" not in plain["containers"][0]["resources"]["limits"] and "runtimeClassName" not in plain
    assert plain["volumes"][0]["persistentVolumeClaim"] == {"claimName": "models", "readOnly": True}
    assert plain["containers"][0]["volumeMounts"][0] == {"name": "models", "mountPath": "/models", "readOnly": True}
    assert "--model-config-name=pipeline" in plain["containers"][0]["args"]
    # An empty volume is waited for.
    claimed = rendered(**WAYS["without a gateway"])["StatefulSet", "asr-triton"]["spec"]["template"]["spec"]
    (waiting,) = claimed["initContainers"]
    assert "/models/*/config.pbtxt" in waiting["command"][-1] and waiting["image"] == claimed["containers"][0]["image"]
    assert "initContainers" not in plain
    copied = rendered(**WAYS["copied models"])["StatefulSet", "asr-triton"]["spec"]["template"]["spec"]
    assert copied["initContainers"][0]["image"] == "models:1"
    assert "--model-config-name=pipeline" not in copied["containers"][0]["args"] and "--log-verbose=1" in copied["containers"][0]["args"]


def test_it_scales_by_streams_and_waiting():
    metrics = rendered(**WAYS["everything"])["HorizontalPodAutoscaler", "asr-triton"]["spec"]["metrics"]
    told = {each["pods"]["metric"]["name"]: (each["pods"]["metric"]["selector"]["matchLabels"]["model"], each["pods"]["target"]["averageValue"]) for each in metrics}
    assert told == {"funasr_live_streams": ("streaming_paraformer", "250"), "funasr_queue_wait_seconds_p95": ("sensevoice", "200m")}


@pytest.mark.parametrize(
    "given, words",
    [
        ("triton.replicas=2", "the models come from one place"),
        ("models.existingClaim=a,models.init.image=b", "set: models.existingClaim, models.init.image"),
        ("models.existingClaim=a,autoscaling.enabled=true", "autoscaling needs a metric"),
        ("models.existingClaim=a,gateway.enabled=false", "nobody could reach the servers"),
        ("models.existingClaim=a,gateway.options.metrics-listen=0.0.0.0:9", "/gateway/options"),
        ("models.existingClaim=a,trition.replicas=3", "additional properties 'trition' not allowed"),
        ("models.existingClaim=a,gateway.options.drain=3", "/gateway/options"),
        ("models.existingClaim=a,triton.replicas=0", "minimum: got 0, want 1"),
    ],
)
def test_mistakes_are_told(given, words):
    assert words in helm("template", "asr", CHART, "--set", given, code=1)


class Metrics(BaseHTTPRequestHandler):
    """Metrics of a server that has so many streams."""

    streams = 0

    def do_GET(self):
        body = (
            '# TYPE funasr_live_streams gauge\n'
            f'funasr_live_streams{{model="streaming_paraformer",version="1"}} {Metrics.streams}\n'
            'funasr_pending_rows{model="sensevoice",version="1"} 0\n'
            'funasr_audio_seconds_total{model="sensevoice",version="1"} 7\n'
        ).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def metrics_port():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def drain(port, tmp_path, wait=30):
    """The hook, begun as a pod begins it."""
    values = {**WAYS["plain"], "drain__settleSeconds": 1, "drain__waitSeconds": wait, "ports__metrics": port}
    script = tmp_path / "drain.sh"
    script.write_text(rendered(**values)["ConfigMap", "asr-drain"]["data"]["drain.sh"])
    return subprocess.Popen(["bash", script])


def test_a_server_waits_for_its_streams(metrics_port, tmp_path):
    Metrics.streams = 3
    hook = drain(metrics_port, tmp_path)
    time.sleep(4)
    assert hook.poll() is None
    Metrics.streams = 0
    assert hook.wait(10) == 0


def test_a_server_does_not_wait_for_ever(metrics_port, tmp_path):
    Metrics.streams = 3
    hook = drain(metrics_port, tmp_path, wait=4)
    started = time.monotonic()
    assert hook.wait(60) == 0
    # A second until all know, four of streams; the shell counts whole seconds.
    assert time.monotonic() - started > 3


def test_a_server_that_tells_nothing_is_not_waited_for(tmp_path):
    assert drain(1, tmp_path, wait=3600).wait(60) == 0


def test_the_values_in_the_document_are_those_of_the_chart():
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    document = (PROJECT / "docs/kubernetes.md").read_text(encoding="utf-8")
    table = document.split("## Values")[1].split("\n## ")[0]
    told = set()
    for cell in re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE):
        parent = []
        for name in re.findall(r"`([^`]+)`", cell):
            path = name.removesuffix(".*").split(".")
            path = parent + path[1:] if name.startswith(".") else path
            parent = path[:-1]
            found = values
            for key in path:
                assert key in found, f"{name} in {cell}"
                found = found[key]
            told.add(path[0])
    # What the document does not tell is in values.yaml alone: names, ports and the pods' own.
    assert set(values) - told == {"fullnameOverride", "imagePullSecrets", "ports", "serviceAccount", "podSecurityContext", "securityContext"}
    # And what it says of defaults that matter.
    assert values["triton"]["replicas"] == 2 and list(values["drain"].values()) == [15, 600, 60]
