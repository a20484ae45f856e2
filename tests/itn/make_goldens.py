#!/usr/bin/env python3
"""Writes goldens.json: what the package wetext answers to the lines of texts.txt, with its Chinese grammar and then, where there are Latin
letters, with its English one.

    pip install wetext==0.1.8
    python tests/itn/make_goldens.py
"""

import json
from pathlib import Path

from wetext import Normalizer

HERE = Path(__file__).parent


def written(text):
    """Spaces at the ends stay."""
    inner = text.strip(" ")
    made = Normalizer(lang="zh", operator="itn").normalize(inner)
    if any(letter.isascii() and letter.isalpha() for letter in made):
        made = Normalizer(lang="en", operator="itn").normalize(made)
    return text.replace(inner, made)


if __name__ == "__main__":
    texts = (HERE / "texts.txt").read_text(encoding="utf-8").split("\n")[:-1]
    lines = ",\n".join(json.dumps([text, written(text)], ensure_ascii=False) for text in texts)
    (HERE / "goldens.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
