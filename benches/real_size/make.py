"""Makes exports of the published sizes with seeded random weights; `cargo xtask real-size` runs it.

Each model gets a directory in the layout of FunASR's own exports, and one more with half precision.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

import vocabularies
from published import MODELS, yaml

PRECISIONS = ("fp32", "int8", "fp16")
SENSEVOICE_PIECES = "chn_jpn_yue_eng_ko_spectok.bpe.model"
# Written last: what it says is there whole.
DONE = "made.json"


def main():
    options = arguments()
    for name in options.only:
        make(name, options)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cmvn", type=Path, required=True, help="an am.mvn for the published front end")
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--blocks", type=int, help="so few blocks, to try this tool: its models are not of the published sizes then")
    return parser.parse_args()


def tell(verb, what):
    """In the manner of cargo."""
    print(f"{verb:>12} {what}", file=sys.stderr, flush=True)


def make(name, options):
    published = MODELS[name].with_blocks(options.blocks) if options.blocks else MODELS[name]
    directory = options.out / name
    half = options.out / f"{name}-fp16"
    wanted = {"seed": options.seed, "precisions": sorted(options.precisions), "blocks": options.blocks}
    if is_made(directory, wanted):
        tell("Fresh", directory)
        return
    import torch

    import exports

    torch.set_num_threads(options.threads)
    for each in (directory, half):
        shutil.rmtree(each, ignore_errors=True)
    directory.mkdir(parents=True)
    tell("Making", f"{name} with random weights, seed {options.seed}")
    model = exports.build(published, options.seed)
    count = exports.parameters(model)
    tell("", f"{count / 1e6:.0f} million parameters")
    if not options.blocks and abs(count / published.parameters - 1) > 0.03:
        sys.exit(f"{name} has {count} parameters and should have about {published.parameters:.0f}")
    tell("Exporting", " and ".join(published.files))
    exports.export(model, published, directory)
    del model
    if "int8" in options.precisions:
        in_int8(published, directory)
    companions(name, published, directory, options.cmvn)
    if "fp16" in options.precisions:
        in_half(published, directory, half)
    (directory / DONE).write_text(json.dumps({**wanted, "parameters": count}))


def is_made(directory, wanted):
    try:
        made = json.loads((directory / DONE).read_text())
    except OSError:
        return False
    same = all(made.get(key) == wanted[key] for key in ("seed", "blocks"))
    return same and set(wanted["precisions"]) <= set(made["precisions"])


def companions(name, published, directory, cmvn):
    """What lies beside an export's ONNX files."""
    shutil.copy(cmvn, directory / "am.mvn")
    (directory / "config.yaml").write_text(yaml(published.config()) + "\n")
    if name == "sensevoice":
        (directory / SENSEVOICE_PIECES).write_bytes(vocabularies.pieces(published.vocabulary))
    else:
        (directory / "tokens.json").write_bytes(vocabularies.tokens(published.vocabulary))


def in_int8(published, directory):
    import precisions

    for file in published.files:
        tell("Converting", f"{file} to int8")
        precisions.int8(directory / file, directory / file.replace(".onnx", "_quant.onnx"))


def in_half(published, directory, half):
    import precisions

    half.mkdir()
    for file in directory.iterdir():
        if file.suffix != ".onnx":
            os.link(file, half / file.name)
    for file in published.files:
        tell("Converting", f"{file} to half precision")
        precisions.half(directory / file, half / file)


if __name__ == "__main__":
    main()
