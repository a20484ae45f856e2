"""Thousands of malformed requests at a real server, with good traffic beside them that must not notice.

The attacks are made up by dice: `HOSTILE_SEED` chooses others, `HOSTILE_REQUESTS` how many, for each of the two servers.

    HOSTILE_SEED=7 HOSTILE_REQUESTS=20000 cargo xtask test --only server -- tests/hostile -s
"""

import collections
import os
import re
import threading
from pathlib import Path

import pytest

from hostile import inner
from hostile.attacks import attack
from hostile.good import good_traffic
from hostile.plausible import Models
from hostile.wire import Answer, Grpc
from pipelines.variants import PIPELINE, SOON, common_repository
from support.client import serving
from support.load import on_threads

SEED = os.environ.get("HOSTILE_SEED", "1")
REQUESTS = int(os.environ.get("HOSTILE_REQUESTS", "1200"))
ATTACKERS = 3
# What the server may have grown by at the end of the last three quarters of a run. It flattens out: what is seen is 10 to 30.
MOST_GROWTH_MB = 100
# The most of a client's text in an error of ours.
LONGEST_ECHO = 100

# The server's own words: they repeat names, types, shapes and ids whole. They are answers to requests that no backend sees.
OF_THE_SERVER = re.compile(
    r"\[request id: |unexpected inference (in|out)put '|must specify the START flag|Request for unknown model: "
    r"|Unable to find (system )?shared memory region|has invalid type\. It should be either|invalid value type for '"
    r"|(must be specified along with|can not be specified without) 'shared_memory_region'"
)


def memory_mb(server):
    """The server's resident memory."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def longest_echo(error, strings):
    """The most bytes of one of the client's texts that stand in an error, from the text's start."""
    longest = 0
    for text in strings:
        count = 0
        while count < len(text) and text[: count + 1] in error:
            count += 1
        longest = max(longest, len(text[:count].encode("utf-8", "surrogateescape")))
    return longest


class Battle:
    """Attackers at one server, and what came of it."""

    def __init__(self, client, models):
        self.client, self.models = client, models
        self.statuses = collections.Counter()
        self.families = collections.Counter()
        self.under_way = {}
        self.lock = threading.Lock()

    def fight(self, numbers):
        """Sends the attacks of these numbers."""
        numbers = iter(numbers)

        def attacker():
            connection = Grpc(self.client.server.grpc)
            try:
                while True:
                    with self.lock:
                        number = next(numbers, None)
                    if number is None:
                        return
                    self.strike(attack(self.models, SEED, number), connection)
            finally:
                connection.close()

        on_threads(self.client, [attacker] * ATTACKERS)

    def strike(self, attack, connection):
        """Sends one attack and looks at its answers."""
        me = threading.get_ident()
        self.under_way[me] = str(attack)
        try:
            answers = attack.send(self.client.server, connection)
        except OSError as error:
            raise AssertionError(f"no answer to {attack}: {error!r}; under way: {list(self.under_way.values())}") from error
        answers = [answers] if isinstance(answers, Answer) else answers
        for answer in answers:
            self.look_at(attack, answer)
        with self.lock:
            self.families[attack.family] += 1
            self.statuses.update(str(answer.status) for answer in answers)
        assert self.client.server.is_running(), f"the server died; under way: {list(self.under_way.values())}"
        del self.under_way[me]

    @staticmethod
    def look_at(attack, answer):
        """An answer is texts, or an error that says little of what was sent, and nothing of a failure of ours."""
        assert answer.status not in ("DEADLINE_EXCEEDED", 504), f"{attack} was never answered"
        for text in answer.texts or []:
            # Raises if it is not UTF-8.
            str(text).encode()
        for words in ("panicked", "ended without answering"):
            assert words not in answer.error, f"{attack}: {answer.error}"
        if not OF_THE_SERVER.search(answer.error):
            echo = longest_echo(answer.error, attack.request.strings())
            assert echo <= LONGEST_ECHO, f"{attack}: {answer.error}"


@pytest.mark.parametrize("form", ["ensembles", "pipelines"])
def test_nothing_breaks_and_nobody_notices(form):
    flags = [SOON, *([PIPELINE] if form == "pipelines" else [])]
    with serving(common_repository(), *flags) as client:
        server, pid = client.server, client.server.process.pid
        inner.all_answer(client, form == "pipelines")
        battle = Battle(client, Models(server))
        with good_traffic(client, SEED) as traffic:
            quarter = REQUESTS // 4
            battle.fight(range(quarter))
            warm = memory_mb(server)
            battle.fight(range(quarter, REQUESTS))
        assert server.is_running() and server.is_ready() and server.process.pid == pid
        grown = memory_mb(server) - warm
        inner.all_answer(client, form == "pipelines")
        log = server.log()
    print(
        f"\n{form}, seed {SEED}: {REQUESTS} attacks, {sum(battle.statuses.values())} answers {dict(battle.statuses)}, "
        f"{dict(battle.families)}; right answers beside them: {traffic.right}; memory {warm:.0f} MB {grown:+.0f} MB"
    )
    assert "panicked" not in log
    assert all(count >= 5 for count in traffic.right.values()), traffic.right
    assert len(battle.statuses) > 5 and sum(battle.families.values()) == REQUESTS
    assert grown < MOST_GROWTH_MB, f"the server grew by {grown:.0f} MB"
