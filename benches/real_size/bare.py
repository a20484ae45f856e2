"""The encoder with nothing around it: ONNX Runtime, features that are there already, some callers at a time.

Speaks JSON, a line each: it says once that it is ready, then answers `{"at_a_time": N}` with
`{"seconds": …, "milliseconds": [a call's each], "bytes": of all outputs}`.
"""

import argparse
import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import onnxruntime


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("features", type=Path, help="a directory of NUMBER.f32, [frames, width] each")
    parser.add_argument("--width", type=int, required=True)
    options = parser.parse_args()
    # As the server's backend has it: all other options are ONNX Runtime's own defaults.
    session = onnxruntime.InferenceSession(str(options.model), providers=["CPUExecutionProvider"])
    files = sorted(options.features.glob("*.f32"), key=lambda path: int(path.stem))
    calls = [feeds(np.fromfile(path, np.float32).reshape(1, -1, options.width), session) for path in files]
    turn(session, calls[:8], 2)
    print(json.dumps({"version": onnxruntime.__version__}), flush=True)
    for line in sys.stdin:
        print(json.dumps(turn(session, calls, json.loads(line)["at_a_time"])), flush=True)


def feeds(speech, session):
    """A call's inputs: one row, its language found by the model, without inverse text normalisation."""
    values = {"speech": speech, "speech_lengths": speech.shape[1], "language": 0, "textnorm": 15}
    return {
        each.name: values[each.name] if each.name == "speech" else np.array([values[each.name]], np.int32)
        for each in session.get_inputs()
    }


def turn(session, calls, at_a_time):
    """Makes each call once, the next one as soon as a caller is free."""
    left = iter(calls)
    lock = threading.Lock()
    took, sizes = [], []

    def caller():
        while True:
            with lock:
                call = next(left, None)
            if call is None:
                return
            began = time.perf_counter()
            outputs = session.run(None, call)
            took.append((time.perf_counter() - began) * 1000)
            sizes.append(sum(output.nbytes for output in outputs))

    threads = [threading.Thread(target=caller) for _ in range(at_a_time)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    if len(took) != len(calls):
        sys.exit("a call failed; the reason is above")
    return {"seconds": seconds, "milliseconds": took, "bytes": sum(sizes)}


if __name__ == "__main__":
    main()
