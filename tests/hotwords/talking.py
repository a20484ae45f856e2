"""A SeACo-Paraformer that says what it listens for, and what it says.

models/ has its two files, which make_models.py writes. Its encoder of hot words keeps a word's tokens as they are; so the recogniser's text is
a character for the length of the audio, then each hot word with `|` behind it. The last one stands for no hot word: its token is no text. `?`
stands in place of `|` where the embedding is not that of the word's last token. Of more than KEPT words it keeps those whose first tokens have
the highest ids, as the first row of its call has them: FunASR's exports choose by a call's first row, too.
"""

import json

# Tokens of a hot word, and values of its embedding: the tokens, and how many they are.
LENGTH, DIM = 10, 11
KEPT = 51
LENGTHS = "甲乙丙丁戊己庚辛壬癸"
DIGITS = "一二三四五六七八九十"
END, RIGHT, WRONG = "<s>", "|", "?"
VOCABULARY = ["<blank>", END, "</s>", RIGHT, *LENGTHS, WRONG, *DIGITS, "hello", "hel@@", "lo", "n", "b", "a", "<unk>"]
SEG_DICT = "lohel\tlo hel@@\nnb\tn b\n"


def frames(samples):
    """What the front end makes of so many samples."""
    return -(-(1 + (samples - 400) // 160) // 6)


def text(samples, *words):
    """The text for audio of so many samples and these words: each as the tokens that it is to have, which may be one string."""
    kept = [list(word) for word in words] + [[END]]
    if len(kept) > KEPT:
        first = [VOCABULARY.index(word[0]) for word in kept]
        best = sorted(range(len(kept)), key=lambda place: (-first[place], place))[:KEPT]
        kept = [kept[place] for place in sorted(best)]
    spelt = "".join("".join(word) + RIGHT for word in kept).replace(END, "")
    return LENGTHS[frames(samples) % len(LENGTHS)] + spelt


def write_texts(export):
    """Writes the vocabulary and the dictionary of an export."""
    (export / "tokens.json").write_text(json.dumps(VOCABULARY), encoding="utf-8")
    (export / "seg_dict").write_text(SEG_DICT, encoding="utf-8")
