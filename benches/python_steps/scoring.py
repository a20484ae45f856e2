"""Scores to text with numpy and sentencepiece."""

import json

import numpy as np
from tensors import array

BLANK, END = 0, 2


def texts(rows):
    """A STRING tensor `[rows, 1]`."""
    return {"OUTPUT0": np.array([[row.encode()] for row in rows], np.object_)}


class CtcScoring:
    """Greedy CTC and a sentencepiece model."""

    def __init__(self, parameters, directory):
        import sentencepiece

        self.tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(directory / parameters["tokenizer_path"]))

    def __call__(self, request):
        rows = zip(array(request, "ctc_logits"), array(request, "encoder_out_lens").ravel())
        return texts(self.text(scores[:frames]) for scores, frames in rows)

    def text(self, scores):
        """The text of one recording."""
        best = scores.argmax(axis=1)
        kept = best[np.append(True, best[1:] != best[:-1])]
        return self.tokenizer.decode(kept[kept != BLANK].tolist())


class ParaformerScoring:
    """The best token of each step."""

    def __init__(self, parameters, directory):
        self.tokens = json.loads((directory / parameters["vocabulary"]).read_text(encoding="utf-8"))

    def __call__(self, request):
        rows = zip(array(request, "logits"), array(request, "token_num").ravel())
        return texts(joined(self.tokens, scores[:count].argmax(axis=1)) for scores, count in rows)


def joined(tokens, ids):
    """Tokens one after the other, without those that are not text."""
    text = "".join(tokens[each] for each in ids if each > END)
    return text.replace("<space>", " ")
