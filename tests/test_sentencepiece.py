"""The reader of SentencePiece models decodes as Google's library does: every piece of every model, and 10 000 sequences."""

import json
import random
import subprocess

import pytest
from sentencepiece import SentencePieceProcessor

from support.environment import PROJECT

DATA = PROJECT / "crates/asr-decode/tests/data"
MODELS = sorted(DATA.glob("*.model")) + sorted((PROJECT / "demo/sensevoice").glob("*.model"))
SEQUENCES = 10_000


@pytest.fixture(scope="module")
def decode():
    """Decodes lists of ids with the project's reader."""
    command = ["cargo", "build", "--quiet", "--package=asr-decode", "--example=decode_ids", "--message-format=json"]
    built = subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.PIPE, text=True).stdout
    artifacts = [json.loads(line) for line in built.splitlines()]
    program = next(path for path in (artifact.get("executable") for artifact in artifacts) if path)

    def run(model, sequences):
        lines = "".join(" ".join(map(str, ids)) + "\n" for ids in sequences)
        done = subprocess.run([program, model], input=lines, check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8")
        return [json.loads(line) for line in done.stdout.split("\n")[:-1]]

    return run


def sequences(processor):
    """Random ids, the same in each run. In every other sequence those that have rules of their own, which others would drown."""
    random_ = random.Random(processor.get_piece_size())
    every = range(processor.get_piece_size())
    special = [index for index in every if is_special(processor, index)]
    starts = [index for index in every if processor.id_to_piece(index).startswith("▁")]
    for number in range(SEQUENCES):
        pool = (every, special or every, special + starts or every, every)[number % 4]
        yield random_.choices(pool, k=100 if number % 100 == 0 else random_.randint(0, 15))


def is_special(processor, index):
    """Whether a piece is more than its text."""
    kinds = (processor.is_control, processor.is_unknown, processor.is_unused, processor.is_byte)
    piece = processor.id_to_piece(index)
    return any(kind(index) for kind in kinds) or "▁" in piece[1:] or piece in ("▁", "▁▁")


def test_there_are_models():
    assert {"bytes.model", "demo.model", "tokenizer.bpe.model"} < {model.name for model in MODELS} and len(MODELS) >= 9


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_piece_and_random_sequences_are_decoded_as_by_googles_library(model, decode):
    processor = SentencePieceProcessor(model_file=str(model))
    cases = [[index] for index in range(processor.get_piece_size())] + list(sequences(processor))
    ours = decode(model, cases)
    assert len(ours) == len(cases)
    differing = [(ids, text, theirs) for ids, text in zip(cases, ours) if text != (theirs := processor.decode(ids))]
    assert not differing, f"{len(differing)} of {len(cases)}, such as {differing[0]}"
