"""Samples to what the models take: 80 mel bins, frames stacked (recognisers: seven every six), mean and variance normalised."""

import kaldi_native_fbank as knf
import numpy as np
import torch

# Seconds of one stacked frame.
SHIFT = 0.06


def mel_bins(samples):
    """Samples in [-1, 1] at 16 kHz to the logarithms of 80 mel bins, [frames, 80], a frame every 10 ms."""
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = 16000
    options.frame_opts.dither = 0
    options.frame_opts.window_type = "hamming"
    options.frame_opts.frame_length_ms, options.frame_opts.frame_shift_ms = 25, 10
    options.mel_opts.num_bins = 80
    options.energy_floor = 0
    fbank = knf.OnlineFbank(options)
    fbank.accept_waveform(16000, (samples * 32768).tolist())
    return np.stack([fbank.get_frame(index) for index in range(fbank.num_frames_ready)])


def stack(frames, many, every):
    """`many` frames side by side, `every` so many, the first in the middle of the first ones: FunASR's LFR."""
    count = -(-len(frames) // every)
    frames = np.concatenate([frames[:1].repeat((many - 1) // 2, 0), frames, frames[-1:].repeat(many - 1, 0)])
    return np.stack([frames[every * index : every * index + many].reshape(-1) for index in range(count)])


def stacked(samples):
    """Samples in [-1, 1] at 16 kHz to the recognisers' LFR frames [frames, 560], before CMVN."""
    return stack(mel_bins(samples), 7, 6)


class Cmvn:
    """Shift and scale of each value of a stacked frame; am.mvn is Kaldi's text."""

    def __init__(self, shift, scale):
        self.shift, self.scale = shift.astype(np.float32), scale.astype(np.float32)

    @classmethod
    def of(cls, clips):
        """The global one of a corpus."""
        return cls.over(np.concatenate([clip.features for clip in clips]))

    @classmethod
    def over(cls, frames):
        """The one of these frames [frames, values]."""
        frames = frames.astype(np.float64)
        return cls(-frames.mean(0), 1 / frames.std(0))

    @classmethod
    def read(cls, path):
        """From an am.mvn."""
        rows = [line.split("[")[1].split("]")[0].split() for line in path.read_text().splitlines() if "<LearnRate" in line]
        return cls(*(np.array(row, np.float32) for row in rows))

    def write(self, path):
        """To an am.mvn."""
        width = len(self.shift)
        text = f"<Nnet> \n<Splice> {width} {width}\n[ 0 ]\n"
        for name, values in (("AddShift", self.shift), ("Rescale", self.scale)):
            numbers = " ".join(f"{value:.7g}" for value in values)
            text += f"<{name}> {width} {width} \n<LearnRateCoef> 0 [ {numbers} ]\n"
        path.write_text(text + "</Nnet> \n")

    def __call__(self, frames):
        return (frames.astype(np.float32) + self.shift) * self.scale


def padded(rows, filling=0):
    """Tensors or arrays of different lengths as one tensor [rows, longest, …], and their lengths, int64."""
    rows = [torch.as_tensor(row) for row in rows]
    return (
        torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=filling),
        torch.tensor([len(row) for row in rows]),
    )


def batches(random, lengths, most=1500):
    """Endless lists of indices: clips of about one length together, `most` frames at a time, in random order."""
    while True:
        # A little disorder, so that a batch has other mates each time.
        order = np.argsort(np.asarray(lengths) * random.uniform(0.9, 1.1, len(lengths)))
        groups, group = [], []
        for index in order:
            if group and (len(group) + 1) * lengths[index] > most:
                groups.append(group)
                group = []
            group.append(int(index))
        groups.append(group)
        for index in random.permutation(len(groups)):
            yield groups[index]


def masked(random, frames):
    """Light masks over time and mel bins, in place, for training: frames [rows, frames, 560]."""
    rows, count, _ = frames.shape
    mel = frames.view(rows, count, 7, 80)
    for row in range(rows):
        width, start = random.integers(0, 4), random.integers(0, max(count - 4, 1))
        frames[row, start : start + width] = 0
        width, start = random.integers(0, 9), random.integers(0, 72)
        mel[row, :, :, start : start + width] = 0
    return frames
