"""What a server shows of the backend's metrics."""

import re

from support.client import metric_in

SAMPLE = re.compile(r"^(funasr_\w+)\{([^}]*)\} (\S+)$", re.MULTILINE)


class Reading:
    """All that the server shows now."""

    def __init__(self, client):
        self.text = client.metrics()

    def __call__(self, name, model, **labels):
        """The value of a metric, which must be there."""
        return metric_in(self.text, f"funasr_{name}", model=model, **labels)

    def series(self, **labels):
        """The names and labels of all series of the backend that have these labels."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        found = SAMPLE.findall(self.text)
        return {(name, each) for name, each, _ in found if all(label in each.split(",") for label in wanted)}


class Change:
    """How much counters change from its making on."""

    def __init__(self, client):
        self.client = client
        self.before = Reading(client)

    def __call__(self, name, model, **labels):
        now = Reading(self.client)
        return now(name, model, **labels) - self.before(name, model, **labels)


def live(client, model):
    """The live streams of a model."""
    return Reading(client)("live_streams", model)
