"""What the models are trained towards: `python -m unittest discover demo/train`, in the environment of make.py."""

import json
import unittest

import numpy as np
import torch

import conversation
import hotwords
import online
import punctuation
import sensevoice
import sentences
import times
import voice
import words
from corpus import Clip
from make import DEMO


class Vocabularies(unittest.TestCase):
    """The ids that committed models were trained with."""

    def test_they_are_those_of_the_committed_models(self):
        for folder, tokens in (("paraformer", words.paraformer_tokens()), ("punc", words.paraformer_tokens()), ("seaco", words.hotword_tokens())):
            self.assertEqual(json.loads((DEMO / folder / "tokens.json").read_text(encoding="utf-8")), tokens)

    def test_a_homophone_sounds_like_a_word_of_the_same_length(self):
        for strange, usual in words.HOMOPHONES.items():
            self.assertIn(usual, words.CHINESE)
            self.assertEqual(len(strange), len(usual))
            self.assertNotIn(strange, words.CHINESE)


class Targets(unittest.TestCase):
    """What each part is to answer."""

    def test_a_hotword_takes_the_place_of_what_sounds_like_it(self):
        ids = {token: index for index, token in enumerate(words.hotword_tokens())}
        nothing = ids["<nobias>"]
        hotword = [(list("在建"), list("再见"))]
        answer = hotwords.labels(list("公园再见"), hotword, ids, nothing)
        self.assertEqual(answer, [nothing, nothing, ids["在"], ids["建"], nothing])
        self.assertEqual(hotwords.labels(list("公园"), hotword, ids, nothing), [nothing] * 3)

    def test_a_longer_hotword_wins(self):
        ids = {token: index for index, token in enumerate(words.hotword_tokens())}
        both = [(list("公元"), list("公园")), (list("公园再见"), list("公园再见"))]
        self.assertEqual(hotwords.labels(list("公园再见"), both, ids, -1), [*(ids[each] for each in "公园再见"), -1])

    def test_the_sum_of_alphas_passes_a_whole_number_where_a_token_begins(self):
        # 0.2 s and 0.5 s are steps 10 and 25; FunASR takes 1.5 steps off a peak's place.
        sums = times.wanted([0.2, 0.5], 40).cumsum()
        self.assertEqual([int(np.argmax(sums > whole - 1e-4)) for whole in (1, 2)], [12, 26])
        self.assertAlmostEqual(float(sums[-1]), 2.0, places=5)

    def test_figures_and_a_full_stop_are_written_with_text_normalisation(self):
        clip = Clip(None, ["再", "见", "七", "九"], None, "zh")
        self.assertEqual(sensevoice.written(clip, True), ["再", "见", "7", "9", "。"])
        self.assertEqual(sensevoice.written(clip, False), ["再", "见", "七", "九"])

    def test_a_window_has_the_ten_frames_before_it_and_ten_new_ones(self):
        cut = online.windows(torch.ones(12, 560), lambda frames: frames)
        self.assertEqual(list(cut.shape), [2, 20, 560])
        level = 128**0.5
        self.assertEqual(cut[0, :, 0].tolist(), [0.0] * 10 + [torch.tensor(level).item()] * 10)
        self.assertEqual(int((cut[1, :, 0] != 0).sum()), 12)

    def test_a_frame_is_speech_unless_it_is_quiet_for_long(self):
        tone = np.sin(np.arange(16000) / 3)
        # Silence of 0.1 s is within a word, of 0.4 s between two.
        samples = np.concatenate([tone, np.zeros(1600), tone, np.zeros(6400), 0.001 * tone, tone])
        speech = voice.spoken_frames(samples)
        self.assertTrue(speech[:210].all())
        self.assertFalse(speech[212:346].any(), "60 dB below the loudest is none")
        self.assertTrue(speech[350:].all())

    def test_a_stacked_frame_has_the_two_before_and_the_two_behind(self):
        bins = np.arange(6)[:, None].repeat(80, 1)
        made = voice.stacked(voice.Passage(bins, np.zeros(6, bool)))
        self.assertEqual(made[:, ::80].tolist()[::3], [[0, 0, 0, 1, 2], [1, 2, 3, 4, 5]])


class Talk(unittest.TestCase):
    """The grammar of the punctuation models."""

    def test_a_talk_is_what_its_words_and_marks_say(self):
        tokens, marks = sentences.marked([
            sentences.Sentence("zh", "greeting", [("你好", "，"), ("老师", "。")]),
            sentences.Sentence("en", "question", [("weather", "_"), ("today", "？")]),
        ])
        self.assertEqual(tokens, ["你", "好", "老", "师", "weather", "today"])
        self.assertEqual(marks, ["_", "，", "_", "。", "_", "？"])

    def test_no_sentence_follows_one_that_it_cannot_be_told_from(self):
        random = np.random.default_rng(0)
        for _ in range(300):
            talk = sentences.talk(random, 10)
            self.assertLessEqual(len(talk), 10)
            for one, other in zip(talk, talk[1:]):
                self.assertFalse(one.language == other.language and (one.kind, other.kind) in sentences.APART)
                self.assertIn(one.words[-1][1], "。？")

    def test_a_text_is_read_phrase_by_phrase(self):
        self.assertEqual(sentences.read("手机，一三。", "zh"), [(["手机"], "，"), (["一", "三"], "。")])
        self.assertEqual(sentences.read("hello， my friend？", "en"), [(["hello"], "，"), (["my", "friend"], "？")])

    def test_the_conversation_has_only_words_that_the_models_know(self):
        for line in conversation.SCRIPT.split("\n")[1:-1]:
            name, text = line.split(" ", 1)
            language = conversation.SPEAKERS[name].language
            said = [word for phrase, _ in sentences.read(text, language) for word in phrase]
            self.assertLessEqual(set(said), set(words.PINYIN) if language == "zh" else set(words.ENGLISH))

    def test_an_example_has_a_mark_for_each_word(self):
        ids = {token: index for index, token in enumerate(words.paraformer_tokens())}
        random = np.random.default_rng(0)
        for _ in range(50):
            given, marks = punctuation.example(random, ids)
            self.assertEqual(len(given), len(marks))
            self.assertTrue(set(marks.tolist()) <= {1, 2, 3, 4, 5})


if __name__ == "__main__":
    unittest.main()
