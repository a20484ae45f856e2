"""Transcribes wav files with a Triton server, using the official tritonclient over HTTP.

Recordings go whole to `sensevoice` and `infer_pipeline` (Paraformer), and chunk by chunk to `streaming_paraformer`. With --times each word
is printed with its times, with --tags what the model says of the whole; both need a model with the output RESULT_JSON, as
`triton-funasr repo --outputs all` makes it.
"""

import argparse
import array
import json
import random
import sys
import wave

import numpy as np
import tritonclient.http as triton

LANGUAGES = {"auto": 0, "zh": 3, "en": 4, "yue": 7, "ja": 11, "ko": 12, "nospeech": 13}
STREAMING = "streaming_paraformer"
CHUNK = 9600  # samples: 600 ms
TAIL = 5120  # samples of silence behind a stream, whose last 300 ms are not decoded


def samples_of(path):
    """The samples of a 16 kHz mono PCM16 file, in [-1, 1]."""
    with wave.open(path) as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (16000, 1, 2):
            sys.exit(f"{path}: 16 kHz mono PCM16 is expected")
        pcm = array.array("h", file.readframes(file.getnframes()))
    if sys.byteorder == "big":
        pcm.byteswap()
    return np.asarray(pcm, dtype=np.float32) / 32768


def ask(client, model, samples, more=None, output="TRANSCRIPTS", **sequence):
    """What the model answers for one row of samples: one of its outputs, a text."""
    tensors = {"WAV": samples[np.newaxis], "WAV_LENS": np.array([[len(samples)]], dtype=np.int32)}
    tensors.update({name: np.array([[value]], dtype=np.int32) for name, value in (more or {}).items()})
    inputs = []
    for name, values in tensors.items():
        tensor = triton.InferInput(name, values.shape, "FP32" if values.dtype == np.float32 else "INT32")
        tensor.set_data_from_numpy(values)
        inputs.append(tensor)
    wanted = [triton.InferRequestedOutput(output)]
    return client.infer(model, inputs, outputs=wanted, **sequence).as_numpy(output)[0, 0].decode()


def stream(client, samples, output="TRANSCRIPTS"):
    """What each chunk of a recording adds: to its text, or as another output tells it."""
    samples = np.concatenate([samples, np.zeros(TAIL, dtype=np.float32)])
    sequence = random.getrandbits(63) or 1
    for start in range(0, len(samples), CHUNK):
        yield ask(
            client,
            STREAMING,
            samples[start : start + CHUNK],
            output=output,
            sequence_id=sequence,
            sequence_start=start == 0,
            sequence_end=start + CHUNK >= len(samples),
        )


def told(client, model, samples, hints):
    """All that the model says of a recording, as docs/results.md describes it; a stream's chunks put together."""
    if model != STREAMING:
        return json.loads(ask(client, model, samples, hints, output="RESULT_JSON"))
    whole = {"text": "", "words": []}
    for chunk in stream(client, samples, output="RESULT_JSON"):
        chunk = json.loads(chunk)
        whole["text"] += chunk["text"]
        whole["words"] += chunk["words"]
    return whole


def show(result, options):
    """Prints it: the text, what was asked for of the whole, and a line for each word."""
    print(result["text"])
    if options.tags:
        for name in ("language", "emotion", "event", "confidence"):
            # A stream's text has no tags.
            if result.get(name) is not None:
                print(f"  {name}: {result[name]}")
    if options.times:
        for word in result["words"]:
            # None where the model does not say it.
            start, end, confidence = (word.get(name) for name in ("start_ms", "end_ms", "confidence"))
            print(f"  {start} to {end} ms: {word['text']}" + ("" if confidence is None else f" ({confidence:.2f})"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="127.0.0.1:8000", help="host and port of the HTTP API")
    parser.add_argument("--model", choices=["sensevoice", "infer_pipeline", STREAMING], default="sensevoice")
    parser.add_argument("--language", choices=LANGUAGES, default="auto", help="of sensevoice")
    parser.add_argument("--no-itn", action="store_true", help="sensevoice: leave numbers in words, and no punctuation")
    parser.add_argument("--times", action="store_true", help="print when each word was spoken, and how sure the model is")
    parser.add_argument("--tags", action="store_true", help="print language, emotion, event and confidence")
    parser.add_argument("recordings", nargs="+", metavar="WAV")
    options = parser.parse_args()
    client = triton.InferenceServerClient(options.url)
    hints = None
    if options.model == "sensevoice":
        hints = {"LANGUAGE": LANGUAGES[options.language], "TEXT_NORM": 15 if options.no_itn else 14}
    for path in options.recordings:
        samples = samples_of(path)
        print(f"{path}\t", end="", flush=True)
        if options.times or options.tags:
            show(told(client, options.model, samples, hints), options)
        elif options.model == STREAMING:
            for delta in stream(client, samples):
                print(delta, end="", flush=True)
            print()
        else:
            print(ask(client, options.model, samples, hints))


if __name__ == "__main__":
    main()
