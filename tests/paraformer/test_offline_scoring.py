"""The offline scoring step by itself: recorded cases, ragged batches, vocabularies, errors."""

import json
import random
from functools import partial

import numpy as np
import pytest

from paraformer.repositories import DECODE_DATA
from paraformer.variants import YAML_TOKENS
from support.client import GRPC, HTTP, PROTOCOLS, InferenceServerException
from support.load import at_once, counted, shared_executions

TOKENS = json.loads((DECODE_DATA / "tokens.json").read_text(encoding="utf-8"))
CASES = json.loads((DECODE_DATA / "scoring_paraformer.json").read_text(encoding="utf-8"))


def logits(ids, width=len(TOKENS), frames=None):
    """Scores with the best one where the ids say, and random ones elsewhere; frames behind the ids are all random."""
    rng = np.random.default_rng(len(ids))
    array = rng.uniform(-8, 0, (frames or len(ids), width)).astype(np.float32)
    array[np.arange(len(ids)), ids] = 1
    return array


def score(client, rows, counts, model="golden_scoring", protocol=HTTP):
    """The texts of one request; rows are padded with scores that are better than all others."""
    longest = max(len(row) for row in rows)
    batch = np.stack([np.pad(row, ((0, longest - len(row)), (0, 0)), constant_values=5) for row in rows])
    tensors = {"logits": batch, "token_num": np.int32(counts).reshape(-1, 1)}
    return client.infer(model, tensors, ["OUTPUT0"], protocol)["OUTPUT0"].tolist()


def joined(ids, count):
    """Our join of recorded ids. None of them is a single letter, and no two words follow each other."""
    text, tokens = "", [TOKENS[each] for each in ids[:count] if each > 2]
    for token in tokens:
        text += token
    return text.replace("@@", "").replace("<space>", " ").strip()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_recorded_cases_one_by_one(offline, protocol):
    for case in CASES:
        ids, count = case["argmax_ids"], case["token_num"]
        raw = score(offline, [logits(ids)], [count], "golden_scoring_raw", protocol)
        assert raw == [[case["text"]]]
        assert score(offline, [logits(ids)], [count], protocol=protocol) == [[joined(ids, count)]]


def test_recorded_cases_as_rows_of_one_request(offline):
    rows = [logits(case["argmax_ids"]) for case in CASES]
    counts = [case["token_num"] for case in CASES]
    assert score(offline, rows, counts, "golden_scoring_raw") == [[case["text"]] for case in CASES]
    assert score(offline, rows, counts) == [[joined(case["argmax_ids"], case["token_num"])] for case in CASES]


def test_requests_of_different_lengths_share_an_execution(offline):
    rng = random.Random(5)
    calls, texts = [], []
    for _ in range(24):
        ids = [rng.randrange(3, len(TOKENS)) for _ in range(rng.randint(1, 60))]
        count = rng.randint(0, len(ids))
        calls.append(partial(score, offline, [logits(ids)], [count], "golden_scoring_raw"))
        texts.append([["".join(TOKENS[each] for each in ids[:count]).replace("<space>", " ")]])
    before = offline.statistics("golden_scoring_raw")
    assert at_once(offline, calls) == texts
    offline.wait_until(lambda: counted(before, offline.statistics("golden_scoring_raw"), "inference_count") == 24)
    assert max(shared_executions(before, offline.statistics("golden_scoring_raw"))) > 1


def id_of(token):
    """The id of a token of the recorded vocabulary."""
    return TOKENS.index(token)


