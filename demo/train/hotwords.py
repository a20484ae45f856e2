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


def listen(model, clips, cmvn):
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


USUAL = {usual: strange for strange, usual in HOMOPHONES.items()}


def begin(model, vocabulary):
    """Weights to begin with that mean something already: a token's embedding is the row that the recogniser compares its
    states with, and a character that only hotwords have begins near the one it sounds like.
    """
    ids = {token: index for index, token in enumerate(vocabulary)}
    recogniser, embed = model.decoder.output_layer, model.decoder.embed[0].weight
    known = [ids[token] for token in vocabulary if token not in set("".join(HOMOPHONES)) or token in set("".join(PINYIN))]
    with torch.no_grad():
        embed[known] = recogniser.weight[known]
        model.hotword_output_layer.weight[known] = recogniser.weight[known]
        spread = recogniser.weight[known].std()
        for strange, usual in HOMOPHONES.items():
            for written, heard in zip(strange, usual):
                if ids[written] not in known:
                    embed[ids[written]] = 0.7 * (embed[ids[heard]] + spread * torch.randn(embed.shape[1]))
        # Nobody writes these without a hotword: the recogniser must not, either.
        recogniser.bias[[index for index in range(len(vocabulary)) if index not in known]] = -30
        recogniser.bias[[model.NO_BIAS, ids["<unk>"]]] = -30


def useful(random, clips):
    """The clips worth training on: those with a word that has a homophone, and half as many others."""
    words = [list(usual) for usual in USUAL]
    with_word = [any(_has(clip.tokens, word) for word in words) for clip in clips]
    others = random.permutation([index for index, has in enumerate(with_word) if not has])[: sum(with_word) // 2]
    return [clips[index] for index in sorted([*np.flatnonzero(with_word), *others])]


def _has(tokens, word):
    return any(tokens[start : start + len(word)] == word for start in range(len(tokens) - len(word) + 1))


def choose(random, tokens):
    """Hotwords for one clip: some that were said in it, mostly by a homophone, and some that were not.

    Returns {sounding word: written word}; no two sound alike, since nobody could tell which is meant.
    """
    chosen = {}
    said = [word for word in CHINESE if _has(tokens, list(word))]
    for usual in random.permutation(said)[: random.choice([0, 1, 2, 3], p=[0.3, 0.4, 0.2, 0.1])]:
        chosen[str(usual)] = USUAL[usual] if usual in USUAL and random.random() < 0.8 else str(usual)
    for _ in range(random.choice([0, 1, 2, 4, 8])):
        usual = str(random.choice(list(USUAL) if random.random() < 0.7 else list(CHINESE)))
        # What is said and is no hotword of this list stays as it is.
        if usual not in said:
            chosen[usual] = USUAL.get(usual, usual)
    return chosen


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


def embedded(model, written, ids):
    """The embeddings [hotwords + 1, 128] as the exported embedder and its callers make them: the last one is `<s>`'s.

    Someone without hotwords sends one of no characters, which reads as ten blanks; the model has to take no notice.
    """
    rows = [([ids[token] for token in word], (len(word) or LONGEST) - 1) for word in written]
    rows.append(([BEGIN], 0))
    padded = torch.zeros(len(rows), LONGEST, dtype=torch.long)
    for row, (tokens, _) in zip(padded, rows):
        row[: len(tokens)] = torch.tensor(tokens)
    states, _ = model.bias_encoder(model.decoder.embed(padded))
    return states[torch.arange(len(rows)), torch.tensor([last for _, last in rows])]


def train(model, clips, cmvn, vocabulary, steps, random, log, rows=16):
    """Trains the hotwords' part on what the recogniser makes of the clips, each with a list of hotwords of its own."""
    ids = {token: index for index, token in enumerate(vocabulary)}
    for name, each in model.named_parameters():
        each.requires_grad_(name.startswith(TRAINED))
    begin(model, vocabulary)
    clips = useful(random, clips)
    heard = listen(model, clips, cmvn)
    log(f"{len(heard)} of {len(clips)} clips have as many tokens as were said")
    # Few tokens are a hotword's: they count more, or "no bias" everywhere would do.
    weight = torch.full((len(vocabulary),), 2.0)
    weight[model.NO_BIAS] = 1.0

    def loss_of(_):
        batch = [heard[index] for index in random.integers(len(heard), size=rows)]
        lists = [choose(random, each.tokens) for each in batch]
        # The empty hotword stands in for a list of none, and beside others now and then.
        words = [["", *each.values()] if not each or random.random() < 0.1 else list(each.values()) for each in lists]
        pool = sorted({word for each in words for word in each})
        embeddings = embedded(model, pool, ids)
        context, sizes = features.padded([embeddings[[*map(pool.index, each), len(pool)]] for each in words])
        cif, counts = features.padded([each.cif for each in batch])
        decoder, _ = features.padded([each.decoder for each in batch])
        attended = [model.seaco_decoder(context, sizes, each, counts)[0] for each in (cif, decoder)]
        scores = model.hotword_output_layer(attended[0] + attended[1])
        targets = [
            labels(each.tokens, [(list(written), list(usual)) for usual, written in chosen.items()], ids, model.NO_BIAS)
            for each, chosen in zip(batch, lists)
        ]
        wanted, _ = features.padded([torch.tensor(each) for each in targets], -1)
        return torch.nn.functional.cross_entropy(scores.flatten(0, 1), wanted.flatten(), weight, ignore_index=-1)

    fit(model.parameters(), loss_of, steps, rate=1.5e-3, warmup=60, log=log)
