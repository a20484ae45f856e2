"""What becomes of lists of hot words, in both forms: the models' text says what they were given."""

import pytest

from hotwords.asking import SECOND, ask, told
from hotwords.repositories import FEW
from hotwords.talking import KEPT, text
from support.client import GRPC, HTTP, JSON, PROTOCOLS

LO_HEL = ("lo", "hel@@")
# Words of the config `infer_own`, the file's behind the others.
OWN = ("一二", ("hello",), "三四", "五六")


@pytest.fixture(params=["ensemble", "pipeline"])
def server(request):
    """A client of a server with each form, and the name of the model whose tokens are told one by one."""
    ensemble = request.param == "ensemble"
    return request.getfixturevalue("ensembles" if ensemble else "pipelines"), "infer_pipeline" if ensemble else "infer_raw"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_words_reach_the_model_in_their_order(server, protocol):
    client, model = server
    for given, words in (
        (["三四", "一", "五六七八九十一二三四"], ("三四", "一", "五六七八九十一二三四")),
        (["一 二三\t四", "", "五"], ("一", "二三", "四", "五")),
        (["二", "二"], ("二", "二")),
        # A word of the dictionary, a token, letters.
        (["LoHel", "Hello", "NBA", "nb"], (LO_HEL, ("hello",), "nba", "nb")),
        (["一nb二lohel"], (["一", "n", "b", "二", "lo", "hel@@"],)),
    ):
        assert ask(client, model, [given], protocol) == [text(SECOND, *words)], given


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_without_words_the_model_listens_for_none(server, protocol):
    client, model = server
    for given in (None, [[]], [[""]], [["", " "]]):
        assert ask(client, model, given, protocol) == [text(SECOND)], given


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_the_configs_own_list_is_for_requests_without_one(server, protocol):
    client, _ = server
    assert ask(client, "infer_own", None, protocol) == [text(SECOND, *OWN)]
    assert ask(client, "infer_own", [["七"]], protocol) == [text(SECOND, "七")]
    assert ask(client, "infer_own", [[""]], protocol) == [text(SECOND)]


def test_rows_have_lists_of_their_own(server):
    client, model = server
    lengths = [SECOND, 2 * SECOND, SECOND + 960]
    answers = ask(client, model, [["一", "二"], ["三", "四"], ["五", "六"]], lengths=lengths)
    assert answers == [text(lengths[0], "一", "二"), text(lengths[1], "三", "四"), text(lengths[2], "五", "六")]


def test_rows_of_a_pipeline_may_have_lists_of_any_length(pipelines):
    words = [["一"], ["三", "四", "五六"], [], ["七", "八"]]
    for model in ("infer_raw", "infer_sharing"):
        assert ask(pipelines, model, words) == [text(SECOND, *own) for own in words]


def test_rows_of_an_ensemble_have_equally_many_words(ensembles):
    _, message = told(ensembles, "infer_pipeline", [["一"], ["三", "四"]])
    assert "row 1 has 2 hot words, row 0 has 1" in message, message
    assert "or serve the pipeline" in message, message


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_cannot_be_listened_for_is_named(server, protocol):
    client, model = server
    name = "HOTWORDS" if model == "infer_raw" else "hotwords"
    for words, expected in (
        (
            [["一"], ["一二三四五六七八九十一"]],
            f"input '{name}': row 1: '一二三四五六七八九十一' has 11 tokens; parameter max_hotword_length allows 10: shorten the word, or "
            "leave it out",
        ),
        (
            [["一", "一两"]],
            f"input '{name}': row 0: '一两': the model's vocabulary has no '两'; leave the word out, or set parameter unknown_hotwords to "
            "'unk' or 'skip'",
        ),
        ([["一 <s>"]], f"input '{name}': row 0: '<s>': the model's vocabulary has no '<'"),
        ([["x" * 5000]], f"input '{name}': row 0: 'xxxxx"),
        ([["一\0"]], f"input '{name}': row 0: '一\\0': the model's vocabulary has no '\\0'"),
    ):
        status, message = told(client, model, words, protocol=protocol)
        assert expected in message and len(message) < 500, message
        assert status == ("StatusCode.INVALID_ARGUMENT" if protocol == GRPC else "400"), status
    if protocol != JSON:
        _, message = told(client, model, [[b"\xff\xfe"]], protocol=protocol)
        assert f"input '{name}': row 0: '\ufffd\ufffd' is not UTF-8" in message, message
    # Nothing of it stays.
    assert ask(client, model, [["一"]], protocol) == [text(SECOND, "一")]


def test_more_words_than_the_config_allows_are_refused(pipelines, ensembles):
    words = ["一", "二", "三 四"]
    _, message = told(pipelines, "infer_few", [words])
    assert f"row 0: there are more than {FEW} hot words, which is what parameter max_hotwords allows" in message
    assert ask(pipelines, "infer_few", [words[:2] + ["三"]]) == [text(SECOND, "一", "二", "三")]
    _, message = told(ensembles, "infer_pipeline", [["一"] * KEPT])
    assert f"there are more than {KEPT - 1} hot words" in message


def test_unknown_characters_are_marked_or_their_words_left_out(pipelines):
    given = [["一", "两三", "四"]]
    assert ask(pipelines, "infer_unk", given) == [text(SECOND, "一", ("<unk>", "三"), "四")]
    assert ask(pipelines, "infer_skip", given) == [text(SECOND, "一", "四")]


def test_without_a_dictionary_latin_words_are_spelt(pipelines):
    _, message = told(pipelines, "infer_spelling", [["lohel"]])
    assert "'lohel': the model's vocabulary has no 'l'" in message
    assert ask(pipelines, "infer_spelling", [["NB", "hello"]]) == [text(SECOND, "nb", ("hello",))]


def test_words_as_people_read_them(pipelines):
    """As users get it: subwords are joined."""
    (answer,) = ask(pipelines, "infer_pipeline", [["一二", "lohel"]])
    assert answer == text(SECOND, "一二", LO_HEL).replace("lohel@@", "lo hel"), answer
