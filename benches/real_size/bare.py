"""The encoder with nothing around it: ONNX Runtime, features that are there already, some callers at a time (turns.py)."""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime

from turns import each_once, serve


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
    serve(onnxruntime.__version__, partial(turn, session, calls))


def feeds(speech, session):
    """A call's inputs: one row, its language found by the model, without inverse text normalisation."""
    values = {"speech": speech, "speech_lengths": speech.shape[1], "language": 0, "textnorm": 15}
    return {
        each.name: values[each.name] if each.name == "speech" else np.array([values[each.name]], np.int32)
        for each in session.get_inputs()
    }


def turn(session, calls, at_a_time):
    """Makes each call once; the bytes are those of all outputs."""
    sizes = []
    measured = each_once(calls, at_a_time, lambda call: sizes.append(sum(output.nbytes for output in session.run(None, call))))
    return {**measured, "bytes": sum(sizes)}


if __name__ == "__main__":
    main()
