"""The same audio gets the same text, the one of golden.tsv, however it is sent."""

import numpy as np
import pytest

from support.client import PROTOCOLS
from support.recordings import WITH_ITN, WITHOUT_ITN, recordings

SAMPLE_RATE = 16000
BOTH_TEXT_NORMS = pytest.mark.parametrize("text_norm", [WITH_ITN, WITHOUT_ITN], ids=["itn", "no-itn"])
EACH_PROTOCOL = pytest.mark.parametrize("protocol", PROTOCOLS)


def noise(count):
    """Padding that would be transcribed if anyone listened."""
    return np.random.default_rng(count).uniform(-1, 1, count).astype(np.float32)


@EACH_PROTOCOL
@BOTH_TEXT_NORMS
def test_one_recording_per_request(sensevoice, protocol, text_norm):
    answers = {
        recording.name: sensevoice.transcribe([recording.samples], text_norm, protocol=protocol)[0]
        for recording in recordings()
    }
    assert answers == {recording.name: recording.texts[text_norm] for recording in recordings()}


@EACH_PROTOCOL
@BOTH_TEXT_NORMS
def test_four_recordings_of_different_lengths_per_request(sensevoice, protocol, text_norm):
    for start in range(0, len(recordings()), 4):
        # The last request is filled up from the front.
        batch = (recordings() + recordings())[start : start + 4]
        assert len({len(recording.samples) for recording in batch}) == 4
        answers = sensevoice.transcribe([each.samples for each in batch], text_norm, protocol=protocol)
        assert answers == [each.texts[text_norm] for each in batch]


def test_text_norms_mixed_in_one_request(sensevoice):
    norms = [WITH_ITN, WITHOUT_ITN] * 4
    batch = recordings()[:8]
    answers = sensevoice.transcribe([each.samples for each in batch], norms)
    assert answers == [each.texts[norm] for each, norm in zip(batch, norms)]


def test_the_largest_batch(sensevoice):
    batch = (recordings() + recordings())[:16]
    answers = sensevoice.transcribe([each.samples for each in batch], WITH_ITN)
    assert answers == [each.texts[WITH_ITN] for each in batch]


@pytest.mark.parametrize("filling", [None, noise], ids=["zeros", "noise"])
@EACH_PROTOCOL
def test_audio_padded_to_the_next_ten_seconds(sensevoice, protocol, filling):
    # JSON spells out every sample: a few recordings tell as much.
    some = recordings()[:3] if protocol == "HTTP JSON" else recordings()
    for recording in some:
        width = -(-len(recording.samples) // (10 * SAMPLE_RATE)) * 10 * SAMPLE_RATE
        answers = sensevoice.transcribe([recording.samples], WITH_ITN, protocol=protocol, width=width, filling=filling)
        assert answers == [recording.texts[WITH_ITN]], recording.name


def test_a_padded_batch_with_noise_behind_every_row(sensevoice):
    batch = recordings()[:4]
    answers = sensevoice.transcribe(
        [each.samples for each in batch], WITHOUT_ITN, width=10 * SAMPLE_RATE, filling=noise
    )
    assert answers == [each.texts[WITHOUT_ITN] for each in batch]


def test_what_wav_lens_cuts_off_is_not_heard(sensevoice):
    whole = recordings()[0]
    half = len(whole.samples) // 2
    alone = sensevoice.transcribe([whole.samples[:half]], WITH_ITN)
    cut = sensevoice.transcribe([whole.samples], WITH_ITN, lengths=[half])
    assert cut == alone
    assert alone != [whole.texts[WITH_ITN]]


@pytest.mark.parametrize(("language", "prefix"), [(3, "zh"), (4, "en")])
def test_a_language_given_by_its_id(sensevoice, language, prefix):
    """The right language named gives the text that was found without it."""
    spoken = [each for each in recordings() if f"_{prefix}." in each.name]
    for recording in spoken:
        (answer,) = sensevoice.transcribe([recording.samples], WITHOUT_ITN, language=language)
        assert answer == recording.texts[WITHOUT_ITN]


def test_languages_mixed_in_one_request(sensevoice):
    """Every row keeps its own language: the batch says what each row says alone."""
    batch = recordings()[4:8]
    languages = [0, 3, 4, 0]
    alone = [
        sensevoice.transcribe([each.samples], WITH_ITN, language=language)[0]
        for each, language in zip(batch, languages)
    ]
    assert sensevoice.transcribe([each.samples for each in batch], WITH_ITN, language=languages) == alone
