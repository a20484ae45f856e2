"""One repository with all models, as `triton-funasr repo all` makes it, serves them all, as ensembles and as pipelines."""

import pytest

from paraformer.streaming import send_all
from paraformer.test_offline import ask
from paraformer.texts import recordings as paraformer_recordings
from paraformer.texts import streams
from support.client import GRPC
from support.recordings import WITH_ITN, recordings


@pytest.mark.parametrize("form", ["ensembles", "pipelines"])
def test_all_models_answer_side_by_side(request, ids, form):
    client = request.getfixturevalue(form)
    for sensevoice, paraformer, stream in zip(recordings(), paraformer_recordings(), streams()):
        assert client.transcribe([sensevoice.samples], WITH_ITN) == [sensevoice.texts[WITH_ITN]]
        assert ask(client, [paraformer.samples]) == [paraformer.text]
        assert send_all(client, stream.chunks, next(ids), GRPC) == stream.deltas
