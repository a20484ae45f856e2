#!/usr/bin/env python3
"""Speaks the long recording and those whose text a hotword changes, and makes golden.tsv and times.tsv of a model in demo/."""

import argparse
import wave
from pathlib import Path

import numpy as np

import conversation
import corpus
import golden
from speech import RATE, Speaker

DEMO = Path(__file__).resolve().parents[1]

# With hotwords: "park under construction", "they (women) work at the First Hospital", "old teacher, Pingguo, bananas".
SAID = (["公园", "再见"], ["他们", "医院", "工作"], ["老师", "苹果", "香蕉"])


def speak(folder):
    """Writes the recordings, and text.tsv of what is said in the usual words."""
    random, speaker, lines = np.random.default_rng(2), Speaker(), []
    folder.mkdir(parents=True, exist_ok=True)
    for index, words in enumerate(SAID):
        samples, _, _ = corpus.record(random, speaker, "zh", words)
        name = f"{index:02}_zh_hotword.wav"
        with wave.open(str(folder / name), "wb") as file:
            file.setnchannels(1), file.setsampwidth(2), file.setframerate(RATE)
            file.writeframes((samples * 32767).astype("<i2").tobytes())
        lines.append(f"{name}\tzh\t{''.join(words)}\n")
    (folder / "text.tsv").write_text("".join(lines), encoding="utf-8")


def main():
    """Speaks, or writes a model's answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["recordings", "conversation", "paraformer_bicif", "seaco"])
    what = parser.parse_args().what
    if what == "recordings":
        return speak(DEMO / "seaco/recordings")
    if what == "conversation":
        return conversation.write(DEMO / "conversation")
    golden.write(what, DEMO / what, DEMO / "recordings", *([DEMO / "seaco/recordings"] if what == "seaco" else []))


if __name__ == "__main__":
    main()
