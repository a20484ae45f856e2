"""Talk made of the words that the demo's models know, with its marks: a small grammar for each language.

The words have no particles to ask with, so their order has to tell: 明天公园？ suggests a walk, 今天天气很好。 tells. Where two readings would be
possible, such as in 谢谢，老师。 and 谢谢。老师工作。, only one of them is ever made.
"""

import re
from typing import NamedTuple

from words import CHINESE, DIGITS, ENGLISH

NONE, COMMA, STOP, ASK, LISTED = "_", "，", "。", "？", "、"


class Sentence(NamedTuple):
    """language: zh or en. kind: which of its grammar's. words: (word, mark behind it) each."""

    language: str
    kind: str
    words: list


DAYS, HOURS = ("今天", "明天", "昨天"), ("早上", "下午", "晚上")
CALLED = {"zh": ("老师", "医生", "朋友", "大家"), "en": ("friend", "doctor")}
GREETINGS = {
    "zh": (("你好",), ("谢谢",), ("再见",)),
    "en": (("hello",), ("good", "morning"), ("good", "night"), ("thank", "you")),
}
PERSONS, DOES = ("我们", "他们", "大家", "老师", "医生", "朋友"), ("工作", "喝水", "吃饭", "睡觉")
PLACES = ("学校", "医院", "公园", "北京", "上海", "电影")
SWITCH = {"zh": ("打开", "关闭", "开始", "停止"), "en": ("open", "close", "start", "stop")}
SWITCHED = {"zh": ("电视", "空调", "音乐", "手机", "电影"), "en": ("computer", "music", "phone")}
COLOURS = {"zh": ("红色", "蓝色"), "en": ("red", "green", "blue")}
THINGS = {"zh": ("苹果", "香蕉", "电视", "空调"), "en": ("apple", "banana", "house", "computer")}
FIGURES = {"zh": tuple(DIGITS), "en": tuple("zero one two three four five six seven eight nine".split())}
PHONE = {"zh": "手机", "en": "phone"}
SUBJECTS, WHEN = ("school", "music", "weather", "water"), ("today", "tomorrow")

# What never follows what, because nobody could tell where the first one ends.
APART = {
    ("command", "command"), ("command", "list"), ("command", "number"), ("list", "list"), ("list", "number"), ("number", "number"),
    ("plan", "command"), ("weather", "answer"), ("greeting", "plan"), ("greeting", "call"), ("answer", "plan"), ("answer", "call"),
    ("answer", "greeting"),
}  # fmt: skip


def _one(random, choices):
    return choices[int(random.integers(len(choices)))]


def _plain(*words):
    """Words with nothing between them."""
    return [(word, NONE) for word in words]


def _ended(words, mark):
    """The words with a mark behind the last one."""
    return [*words[:-1], (words[-1][0], mark)]


def _joined(parts, mark):
    """Parts with a mark between them."""
    return [each for part in parts[:-1] for each in _ended(part, mark)] + parts[-1]


def _time(random):
    """A day, or an hour of a day."""
    return _plain(_one(random, DAYS), *([_one(random, HOURS)] if random.random() < 0.5 else []))


def _greeting(random, language):
    said = _plain(*_one(random, GREETINGS[language]))
    called = CALLED[language] + (("world",) if said[0][0] == "hello" else ())
    parts = [said, _plain(_one(random, called))] if random.random() < 0.6 else [said]
    return _ended(_joined(parts, COMMA), STOP)


def _question(random, language):
    if language == "zh":
        return _ended(_time(random) + _plain(_one(random, PLACES)), ASK)
    return _ended(_plain(_one(random, SUBJECTS), _one(random, WHEN)), ASK)


def _call(random, language):
    return _joined([_plain(_one(random, CALLED[language])), _question(random, language)], COMMA)


def _answer(random, language):
    if language == "zh":
        parts = _one(random, (["很好"], ["很好", "谢谢"]))
        return _ended(_joined([_plain(part) for part in parts], COMMA), STOP)
    answers = (["yes"], ["good"]), (["yes"], ["please"]), (["no"], ["thank", "you"])
    parts = _one(random, (*answers, (["yes"], [_one(random, SUBJECTS), _one(random, WHEN)])))
    return _ended(_joined([_plain(*part) for part in parts], COMMA), STOP)


