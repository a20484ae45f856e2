"""Requests to SenseVoice with files, rates and channels."""

import numpy as np

from audio.files import files
from support.client import HTTP
from support.recordings import WITHOUT_ITN, padded


def column(value, rows=1):
    """One number for each row."""
    return np.broadcast_to(np.int32(value).reshape(-1, 1), (rows, 1)).copy()


def prompt(rows=1):
    """What SenseVoice takes beside the audio."""
    return {"LANGUAGE": column(0, rows), "TEXT_NORM": column(WITHOUT_ITN, rows)}


def ask(client, tensors, model="sensevoice", protocol=HTTP):
    """The transcripts."""
    return list(client.infer(model, tensors, ["TRANSCRIPTS"], protocol)["TRANSCRIPTS"][:, 0])


def of_files(client, rows, model="sensevoice", protocol=HTTP, **more):
    """The transcripts of files; `more` are further inputs."""
    return ask(client, {"AUDIO": files(rows), **prompt(len(rows)), **more}, model, protocol)


def of_samples(client, rows, model="sensevoice", protocol=HTTP, **more):
    """The transcripts of samples; `more` are further inputs."""
    lengths = column([len(row) for row in rows], len(rows))
    wav = padded(rows).astype(rows[0].dtype)
    return ask(client, {"WAV": wav, "WAV_LENS": lengths, **prompt(len(rows)), **more}, model, protocol)
