"""The dashboard's queries and the document's alerts, asked of a real Prometheus that looks at a real server."""

import json
import re
import time

import numpy as np
import pytest

from metrics.prometheus import promtool, watching
from paraformer.streaming import send_all
from support.client import InferenceServerException
from support.environment import PROJECT
from support.load import on_threads
from support.recordings import WITH_ITN, recordings
from support.repository import fresh_directory

DASHBOARD = json.loads((PROJECT / "deploy/grafana/triton-funasr.json").read_text(encoding="utf-8"))
RULES = (PROJECT / "docs/operations.md").read_text(encoding="utf-8").split("<!-- prometheus rules -->\n```yaml\n")[1].split("```")[0]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = {f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]}
# What a machine without a GPU has nothing of.
OF_GPUS = {name for name, query in QUERIES.items() if "nv_gpu_" in query}
VARIABLES = {"$model": ".*", "$instance": ".*", "$__rate_interval": "1h"}
CHUNK = 9600
TRAFFIC_SECONDS = 3


def asked(query):
    """A query as Grafana asks it."""
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    assert "$" not in query
    return query


@pytest.fixture(scope="module")
def prometheus(stage, ids):
    """A Prometheus that has seen all kinds of requests to pipelines, and some that were refused."""
    client, _ = stage
    with watching(client.server.metrics, RULES) as watcher:
        # Rates are made of what was seen before, too.
        watcher.wait_for("funasr_live_streams")
        over = time.monotonic() + TRAFFIC_SECONDS
        few = [recordings()[number].samples for number in (0, 3)]

        def offline():
            while time.monotonic() < over:
                client.transcribe(few, WITH_ITN, model="sensevoice_padded")

        def streams():
            while time.monotonic() < over:
                samples = few[0]
                send_all(client, [samples[at : at + CHUNK] for at in range(0, len(samples), CHUNK)], next(ids))

        def refused():
            while time.monotonic() < over:
                with pytest.raises(InferenceServerException):
                    client.transcribe([np.full(16_000, np.nan, np.float32)], WITH_ITN)
                time.sleep(0.2)

        on_threads(client, [offline, streams, refused])
        watcher.wait_for('increase(funasr_request_failures_total{reason="invalid"}[1h]) > 0')
        yield watcher


@pytest.mark.parametrize("name", sorted(set(QUERIES) - OF_GPUS))
def test_a_panel_has_something_to_show(prometheus, name):
    found = prometheus.wait_for(asked(QUERIES[name]))
    panel = next(panel for panel in PANELS if name.startswith(panel["title"] + " "))
    most = panel["fieldConfig"]["defaults"].get("max", float("inf"))
    # A panel of what did not happen is 0 by 0.
    told = [(labels, value) for labels, value in found if value == value]
    assert told, found
    for labels, value in told:
        assert 0 <= value <= most, (labels, value)
        legend = panel["targets"][ord(name[-1]) - ord("A")]["legendFormat"]
        assert set(re.findall(r"{{(\w+)}}", legend)) <= set(labels)


def of(found, model):
    """The value of a model."""
    (value,) = (value for labels, value in found if labels["model"] == model)
    return value


def test_values_are_those_of_the_traffic(prometheus, stage):
    """Both rows of a call are as long as the longer one."""
    frames = [(1 + (len(recordings()[number].samples) - 400) // 160 + 5) // 6 for number in (0, 3)]
    share = of(prometheus.query(asked(QUERIES["Padding A"])), "sensevoice_padded")
    assert share == pytest.approx(abs(frames[0] - frames[1]) / (2 * max(frames)), rel=1e-6)
    reasons = {labels["reason"] for labels, value in prometheus.query(asked(QUERIES["Refused and failed A"])) if labels["model"] == "sensevoice"}
    assert reasons == {"invalid"}


def test_the_variables_have_values(prometheus):
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            expression, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
            assert all(label in labels for labels, _ in prometheus.wait_for(asked(expression)))


def test_the_alerts_can_be_loaded_and_none_is_for_nothing(prometheus):
    rules = fresh_directory("rules") / "rules.yml"
    rules.write_text(RULES)
    assert "SUCCESS" in promtool("check", "rules", str(rules))
    # Clients' faults are no overload, and chunks came in time.
    firing = {labels["alertname"] for labels, _ in prometheus.query('ALERTS{alertstate=~"pending|firing"}')}
    assert not firing & {"AsrOverload", "AsrQueue", "AsrDown"}


def test_buckets_are_found_by_any_prometheus():
    """The text says `le="0"`, which Prometheus 3 calls 0.0; what Debian has, and the tests run, is older."""
    asked_for = re.findall(r'le(=~?)"([^"]+)"', "\n".join([RULES, *QUERIES.values()]))
    assert len(asked_for) == 2
    for how, bucket in asked_for:
        assert how == "=~" and all(re.fullmatch(bucket, own) for own in ("0", "0.0")) and not re.fullmatch(bucket, "0.05")


def test_names_and_kinds_are_as_prometheus_wants_them(stage):
    client, _ = stage
    lines = client.metrics().splitlines(keepends=True)
    own = "".join(line for line in lines if re.match(r"(# (HELP|TYPE) )?funasr_", line))
    assert own.count("# TYPE ") == 10
    # It prints what it does not like, and then fails.
    assert promtool("check", "metrics", text=own) == ""


def test_the_dashboard_is_one_that_grafana_imports():
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= set(DASHBOARD)
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    assert all(panel["description"] and panel["datasource"]["uid"] == "${datasource}" for panel in PANELS)


def test_every_metric_of_the_backend_is_on_the_dashboard(stage):
    client, _ = stage
    shown = {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"^(funasr_\w+)\{", client.metrics(), re.MULTILINE)}
    queries = " ".join(QUERIES.values())
    assert {name for name in shown if name not in queries} == set()
