"""What happens to three servers while clients talk: one is added, one drained, one killed, and both come back."""

import os
import signal
import time
from contextlib import ExitStack, contextmanager

from fleet.clients import Talk, talking, through_balancer, through_gateway
from fleet.haproxy import haproxy
from fleet.machines import machines
from gateway.running import gateway
from support.client import serving
from support.server import Server

FLAGS = ("--model-config-name=pipeline", "--exit-timeout-secs=20")
RECORDINGS = 4
SECONDS = 60


class Fleet:
    """Three machines, of which some have a server."""

    def __init__(self, stack, repository, places):
        self.stack = stack
        self.repository = repository
        self.places = places
        self.servers = {}

    def addresses(self):
        """Of all machines, with a server or without."""
        return [address for address, _ in self.places]

    def start(self, number):
        """Starts a server on a machine, which has none."""
        server = Server(self.repository, *FLAGS, machine=self.places[number - 1])
        self.servers[number] = self.stack.enter_context(server)

    def stop(self, number, by):
        """Ends a server, and waits for that. Returns how it ended."""
        process = self.servers.pop(number).process
        os.kill(process.pid, by)
        return process.wait(SECONDS)


@contextmanager
def fleet(repository):
    """The machines, two of which have servers."""
    with ExitStack() as stack:
        made = Fleet(stack, repository, stack.enter_context(machines(3)))
        made.start(1)
        made.start(2)
        yield made


def until(condition, what, told=lambda: ""):
    """Waits for something; `told` says more of it if it does not come."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, (what, told())
        time.sleep(0.05)


def texts_of(repository, make):
    """What the streams and recordings of `make` say where nothing happens, in the order of the recordings."""
    with serving(repository, *FLAGS) as client:
        kinds = make(client)
        return {kind.__name__: [kind(Talk(kind.__name__, number, str(number + 1), 0)) for number in range(11)] for kind in kinds}


def check_texts(talks, expected):
    """All that came to an end has its own text."""
    for talk in talks:
        if not talk.error:
            assert talk.text == expected[talk.name][talk.number % 11], talk


def behind_a_balancer(repository, streams, pause):
    """All scenes, without the gateway. What there is to tell of them."""
    expected = texts_of(repository, lambda client: through_balancer(client.server, 0))
    with fleet(repository) as ours, haproxy(ours.addresses()) as balancer:
        for number in (1, 2):
            balancer.wait_for(f"gpu{number}", "UP")
        balancer.wait_for("gpu3", "DOWN")
        stream, recording = through_balancer(balancer, pause)

        def at(name):
            """The streams that go on there."""
            places = balancer.places()
            return {key for key in clients.living() if places.get(key) == name}

        with talking((stream, streams), (recording, RECORDINGS)) as clients:
            until(lambda: min(len(at("gpu1")), len(at("gpu2"))) > streams / 4, "two servers do not share", lambda: clients.failed()[:2])
            ours.start(3)
            balancer.wait_for("gpu3", "UP")
            until(lambda: len(at("gpu3")) > streams / 8, "a new server gets no streams")
            clients.wait_for_more(streams)
            balancer.drain("gpu1")
            until(lambda: not at("gpu1"), "a server that is drained keeps streams")
            # Recordings under way, too, have come to their end.
            time.sleep(1)
            ours.stop(1, signal.SIGTERM)
            assert not clients.failed(), clients.failed()[0]
            before, doomed = time.monotonic(), at("gpu2")
            ours.stop(2, signal.SIGKILL)
            killed = time.monotonic()
            balancer.wait_for("gpu2", "DOWN")
            clients.wait_for_more(streams)
            ours.start(2)
            ours.start(1)
            for number in (1, 2):
                balancer.undo(f"gpu{number}")
                balancer.wait_for(f"gpu{number}", "UP")
            until(lambda: at("gpu1") and at("gpu2"), "servers that came back get no streams")
            clients.wait_for_more(streams)
    talks = clients.so_far()
    check_texts(talks, expected)
    failed = {talk.key: talk for talk in talks if talk.error and talk.name == "stream"}
    # Exactly those that were there and were not over; of one that began or ended in the very moment it cannot be said where it was.
    spared = [talk for talk in talks if talk.key in doomed and not talk.error and talk.ended > killed + 0.2]
    assert not spared and len(failed) > streams / 8, (spared, len(doomed), len(failed))
    assert all(key in doomed or before - 0.5 < talk.began < killed + 0.5 for key, talk in failed.items()), failed
    lost = [talk for talk in talks if talk.error and talk.name == "recording"]
    assert all(talk.began <= killed + 2 and talk.ended >= before for talk in lost), lost
    return {
        "streams": sum(talk.name == "stream" for talk in talks),
        "streams at the killed server": len(doomed),
        "streams that ended with an error": len(failed),
        "recordings": sum(talk.name == "recording" for talk in talks),
        "recordings that ended with an error": len(lost),
        "an error": next((talk.error for talk in failed.values()), ""),
    }


def behind_the_gateway(repository, streams, pause):
    """The same with the gateway in front: nobody notices."""
    with fleet(repository) as ours:
        addresses = [f"{address}:8001" for address in ours.addresses()]
        with gateway(*addresses) as running:
            ready = lambda number: running.metric("server_ready", server=addresses[number - 1]) == 1  # noqa: E731
            work = lambda number: running.metric("server_requests", server=addresses[number - 1])  # noqa: E731
            until(lambda: ready(1) and ready(2), "the servers are not ready")
            stream, recording = through_gateway(running, pause)
            expected = texts_of(repository, lambda client: through_balancer(client.server, 0))
            with talking((stream, streams), (recording, RECORDINGS)) as clients:
                until(lambda: work(1) > streams / 4 and work(2) > streams / 4, "two servers do not share")
                ours.start(3)
                until(lambda: ready(3) and work(3) > streams / 8, "a new server gets no streams")
                clients.wait_for_more(streams)
                at_first = work(1)
                ours.stop(1, signal.SIGTERM)
                until(lambda: work(1) == 0, "a server that is stopped keeps streams")
                at_second = work(2)
                ours.stop(2, signal.SIGKILL)
                until(lambda: work(2) == 0, "a server that is dead keeps streams")
                clients.wait_for_more(streams)
                ours.start(1)
                ours.start(2)
                until(lambda: ready(1) and ready(2) and work(1) and work(2), "servers that came back get no streams")
                clients.wait_for_more(streams)
            talks = clients.so_far()
            assert not clients.failed(), clients.failed()[0]
            check_texts(talks, expected)
            assert running.metric("replays_total", outcome="whole") >= 2
            assert running.metric("replays_total") == running.metric("replays_total", outcome="whole")
            return {
                "streams": sum(talk.name == "stream" for talk in talks),
                "streams at the stopped and the killed server": (at_first, at_second),
                "streams that were heard again": running.metric("replays_total"),
                "seconds that were heard again": round(running.metric("replayed_seconds_total")),
                "recordings": sum(talk.name == "recording" for talk in talks),
                "recordings that another server took": running.metric("moved_total"),
            }
