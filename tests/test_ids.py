"""Models that hand out ids, as `triton-funasr repo` makes them, beside such that hand out scores, as they are exported."""

import numpy as np
import pytest

from paraformer import streaming
from paraformer.test_offline import ask
from paraformer.texts import recordings as spoken
from paraformer.texts import streams
from pipelines.variants import PIPELINE, common_repository
from support.client import HTTP, PROTOCOLS, InferenceServerException, serving
from support.environment import scores_repository
from support.recordings import WITH_ITN, WITHOUT_ITN, recordings

IDS = ["token_ids", "token_log_probs"]
# What each form's callers say at load.
ASKED = {
    "ids": ["token_ids and token_log_probs"] * 3,
    "scores": ["ctc_logits", "logits", "sample_ids"],
}


@pytest.fixture(scope="module", params=["ensembles", "pipelines"])
def servers(request):
    """A client of a server with all models in each form."""
    flags = [PIPELINE] if request.param == "pipelines" else []
    with serving(common_repository(), *flags) as ids, serving(scores_repository("all"), *flags) as scores:
        yield {"ids": ids, "scores": scores, "form": request.param}


@pytest.fixture(scope="module")
def both(servers):
    """The two clients."""
    return servers["ids"], servers["scores"]


@pytest.mark.parametrize("norm", [WITH_ITN, WITHOUT_ITN])
def test_sensevoice(both, norm):
    """Each recording alone, and all in one request."""
    texts = [recording.texts[norm] for recording in recordings()]
    wavs = [recording.samples for recording in recordings()]
    for client in both:
        for protocol in PROTOCOLS:
            assert client.transcribe(wavs, norm, protocol=protocol) == texts
        assert [client.transcribe([wav], norm)[0] for wav in wavs] == texts


def test_paraformer(both):
    """Each recording alone, and all of them with silence among them in one request."""
    texts = [recording.text for recording in spoken()]
    wavs = [recording.samples for recording in spoken()]
    silence = np.zeros(2800, np.float32)
    for client in both:
        assert [ask(client, [wav])[0] for wav in wavs] == texts
        assert ask(client, [silence]) == [""]
    together = [ask(client, [*wavs[:2], silence, *wavs[2:], silence]) for client in both]
    assert together[0] == together[1]
    assert together[0][2] == together[0][-1] == ""
    assert together[0][:2] == texts[:2]


def test_streams(both):
    """The text that each chunk adds."""
    heard = [[streaming.send_all(client, stream.chunks, at + 1) for at, stream in enumerate(streams())] for client in both]
    assert heard[0] == heard[1]
    texts = ["".join(deltas) for deltas in heard[0]]
    # The ensemble's; a pipeline hears the end of a stream, too.
    expected = [stream.text for stream in streams()]
    assert all(text.startswith(begin) for text, begin in zip(texts, expected, strict=True))


def test_the_log_says_which_form_it_is(servers):
    """Of each component that asks a model, or is given what one found."""
    for form, tensors in ASKED.items():
        log = servers[form].server.log()
        if servers["form"] == "pipelines":
            callers = [("sensevoice", "sensevoice_encoder"), ("infer_pipeline", "paraformer_encoder")]
            lines = [f"model '{caller}' asks '{callee}' for" for caller, callee in callers]
            lines.append("model 'streaming_paraformer' asks 'online_decoder' for")
        else:
            lines = [f"model '{model}_scoring' takes" for model in ("sensevoice", "paraformer")]
            lines.append("model 'online_cif_search' asks 'online_decoder' for")
        for line, names in zip(lines, tensors, strict=True):
            # The server puts messages in quotes.
            assert f'{line} {names}"\n' in log


