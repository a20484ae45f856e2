"""Which calls are made for hot words, and who shares the encoder's."""

import random
import re
from functools import partial

import pytest

from hotwords.asking import SECOND, ask, told
from hotwords.repositories import CACHED
from hotwords.talking import DIGITS, KEPT, text
from support.client import GRPC, HTTP
from support.load import at_once, counted, many_at_a_time, shared_executions

OWN = ("一二", ("hello",), "三四", "五六")


def calls_of(client, encoder, work):
    """How often a model is called while something is done."""
    before = client.statistics_at_rest(encoder)
    work()
    return counted(before, client.statistics_at_rest(encoder), "execution_count")


def test_words_are_computed_once(pipelines):
    def asked(*words):
        return calls_of(
            pipelines, "counted_encoder", lambda: check(pipelines, "infer_counted", words)
        )

    # With the entry for no hot word there is room for one.
    assert CACHED == 2
    assert asked() == 1
    assert asked() == 0
    assert asked("一二") == 1
    assert asked("一二") == 0
    # However often it is in a list, and in other company.
    assert asked("一二", "一二") == 0
    assert asked("三") == 1
    assert asked("三") == 0
    # It had to make room.
    assert asked("一二") == 1


def check(client, model, words):
    assert ask(client, model, [list(words)]) == [text(SECOND, *words)]


def test_a_call_has_all_words_that_are_new(pipelines, ensembles):
    words = [first + second + first for first in DIGITS for second in DIGITS][:40]
    for client, model in ((pipelines, "infer_raw"), (ensembles, "infer_pipeline")):
        assert calls_of(client, "hotword_encoder", lambda: check(client, model, words)) == 1
        assert calls_of(client, "hotword_encoder", lambda: check(client, model, words[::-1])) == 0
        more = [*words[:5], "九九九九", *words[5:]]
        assert calls_of(client, "hotword_encoder", lambda: check(client, model, more)) == 1


def test_a_warm_up_computes_the_configs_own(pipelines):
    assert calls_of(pipelines, "hotword_encoder", lambda: ask(pipelines, "infer_own", None)) == 0
    assert ask(pipelines, "infer_own", None) == [text(SECOND, *OWN)]
    log = pipelines.server.log()
    assert re.search(r"model 'infer_own': warmed up in", log)
    assert "model 'infer_own': 4 hot words unless a request brings its own" in log
    assert re.search(r"model 'infer_own': 2 words in .*seg_dict", log)


def test_an_encoder_of_int64_is_called_so(pipelines):
    assert ask(pipelines, "infer_int64", [["一二", "三"]]) == [text(SECOND, "一二", "三")]


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_a_missing_encoder_is_the_servers_fault(pipelines, protocol):
    status, message = told(pipelines, "infer_deaf", [["一"]], protocol=protocol)
    assert "hot words could not be computed by model 'model_of_nobody'" in message, message
    assert status not in ("400", "StatusCode.INVALID_ARGUMENT"), status


def test_rows_share_a_call_where_they_have_equally_many_words(pipelines):
    """Of equal length, in one request: lists of their own, and none of another length beside them."""
    words = [["一", "二"], ["三", "四"], ["五"], [], ["六", "七"], ["八"], [], []]
    ask(pipelines, "infer_sharing", words)
    before = pipelines.statistics_at_rest("encoder")
    assert ask(pipelines, "infer_sharing", words) == [text(SECOND, *own) for own in words]
    after = pipelines.statistics_after(before, "encoder", len(words))
    assert shared_executions(before, after) == {3: 2, 2: 1}


def long_list(dice, count=KEPT + 9):
    """A list of more words than the model keeps: which they are, the call's first row decides."""
    return ["".join(dice.choices(DIGITS, k=2)) for _ in range(count)]


def test_rows_with_long_lists_share_no_call(pipelines):
    dice = random.Random(3)
    words = [long_list(dice) for _ in range(4)]
    before = pipelines.statistics_at_rest("encoder")
    assert ask(pipelines, "infer_sharing", words) == [text(SECOND, *own) for own in words]
    after = pipelines.statistics_after(before, "encoder", len(words))
    assert shared_executions(before, after) == {1: 4}
    # As many as it keeps share.
    words = [own[: KEPT - 1] for own in words]
    before = pipelines.statistics_at_rest("encoder")
    assert ask(pipelines, "infer_sharing", words) == [text(SECOND, *own) for own in words]
    after = pipelines.statistics_after(before, "encoder", len(words))
    assert shared_executions(before, after) == {4: 1}


def test_the_same_rows_of_an_ensemble_share_a_call(ensembles):
    """Requests of equally many words do; others wait for company that never comes."""
    calls = [["一", "二"], ["三", "四"], ["五", "六"]]
    asks = [partial(ask, ensembles, "infer_sharing", [own]) for own in calls]
    before = ensembles.statistics_at_rest("encoder_sharing")
    assert at_once(ensembles, asks) == [[text(SECOND, *own)] for own in calls]
    after = ensembles.statistics_after(before, "encoder_sharing", len(calls))
    assert shared_executions(before, after) == {3: 1}


def test_everybody_has_their_own_words_in_any_company(pipelines, ensembles):
    """Requests without words, with few, with many, with bad ones, of several lengths, all at a time."""
    dice = random.Random(7)
    for client, model, most in ((pipelines, "infer_sharing", KEPT + 4), (ensembles, "infer_pipeline", KEPT - 1)):
        calls, expected = [], []
        for number in range(120):
            length = dice.choice([SECOND, SECOND + 960, 3 * SECOND])
            kind = number % 4
            if kind == 0:
                calls.append(partial(ask, client, model, None, lengths=[length]))
                expected.append([text(length)])
            elif kind == 1:
                calls.append(partial(told, client, model, [["一", "两"]]))
                expected.append(None)
            else:
                own = long_list(dice, dice.choice([1, 2, 2, 5, most]))
                protocol = dice.choice([HTTP, GRPC])
                calls.append(partial(ask, client, model, [own], protocol, lengths=[length]))
                expected.append([text(length, *own)])
        answers = many_at_a_time(client, calls, threads=12)
        for answer, wanted in zip(answers, expected):
            if wanted is None:
                assert "no '两'" in answer[1], answer
            else:
                assert answer == wanted
