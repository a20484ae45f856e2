"""`python3 kernels.py NAME SIZE… ROUNDS` prints one line per round: the nanoseconds of one kernel, the code being warm.

    asrfront SECONDS      filter bank, LFR and CMVN by asrfront
    kaldi SECONDS         the filter bank by kaldi-native-fbank's binding, frames copied into an array; no LFR, no CMVN
    torchaudio SECONDS    the filter bank by torchaudio's compliance module, on one thread; no LFR, no CMVN
    argmax FRAMES WIDTH   numpy's argmax of every frame

Ends with 3 where the library is not installed.
"""

import sys
import time

import numpy as np

SAMPLE_RATE = 16000
NOT_INSTALLED = 3


def audio(seconds):
    """Noise under an envelope."""
    at = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    noise = np.random.default_rng(0).uniform(-0.15, 0.15, at.size)
    return (noise * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * at)) + 0.1 * np.sin(2 * np.pi * 140 * at)).astype(np.float32)


def asrfront(seconds):
    """A call of the kernel."""
    from asrfront import sensevoice

    samples = audio(seconds)
    cmvn = (np.full(560, -12.5, np.float32), np.full(560, 0.25, np.float32))
    return lambda: sensevoice.fbank(samples, cmvn=cmvn)


def kaldi(seconds):
    """A call of the kernel, as the Python steps make it."""
    from front_end import fbank_options, log_mel

    samples, options = audio(seconds), fbank_options()
    return lambda: log_mel(options, samples)


def torchaudio(seconds):
    """A call of the kernel."""
    import torch
    from torchaudio.compliance.kaldi import fbank

    torch.set_num_threads(1)
    samples = torch.from_numpy(audio(seconds))[None] * 32768
    return lambda: fbank(samples, num_mel_bins=80, window_type="hamming", dither=0.0, energy_floor=0.0)


def argmax(frames, width):
    """A call of the kernel."""
    scores = np.random.default_rng(0).uniform(-20, 0, (frames, width)).astype(np.float32)
    return lambda: scores.argmax(axis=1)


def main():
    """Prints the times."""
    name, *sizes, rounds = sys.argv[1:]
    try:
        call = {each.__name__: each for each in (asrfront, kaldi, torchaudio, argmax)}[name](*map(int, sizes))
    except ModuleNotFoundError:
        sys.exit(NOT_INSTALLED)
    call()
    for _ in range(int(rounds)):
        start = time.perf_counter_ns()
        call()
        print(time.perf_counter_ns() - start)


if __name__ == "__main__":
    main()
