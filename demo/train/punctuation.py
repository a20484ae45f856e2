"""CT-Transformer: the mark behind each word, of whole texts or, of the realtime kind, of a text that goes on."""

import torch

import features
from loop import fit
from sentences import marked, talk
from words import MARKS

# Sentences of a text, and texts of a step.
MOST, ROWS = 10, 32
# Of so many words one is unknown to the model, as words of other vocabularies will be.
KNOWN = 50


def example(random, ids):
    """Word ids and mark ids of a talk. Now and then it stops in the middle, as a text does that is looked at twenty words at a time."""
    tokens, marks = marked(talk(random, MOST))
    if random.random() < 0.4:
        end = int(random.integers(1, len(tokens) + 1))
        tokens, marks = tokens[:end], marks[:end]
    unknown = ids["<unk>"]
    words = [unknown if random.integers(KNOWN) == 0 else ids[token] for token in tokens]
    return torch.tensor(words), torch.tensor([MARKS.index(mark) for mark in marks])


def train(model, texts, vocabulary, steps, random, log):
    """Trains everything, with FunASR's own loss."""
    ids = {token: index for index, token in enumerate(vocabulary)}
    examples = [example(random, ids) for _ in range(texts)]
    batches = features.batches(random, [len(words) for words, _ in examples], most=25 * ROWS)
    # FunASR's loss wants a tensor, and makes a list of ones.
    model.punc_weight = torch.ones(len(MARKS))
    model.train()

    def loss_of(_):
        chosen = [examples[index] for index in next(batches)]
        words, lengths = features.padded([words for words, _ in chosen])
        # Mark 0 is the one that the loss leaves out.
        marks, _ = features.padded([marks for _, marks in chosen])
        more = {}
        if model.with_vad():
            # How much of the text was there before, when its marks were asked for: often nothing.
            before = [random.integers(0, length) if random.random() < 0.5 else 0 for length in lengths.tolist()]
            more = {"vad_indexes": torch.tensor(before), "vad_indexes_lengths": lengths}
        loss, _, _ = model(words, marks, lengths, lengths, **more)
        return loss

    fit(model.parameters(), loss_of, steps, rate=2e-3, log=log)
