"""Many requests at a time."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier


def at_once(calls):
    """Makes all calls, each on a thread of its own, no sooner than all threads are there. Their results, in order."""
    barrier = Barrier(len(calls))

    def run(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def sixteen_at_a_time(calls):
    """Makes all calls, 16 running at any time. Their results, in order."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda call: call(), calls))


def shared_executions(before, after):
    """From two entries of a model's statistics: how many executions in between, and of how many rows each size."""
    sizes = {each["batch_size"]: each["compute_infer"]["count"] for each in after.get("batch_stats", [])}
    for each in before.get("batch_stats", []):
        sizes[each["batch_size"]] -= each["compute_infer"]["count"]
    return {size: count for size, count in sizes.items() if count}


def counted(before, after, counter):
    """How much a counter of a model's statistics grew."""
    return after.get(counter, 0) - before.get(counter, 0)
