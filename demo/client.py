"""Transcribes wav files with the model `sensevoice` of a Triton server, using the official tritonclient over HTTP."""

import argparse
import array
import sys
import wave

import numpy as np
import tritonclient.http as triton

LANGUAGES = {"auto": 0, "zh": 3, "en": 4, "yue": 7, "ja": 11, "ko": 12, "nospeech": 13}


def samples_of(path):
    """The samples of a 16 kHz mono PCM16 file, in [-1, 1]."""
    with wave.open(path) as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (16000, 1, 2):
            sys.exit(f"{path}: 16 kHz mono PCM16 is expected")
        pcm = array.array("h", file.readframes(file.getnframes()))
    if sys.byteorder == "big":
        pcm.byteswap()
    return np.asarray(pcm, dtype=np.float32) / 32768


def transcribe(client, samples, language, text_norm):
    """The transcript of one recording."""
    tensors = {
        "WAV": samples[np.newaxis],
        "WAV_LENS": np.array([[len(samples)]], dtype=np.int32),
        "LANGUAGE": np.array([[language]], dtype=np.int32),
        "TEXT_NORM": np.array([[text_norm]], dtype=np.int32),
    }
    inputs = []
    for name, values in tensors.items():
        tensor = triton.InferInput(name, values.shape, "FP32" if values.dtype == np.float32 else "INT32")
        tensor.set_data_from_numpy(values)
        inputs.append(tensor)
    return client.infer("sensevoice", inputs).as_numpy("TRANSCRIPTS")[0, 0].decode()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="127.0.0.1:8000", help="host and port of the HTTP API")
    parser.add_argument("--language", choices=LANGUAGES, default="auto")
    parser.add_argument("--no-itn", action="store_true", help="leave numbers in words, and no punctuation")
    parser.add_argument("recordings", nargs="+", metavar="WAV")
    options = parser.parse_args()
    client = triton.InferenceServerClient(options.url)
    for path in options.recordings:
        text = transcribe(client, samples_of(path), LANGUAGES[options.language], 15 if options.no_itn else 14)
        print(f"{path}\t{text}")


if __name__ == "__main__":
    main()
