"""Dockerfiles, compose.yaml, the runtime of KServe and the rules of Prometheus: each read by what reads such files, and held against the
documents and each other. `cargo xtask deploy-check` builds and runs the images."""

import json
import re
from io import BytesIO

import compose_spec
import pytest
import yaml
from dockerfile_parse import DockerfileParser

from deploy.helm import VERSIONS, rendered, validate
from metrics.prometheus import promtool
from support.environment import PROJECT

DEPLOY = PROJECT / "deploy"
DOCKERFILES = ["Dockerfile", "Dockerfile.debian"]


def steps(name):
    return DockerfileParser(fileobj=BytesIO((DEPLOY / "docker" / name).read_bytes())).structure


def stages(name):
    """The steps of each stage, by its name; of the last, by `None` where it has none."""
    found = {}
    for step in steps(name):
        if step["instruction"] == "FROM":
            words = step["value"].split()
            found[words[2] if len(words) > 1 else None] = current = [step]
        elif found:
            current.append(step)
    return found


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_have_stages_no_root_and_a_health_check(name):
    made = stages(name)
    assert len(made) >= 2
    for stage in [list(made)[-1], *(stage for stage in made if stage == "gateway")]:
        values = {step["instruction"]: step["value"] for step in made[stage]}
        assert values["USER"] == "1000:1000"
        # Not through a shell: signals reach the program itself.
        assert json.loads(values["CMD"])[0] in ("tritonserver", "triton-funasr")
        path = "/health/ready" if stage == "gateway" else "/v2/health/ready"
        assert f'{path}"]' in values["HEALTHCHECK"] and "CMD [" in values["HEALTHCHECK"]
        # What is compiled, fetched or unpacked stays behind.
        assert not any(re.search(r"\bpip\b|\btar\b|\bcargo\b", step["value"]) for step in made[stage])


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_is_copied_from_a_stage_is_of_one_before(name):
    made = stages(name)
    for position, stage in enumerate(made):
        for step in made[stage]:
            for source in re.findall(r"--from=(\S+)", step["value"]):
                assert source in list(made)[:position]


def compose(**given):
    """compose.yaml with its variables filled in, or with what stands there for those that are not given."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")

    def value(match):
        name, how, other = match.groups()
        if name not in given and how == "?":
            raise KeyError(f"{name}: {other}")
        return given.get(name, other if how == "-" else "")

    return yaml.safe_load(re.sub(r"\$\{(\w+)(?::([-?])([^}]*))?\}", value, text))


def test_compose_takes_the_file():
    services = compose_spec.PyCompose.from_yaml(yaml.safe_dump(compose(GRAFANA_PASSWORD="secret"))).service_names()
    assert sorted(services) == ["gateway", "grafana", "prometheus", "triton"]
    with pytest.raises(KeyError, match="GRAFANA_PASSWORD"):
        compose()
    wrong = compose(GRAFANA_PASSWORD="secret")
    wrong["services"]["triton"]["stop_grace_period"] = "ninety"
    with pytest.raises(ValueError, match="stop_grace_period"):
        compose_spec.PyCompose.from_yaml(yaml.safe_dump(wrong))


def test_what_compose_names_is_there():
    services = compose(GRAFANA_PASSWORD="secret")["services"]
    for name, service in services.items():
        for port in service["ports"]:
            assert port.startswith("127.0.0.1:"), f"{name} is open to all"
        for volume in service.get("volumes", []):
            if isinstance(volume, str) and volume.startswith("./"):
                assert (DEPLOY / volume.split(":")[0]).exists(), volume
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).resolve() == (DEPLOY / "docker/Dockerfile.debian").resolve()
            assert service["build"].get("target", "server") in stages("Dockerfile.debian")
    targets = [target for job in yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"] for target in job["static_configs"][0]["targets"]]
    assert targets == ["triton:8002", "gateway:8080"]


def test_grafana_finds_its_dashboard_and_its_source():
    grafana = compose(GRAFANA_PASSWORD="secret")["services"]["grafana"]
    (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/triton-funasr.yml").read_text())["providers"]
    dashboard = next(volume for volume in grafana["volumes"] if volume.startswith("./grafana/triton-funasr.json"))
    assert dashboard.split(":")[1] == grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert dashboard.split(":")[1].startswith(provider["options"]["path"] + "/")
    (source,) = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090" and source["isDefault"]


def test_prometheus_takes_its_files():
    out = promtool("check", "config", str(DEPLOY / "prometheus/prometheus.yml"))
    assert "SUCCESS: 6 rules found" in out
    document = (PROJECT / "docs/operations.md").read_text(encoding="utf-8").split("<!-- prometheus rules -->\n```yaml\n")[1].split("```")[0]
    assert yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text()) == yaml.safe_load(document)


def test_the_adapter_has_the_metrics_that_the_autoscaler_asks_for(tmp_path):
    rules = yaml.safe_load((DEPLOY / "helm/prometheus-adapter.yaml").read_text())["rules"]["custom"]
    scaler = rendered(models__existingClaim="models", autoscaling={"enabled": True, "streams": {"enabled": True}, "queue": {"enabled": True}})["HorizontalPodAutoscaler", "asr-triton"]
    wanted = {each["pods"]["metric"]["name"] for each in scaler["spec"]["metrics"]}
    assert {rule["name"]["as"] for rule in rules} == wanted
    # The queries, as the adapter fills them in, are Prometheus' language.
    groups = []
    for rule in rules:
        series = rule["seriesQuery"].split("{")[0]
        assert re.fullmatch(rule["name"]["matches"], series)
        filled = {"<<.Series>>": series, "<<.LabelMatchers>>": 'namespace="speech",pod=~"a|b",model="m"', "<<.GroupBy>>": "pod"}
        query = rule["metricsQuery"]
        for mark, text in filled.items():
            query = query.replace(mark, text)
        groups.append({"record": rule["name"]["as"], "expr": query})
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "adapter", "rules": groups}]}))
    assert "SUCCESS: 2 rules found" in promtool("check", "rules", str(file))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_runtime_of_kserve_is_a_pod(version):
    """KServe's own schema is not to be had here; what it makes a pod of is held against that of pods."""
    runtime = yaml.safe_load((DEPLOY / "kserve/servingruntime.yaml").read_text())
    spec = runtime["spec"]
    validate({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {key: spec[key] for key in ("containers", "volumes")}}, version)
    (container,) = spec["containers"]
    # Names and ports that KServe counts on.
    assert container["name"] == "kserve-container" and "--model-repository=/mnt/models" in container["args"]
    # It answers nothing while it loads, so liveness has to wait.
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 900
    assert "--http-port=8080" in container["args"] and container["readinessProbe"]["httpGet"]["port"] == 8080
    service = yaml.safe_load((DEPLOY / "kserve/inferenceservice.yaml").read_text())
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"]["name"] == spec["supportedModelFormats"][0]["name"]
