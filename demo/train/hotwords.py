"""SeacoParaformer's part for hotwords: its embedder, its decoder over their embeddings, and their output layer.

The recogniser itself stays Paraformer's, which writes of two words that sound the same always the usual one. What is trained
here answers "no bias" for a token, or, where a hotword was said, the hotword's.
"""

from typing import NamedTuple

import numpy as np
import torch

import features
from loop import fit
from words import CHINESE, HOMOPHONES, PINYIN

# The embedder's export takes ten tokens a hotword.
LONGEST = 10
BEGIN = 1

TRAINED = ("decoder.embed", "bias_encoder", "seaco_decoder", "hotword_output_layer")


class Heard(NamedTuple):
    """What the recogniser makes of a clip: its tokens, and for each and the end, CIF's embedding and the decoder's [128]."""

    tokens: list
    cif: torch.Tensor
    decoder: torch.Tensor


def listen(model, clips, cmvn, random):
    """Runs the recogniser, which does not change, once over the clips. Those whose length it gets wrong are left out."""
    model.eval()
    heard, lengths = [], [len(clip.features) for clip in clips]
    order = np.argsort(lengths)
    for start in range(0, len(order), 16):
        chosen = [clips[index] for index in order[start : start + 16]]
        speech, sizes = features.padded([cmvn(clip.features) for clip in chosen])
        with torch.no_grad():
            encoded, sizes = model.encode(speech, sizes)
            embeds, counts, _, _ = model.calc_predictor(encoded, sizes)
            counts = counts.long()
            if not counts.max():
                continue
            hidden, _ = model.decoder(encoded, sizes, embeds, counts, return_hidden=True)
        for clip, embed, state, count in zip(chosen, embeds, hidden, counts):
            if count == len(clip.tokens) + 1:
                heard.append(Heard(clip.tokens, embed[:count].clone(), state[:count].clone()))
    return heard


# How each character of a hotword sounds: a homophone as the word that it is mistaken for.
_SOUNDS = {
    **{word: list(word) for word in PINYIN},
    **{strange: list(usual) for strange, usual in HOMOPHONES.items()},
}


def choose(random, batch):
    """A list of hotwords for a batch: some that were said, as said or by a homophone, and some that were not.

    Returns [(written tokens, sounding tokens)]; no two sound alike, since nobody could tell which is meant.
    """
    many = int(random.choice([0, 1, 2, 4, 8, 16, 30], p=[0.1, 0.2, 0.2, 0.2, 0.15, 0.1, 0.05]))
    chosen = {}
    for _ in range(many):
        kind = random.random()
        if kind < 0.4:
            word = str(random.choice(list(HOMOPHONES)))
            written, sound = list(word), _SOUNDS[word]
        elif kind < 0.55:
            word = str(random.choice(list(CHINESE)))
            written, sound = list(word), _SOUNDS[word]
        elif kind < 0.8:
            said = batch[random.integers(len(batch))].tokens
            if not said:
                continue
            start = random.integers(len(said))
            written = sound = said[start : start + int(random.integers(2, 5))]
        else:
            # Words that nobody says, of characters that are said.
            pieces = random.choice(list(_SOUNDS), 2)
            pick = random.integers(2)
            written = [str(pieces[0])[-1], str(pieces[1])[0]] if pick else [*str(pieces[0]), *str(pieces[1])]
            sound = [_SOUNDS[str(pieces[0])][-1], _SOUNDS[str(pieces[1])][0]] if pick else [*_SOUNDS[pieces[0]], *_SOUNDS[pieces[1]]]
        if len(written) > 1:
            chosen[tuple(sound)] = written[:LONGEST]
    return [(written, list(sound)[:LONGEST]) for sound, written in chosen.items()]


def labels(tokens, hotwords, ids, no_bias):
    """What the hotwords' part should answer for each token and the end: a hotword's token, or "no bias".

    A hotword inside a longer one that was said gives way to it.
    """
    answer = [no_bias] * (len(tokens) + 1)
    taken = [False] * len(tokens)
    for written, sound in sorted(hotwords, key=lambda hotword: -len(hotword[1])):
        for start in range(len(tokens) - len(sound) + 1):
            span = slice(start, start + len(sound))
            if tokens[span] == sound and not any(taken[span]):
                answer[span] = [ids[token] for token in written]
                taken[span] = [True] * len(sound)
    return answer


def embedded(model, hotwords, ids, with_empty):
    """The embeddings [hotwords + 1, 128] as the exported embedder and its callers make them: the last one is `<s>`'s.

    Someone without hotwords sends one of no characters, which reads as ten blanks; the model has to take no notice.
    """
    rows = [([ids[token] for token in written], len(written) - 1) for written, _ in hotwords]
    if with_empty:
        rows.append(([], LONGEST - 1))
    rows.append(([BEGIN], 0))
    padded = torch.zeros(len(rows), LONGEST, dtype=torch.long)
    for row, (tokens, _) in zip(padded, rows):
        row[: len(tokens)] = torch.tensor(tokens)
    states, _ = model.bias_encoder(model.decoder.embed(padded))
    return states[torch.arange(len(rows)), torch.tensor([last for _, last in rows])]


def train(model, clips, cmvn, vocabulary, steps, random, log, rows=16):
    """Trains the hotwords' part on what the recogniser makes of the clips."""
    ids = {token: index for index, token in enumerate(vocabulary)}
    for name, each in model.named_parameters():
        each.requires_grad_(name.startswith(TRAINED))
    heard = listen(model, clips, cmvn, random)
    log(f"{len(heard)} of {len(clips)} clips have as many tokens as were said")
    model.seaco_decoder.train()

    def loss_of(_):
        batch = [heard[index] for index in random.integers(len(heard), size=rows)]
        hotwords = choose(random, batch)
        context = embedded(model, hotwords, ids, not hotwords or random.random() < 0.2)
        context = context[None].expand(rows, -1, -1)
        sizes = torch.full((rows,), context.shape[1])
        cif, counts = features.padded([each.cif for each in batch])
        decoder, _ = features.padded([each.decoder for each in batch])
        attended = [model.seaco_decoder(context, sizes, each, counts)[0] for each in (cif, decoder)]
        scores = model.hotword_output_layer(attended[0] + attended[1])
        wanted, _ = features.padded([torch.tensor(labels(each.tokens, hotwords, ids, model.NO_BIAS)) for each in batch], -1)
        # Few tokens are a hotword's: they count more, or "no bias" everywhere would do.
        weight = torch.full((len(vocabulary),), 2.0)
        weight[model.NO_BIAS] = 1.0
        return torch.nn.functional.cross_entropy(scores.flatten(0, 1), wanted.flatten(), weight, ignore_index=-1)

    fit(model.parameters(), loss_of, steps, rate=2e-3, warmup=30, log=log)
