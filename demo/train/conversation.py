"""The demo's long recording: five speakers talk for two minutes. What each says, in whose voice, and when."""

import csv
from typing import NamedTuple

import numpy as np
import soundfile

from corpus import pronounce, without_silence
from sentences import COMMA, LISTED, read
from speech import RATE, Speaker


class Voice(NamedTuple):
    """A speaker: espeak-ng's voice, its words a minute, its pitch."""

    language: str
    variant: str
    speed: int
    pitch: int


SPEAKERS = {
    "A": Voice("zh", "+f2", 140, 55),
    "B": Voice("zh", "+m3", 150, 40),
    "C": Voice("en", "+f4", 140, 60),
    "D": Voice("en", "+m1", 150, 45),
    "E": Voice("zh", "+f1", 160, 65),
}

SCRIPT = """
A 你好，大家。
B 你好，老师。
A 今天早上天气很好。
B 老师，今天学校？
A 明天下午，我们工作。
B 很好，谢谢。
C hello， friend。
D good morning， doctor。
C weather today？
D yes， good。
C please open computer， start music。
D thank you， friend。
C one three five seven。
E 关闭电视。
A 明天晚上电影？
E 很好，谢谢。
B 手机，一三五七，九二四六。
E 红色苹果、香蕉、蓝色电视。
A 昨天下午，他们工作。
B 我们今天喝水。
E 明天北京？
A 我们吃饭。
B 谢谢，朋友。
D hello， world。
C red apple， green banana， blue house。
D friend， school tomorrow？
C no， thank you。
D weather tomorrow？
C yes， please。
D please close phone， stop music。
C good night， friend。
A 打开电视，关闭空调。
B 今天晚上，大家吃饭。
E 明天公园？
A 很好，谢谢。
E 昨天天气很好。
B 医生，明天上海？
A 我们工作。
E 再见，朋友。
B 再见，老师。
C good night， doctor。
D thank you， friend。
"""

# Seconds: between phrases, between sentences at least and at most; and how many dB the room's noise is below the speech.
BREATH, PAUSES, NOISE = 0.25, (0.9, 1.5), 32


def spoken(speaker, voice, phrases):
    """Samples of a sentence, from its first sound to its last."""
    parts = []
    for words, mark in phrases:
        _, reading = pronounce(voice.language, words)
        name = ("cmn-latn-pinyin" if voice.language == "zh" else "en") + voice.variant
        sound, _ = without_silence(speaker.say(reading, name, voice.speed, voice.pitch)[0])
        parts.append(sound / np.abs(sound).max())
        if mark in (COMMA, LISTED):
            parts.append(np.zeros(int(BREATH * RATE)))
    return np.concatenate(parts)


def record(seed=3):
    """The samples, and a row for each sentence: when it begins and ends in ms, who speaks, what is said."""
    random, speaker = np.random.default_rng(seed), Speaker()
    parts, rows, done = [np.zeros(RATE)], [], RATE
    for line in SCRIPT.split("\n")[1:-1]:
        name, text = line.split(" ", 1)
        voice = SPEAKERS[name]
        sound = spoken(speaker, voice, read(text, voice.language))
        rows.append([done * 1000 // RATE, (done + len(sound)) * 1000 // RATE, name, text])
        # Each speaker is at another distance.
        parts += [sound * (1 - 0.15 * (ord(name) - ord("A"))), np.zeros(int(random.uniform(*PAUSES) * RATE))]
        done += sum(map(len, parts[-2:]))
    samples = np.concatenate(parts)
    noise = random.standard_normal(len(samples))
    loudness = np.sqrt(np.mean(samples**2))
    samples = samples + noise * loudness * 10 ** (-NOISE / 20)
    return (0.7 * samples / np.abs(samples).max()).astype(np.float32), rows


def write(folder):
    """conversation.ogg, in Opus, and sentences.tsv."""
    folder.mkdir(parents=True, exist_ok=True)
    samples, rows = record()
    soundfile.write(folder / "conversation.ogg", samples, RATE, format="OGG", subtype="OPUS", compression_level=0.95)
    with open(folder / "sentences.tsv", "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(["begin_ms", "end_ms", "speaker", "text"])
        table.writerows(rows)