def features(client, kind, rows):
    """The encoder's inputs for rows of audio."""
    tensors = {"wav": np.stack(rows), "wav_lens": np.int32([[len(row)] for row in rows])}
    if kind == "sensevoice":
        tensors |= {"language": np.zeros((len(rows), 1), np.int32), "textnorm": np.full((len(rows), 1), WITH_ITN, np.int32)}
    found = client.infer(f"{kind}_feature_extractor", {name: tensors[name] for name in ("wav", "wav_lens")},
                         ["speech", "speech_lengths"])
    return {**found, **{name: tensors[name] for name in ("language", "textnorm") if name in tensors}}


def rows_of_noise():
    """Audio of one length."""
    return list(np.random.default_rng(3).uniform(-0.3, 0.3, (3, 32000)).astype(np.float32))


KINDS = [("sensevoice", "ctc_logits", "encoder_out_lens"), ("paraformer", "logits", "token_num")]


@pytest.mark.parametrize(("kind", "scores", "counts"), KINDS)
def test_ids_and_probabilities_are_those_of_the_scores(both, kind, scores, counts):
    """The first of the largest, and its softmax in single precision."""
    ids, exported = both
    tensors = features(ids, kind, rows_of_noise())
    best = ids.infer(f"{kind}_encoder", tensors, [*IDS, counts])
    whole = exported.infer(f"{kind}_encoder", tensors, [scores, counts])
    assert best["token_ids"].dtype == np.int32 and best["token_log_probs"].dtype == np.float32
    assert best["token_ids"].shape == whole[scores].shape[:2]
    assert (best["token_ids"] == whole[scores].argmax(axis=2)).all()
    exact = whole[scores].astype(np.float64)
    exact -= exact.max(axis=2, keepdims=True)
    logs = -np.log(np.exp(exact).sum(axis=2))
    assert np.abs(best["token_log_probs"] - logs).max() < 1e-5
    assert (best[counts] == whole[counts]).all()


def test_scores_of_nan_are_an_error_and_no_text(both):
    """What ONNX Runtime makes of them is recognised, and told with model and tensor, in its own row alone."""
    client, _ = both
    tensors = features(client, "sensevoice", rows_of_noise())
    tensors["speech"] = tensors["speech"].copy()
    tensors["speech"][1] = np.nan
    found = client.infer("sensevoice_encoder", tensors, [*IDS, "encoder_out_lens"])
    broken = np.isnan(found["token_log_probs"])
    assert broken[1].all() and not broken[[0, 2]].any()
    with pytest.raises(InferenceServerException) as caught:
        client.infer("sensevoice_scoring", found, ["OUTPUT0"])
    words = "model 'sensevoice_scoring': input 'token_log_probs', row 1: the logarithm of a probability at place 0 is NaN"
    assert words in caught.value.message()


@pytest.mark.parametrize(("kind", "scores", "counts"), KINDS)
def test_ids_that_do_not_fit_are_refused(both, kind, scores, counts):
    """With the tensor at fault; and what is behind a row's end does not matter."""
    client, _ = both
    ids, logs = np.full((2, 7), 5, np.int32), np.zeros((2, 7), np.float32)
    score = lambda ids, logs, steps=7: client.infer(  # noqa: E731
        f"{kind}_scoring", {"token_ids": ids, "token_log_probs": logs, counts: np.int32([[7], [steps]])}, ["OUTPUT0"], HTTP
    )["OUTPUT0"].tolist()
    fine = score(ids, logs)
    for id_ in (-1, 1_000_000):
        other = ids.copy()
        other[1, 6] = id_
        with pytest.raises(InferenceServerException) as caught:
            score(other, logs)
        assert f"input 'token_ids', row 1: at place 6 is {id_}" in caught.value.message()
        assert score(other, logs, steps=6)[0] == fine[0]
    with pytest.raises(InferenceServerException) as caught:
        score(ids, logs[:, :6])
    assert "'token_log_probs'" in caught.value.message() and "[2, 7]" in caught.value.message()
    with pytest.raises(InferenceServerException) as caught:
        score(ids, logs, steps=8)
    assert f"'{counts}'" in caught.value.message()
