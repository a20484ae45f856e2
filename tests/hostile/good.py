"""Good traffic: clients that know what they must get, and look at each answer."""

import itertools
import random
import threading
from contextlib import contextmanager
from functools import partial

from paraformer.streaming import send_all
from paraformer.test_offline import ask
from paraformer.texts import recordings as paraformer_recordings
from paraformer.texts import streams
from support.client import GRPC, HTTP
from support.recordings import WITH_ITN, WITHOUT_ITN, recordings


def sensevoice(client, dice, _):
    """A recording, or two of them."""
    chosen, norm = dice.sample(recordings(), dice.choice([1, 1, 2])), dice.choice([WITH_ITN, WITHOUT_ITN])
    answer = client.transcribe([each.samples for each in chosen], norm, protocol=dice.choice([HTTP, GRPC]))
    return answer, [each.texts[norm] for each in chosen]


def infer_pipeline(client, dice, _):
    """A recording."""
    chosen = dice.choice(paraformer_recordings())
    return ask(client, [chosen.samples], protocol=dice.choice([HTTP, GRPC])), [chosen.text]


def streaming_paraformer(client, dice, stream):
    """A stream."""
    chosen = dice.choice(streams())
    return send_all(client, chosen.chunks, stream, dice.choice([HTTP, GRPC])), chosen.deltas


KINDS = (sensevoice, infer_pipeline, streaming_paraformer)


class Traffic:
    """How many answers were right, by model, and what was wrong with the others."""

    def __init__(self):
        self.right = {kind.__name__: 0 for kind in KINDS}
        self.wrong = []
        self.over = threading.Event()

    def _client(self, client, kind, seed):
        dice = random.Random(seed)
        names = itertools.count(10**9) if kind is not streaming_paraformer else self._stream_names()
        try:
            while not self.over.is_set() and not self.wrong:
                answer, expected = kind(client, dice, next(names))
                if answer != expected:
                    self.wrong.append(f"{kind.__name__} answered {answer} instead of {expected}")
                self.right[kind.__name__] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
            self.wrong.append(f"{kind.__name__}: {error!r}")
        finally:
            client.close()

    @staticmethod
    def _stream_names():
        for number in itertools.count(10**9):
            yield number
            # Numbers and texts, alike but for what attackers' ids are.
            yield f"good {number}"


@contextmanager
def good_traffic(client, seed):
    """Clients of every kind for as long as the `with` block lasts. Fails at its end if any got a wrong answer."""
    traffic = Traffic()
    works = [threading.Thread(target=partial(traffic._client, client, kind, f"{seed} {kind.__name__}")) for kind in KINDS]
    for work in works:
        work.start()
    try:
        yield traffic
    finally:
        traffic.over.set()
        for work in works:
            work.join()
    assert not traffic.wrong, traffic.wrong
