"""What models/recorder.onnx answers: a stand-in for the decoder that tells what it was sent.

The decoder's answer reaches a client only as text, one token per embedding. So the recorder's ids are numbers; the
vocabulary spells them out; and the first two encoder frames, which CIF leaves alone, say what the numbers tell:

    enc[1, 0]   EMBEDS    each embedding's projection on enc[0], as `level`
                ENC       the projection of the mean of enc[2:], the same for each embedding
                FLAGS     1 for START, 2 for END, and 4 times the number of this call since START
                LENGTHS   acoustic_embeds_len and 64 times enc_len
                FAIL      the call fails
    enc[1, 1]   how many turns of work to do first
"""

import json

EMBEDS, ENC, FLAGS, LENGTHS, FAIL = range(5)

# Numbers between -RANGE and RANGE in steps of 1 / PER_UNIT.
RANGE = 8
PER_UNIT = 2**14
LEVELS = 2 * RANGE * PER_UNIT
# Ids that are never text.
SPECIAL = 3


def write_vocabulary(path):
    """A tokens.json of as many tokens as there are levels; each says which it is."""
    tokens = ["<blank>", "<s>", "</s>", *(f"{level};" for level in range(LEVELS))]
    path.write_text(json.dumps(tokens))


def numbers(text):
    """The numbers that a text of that vocabulary spells out."""
    return [int(number) for number in text.split(";")[:-1]]


def projections(text):
    """The projections that a text of that vocabulary spells out."""
    return [number / PER_UNIT - RANGE for number in numbers(text)]
