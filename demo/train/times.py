"""BiCifParaformer's second head: when each token begins.

FunASR trains this head on the number of tokens alone and leaves the rest to thousands of hours. This corpus is small, but its
synthesiser tells when each word began; so the head learns that, and everything else stays Paraformer's.
"""

import numpy as np
import torch

import features
from loop import fit

# The head gives three alphas a frame: 20 ms each.
STEP = features.SHIFT / 3
# What FunASR's timestamps take off a peak's place, in steps.
SHIFT = 1.5
# A step's alpha is at most 0.24, so a token takes five of them.
SPREAD = 5

HEAD = ("predictor.upsample_cnn", "predictor.blstm", "predictor.cif_output2")


def wanted(onsets, steps):
    """The alphas [steps] whose sum passes i + 1 where token i begins, and the last whole number where the last one ends."""
    alphas = np.zeros(steps, np.float32)
    for onset in onsets:
        last = int(np.clip(round(onset / STEP + SHIFT), SPREAD - 1, steps - 1))
        alphas[last - SPREAD + 1 : last + 1] += 1 / SPREAD
    return alphas


def encode(model, clips, cmvn):
    """The encoder's answer [frames, 128] for each clip; it does not change, so once is enough."""
    model.eval()
    encoded = [None] * len(clips)
    order = np.argsort([len(clip.features) for clip in clips])
    for start in range(0, len(order), 16):
        chosen = order[start : start + 16]
        speech, lengths = features.padded([cmvn(clips[index].features) for index in chosen])
        with torch.no_grad():
            hidden, _ = model.encode(speech, lengths)
        for index, row, length in zip(chosen, hidden, lengths):
            encoded[index] = row[:length].clone()
    return encoded


def train(model, clips, cmvn, steps, random, log):
    """Trains the head; of the clips, those with onsets."""
    clips = [clip for clip in clips if clip.tokens and clip.onsets is not None]
    for name, each in model.named_parameters():
        each.requires_grad_(name.startswith(HEAD))
    encoded = encode(model, clips, cmvn)
    log(f"{len(clips)} clips with times")
    batches = features.batches(random, [len(each) for each in encoded], most=750)

    def loss_of(_):
        chosen = next(batches)
        hidden, lengths = features.padded([encoded[index] for index in chosen])
        onsets = [clips[index].onsets for index in chosen]
        target, _ = features.padded([wanted(each, 3 * length) for each, length in zip(onsets, lengths.tolist())])
        mask = (torch.arange(hidden.shape[1]) < lengths[:, None]).float()[:, None, :]
        counts = torch.tensor([len(each) for each in onsets]).float()
        _, _, raw, _ = model.predictor.get_upsample_timestamp(hidden, mask)
        sums = raw.sum(-1)
        scaled = raw * (counts / sums.clamp(min=1e-3))[:, None]
        # The sums so far tell how far a peak is from where it should be; the alphas themselves keep it sharp.
        far = (scaled.cumsum(-1) - target.cumsum(-1)).abs()
        near = (scaled - target).abs()
        inside = mask.repeat_interleave(3, -1).squeeze(1)
        return ((far + near) * inside).sum() / inside.sum() + 0.05 * (sums - counts).abs().mean()

    fit(model.parameters(), loss_of, steps, rate=3e-3, warmup=30, log=log)
