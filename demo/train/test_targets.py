"""What the models are trained towards: `python -m unittest discover demo/train`, in the environment of make.py."""

import json
import unittest

import numpy as np
import torch

import hotwords
import online
import sensevoice
import times
import words
from corpus import Clip
from make import DEMO


class Vocabularies(unittest.TestCase):
    """The ids that committed models were trained with."""

    def test_they_are_those_of_the_committed_models(self):
        for folder, tokens in (("paraformer", words.paraformer_tokens()), ("seaco", words.hotword_tokens())):
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


if __name__ == "__main__":
    unittest.main()
