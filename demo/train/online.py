"""Streaming Paraformer, trained on the windows that it sees when it is served.

A window is 20 frames wide and moves on by 10; zeros stand before the first. CIF takes the alphas of its frames 5 to 14; a
token is decoded from the 20 encoded frames of the window it fires in, with the memory of the tokens before it.
"""

import torch
from funasr.models.paraformer import cif_predictor
from funasr.models.transformer.embedding import SinusoidalPositionEncoder

import features
from loop import fit
from paraformer import steady

WIDE, HOP, FIRST = 20, 10, 5


def from_offline(state):
    """Offline Paraformer's weights as a start: the decoder's memory looks ahead by five tokens, and must only look back."""
    state = {name: value.clone() for name, value in state.items()}
    for name, value in state.items():
        if name.startswith("decoder.") and name.endswith("fsmn_block.weight"):
            middle = value.shape[-1] // 2
            shifted = torch.zeros_like(value)
            # What was the present tap becomes the last one; the taps of the future are gone.
            shifted[..., middle:] = value[..., : value.shape[-1] - middle]
            state[name] = shifted
    return state


def look_back_only(model):
    """Has the decoder's memory blocks pad in front only, as the export's caches do."""
    for layer in model.decoder.decoders:
        block = layer.self_attn
        size = block.kernel_size
        block.pad_fn = torch.nn.ConstantPad1d((size - 1, 0), 0.0)


def windows(frames, encode_position):
    """The windows [count, 20, 560] of a clip's normalised frames [frames, 560]."""
    placed = encode_position(frames[None] * 128**0.5)[0]
    count = -(-(len(placed) + FIRST) // HOP)
    behind = count * HOP - len(placed)
    placed = torch.nn.functional.pad(placed, (0, 0, HOP, behind))
    return placed.unfold(0, WIDE, HOP).transpose(1, 2)


def encode(model, x):
    """The encoder over windows [windows, 20, 560], without the position that they have already."""
    mask = torch.ones(len(x), 1, WIDE)
    x, mask, *_ = model.encoder.encoders0(x, mask, None, None, None)
    x, *_ = model.encoder.encoders(x, mask, None, None, None)
    return model.encoder.after_norm(x)


def alphas_of(predictor, hidden):
    """The predictor's alphas [windows, 20], as its export computes them."""
    output = torch.relu(predictor.cif_conv1d(predictor.pad(hidden.transpose(1, 2)))).transpose(1, 2)
    alphas = torch.sigmoid(predictor.cif_output(output)).squeeze(-1)
    return torch.relu(alphas * predictor.smooth_factor - predictor.noise_threshold)


def train(model, clips, cmvn, vocabulary, steps, random, log):
    """Trains everything; the loss is Paraformer's."""
    clips = [clip for clip in clips if clip.tokens]
    ids = {token: index for index, token in enumerate(vocabulary)}
    batches = features.batches(random, [len(clip.features) for clip in clips])
    position = SinusoidalPositionEncoder()
    cif = steady(cif_predictor.cif)
    look_back_only(model)
    model.train()

    def loss_of(_):
        chosen = [clips[index] for index in next(batches)]
        cut = [windows(torch.as_tensor(cmvn(clip.features)), position) for clip in chosen]
        counts = torch.tensor([len(each) for each in cut])
        encoded = encode(model, features.masked(random, torch.cat(cut)))
        alphas = alphas_of(model.predictor, encoded)
        inner = slice(FIRST, FIRST + HOP)
        hidden, _ = features.padded([each.flatten(0, 1) for each in encoded[:, inner].split(counts.tolist())])
        alphas, _ = features.padded([each.flatten() for each in alphas[:, inner].split(counts.tolist())])
        text, sizes = features.padded([torch.tensor([ids[token] for token in clip.tokens]) for clip in chosen], -1)
        sums = alphas.sum(-1)
        embeds, fires = cif(hidden, alphas * (sizes / sums)[:, None], 1.0)
        # The window that each token fires in.
        window = torch.full((len(chosen), embeds.shape[1]), -1)
        for row, fired in enumerate(fires >= 1.0):
            places = torch.nonzero(fired).squeeze(1)[: embeds.shape[1]] // HOP
            window[row, : len(places)] = places
        memory, _ = features.padded([each.flatten(0, 1) for each in encoded.split(counts.tolist())])
        seen = (torch.arange(memory.shape[1]) // WIDE)[None, None] == window[:, :, None]
        # The sampler: some embeddings are replaced by what the token is, the more of them the more were wrong.
        with torch.no_grad():
            guess = _decode(model, embeds, sizes, memory, seen).argmax(-1)
        mixed = _sampled(model, random, embeds, guess, text, sizes)
        scores = _decode(model, mixed, sizes, memory, seen)
        loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), text.flatten(), ignore_index=-1)
        return loss + (sums - sizes).abs().mean()

    fit(model.parameters(), loss_of, steps, rate=1e-3, log=log)


def _decode(model, embeds, sizes, memory, seen):
    mask = (torch.arange(embeds.shape[1]) < sizes[:, None]).float()[:, :, None]
    # A token that fires nowhere (padding) sees the first window: attention over nothing is not a number.
    seen = seen | (~seen.any(-1, keepdim=True) & (torch.arange(seen.shape[-1]) < WIDE))
    x, mask, memory, seen, _ = model.decoder.decoders(embeds, mask, memory, seen.float())
    x, *_ = model.decoder.decoders3(x, mask, memory, seen)
    return model.decoder.output_layer(model.decoder.after_norm(x))


def _sampled(model, random, embeds, guess, text, sizes):
    mixed = []
    known = model.decoder.embed(text.clamp(min=0))
    for row, size in enumerate(sizes.tolist()):
        wrong = int((guess[row, :size] != text[row, :size]).sum())
        chosen = random.permutation(size)[: int(round(wrong * model.sampling_ratio))]
        take = torch.zeros(embeds.shape[1], 1, dtype=torch.bool)
        take[chosen.tolist()] = True
        mixed.append(torch.where(take, known[row], embeds[row]))
    return torch.stack(mixed)
