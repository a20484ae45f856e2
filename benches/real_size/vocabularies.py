"""Made-up vocabularies of the published sizes, in the published formats."""

import json
import struct

from wire import field, varint

# The tags of SenseVoice and their ids, by the tables in FunASR's SenseVoiceSmall.
TAGS = {
    24884: "<|zh|>",
    24885: "<|en|>",
    24888: "<|yue|>",
    24892: "<|ja|>",
    24896: "<|ko|>",
    24992: "<|nospeech|>",
    24993: "<|Speech|>",
    24995: "<|BGM|>",
    25001: "<|HAPPY|>",
    25002: "<|SAD|>",
    25003: "<|ANGRY|>",
    25004: "<|NEUTRAL|>",
    25009: "<|EMO_UNKNOWN|>",
    25016: "<|withitn|>",
    25017: "<|woitn|>",
}
FIRST_HAN = 0x4E00
# How many Han characters there are from FIRST_HAN on that every system knows.
HAN = 20000
# Latin words stand beside them, a fifth of a vocabulary.
LATIN_SHARE = 5
# Types of pieces in sentencepiece's protocol: https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto
NORMAL, UNKNOWN, CONTROL = 1, 2, 3


def latin(number):
    """A word that can be spoken: ba, be, …, baba, …"""
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
    word = syllables[number % len(syllables)]
    while number := number // len(syllables):
        word += syllables[number % len(syllables)]
    return word


def units(count, word):
    """So many different Han characters and Latin words; `word` makes of a word what stands in the vocabulary."""
    words = max(count // LATIN_SHARE, count - HAN)
    return [chr(FIRST_HAN + at) for at in range(count - words)] + [word(latin(at), at) for at in range(words)]


def tokens(count):
    """Paraformer's tokens.json."""
    special = ["<blank>", "<s>", "</s>"]
    own = units(count - len(special) - 1, lambda word, at: f"{word}{at}" + ("@@" if at % 3 == 0 else ""))
    return json.dumps(special + own + ["<unk>"], ensure_ascii=False, indent=0).encode()


def pieces(count):
    """SenseVoice's sentencepiece model."""
    special = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)]
    own = [(text, NORMAL) for text in units(count - len(special), lambda word, at: f"\u2581{word}{at}")]
    listed = special + own
    for at, tag in TAGS.items():
        listed[at] = (tag, NORMAL)
    return b"".join(field(1, _piece(text, -float(at), kind)) for at, (text, kind) in enumerate(listed))


def _piece(text, score, kind):
    return field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + b"\x18" + varint(kind)
