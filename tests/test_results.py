"""What models tell beside the text: tags, confidence, tokens and words with their times, in both forms."""

import subprocess
from collections import Counter

import numpy as np
import pytest

from paraformer.streaming import tensors as chunk_tensors
from paraformer.texts import recordings as spoken
from paraformer.texts import streams
from pipelines.variants import PIPELINE
from support.client import GRPC, HTTP, PROTOCOLS, serving
from support.environment import PROJECT, timed_repository, variable
from support.recordings import WITH_ITN, padded, recordings
from support.repository import fresh_directory
from support.results import LISTS, OF_STREAMS, SINGLE, TAGS, TIMES, rows_of
from support.server import Server, ServerFailed

FRAME_MS = 60
TELLING = ("--outputs", "all")


@pytest.fixture(scope="module", params=["ensembles", "pipelines"])
def clients(request):
    """Clients of a server whose models hand out ids, and of one whose models hand out scores."""
    flags = [PIPELINE] if request.param == "pipelines" else []
    with serving(timed_repository(*TELLING), *flags) as ids, serving(timed_repository(*TELLING, "--keep-logits"), *flags) as scores:
        yield ids, scores


@pytest.fixture(scope="module")
def client(clients):
    """The one whose models hand out ids, as users get them."""
    return clients[0]


def ask(client, kind, wavs, protocol=HTTP, outputs=None, **padding):
    """What is told of each recording of one request."""
    count = len(wavs)
    tensors = {"WAV": padded(wavs, **padding), "WAV_LENS": np.int32([[len(wav)] for wav in wavs])}
    model = "infer_pipeline"
    if kind == "sensevoice":
        model = "sensevoice"
        tensors |= {"LANGUAGE": np.zeros((count, 1), np.int32), "TEXT_NORM": np.full((count, 1), WITH_ITN, np.int32)}
    outputs = outputs or [*SINGLE, *LISTS, *(TAGS if kind == "sensevoice" else [])]
    return rows_of(client.infer(model, tensors, outputs, protocol))


def wavs():
    """The samples of the demo's recordings."""
    return [recording.samples for recording in recordings()]


def check(row, samples):
    """What holds of all that is told of a row of so many samples."""
    count = row["TOKEN_COUNT"]
    lists = {name: row[name] for name in LISTS if name.startswith("TOKEN")}
    assert {len(values) for values in lists.values()} == {count}
    assert len(row["WORDS"]) == len(row["WORD_START_MS"]) == len(row["WORD_END_MS"]) <= count
    for what in ("TOKEN", "WORD"):
        starts, ends = row[f"{what}_START_MS"], row[f"{what}_END_MS"]
        assert all(start < end for start, end in zip(starts, ends, strict=True))
        assert all(end <= start for end, start in zip(ends, starts[1:], strict=False)), (starts, ends)
        assert all(0 <= start and end <= samples / 16 + FRAME_MS for start, end in zip(starts, ends, strict=True))
    letters = lambda text: Counter(text.lower().replace(" ", ""))  # noqa: E731
    assert letters("".join(row["WORDS"])) == letters(row["TEXT"])
    confidences = row["TOKEN_CONFIDENCE"]
    assert all(0 < confidence <= 1 for confidence in confidences)
    mean = np.exp(np.mean(np.log(confidences))) if count else 0.0
    assert abs(row["CONFIDENCE"] - mean) < 1e-5


def check_document(row):
    """The document tells what the other outputs tell."""
    document = row["RESULT_JSON"]
    assert document["text"] == row["TEXT"]
    assert abs((document["confidence"] or 0) - row["CONFIDENCE"]) < 1e-4
    for part, what in (("tokens", "TOKEN"), ("words", "WORD")):
        assert [each["text"] for each in document[part]] == row[f"{what}S"]
        assert [each["start_ms"] for each in document[part]] == row[f"{what}_START_MS"]
        assert [each["end_ms"] for each in document[part]] == row[f"{what}_END_MS"]
    given = [each["confidence"] for each in document["tokens"]]
    assert np.allclose(given, row["TOKEN_CONFIDENCE"], atol=1e-4)