def _command(random, language):
    parts = [_plain(_one(random, SWITCH[language]), _one(random, SWITCHED[language])) for _ in range(random.integers(1, 3))]
    if language == "en" and random.random() < 0.5:
        parts[0] = _plain("please") + parts[0]
    return _ended(_joined(parts, COMMA), STOP)


def _list(random, language):
    parts = []
    for _ in range(random.integers(2, 4)):
        coloured = [_one(random, COLOURS[language])] if language == "en" or random.random() < 0.5 else []
        parts.append(_plain(*coloured, _one(random, THINGS[language])))
    return _ended(_joined(parts, LISTED if language == "zh" else COMMA), STOP)


def _number(random, language):
    figures = [_one(random, FIGURES[language]) for _ in range(random.integers(2, 9))]
    parts = [_plain(*figures[start : start + 4]) for start in range(0, len(figures), 4)]
    if random.random() < 0.5:
        parts = [_plain(PHONE[language]), *parts]
    return _ended(_joined(parts, COMMA), STOP)


def _weather(random, _):
    return _ended(_time(random) + _plain("天气", "很好"), STOP)


def _plan(random, _):
    does = _plain(_one(random, DOES))
    if random.random() < 0.3:
        does = _plain(_one(random, SWITCH["zh"]), _one(random, SWITCHED["zh"]))
    who, when = _plain(_one(random, PERSONS)), _time(random)
    if len(when) == 2:
        # An hour of a day goes first, and has a comma.
        return _ended(_joined([when, who + does], COMMA), STOP)
    return _ended(_one(random, (when + who + does, who + when + does, who + does)), STOP)


def _anything(random, language):
    """Words that make no sense together, as the short recordings have them."""
    words = list(CHINESE) + list(DIGITS) if language == "zh" else list(ENGLISH)
    return _ended(_plain(*(_one(random, words) for _ in range(random.integers(1, 5)))), STOP)


KINDS = {
    "zh": {
        "greeting": _greeting, "question": _question, "call": _call, "answer": _answer, "command": _command, "list": _list,
        "number": _number, "weather": _weather, "plan": _plan, "anything": _anything,
    },
    "en": {
        "greeting": _greeting, "question": _question, "call": _call, "answer": _answer, "command": _command, "list": _list,
        "number": _number, "anything": _anything,
    },
}  # fmt: skip


def talk(random, most):
    """One to `most` sentences that may follow each other. The language changes now and then; a question is often answered."""
    made, language, count = [], _one(random, ("zh", "en")), random.integers(1, most + 1)
    while len(made) < count:
        before = made[-1] if made else None
        if before and random.random() < 0.3:
            language = "en" if before.language == "zh" else "zh"
        same = before and before.language == language
        if same and before.kind in ("question", "call") and random.random() < 0.4:
            kind = "answer"
        else:
            kind = _one(random, list(KINDS[language]))
        if same and (before.kind, kind) in APART:
            continue
        made.append(Sentence(language, kind, KINDS[language][kind](random, language)))
    return made


def marked(sentences):
    """The tokens of the models and the mark behind each: characters of Chinese words, whole English words."""
    tokens, marks = [], []
    for sentence in sentences:
        for word, mark in sentence.words:
            own = list(word) if sentence.language == "zh" else [word]
            tokens += own
            marks += [NONE] * (len(own) - 1) + [mark]
    return tokens, marks


def read(text, language):
    """The phrases of a text, each its words and the mark behind it: 你好，老师。 is [([你好], ，), ([老师], 。)]."""
    phrases, words = [], []
    pieces = re.findall("[a-z]+|[，。？、]|[^a-z\\s，。？、]+", text)
    for piece in pieces:
        if piece in (COMMA, STOP, ASK, LISTED):
            phrases.append((words, piece))
            words = []
        elif language == "en":
            words.append(piece)
        else:
            words += _chinese_words(piece)
    return phrases


def _chinese_words(text):
    """Words of two characters where there are such, digits else."""
    words = []
    while text:
        length = 2 if text[:2] in CHINESE else 1
        words.append(text[:length])
        text = text[length:]
    return words
