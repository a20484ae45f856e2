"""Paraformer, from an encoder that SenseVoice's gave or from nothing."""

import torch
from funasr.models.paraformer import cif_predictor

import features
from loop import fit


def encoder_of_sensevoice(state):
    """SenseVoice's encoder as a start for Paraformer's: the first blocks, in its names; the last two continue the first four."""
    found = {}
    for name, value in state.items():
        if name.startswith("encoder.encoders"):
            found[name] = value
        elif name.startswith("encoder.tp_encoders."):
            block, rest = name.removeprefix("encoder.tp_encoders.").split(".", 1)
            # encoders0 is the first block, so encoders.0 to 2 are the three that follow it.
            found[f"encoder.encoders.{3 + int(block)}.{rest}"] = value
        elif name.startswith("encoder.tp_norm."):
            found[name.replace("tp_norm", "after_norm")] = value
    return found


def steady(function):
    """CIF for training: rounding must not take the last firing away, so the alphas are a ten-thousandth too large."""
    return lambda hidden, alphas, threshold: function(hidden, alphas * (1 + 1e-4), threshold)


def train(model, clips, cmvn, vocabulary, steps, random, log):
    """Trains everything, with FunASR's own loss."""
    # cif_v1 fails on a row that does not fire; cif is the same sum, one frame after the other.
    cif_predictor.cif_v1 = steady(cif_predictor.cif)
    ids = {token: index for index, token in enumerate(vocabulary)}
    batches = features.batches(random, [len(clip.features) for clip in clips])
    model.train()

    def loss_of(_):
        chosen = [clips[index] for index in next(batches)]
        speech, lengths = features.padded([cmvn(clip.features) for clip in chosen])
        text, counts = features.padded([torch.tensor([ids[token] for token in clip.tokens]).long() for clip in chosen], -1)
        loss, _, _ = model(features.masked(random, speech), lengths, text, counts)
        return loss

    fit(model.parameters(), loss_of, steps, rate=1e-3, log=log)
