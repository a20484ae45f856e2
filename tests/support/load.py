"""Many requests at a time."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import Empty, Queue
from threading import Barrier


def on_threads(client, works):
    """Runs each work on a thread of its own, which closes its connections when it is done. Their results, in order."""

    def run(work):
        try:
            return work()
        finally:
            client.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def at_once(client, calls):
    """Makes all calls, none sooner than all threads are there. Their results, in order."""
    barrier = Barrier(len(calls))

    def after_barrier(call):
        barrier.wait()
        return call()

    return on_threads(client, [partial(after_barrier, call) for call in calls])


def many_at_a_time(client, calls, threads=16):
    """Makes all calls, so many running at any time. Their results, in order."""
    results = [None] * len(calls)
    remaining = Queue()
    for numbered in enumerate(calls):
        remaining.put(numbered)

    def work():
        while True:
            try:
                number, call = remaining.get_nowait()
            except Empty:
                return
            results[number] = call()

    on_threads(client, [work] * threads)
    return results


def shared_executions(before, after):
    """From two entries of a model's statistics: how many executions in between, and of how many rows each size."""
    sizes = {each["batch_size"]: each["compute_infer"]["count"] for each in after.get("batch_stats", [])}
    for each in before.get("batch_stats", []):
        sizes[each["batch_size"]] -= each["compute_infer"]["count"]
    return {size: count for size, count in sizes.items() if count}


def counted(before, after, counter):
    """How much a counter of a model's statistics grew."""
    return after.get(counter, 0) - before.get(counter, 0)
