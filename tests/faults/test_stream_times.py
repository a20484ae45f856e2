"""A chunk that is lost leaves a gap in the times of its stream, and moves nothing behind it."""

import shutil

import pytest

from faults.repositories import FAIL_EVERY, add_stand_in
from paraformer.streaming import tensors
from paraformer.texts import streams
from pipelines.variants import PIPELINE, SOON, add_pipeline
from support.client import InferenceServerException, serving
from support.environment import timed_repository
from support.repository import fresh_directory, with_parameter
from support.results import rows_of

FRAME_MS, CHUNK_MS, LATE_MS = 60, 600, 300


@pytest.fixture(scope="module")
def client():
    """A client of a server whose `streaming_third` loses each third window, and tells when words were said."""
    repository = shutil.copytree(timed_repository("--outputs", "all"), fresh_directory("times"), dirs_exist_ok=True)
    add_stand_in(repository, "online_encoder_third", "online_encoder", pipeline=True, fail_every=FAIL_EVERY)
    add_pipeline(repository, "streaming_third", "streaming_paraformer", with_parameter("encoder", "online_encoder_third"))
    with serving(repository, PIPELINE, SOON) as client:
        yield client


def ends(client, model, chunks, number):
    """For each chunk but the last the times at which its tokens were over; none for a chunk that was lost."""
    told = []
    for at, chunk in enumerate(chunks):
        flags = {"sequence_id": number, "sequence_start": at == 0, "sequence_end": at == len(chunks) - 1}
        try:
            answer = client.infer(model, tensors(chunk), ["TOKEN_END_MS", "TOKEN_COUNT"], **flags)
            told.append(rows_of(answer)[0]["TOKEN_END_MS"])
        except InferenceServerException as error:
            assert "was to fail" in error.message()
            told.append(None)
    return told[:-1]


def test_times_behind_a_lost_chunk_are_those_of_the_stream(client):
    """With a chunk come the words of the 600 ms that end 300 ms before it: those of windows that nothing was lost of."""
    behind = 0
    for number, each in enumerate(streams(), 1):
        lost = 0
        for at, times in enumerate(ends(client, "streaming_third", each.chunks, number)):
            lost += times is None
            for time in times or []:
                assert at * CHUNK_MS - LATE_MS <= time <= (at + 1) * CHUNK_MS - LATE_MS, (number, at, times)
                behind += lost > 0
    assert behind > 5


def test_times_of_a_stream_shorter_than_its_first_window(client):
    """What is heard in it was said in it, however short."""
    heard = 0
    for number, each in enumerate(streams(), 500):
        for length in (4000, 4800, 5200):
            start = len(each.samples) // 2
            flags = {"sequence_id": 1000 * length + number, "sequence_start": True, "sequence_end": True}
            piece = each.samples[start : start + length]
            answer = client.infer("streaming_paraformer", tensors(piece), ["TOKEN_START_MS", "TOKEN_END_MS", "TOKEN_COUNT"], **flags)
            row = rows_of(answer)[0]
            for begin, end in zip(row["TOKEN_START_MS"], row["TOKEN_END_MS"], strict=True):
                assert begin < end
                heard += 1
    assert heard > 3
