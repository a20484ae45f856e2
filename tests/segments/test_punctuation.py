"""Texts are those of funasr_onnx's CT_Transformer and CT_Transformer_VadRealtime with the same models."""

from functools import partial

import numpy as np
import pytest

from segments.material import conversation, sentences
from segments.repositories import NOBODY
from support.client import GRPC, PROTOCOLS, InferenceServerException
from support.load import many_at_a_time

# With the small models that nobody trained, and with the demo's.
BOTH = pytest.mark.parametrize("which", ["", "demo_"])


def ask(client, texts, model="punctuation", protocol=GRPC, **options):
    """The texts with their marks."""
    tensors = {"TEXT": np.array([[text.encode()] for text in texts], dtype=object)}
    answer = client.infer(model, tensors, ["TEXT"], protocol, **options)["TEXT"]
    assert answer.shape == (len(texts), 1)
    return list(answer[:, 0])


@BOTH
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_texts_alone(segments, goldens, protocol, which):
    for case in goldens[f"{which}texts"]:
        assert ask(segments, [case["text"]], f"{which}punctuation", protocol) == [case["answer"]]


def test_texts_in_one_request_and_many_at_a_time(segments, goldens):
    texts = [case["text"] for case in goldens["texts"]]
    answers = [case["answer"] for case in goldens["texts"]]
    before = segments.statistics_at_rest("ct_transformer")
    calls = [partial(ask, segments, texts)] * 12
    assert many_at_a_time(segments, calls, threads=6) == [answers] * 12
    after = segments.statistics_at_rest("ct_transformer")
    rows = after["inference_count"] - before["inference_count"]
    executions = after["execution_count"] - before["execution_count"]
    assert executions < rows, "rows of equally many words share calls"


@BOTH
def test_pieces_of_speeches(segments, goldens, ids, which):
    for pieces in goldens[f"{which}speeches"]:
        number = next(ids)
        for index, piece in enumerate(pieces):
            flags = {"sequence_start": index == 0, "sequence_end": index + 1 == len(pieces)}
            answer = ask(segments, [piece["text"]], f"{which}streaming_punctuation", sequence_id=number, **flags)
            assert answer == [piece["answer"]], index


def test_the_marks_of_the_demo_are_those_of_its_grammar(segments):
    said = "".join(text for *_, text in sentences())
    (marked,) = ask(segments, [conversation(len(sentences()))], "demo_punctuation")
    assert marked.replace(" ", "") == said.replace(" ", "")


def test_no_words_are_no_text(segments, ids):
    assert ask(segments, ["", " ", "好"])[:2] == ["", ""]
    flags = {"sequence_id": next(ids), "sequence_start": True, "sequence_end": True}
    assert ask(segments, [" "], "streaming_punctuation", **flags) == [""]


def test_english_marks(segments):
    texts = ["hello world it's ok New York a", "a york", "今明a"]
    chinese, english = (ask(segments, texts, model) for model in ("punctuation", "punctuation_by_word"))
    assert chinese == ["hello world it's ok New York a？", "a？ york。", "今明a？"]
    assert english == ["hello world it's ok New York a?", "a? york.", "今明a?"]


def test_what_is_wrong_is_told(segments, ids):
    with pytest.raises(InferenceServerException, match=NOBODY):
        ask(segments, ["你好"], "punctuation_lost")
    with pytest.raises(InferenceServerException, match="row 1 has 6 words; parameter max_words allows 5"):
        ask(segments, ["你好", "你好你好你好"], "punctuation_short")
    with pytest.raises(InferenceServerException, match="row 0 is not UTF-8: see the byte at offset 1"):
        tensors = {"TEXT": np.array([[b"a\xff"]], dtype=object)}
        segments.infer("punctuation", tensors, ["TEXT"], GRPC)
    with pytest.raises(InferenceServerException, match="must specify batch-size 1"):
        flags = {"sequence_id": next(ids), "sequence_start": True, "sequence_end": True}
        ask(segments, ["你", "好"], "streaming_punctuation", **flags)