def test_words_are_joined(offline):
    """Subwords, English beside Chinese, special tokens."""
    parts = [token for token in TOKENS if token.endswith("@@")][:2]
    words = [token for token in TOKENS[3:] if token.isascii() and token.isalnum() and len(token) > 1][:2]
    chinese = [token for token in TOKENS if len(token) == 1 and "一" <= token <= "鿿"][:2]
    assert len(parts) == len(words) == len(chinese) == 2
    tokens = [*words, parts[0], parts[1], words[0], *chinese, words[1], "<blank>", words[0], "</s>", chinese[0]]
    ids = [id_of(token) for token in tokens]
    stems = [part[:-2] for part in parts]
    expected = (
        f"{words[0]} {words[1]} {stems[0]}{stems[1]}{words[0]}{chinese[0]}{chinese[1]}{words[1]} {words[0]}{chinese[0]}"
    )
    assert score(offline, [logits(ids)], [len(ids)]) == [[expected]]
    raw = "".join(token for token in tokens if token not in ("<blank>", "<s>", "</s>"))
    assert score(offline, [logits(ids)], [len(ids)], "golden_scoring_raw") == [[raw]]


def test_no_tokens_are_no_text(offline):
    ids = CASES[2]["argmax_ids"]
    assert score(offline, [logits(ids)] * 3, [0, len(ids), 0], "golden_scoring_raw")[::2] == [[""], [""]]
    assert score(offline, [logits([0, 1, 2])], [3]) == [[""]]


def test_a_token_list_in_yaml_keeps_what_is_written(offline):
    ids = list(range(3, 3 + len(YAML_TOKENS)))
    width = 3 + len(YAML_TOKENS)
    assert score(offline, [logits(ids, width)], [len(ids)], "yaml_scoring") == [["".join(YAML_TOKENS)]]
    for each in ids:
        assert score(offline, [logits([each], width)], [1], "yaml_scoring") == [[YAML_TOKENS[each - 3]]]


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([-1], ("'token_num'", "row 0 is -1", "0 to 12")),
        ([13], ("'token_num'", "row 0 is 13", "0 to 12")),
        ([4, 2**31 - 1], ("'token_num'", "row 1 is 2147483647", "0 to 12")),
    ],
)
def test_counts_that_cannot_be(offline, counts, words, protocol):
    rows = [logits(CASES[2]["argmax_ids"])] * len(counts)
    with pytest.raises(InferenceServerException) as caught:
        score(offline, rows, counts, protocol=protocol)
    for word in words:
        assert word in caught.value.message(), caught.value
    assert caught.value.status() == ("StatusCode.INVALID_ARGUMENT" if protocol == GRPC else "400")


def test_scores_for_another_vocabulary(offline):
    with pytest.raises(InferenceServerException) as caught:
        score(offline, [logits([5, 6], width=100)], [2])
    for word in ("'logits'", "[1, 2, 100]", "8404"):
        assert word in caught.value.message(), caught.value
    assert caught.value.status() == "400"


def test_bad_requests_harm_no_others(offline):
    """In one execution with them, too: these models wait for company."""
    good = CASES[2]

    def bad():
        with pytest.raises(InferenceServerException) as caught:
            score(offline, [logits(good["argmax_ids"])], [99], "golden_scoring_raw")
        return caught.value.status()

    fine = partial(score, offline, [logits(good["argmax_ids"])], [good["token_num"]], "golden_scoring_raw")
    answers = at_once(offline, [fine, bad] * 8)
    assert answers == [[[good["text"]]], "400"] * 8


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_tokens_of_nothing_but_nan_are_an_error_and_no_silence(offline, protocol):
    """NaN beside numbers, or behind a row's tokens, is none."""
    case = CASES[2]
    ids, count = case["argmax_ids"], case["token_num"]
    some, broken = logits(ids), logits(ids)
    some[0, np.arange(len(TOKENS)) != ids[0]] = np.nan
    some[count:] = np.nan
    assert score(offline, [some], [count], protocol=protocol) == [[joined(ids, count)]]
    broken[1] = np.nan
    for rows, row, token in (([np.full_like(broken, np.nan)], 0, 0), ([logits(ids), broken], 1, 1)):
        with pytest.raises(InferenceServerException) as caught:
            score(offline, rows, [count] * len(rows), protocol=protocol)
        words = f"model 'golden_scoring': input 'logits', row {row}: token {token} has no score but NaN"
        assert words in caught.value.message(), caught.value
    assert score(offline, [logits(ids)], [count], protocol=protocol) == [[joined(ids, count)]]
