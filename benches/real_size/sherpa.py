"""sherpa-onnx with the same files and recordings, in this process: what its servers do, without what carries requests to them.

Speaks as turns.py says. `{"at_a_time": N, "rows": R}`: each of N callers has its recording decoded by itself if R is 1, else a worker
decodes what waits, R recordings at most, in one call. Of the streaming model each caller sends its recording in chunks, the next when what
it has heard is decoded; the milliseconds are a chunk's then.
"""

import argparse
import json
import queue
import re
import shutil
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import sherpa_onnx

from turns import each_once, serve
from wire import field

SAMPLE_RATE = 16000
# 600 ms.
CHUNK = 9600
# A field of ONNX's ModelProto, of which a file may have more behind its end: entries with a key and a value.
METADATA = 14
LANGUAGES = {"auto": 0, "zh": 3, "en": 4, "yue": 7, "ja": 11, "ko": 12}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("export", type=Path, help="the directory that the files were exported to")
    parser.add_argument("recordings", type=Path, help="a directory of NUMBER.f32, samples between -1 and 1")
    parser.add_argument("--work", type=Path, required=True, help="where the files go that sherpa-onnx reads")
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    read, turn, rows = KINDS[options.kind]
    recogniser = read(options)
    files = sorted(options.recordings.glob("*.f32"), key=lambda path: int(path.stem))
    recordings = [np.fromfile(path, np.float32) for path in files]
    turn(recogniser, recordings[:8], 2, rows)
    serve(sherpa_onnx.version, partial(turn, recogniser, recordings))


def sensevoice(options):
    """FunASR's file as it is, with the description that sherpa-onnx reads of it."""
    # The published piece model's order is made up here, so any names will do: they are looked up and joined all the same.
    size = 25055
    described = {f"lang_{name}": at for name, at in LANGUAGES.items()}
    described |= {"model_type": "sense_voice_ctc", "normalize_samples": 0, "with_itn": 14, "without_itn": 15}
    model = describe(options, size, described)
    tokens = write_tokens(options.work, [f"\u2581w{at}" for at in range(size)])
    return sherpa_onnx.OfflineRecognizer.from_sense_voice(model=model, tokens=tokens, num_threads=options.threads)


def paraformer(options):
    names = json.loads((options.export / "tokens.json").read_text())
    model = describe(options, len(names), {"model_type": "paraformer"})
    tokens = write_tokens(options.work, names)
    return sherpa_onnx.OfflineRecognizer.from_paraformer(paraformer=model, tokens=tokens, num_threads=options.threads)


def paraformer_online(options):
    names = json.loads((options.export / "tokens.json").read_text())
    encoder = describe(options, len(names), {"encoder_output_size": 512, "decoder_num_blocks": 16, "decoder_kernel_size": 11})
    tokens = write_tokens(options.work, names)
    decoder = str(options.export / "decoder.onnx")
    return sherpa_onnx.OnlineRecognizer.from_paraformer(
        tokens=tokens, encoder=encoder, decoder=decoder, num_threads=options.threads
    )


def describe(options, size, more):
    """A copy of the model with a description behind it."""
    vectors = re.findall(r"\[([^\]]*)\]", (options.export / "am.mvn").read_text())
    shift, scale = (vector.split() for vector in vectors if len(vector.split()) > 1)
    described = {
        "vocab_size": size,
        "lfr_window_size": 7,
        "lfr_window_shift": 6,
        "neg_mean": ",".join(shift),
        "inv_stddev": ",".join(scale),
        **more,
    }
    model = options.work / "model.onnx"
    shutil.copy(options.export / "model.onnx", model)
    with model.open("ab") as file:
        for key, value in described.items():
            file.write(field(METADATA, field(1, key.encode()) + field(2, str(value).encode())))
    return str(model)


def write_tokens(directory, names):
    path = directory / "tokens.txt"
    path.write_text("".join(f"{name} {at}\n" for at, name in enumerate(names)))
    return str(path)


def whole(recogniser, recordings, at_a_time, rows):
    """Decodes each recording once."""
    waiting = queue.Queue()
    heard = []

    def decode(samples):
        stream = recogniser.create_stream()
        stream.accept_waveform(SAMPLE_RATE, samples)
        if rows == 1:
            recogniser.decode_stream(stream)
        else:
            done = threading.Event()
            waiting.put((stream, done))
            done.wait()
        heard.append(stream.result.text)

    def worker():
        while (item := waiting.get()) is not None:
            items = [item]
            while len(items) < rows and not waiting.empty():
                items.append(waiting.get())
            recogniser.decode_streams([stream for stream, _ in items])
            for _, done in items:
                done.set()

    # Only callers put items there, and it ends behind the last of them.
    decoder = threading.Thread(target=worker)
    decoder.start()
    measured = each_once(recordings, at_a_time, decode)
    waiting.put(None)
    decoder.join()
    return something_of(heard, measured)


def in_chunks(recogniser, recordings, at_a_time, rows):
    """Sends each recording once, chunk by chunk."""
    heard, took = [], []

    def decode(samples):
        stream = recogniser.create_stream()
        for start in range(0, len(samples), CHUNK):
            began = time.perf_counter()
            stream.accept_waveform(SAMPLE_RATE, samples[start : start + CHUNK])
            if start + CHUNK >= len(samples):
                stream.input_finished()
            while recogniser.is_ready(stream):
                recogniser.decode_stream(stream)
            took.append((time.perf_counter() - began) * 1000)
        heard.append(recogniser.get_result(stream))

    assert rows == 1, "sherpa-onnx decodes streams one by one, also where it is given some"
    measured = each_once(recordings, at_a_time, decode)
    return something_of(heard, {**measured, "milliseconds": took})


def something_of(heard, measured):
    if not any(heard):
        sys.exit("no text came of any recording")
    return measured


# How a model is read, how a turn of it goes, and recordings a call while it warms up.
KINDS = {
    "sensevoice": (sensevoice, whole, 2),
    "paraformer": (paraformer, whole, 2),
    "paraformer-online": (paraformer_online, in_chunks, 1),
}


if __name__ == "__main__":
    main()
