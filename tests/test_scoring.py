"""The step `scoring`, called directly, with ids and texts recorded from the Python scoring it replaces."""

import json
from functools import partial

import numpy as np
import pytest

from support.client import GRPC, HTTP, InferenceServerException
from support.load import at_once, shared_executions
from support.variants import SCORING_DATA

PIECES = 25055
CASES = json.loads((SCORING_DATA / "scoring_ctc.json").read_text(encoding="utf-8"))


def logits_of(ids, frames=None, junk=7):
    """Scores whose best piece per frame is the given one; `junk` is the best of the frames behind them."""
    frames = frames or len(ids)
    best = list(ids) + [junk] * (frames - len(ids))
    scores = np.random.default_rng(len(ids)).normal(size=(frames, PIECES)).astype(np.float32)
    scores[np.arange(frames), best] = 20.0
    return scores


def score(client, rows, lengths, model="golden_scoring", protocol=HTTP):
    """The texts of one request."""
    tensors = {"ctc_logits": np.stack(rows), "encoder_out_lens": np.array(lengths, np.int32).reshape(-1, 1)}
    answer = client.infer(model, tensors, ["OUTPUT0"], protocol)["OUTPUT0"]
    assert answer.shape == (len(rows), 1)
    return list(answer[:, 0])


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{len(case['frame_ids'])}-frames")
def test_recorded_texts(sensevoice, case, protocol):
    ids = case["frame_ids"]
    assert score(sensevoice, [logits_of(ids)], [len(ids)], protocol=protocol) == [case["text"]]


def test_a_batch_with_different_frame_counts(sensevoice):
    """Every row is read over its own frames alone, and repeats are not collapsed from one row into the next."""
    cases = CASES + CASES[::-1]
    longest = max(len(case["frame_ids"]) for case in cases)
    rows = [logits_of(case["frame_ids"], longest, junk=500 + number) for number, case in enumerate(cases)]
    texts = score(sensevoice, rows, [len(case["frame_ids"]) for case in cases])
    assert texts == [case["text"] for case in cases]


def test_a_row_that_begins_as_the_one_before_ends(sensevoice):
    ids = [9765, 24169, 3871, 1627, 10717]
    texts = score(sensevoice, [logits_of(ids), logits_of(ids[::-1])], [5, 5])
    (first,), (second,) = (score(sensevoice, [logits_of(each)], [5]) for each in (ids, ids[::-1]))
    assert texts == [first, second]
    assert second[0] == first[-1]


def test_encoder_out_lens_shorter_than_the_tensor(sensevoice):
    ids = CASES[1]["frame_ids"]
    for frames in (5, 8, 12):
        short = score(sensevoice, [logits_of(ids)], [frames])
        assert short == score(sensevoice, [logits_of(ids[:frames])], [frames])


@pytest.mark.alone
def test_requests_of_different_lengths_share_an_execution(sensevoice):
    lengths = [len(case["frame_ids"]) for case in CASES]
    assert len(set(lengths)) == len(CASES)
    before = sensevoice.statistics_at_rest("golden_scoring")
    calls = [partial(score, sensevoice, [logits_of(case["frame_ids"])], [len(case["frame_ids"])]) for case in CASES]
    assert at_once(sensevoice, calls) == [[case["text"]] for case in CASES]
    after = sensevoice.statistics_after(before, "golden_scoring", len(CASES))
    assert max(shared_executions(before, after)) > 1


def test_bad_requests_beside_a_good_one(sensevoice):
    """Errors name tensor and value, and stay with the request that caused them."""
    ids = CASES[0]["frame_ids"]
    good = partial(score, sensevoice, [logits_of(ids)], [len(ids)])

    def error(rows, lengths):
        try:
            return score(sensevoice, rows, lengths)
        except Exception as error:  # noqa: BLE001 - looked at below
            return str(error)

    narrow = np.zeros((5, 100), np.float32)
    bad = [
        partial(error, [logits_of(ids)], [len(ids) + 1]),
        partial(error, [logits_of(ids)], [-1]),
        partial(error, [narrow], [5]),
    ]
    answers = at_once(sensevoice, [good, bad[0], good, bad[1], good, bad[2], good])
    assert [answers[place] for place in (0, 2, 4, 6)] == [[CASES[0]["text"]]] * 4
    assert "encoder_out_lens" in answers[1] and str(len(ids) + 1) in answers[1]
    assert "encoder_out_lens" in answers[3] and "-1" in answers[3]
    assert "ctc_logits" in answers[5] and "100" in answers[5]


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_frames_of_nothing_but_nan_are_an_error_and_no_silence(sensevoice, protocol):
    """NaN beside numbers, or behind a row's frames, is none."""
    ids = CASES[0]["frame_ids"]
    broken, some, behind = logits_of(ids), logits_of(ids), logits_of(ids, len(ids) + 2)
    broken[3:] = np.nan
    some[3, np.arange(PIECES) != ids[3]] = np.nan
    behind[len(ids) :] = np.nan
    for row, frames in ((some, len(ids)), (behind, len(ids))):
        assert score(sensevoice, [row], [frames], protocol=protocol) == [CASES[0]["text"]]
    good = partial(score, sensevoice, [logits_of(ids)], [len(ids)], protocol=protocol)

    def error(rows):
        with pytest.raises(InferenceServerException) as caught:
            score(sensevoice, rows, [len(ids)] * len(rows), protocol=protocol)
        return caught.value.message()

    for answer, row, frame in (
        (error([np.full_like(broken, np.nan)]), 0, 0),
        (error([logits_of(ids), broken]), 1, 3),
    ):
        words = f"model 'golden_scoring': input 'ctc_logits', row {row}: frame {frame} has no score but NaN"
        assert words in answer, answer
    told, *well = at_once(sensevoice, [partial(error, [broken]), *[good] * 6])
    assert "NaN" in told and well == [[CASES[0]["text"]]] * 6
