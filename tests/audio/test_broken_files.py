"""Broken files of every kind beside good traffic: each has its answer, and no good request notices."""

import os
import random
import threading
import time

import pytest

from audio.ask import of_files, of_samples
from audio.files import FORMATS, encoded, made
from support.client import InferenceServerException
from support.recordings import recordings

SEED = int(os.environ.get("HOSTILE_SEED") or 16)
COUNT = int(os.environ.get("HOSTILE_REQUESTS") or 200)
WORD = recordings()[8].samples
KINDS = {
    **{name: lambda name=name: encoded(WORD, name, FORMATS[name][2][-1]) for name in FORMATS},
    "m4a": lambda: made("08_en.m4a"),
    "aac": lambda: made("08_en.aac"),
    "webm": lambda: made("08_en.webm"),
}


def broken(file, dice):
    """The same cut off, with bytes changed, left out or put in, or all of these."""
    file = bytearray(file)
    for _ in range(dice.choice([1, 1, 2, 5])):
        at = dice.randrange(max(1, len(file)))
        match dice.randrange(5):
            case 0:
                del file[at:]
            case 1:
                del file[at : at + dice.randrange(1, 64)]
            case 2:
                file[at:at] = dice.randbytes(dice.randrange(1, 64))
            case 3:
                file[at : at + 8] = dice.choice([b"\xff" * 8, bytes(8), b"\x7f\xff\xff\xff" * 2])
            case 4:
                # In the header most is decided.
                for _ in range(dice.randrange(1, 8)):
                    place = dice.randrange(max(1, min(len(file), dice.choice([64, 512, len(file) or 1]))))
                    file[place : place + 1] = bytes([dice.randrange(256)])
    return bytes(file)


@pytest.mark.alone
@pytest.mark.parametrize("kind", KINDS)
def test_good_requests_do_not_notice(either, kind):
    dice = random.Random(f"{SEED} {kind}")
    whole = KINDS[kind]()
    expected = of_samples(either, [WORD])
    good, slowest, done = [], [], threading.Event()

    def good_traffic():
        while not done.is_set():
            began = time.monotonic()
            good.append(of_samples(either, [WORD]))
            slowest.append(time.monotonic() - began)
        either.close()

    traffic = threading.Thread(target=good_traffic)
    traffic.start()
    try:
        answers = [answer(either, broken(whole, dice)) for _ in range(COUNT)]
    finally:
        done.set()
        traffic.join()
    assert good and all(texts == expected for texts in good)
    assert max(slowest) < 2, f"a good request waited {max(slowest):.2f} s"
    # Some of each: else nothing was broken, or everything was.
    refusals = [text for refused, text in answers if refused]
    assert 0 < len(refusals) < COUNT
    for text in refusals:
        assert "row 0" in text and len(text) < 600 and "panicked" not in text, text


def answer(client, file):
    """Whether a file was refused, and the words; the server is well in any case."""
    try:
        return False, of_files(client, [file])[0]
    except InferenceServerException as error:
        assert "400" in str(error.status()), error
        return True, error.message()
