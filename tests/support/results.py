"""What models tell beside the text, as arrays of rows."""

import json

LISTS = ["TOKENS", "TOKEN_START_MS", "TOKEN_END_MS", "TOKEN_CONFIDENCE", "WORDS", "WORD_START_MS", "WORD_END_MS"]
SINGLE = ["TEXT", "CONFIDENCE", "TOKEN_COUNT", "RESULT_JSON"]
TAGS = ["LANGUAGE_ID", "EMOTION", "AUDIO_EVENT"]
OF_STREAMS = ["IS_FINAL", "FULL_TEXT"]
TIMES = ["TOKEN_START_MS", "TOKEN_END_MS", "WORD_START_MS", "WORD_END_MS"]

# What stands behind the last value of a row that is shorter than its request's longest.
PADDING = {"STRING": "", "MS": -1, "NUMBER": 0.0}


def padding(name):
    """What an output is padded with."""
    if name.endswith("_MS"):
        return PADDING["MS"]
    return PADDING["NUMBER"] if name.endswith("CONFIDENCE") else PADDING["STRING"]


def rows_of(answer):
    """An answer's outputs, by row: without padding, which is checked to be what it should be."""
    count = len(next(iter(answer.values())))
    return [{name: row_of(name, values, row, answer) for name, values in answer.items()} for row in range(count)]


def row_of(name, values, row, answer):
    """One row of an output."""
    if name not in LISTS:
        assert values.shape[1:] == (1,), name
        value = values[row, 0]
        return json.loads(value) if name == "RESULT_JSON" else value.item() if hasattr(value, "item") else value
    own = list(values[row])
    length = length_of(name, row, answer)
    assert all(value == padding(name) for value in own[length:]), (name, own)
    return own[:length]


def length_of(name, row, answer):
    """How many values of a row are no padding."""
    if name.startswith("TOKEN"):
        return int(answer["TOKEN_COUNT"][row, 0])
    return sum(word != "" for word in answer["WORDS"][row])
