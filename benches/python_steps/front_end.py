"""Samples to features with kaldi-native-fbank and numpy."""

import re

import kaldi_native_fbank as knf
import numpy as np
from tensors import array

SAMPLE_RATE = 16000
BINS = 80
STACKED, HOP = 7, 6


def fbank_options():
    """Kaldi's filter bank as FunASR's models want it."""
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = SAMPLE_RATE
    options.frame_opts.dither = 0
    options.frame_opts.window_type = "hamming"
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = BINS
    options.energy_floor = 0
    return options


def log_mel(options, samples):
    """`[frames, 80]`."""
    fbank = knf.OnlineFbank(options)
    # The binding takes a sequence; a list is much faster than an array, whose elements it would box one by one.
    fbank.accept_waveform(SAMPLE_RATE, (samples * np.float32(32768)).tolist())
    fbank.input_finished()
    count = fbank.num_frames_ready
    frames = np.empty((count, BINS), np.float32)
    for at in range(count):
        frames[at] = fbank.get_frame(at)
    return frames


def stacked(frames, count):
    """`count` stacks of STACKED frames, one every HOP; those behind the end are the last one."""
    at = HOP * np.arange(count)[:, None] + np.arange(STACKED)
    return frames[np.minimum(at, len(frames) - 1)].reshape(count, -1)


def read_cmvn(path):
    """Shift and scale of a Kaldi nnet file."""
    lines = path.read_text().splitlines()
    vectors = {}
    for name, line in zip(lines, lines[1:]):
        for key in ("<AddShift>", "<Rescale>"):
            if name.startswith(key):
                vectors[key] = np.array(re.search(r"\[(.*)\]", line)[1].split(), np.float32)
    return vectors["<AddShift>"], vectors["<Rescale>"]


class FeatureExtractor:
    """Filter bank, frame stacking, mean and variance normalisation of whole recordings."""

    def __init__(self, parameters, directory):
        self.options = fbank_options()
        self.shift, self.scale = read_cmvn(directory / parameters["cmvn_path"])
        self.multiple = int(parameters.get("pad_to_multiple", 1))

    def __call__(self, request):
        rows = [
            self.features(samples[:length])
            for samples, length in zip(array(request, "wav"), array(request, "wav_lens").ravel())
        ]
        lengths = np.array([[len(row)] for row in rows], np.int32)
        longest = -(-lengths.max() // self.multiple) * self.multiple
        speech = np.zeros((len(rows), longest, self.shift.size), np.float32)
        for at, row in enumerate(rows):
            speech[at, : len(row)] = row
        return {"speech": speech, "speech_lengths": lengths}

    def features(self, samples):
        """`[LFR frames, 560]` of one recording."""
        frames = log_mel(self.options, samples)
        padded = np.concatenate([frames[:1].repeat((STACKED - 1) // 2, axis=0), frames])
        features = stacked(padded, -(-len(frames) // HOP))
        features += self.shift
        features *= self.scale
        return features
