"""Texts are those of the package wetext; what else is known of a recording stays as it was spoken."""

import json
from pathlib import Path

import numpy as np
import pytest

from itn.repositories import BROKEN, broken
from long_audio.asking import two_minutes
from long_audio.asking import tensors as long_tensors
from support.client import GRPC, PROTOCOLS, InferenceServerException
from support.recordings import WITH_ITN, WITHOUT_ITN, padded, recordings
from support.server import Server

GOLDENS = json.loads((Path(__file__).parent / "goldens.json").read_text(encoding="utf-8"))
OUTPUTS = ["TRANSCRIPTS", "RESULT_JSON"]
# What the demo's Paraformer hears, and how that is written.
SPOKEN = ["红色空调晚上朋友", "再见七九二九", "四七零", "七七", "零九五四", "七八九"]
WRITTEN = ["红色空调晚上朋友", "再见7929", "470", "七七", "0954", "789"]


def rewrite(client, texts, protocol=GRPC):
    """What the component makes of texts."""
    column = np.array([[text.encode()] for text in texts], dtype=object)
    return client.infer("itn", {"TEXT": column}, ["TEXT"], protocol)["TEXT"][:, 0].tolist()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_texts_alone(itn, protocol):
    for start in range(0, len(GOLDENS), 16):
        some = GOLDENS[start : start + 16]
        made = rewrite(itn, [spoken for spoken, _ in some], protocol)
        assert made == [written for _, written in some]


def test_what_no_grammar_has_a_way_for_stays(itn):
    texts = ["", " ", 'er sagt: "二十"', "back\\slash 二十", "\n"]
    assert rewrite(itn, texts) == texts


def test_a_long_text_is_its_parts(itn):
    sentence = "今天是二零二四年，百分之五的人。"
    assert rewrite(itn, [sentence * 400]) == ["今天是2024年，5%的人。" * 400]


def test_what_is_no_text_is_told(itn):
    column = np.array([[b"\xff\xfe"]], dtype=object)
    with pytest.raises(InferenceServerException, match="'TEXT'.*row 0 is not UTF-8"):
        itn.infer("itn", {"TEXT": column}, ["TEXT"], GRPC)


def hear(client, model, norms=None):
    """Transcripts and documents of the demo's recordings with digits, one a row."""
    wavs = [each.samples for each in recordings()[: len(SPOKEN)]]
    tensors = {"WAV": padded(wavs), "WAV_LENS": np.int32([[len(wav)] for wav in wavs])}
    if norms is not None:
        tensors["TEXT_NORM"] = np.int32([[norm] for norm in norms])
    answer = client.infer(model, tensors, OUTPUTS, GRPC)
    return answer["TRANSCRIPTS"][:, 0].tolist(), [json.loads(text) for text in answer["RESULT_JSON"][:, 0]]


def test_a_request_says_whether_numbers_are_written(itn):
    with_itn, without = [WITH_ITN] * len(SPOKEN), [WITHOUT_ITN] * len(SPOKEN)
    assert hear(itn, "infer_pipeline")[0] == SPOKEN
    for model, silent in (("infer_asked", SPOKEN), ("infer_always", WRITTEN)):
        assert hear(itn, model, with_itn)[0] == WRITTEN
        assert hear(itn, model, without)[0] == SPOKEN
        assert hear(itn, model)[0] == silent


def test_each_row_has_its_own(itn):
    norms = [WITH_ITN, WITHOUT_ITN] * (len(SPOKEN) // 2)
    pairs = zip(SPOKEN, WRITTEN, norms)
    assert hear(itn, "infer_asked", norms)[0] == [written if norm == WITH_ITN else spoken for spoken, written, norm in pairs]


def test_tokens_and_words_stay_those_that_were_spoken(itn):
    _, spoken = hear(itn, "infer_always", [WITHOUT_ITN] * len(SPOKEN))
    _, written = hear(itn, "infer_always")
    assert [document["text"] for document in written] == WRITTEN
    for one, other in zip(spoken, written):
        assert other.pop("text") and one.pop("text") == one["raw"]
        assert one == other


def test_another_number_is_told(itn):
    with pytest.raises(InferenceServerException, match="'TEXT_NORM': row 1 is 3, expected 14"):
        hear(itn, "infer_asked", [WITH_ITN, 3, WITH_ITN, WITH_ITN, WITH_ITN, WITH_ITN])


def transcribe(client, model, **more):
    """The document of a long recording."""
    tensors = long_tensors(two_minutes(), prompt=False, **more)
    return json.loads(client.infer(model, tensors, ["RESULT_JSON"], GRPC)["RESULT_JSON"][0, 0])


def test_sentences_of_long_recordings(itn):
    plain = transcribe(itn, "transcribe")
    assert transcribe(itn, "transcribe_asked") == plain == transcribe(itn, "transcribe_always", TEXT_NORM=WITHOUT_ITN)
    written = transcribe(itn, "transcribe_asked", TEXT_NORM=WITH_ITN)
    assert transcribe(itn, "transcribe_always") == written
    assert written["segments"] == plain["segments"]
    expected = rewrite_all(itn, [sentence["text"] for sentence in plain["sentences"]])
    assert [sentence["text"] for sentence in written["sentences"]] == expected
    assert any(letter.isdigit() for letter in written["text"]) and not any(letter.isdigit() for letter in plain["text"])
    with pytest.raises(InferenceServerException, match="'TEXT_NORM': row 0 is 0, expected 14"):
        transcribe(itn, "transcribe_asked", TEXT_NORM=0)


def rewrite_all(client, texts):
    return [rewrite(client, [text])[0] for text in texts]


def test_what_makes_no_sense_keeps_a_pipeline_from_loading(itn):
    with Server(broken(), "--exit-on-error=false", "--strict-readiness=false", "--model-config-name=pipeline") as server:
        log = server.log()
    for name, (_, words) in BROKEN.items():
        assert f"model '{name}'" in log and words in log, (name, words)
