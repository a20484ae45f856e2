#!/usr/bin/env python3
"""Write the small SentencePiece models of this folder and what Google's library decodes with every model.

    pip install sentencepiece==0.2.3
    python3 make_sentencepiece.py

*.model: synthetic vocabularies, each with other decoding rules; tokenizer.bpe.model and demo.model are only read.
*.decoded.json: {"every": [text of [id] for every id], "sequences": [{"ids": [...], "text": ...}]}, or for the large
vocabulary {"every", "strided": texts of the id sequences that `strided` below makes}.
"""

import json
import pathlib
import random

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as pb

HERE = pathlib.Path(__file__).parent
NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

HEAD = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL), ("<|zh|>", USER)]
SPACES = [("▁", NORMAL), ("▁hello", NORMAL), ("▁▁two", NORMAL), ("in▁side", NORMAL), ("tail▁", NORMAL), ("lo", NORMAL),
          ("▁user", USER), ("user ", USER), ("▁unused", UNUSED), ("unused", UNUSED), ("好", NORMAL), ("<ctl>", CONTROL),
          ("▁ctl", CONTROL)]
BYTES = [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]
# Text pieces may be spelled like reserved ones.
TWINS = [("<s>", NORMAL), ("<unk>", USER), ("<0x41>", NORMAL), ("<0x20>", UNUSED)]

MODELS = {
    "bytes": (HEAD + SPACES + BYTES + TWINS, {"byte_fallback": True}, {}),
    "bytes_keep": (HEAD + SPACES + BYTES, {"byte_fallback": True}, {"remove_extra_whitespaces": False}),
    "no_prefix": (HEAD + SPACES, {"unk_surface": "▁?"}, {"add_dummy_prefix": False}),
    "keep_spaces": (HEAD + SPACES, {"unk_surface": ""}, {"remove_extra_whitespaces": False}),
    "verbatim": (SPACES + HEAD, {}, {"add_dummy_prefix": False, "remove_extra_whitespaces": False}),
    "suffix": (HEAD + [("hello▁", NORMAL), ("▁", NORMAL), ("lo", NORMAL), ("好▁", NORMAL), ("▁x", NORMAL)],
               {"treat_whitespace_as_suffix": True, "model_type": 2}, {}),
}


def build(pieces, trainer, normalizer):
    model = pb.ModelProto()
    for index, (piece, kind) in enumerate(pieces):
        model.pieces.add(piece=piece, score=-float(index), type=kind)
    for name, value in trainer.items():
        setattr(model.trainer_spec, name, value)
    for name, value in normalizer.items():
        setattr(model.normalizer_spec, name, value)
    return model.SerializeToString()


def sequences(processor, rng, count):
    size = processor.get_piece_size()
    few = [index for index in range(size) if "<0x" not in processor.id_to_piece(index)]
    for number in range(count):
        # Every other sequence leans on the pieces with rules of their own, else bytes drown them.
        pool = few if number % 2 else range(size)
        ids = rng.choices(pool, k=rng.randint(1, 12))
        if number % 5 == 0 and size > 256:
            text = "".join(rng.choices("aé好😀\ufffd▁ ", k=4)).encode()
            first = next(index for index in range(size) if processor.is_byte(index))
            ids[rng.randrange(len(ids)):] = [first + byte for byte in text[rng.randint(0, 2):]]
        yield ids


def strided(size, length=25, step=7919):
    """All ids, each once, in an order that the test can follow: step is prime and does not divide size."""
    order = [index * step % size for index in range(size)]
    return [order[start:start + length] for start in range(0, size, length)]


def main():
    rng = random.Random(20240607)
    for name, (pieces, trainer, normalizer) in MODELS.items():
        (HERE / f"{name}.model").write_bytes(build(pieces, trainer, normalizer))
    for name in [*MODELS, "demo", "tokenizer.bpe"]:
        processor = sentencepiece.SentencePieceProcessor(model_file=str(HERE / f"{name}.model"))
        size = processor.get_piece_size()
        decoded = {"every": [processor.decode([index]) for index in range(size)]}
        if size > 10_000:
            decoded["strided"] = [processor.decode(ids) for ids in strided(size)]
        else:
            decoded["sequences"] = [
                {"ids": ids, "text": processor.decode(ids)} for ids in sequences(processor, rng, 200)
            ]
        text = json.dumps(decoded, ensure_ascii=False, separators=(",", ":")).replace('},{', '},\n{')
        (HERE / f"{name}.decoded.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
