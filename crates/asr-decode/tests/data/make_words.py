#!/usr/bin/env python3
"""Write words.tsv: random tokens, and the sentence that FunASR's post-processing makes of them.

    git clone --depth 1 https://github.com/modelscope/FunASR
    python3 make_words.py FunASR/funasr/utils/postprocess_utils.py

Left out on purpose is what that code gets wrong: words whose last `@@` token ends the text or stands before a
character, and tokens of letters mixed with digits.
"""

import importlib.util
import pathlib
import random
import sys

TOKENS = ["n", "b", "a", "i", "hello", "world", "i'm", "你", "好", "看", "1", "2", "<unk>", "</s>"]
SUBWORDS = [["hel@@", "lo"], ["wor@@", "ld"], ["n@@", "b"], ["un@@", "be@@", "lievable"]]


def main():
    spec = importlib.util.spec_from_file_location("postprocess_utils", sys.argv[1])
    funasr = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(funasr)
    rng = random.Random(7)
    lines = []
    for _ in range(500):
        tokens = []
        for _ in range(rng.randint(1, 10)):
            tokens += rng.choice(SUBWORDS) if rng.random() < 0.15 else [rng.choice(TOKENS)]
        lines.append(f"{' '.join(tokens)}\t{funasr.sentence_postprocess(list(tokens))[0]}\n")
    (pathlib.Path(__file__).parent / "words.tsv").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