@pytest.mark.parametrize("kind", ["sensevoice", "paraformer"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_told_of_a_recording(client, kind, protocol):
    for samples in wavs():
        (row,) = ask(client, kind, [samples], protocol)
        check(row, len(samples))
        check_document(row)


def test_texts_and_tags_are_those_of_the_transcript(client):
    for recording in recordings():
        (row,) = ask(client, "sensevoice", [recording.samples], outputs=[*SINGLE, *TAGS])
        tags = recording.texts[WITH_ITN].split("|>")[:-1]
        language, emotion, event = (tag.removeprefix("<|") for tag in tags[:3])
        assert (row["LANGUAGE_ID"], row["EMOTION"], row["AUDIO_EVENT"]) == (language, emotion, event)
        assert row["TEXT"] == recording.texts[WITH_ITN].split("|>")[-1].strip()
        document = row["RESULT_JSON"]
        assert (document["language"], document["emotion"], document["event"]) == (language, emotion, event)
        assert document["raw"] == recording.texts[WITH_ITN]


@pytest.mark.parametrize("kind", ["sensevoice", "paraformer"])
def test_ids_and_scores_tell_the_same(clients, kind):
    """What is rounded in other places may differ in the last digits."""
    for samples in wavs():
        (ids,), (scores,) = (ask(client, kind, [samples]) for client in clients)
        for name in ids:
            if name in ("CONFIDENCE", "TOKEN_CONFIDENCE"):
                assert np.allclose(ids[name], scores[name], rtol=1e-4)
            elif name != "RESULT_JSON":
                assert ids[name] == scores[name], name


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
def test_rows_in_company_are_told_as_alone(client, protocol):
    """SenseVoice's encoder masks what is padding; a row of nothing is among them."""
    together = [*wavs(), np.zeros(200, np.float32)]
    rows = ask(client, "sensevoice", together, protocol, width=10 * 16000)
    for row, samples in zip(rows, together, strict=True):
        (alone,) = ask(client, "sensevoice", [samples], protocol)
        confidences = [told.pop(name) for told in (row, alone) for name in ("CONFIDENCE", "TOKEN_CONFIDENCE")]
        assert np.allclose(confidences[0], confidences[2], rtol=1e-4)
        assert np.allclose(confidences[1], confidences[3], rtol=1e-4)
        for told in (row, alone):
            del told["RESULT_JSON"]
        assert row == alone
    assert rows[-1]["TOKENS"] == rows[-1]["WORDS"] == []


def test_paraformers_rows_of_one_length_are_told_as_alone(client):
    samples = wavs()[0]
    (alone,) = ask(client, "paraformer", [samples])
    for row in ask(client, "paraformer", [samples] * 4):
        assert row["TOKEN_END_MS"] == alone["TOKEN_END_MS"]
        assert row["WORDS"] == alone["WORDS"]


def test_nothing_to_hear(client):
    """Lists of nothing are tensors of nothing."""
    for kind in ("sensevoice", "paraformer"):
        (row,) = ask(client, kind, [np.zeros(2800, np.float32)])
        assert row["TEXT"] == "" and row["TOKEN_COUNT"] == 0 and row["CONFIDENCE"] == 0
        assert all(row[name] == [] for name in LISTS)
        assert row["RESULT_JSON"]["words"] == []


def test_rows_without_tokens_harm_no_other(client):
    """In the noise the model with times finds none, and as it is exported fails; in the others it finds one each, which stands for no text."""
    noise = np.random.default_rng(0).normal(0, 0.01, 2800).astype(np.float32)
    rows = [wavs()[0][:2800], noise, np.zeros(2800, np.float32), noise]
    alone = [ask(client, "paraformer", [row])[0] for row in rows]
    for told, expected in zip(ask(client, "paraformer", rows), alone, strict=True):
        assert told["TEXT"] == expected["TEXT"] == "" and told["TOKENS"] == told["WORDS"] == []


def stream(client, chunks, number):
    """What is told of each chunk of a stream."""
    outputs = [*SINGLE, *LISTS, *OF_STREAMS]
    last = len(chunks) - 1
    told = []
    for at, chunk in enumerate(chunks):
        flags = {"sequence_id": number, "sequence_start": at == 0, "sequence_end": at == last}
        told += rows_of(client.infer("streaming_paraformer", chunk_tensors(chunk), outputs, **flags))
    return told


def joined(told, name):
    """A list of all chunks."""
    return [value for row in told for value in row[name]]


def test_streams_tell_the_same_however_their_models_answer(clients):
    for number, each in enumerate(streams(), 1):
        ids, scores = (stream(client, each.chunks, number) for client in clients)
        for name in ("TEXT", "TOKENS", "TOKEN_START_MS", "TOKEN_END_MS", "WORDS", "IS_FINAL", "FULL_TEXT"):
            assert [row[name] for row in ids] == [row[name] for row in scores], name
        assert np.allclose(joined(ids, "TOKEN_CONFIDENCE"), joined(scores, "TOKEN_CONFIDENCE"), rtol=1e-3)


def test_what_is_told_of_a_stream(client):
    for number, each in enumerate(streams(), 100):
        told = stream(client, each.chunks, number)
        assert [row["IS_FINAL"] for row in told] == [False] * (len(told) - 1) + [True]
        texts = [row["TEXT"] for row in told]
        assert [row["FULL_TEXT"] for row in told] == ["".join(texts[: at + 1]) for at in range(len(told))]
        document = told[-1]["RESULT_JSON"]
        assert document["is_final"] is True and document["full_text"] == "".join(texts)
        starts, ends = joined(told, "TOKEN_START_MS"), joined(told, "TOKEN_END_MS")
        assert starts == sorted(starts) and ends == sorted(ends)
        assert all(start < end for start, end in zip(starts, ends, strict=True))
        assert not ends or ends[-1] <= len(each.samples) / 16 + 1000
        words = joined(told, "WORDS")
        assert "".join(words).lower() == "".join(texts).replace(" ", "").lower()
        assert len(words) == len(joined(told, "WORD_START_MS"))


def test_a_streams_times_are_the_same_however_it_is_cut(client):
    """A pipeline takes any chunks; an ensemble only such of 600 ms."""
    if PIPELINE not in client.server.flags:
        pytest.skip("an ensemble's chunks are 600 ms long")
    for number, each in enumerate(streams()[:4], 200):
        expected = stream(client, each.chunks, number)
        for size in (1600, 4800, len(each.samples)):
            pieces = [each.samples[at : at + size] for at in range(0, len(each.samples), size)]
            told = stream(client, pieces, number)
            for name in ("TOKENS", "TOKEN_START_MS", "TOKEN_END_MS", "WORDS", "WORD_START_MS", "WORD_END_MS"):
                assert joined(told, name) == joined(expected, name), (size, name)


def test_models_that_list_nothing_more_answer_as_before(client):
    """And a client that asks for nothing by name is given what the config lists."""
    for recording, other in zip(recordings(), spoken(), strict=False):
        text = recording.texts[WITH_ITN]
        assert client.transcribe([recording.samples], WITH_ITN) == [text]
        assert recording.name == other.name


def refused(repository, *flags):
    """What the server says of a repository that it does not load."""
    with pytest.raises(ServerFailed) as caught, Server(repository, *flags):
        pass
    return str(caught.value)


@pytest.mark.parametrize("flags", [[], [PIPELINE]], ids=["ensembles", "pipelines"])
def test_times_are_refused_of_a_model_that_cannot_tell_them(flags):
    """At load, with what is missing."""
    repository = fresh_directory("no-times")
    tool = variable("TRITON_FUNASR")
    export = str(PROJECT / "demo/paraformer")
    command = [tool, "repo", "paraformer", "--from", export, "--to", str(repository), "--force"]
    said = subprocess.run([*command, "--outputs", "WORD_END_MS"], capture_output=True, text=True, check=False)
    assert said.returncode == 1 and "output WORD_END_MS cannot be had: model.onnx has no output us_alphas" in said.stderr
    subprocess.run([*command, "--outputs", "all"], check=True)
    model = repository / ("infer_pipeline" if flags else "scoring")
    listed = '  {\n    name: "WORD_END_MS"\n    data_type: TYPE_INT32\n    dims: [ -1 ]\n  },\n'
    for config in [model / "config.pbtxt", *model.glob("configs/*.pbtxt")]:
        config.write_text(config.read_text().replace("output [\n", "output [\n" + listed))
    log = refused(repository, *flags)
    assert "output 'WORD_END_MS' needs" in log and "us_alphas" in log


def test_no_output_has_times_that_no_test_knows():
    assert set(TIMES) < set(LISTS)
