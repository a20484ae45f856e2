"""The inner models, called one by one as an ensemble would: each still answers, and together they give the right text."""

import numpy as np

from paraformer.texts import recordings as paraformer_recordings
from paraformer.texts import streams
from support.client import GRPC
from support.recordings import WITH_ITN, recordings

IDS = ["token_ids", "token_log_probs"]


def column(value):
    """One value for the one row."""
    return np.int32([[value]])


def sensevoice(client):
    """Front end, encoder and scoring of SenseVoice."""
    recording = recordings()[3]
    ask = lambda model, tensors, outputs: client.infer(f"sensevoice_{model}", tensors, outputs, GRPC)  # noqa: E731
    audio = {"wav": recording.samples[None], "wav_lens": column(len(recording.samples))}
    features = ask("feature_extractor", audio, ["speech", "speech_lengths"])
    prompt = {"language": column(0), "textnorm": column(WITH_ITN)}
    found = ask("encoder", {**features, **prompt}, [*IDS, "encoder_out_lens"])
    assert ask("scoring", found, ["OUTPUT0"])["OUTPUT0"].tolist() == [[recording.texts[WITH_ITN]]]


def paraformer(client):
    """Front end, encoder and scoring of offline Paraformer."""
    recording = paraformer_recordings()[3]
    ask = lambda model, tensors, outputs: client.infer(f"paraformer_{model}", tensors, outputs, GRPC)  # noqa: E731
    audio = {"wav": recording.samples[None], "wav_lens": column(len(recording.samples))}
    features = ask("feature_extractor", audio, ["speech", "speech_lengths"])
    found = ask("encoder", features, [*IDS, "token_num"])
    assert ask("scoring", found, ["OUTPUT0"])["OUTPUT0"].tolist() == [[recording.text]]


def online(client):
    """The steps of streaming Paraformer, the decoder among them: `cif_search` calls it."""
    stream = streams()[3]
    name, last, deltas = "inner", len(stream.chunks) - 1, []
    for at, chunk in enumerate(stream.chunks):
        place = {"sequence_id": name, "sequence_start": at == 0, "sequence_end": at == last}
        ask = lambda model, tensors, outputs: client.infer(f"online_{model}", tensors, outputs, GRPC, **place)  # noqa: E731, B023
        audio = {"wav": chunk[None], "wav_lens": column(len(chunk))}
        frames = ask("feature_extractor", audio, ["speech"])["speech"]
        window = ask("lfr_cmvn_pe", {"chunk_xs": frames}, ["chunk_xs_out", "chunk_xs_out_len"])
        window = {"speech": window["chunk_xs_out"], "speech_lengths": window["chunk_xs_out_len"]}
        encoded = ask("encoder", window, ["enc", "enc_len", "alphas"])
        deltas.append(ask("cif_search", encoded, ["transcripts"])["transcripts"][0, 0])
    assert deltas == stream.deltas


def online_of_pipelines(client):
    """What the streaming pipeline calls: encoder and decoder without sequences; and the steps that it does without."""
    stream = streams()[3]
    chunk = stream.chunks[0]
    place = {"sequence_id": "inner", "sequence_start": True, "sequence_end": True}
    audio = {"wav": chunk[None], "wav_lens": column(len(chunk))}
    frames = client.infer("online_feature_extractor", audio, ["speech"], GRPC, **place)["speech"]
    outputs = ["chunk_xs_out", "chunk_xs_out_len"]
    window = client.infer("online_lfr_cmvn_pe", {"chunk_xs": frames}, outputs, GRPC, **place)
    window = {"speech": window["chunk_xs_out"], "speech_lengths": window["chunk_xs_out_len"]}
    encoded = client.infer("online_encoder", window, ["enc", "alphas"], GRPC)
    hidden = encoded["enc"].shape[2]
    assert np.isfinite(encoded["enc"]).all() and np.isfinite(encoded["alphas"]).all()
    tokens = {
        "enc": encoded["enc"],
        "enc_len": column(20),
        "acoustic_embeds": encoded["enc"][:, 5:8],
        "acoustic_embeds_len": column(3),
    }
    caches = {f"in_cache_{index}": np.zeros((1, hidden, 10), np.float32) for index in range(4)}
    answer = client.infer("online_decoder", {**tokens, **caches}, IDS, GRPC)
    assert [answer[name].shape for name in IDS] == [(1, 3), (1, 3)]


def all_answer(client, pipelines):
    """Each inner model of the server answers rightly."""
    sensevoice(client)
    paraformer(client)
    (online_of_pipelines if pipelines else online)(client)
