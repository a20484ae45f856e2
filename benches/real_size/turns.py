"""What measures beside the server: turns on demand, JSON over standard input and output, a line each.

A program says once that it is ready, and which version it measures; then it answers a question, which has `at_a_time`, with
`{"seconds": …, "milliseconds": [an item's each], …}`.
"""

import json
import sys
import threading
import time


def serve(version, turn):
    """Says that all is ready, and answers questions by `turn`, which is given what they say, until there are no more."""
    print(json.dumps({"version": version}), flush=True)
    for line in sys.stdin:
        print(json.dumps(turn(**json.loads(line))), flush=True)


def each_once(items, at_a_time, work):
    """Has `work` done on each item once, the next one as soon as a caller is free; how long it took, and each of them."""
    left = iter(items)
    lock = threading.Lock()
    took = []

    def caller():
        while True:
            with lock:
                item = next(left, None)
            if item is None:
                return
            began = time.perf_counter()
            work(item)
            took.append((time.perf_counter() - began) * 1000)

    callers = [threading.Thread(target=caller) for _ in range(at_a_time)]
    began = time.perf_counter()
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    seconds = time.perf_counter() - began
    if len(took) != len(items):
        sys.exit("a call failed; the reason is above")
    return {"seconds": seconds, "milliseconds": took}
