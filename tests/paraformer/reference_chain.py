"""Both Paraformers as a plain chain of kaldi-native-fbank, onnxruntime and numpy, without server and project."""

import json
import re
from pathlib import Path

import kaldi_native_fbank as knf
import numpy as np
import onnxruntime

SAMPLE_RATE = 16000
CHUNK = 9600
OVERLAP = 320
STACKED, HOP = 7, 6


def read_cmvn(path):
    """Shift and scale of a Kaldi nnet file."""
    lines = Path(path).read_text().splitlines()
    vectors = {}
    for name, line in zip(lines, lines[1:]):
        for key in ("<AddShift>", "<Rescale>"):
            if name.startswith(key):
                vectors[key] = np.array(re.search(r"\[(.*)\]", line)[1].split(), np.float32)
    return vectors["<AddShift>"], vectors["<Rescale>"]


def log_mel(samples):
    """Kaldi's filter bank: `[frames, 80]`."""
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = SAMPLE_RATE
    options.frame_opts.dither = 0
    options.frame_opts.window_type = "hamming"
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = 80
    options.energy_floor = 0
    fbank = knf.OnlineFbank(options)
    fbank.accept_waveform(SAMPLE_RATE, (samples * np.float32(32768)).tolist())
    fbank.input_finished()
    frames = [fbank.get_frame(at) for at in range(fbank.num_frames_ready)]
    return np.array(frames, np.float32).reshape(len(frames), 80)


def stacked(frames, count):
    """`count` stacks of STACKED frames, one every HOP; those behind the end are the last one."""
    at = HOP * np.arange(count)[:, None] + np.arange(STACKED)
    return frames[np.minimum(at, len(frames) - 1)].reshape(count, -1)


def joined(ids, tokens):
    """Words get a space between them, characters none. (The demo's vocabulary has neither subwords nor letters.)"""
    text = ""
    for token in (tokens[each] for each in ids if each > 2):
        between_words = text[-1:].isascii() and text[-1:].isalpha() and token.isascii()
        text += f" {token}" if between_words else token
    return text


class _Export:
    """The files of an exported model."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.shift, self.scale = read_cmvn(self.directory / "am.mvn")
        self.tokens = json.loads((self.directory / "tokens.json").read_text(encoding="utf-8"))
        self.model = self.session("model.onnx")

    def session(self, name):
        """An ONNX model on the CPU."""
        return onnxruntime.InferenceSession(self.directory / name, providers=["CPUExecutionProvider"])

    def normalised(self, features):
        """After mean and variance normalisation."""
        return (features + self.shift) * self.scale


class OfflineChain(_Export):
    """A whole recording at a time."""

    def transcribe(self, samples):
        """The text."""
        frames = log_mel(samples)
        padded = np.concatenate([frames[:1].repeat((STACKED - 1) // 2, axis=0), frames])
        features = self.normalised(stacked(padded, -(-len(frames) // HOP)))
        speech = {"speech": features[None], "speech_lengths": np.int32([len(features)])}
        (logits,), (count,) = self.model.run(["logits", "token_num"], speech)
        return joined(logits[:count].argmax(axis=1), self.tokens)


class StreamingChain(_Export):
    """One chunk of CHUNK samples at a time."""

    FRAMES, LOOK_BACK = 10, 5
    THRESHOLD, TAIL = 1.0, 0.45

    def __init__(self, directory):
        super().__init__(directory)
        self.decoder = self.session("decoder.onnx")
        shapes = {each.name: each.shape for each in self.decoder.get_inputs()}
        self.caches = {name: shape[1:] for name, shape in shapes.items() if name.startswith("in_cache_")}
        self.hidden = shapes["acoustic_embeds"][2]

    def transcribe(self, samples):
        """The text that each chunk adds."""
        return self.texts(self.ids(samples))

    def texts(self, ids_per_chunk):
        """The text that each chunk's ids add."""
        so_far, texts = [], []
        for ids in ids_per_chunk:
            before = joined(so_far, self.tokens)
            so_far += ids
            texts.append(joined(so_far, self.tokens)[len(before) :])
        return texts

    def ids(self, samples):
        """The ids that each chunk adds."""
        windows = self.windows(samples)
        previous = np.zeros((self.FRAMES, self.shift.size), np.float32)
        carried, integrated = 0.0, np.zeros(self.hidden)
        caches = {name: np.zeros((1, *shape), np.float32) for name, shape in self.caches.items()}
        per_chunk = []
        for number, window in enumerate(windows):
            own = self.normalised(stacked(window, self.FRAMES)) * np.float32(np.sqrt(self.hidden))
            own += self.positions(number * self.FRAMES)
            both = np.concatenate([previous, own])[None]
            previous = own
            length = np.int32([both.shape[1]])
            enc, alphas = self.model.run(["enc", "alphas"], {"speech": both, "speech_lengths": length})
            embeds, carried, integrated = self.fire(
                enc[0], alphas[0], carried, integrated, last=number == len(windows) - 1
            )
            ids = []
            if len(embeds):
                inputs = {"enc": enc, "enc_len": length, "acoustic_embeds": np.float32(embeds)[None], **caches}
                inputs["acoustic_embeds_len"] = np.int32([len(embeds)])
                names = [name.replace("in_", "out_") for name in caches]
                found, *new = self.decoder.run(["sample_ids", *names], inputs)
                caches = dict(zip(caches, new))
                ids = found[0].tolist()
            per_chunk.append(ids)
        return per_chunk

    def windows(self, samples):
        """Windows of 61 frames, each beginning with the last frame of the one before."""
        count = -(-len(samples) // CHUNK)
        whole = np.concatenate([samples, np.zeros(count * CHUNK - len(samples), np.float32)])
        frames = log_mel(whole)
        frames = np.concatenate([frames[:1].repeat((STACKED - 1) // 2, axis=0), frames])
        stride = HOP * self.FRAMES
        return [frames[number * stride : number * stride + stride + 1] for number in range(count)]

    def positions(self, offset):
        """The sinusoidal encoding of the positions behind `offset`."""
        half = self.shift.size // 2
        timescales = np.exp(-np.arange(half) * np.log(10000.0) / (half - 1))
        angles = np.arange(offset + 1, offset + 1 + self.FRAMES)[:, None] * timescales
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)

    def fire(self, enc, alphas, carried, integrated, last):
        """Continuous integrate-and-fire over the frames in the middle."""
        own = slice(self.LOOK_BACK, self.LOOK_BACK + self.FRAMES)
        frames = list(zip(alphas[own].tolist(), enc[own]))
        if last:
            frames.append((self.TAIL, np.zeros(self.hidden)))
        fired, total, weighted = [], carried, integrated
        for alpha, frame in frames:
            if total + alpha < self.THRESHOLD:
                total, weighted = total + alpha, weighted + alpha * frame
                continue
            needed = self.THRESHOLD - total
            fired.append(weighted + needed * frame)
            total = alpha - needed
            weighted = total * frame
        return fired, total, weighted
