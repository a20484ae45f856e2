"""The step `feature_extractor`, called directly, against arrays recorded from the Python front end it replaces."""

from functools import partial

import numpy as np
import pytest

from support.client import PROTOCOLS
from support.load import at_once, counted, shared_executions
from support.recordings import padded
from support.variants import FRONT_END_DATA

TOLERANCE = 5e-4
NAMES = sorted(path.name.removesuffix(".wav.npy") for path in FRONT_END_DATA.glob("*.wav.npy"))


def wav_of(name):
    """Recorded samples."""
    return np.load(FRONT_END_DATA / f"{name}.wav.npy").astype(np.float32).ravel()


def speech_of(name):
    """Recorded features `[frames, 560]`."""
    return np.load(FRONT_END_DATA / f"{name}.speech.npy")


def features(client, wavs, model="golden_features", protocol=PROTOCOLS[0], lengths=None, **padding):
    """`speech` and `speech_lengths` of one request."""
    lengths = [len(wav) for wav in wavs] if lengths is None else lengths
    tensors = {"wav": padded(wavs, **padding), "wav_lens": np.array(lengths, np.int32).reshape(-1, 1)}
    answer = client.infer(model, tensors, ["speech", "speech_lengths"], protocol)
    return answer["speech"], answer["speech_lengths"]


def test_the_recorded_arrays_are_there():
    assert {f"frames_{frames:02}" for frames in range(1, 15)} <= set(NAMES)
    assert {"silence_half_s", "tone_clipped", "dc_offset", "int16_full_scale", "speech_zh"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_features_equal_the_recorded_ones(sensevoice, name):
    speech, lengths = features(sensevoice, [wav_of(name)])
    expected = speech_of(name)
    assert speech.shape == (1, *expected.shape)
    assert lengths.tolist() == [[len(expected)]]
    np.testing.assert_allclose(speech[0], expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_features_of_a_batch(sensevoice, protocol):
    """Trimmed to the longest row, zeros behind the shorter ones, each row the same as alone, to the last bit."""
    names = ["frames_03", "noise_1s", "frames_14", "silence_half_s"]
    speech, lengths = features(sensevoice, [wav_of(name) for name in names], protocol=protocol, width=40000)
    frames = [len(speech_of(name)) for name in names]
    assert lengths.tolist() == [[count] for count in frames]
    assert speech.shape == (4, max(frames), 560)
    for name, row, count in zip(names, speech, frames):
        alone, _ = features(sensevoice, [wav_of(name)])
        np.testing.assert_allclose(row[:count], speech_of(name), rtol=0, atol=TOLERANCE)
        assert not row[count:].any()
        np.testing.assert_array_equal(row[:count], alone[0])


def test_what_stands_behind_a_row_changes_no_bit(sensevoice):
    wav = wav_of("speech_en")
    alone, lengths = features(sensevoice, [wav])
    for value in (1.0, -1e3, np.nan, np.inf):
        speech, padded_lengths = features(
            sensevoice, [wav], width=160000, filling=lambda count, v=value: np.full(count, v)
        )
        np.testing.assert_array_equal(speech, alone)
        assert padded_lengths.tolist() == lengths.tolist()


def test_requests_computed_together_change_no_bit(sensevoice):
    """Requests of different lengths and batch sizes, sent at once, share executions and get what they get alone."""
    batches = [["frames_01"], ["speech_zh", "frames_07"], ["noise_1s"], ["dc_offset", "frames_02", "tone_clipped"]]
    alone = [features(sensevoice, [wav_of(name) for name in names]) for names in batches]
    before = sensevoice.statistics_at_rest("golden_features")
    calls = [partial(features, sensevoice, [wav_of(name) for name in names]) for names in batches * 4]
    together = at_once(sensevoice, calls)
    after = sensevoice.statistics_after(before, "golden_features", 4 * 7)
    for (speech, lengths), (own_speech, own_lengths) in zip(together, alone * 4):
        np.testing.assert_array_equal(speech, own_speech)
        np.testing.assert_array_equal(lengths, own_lengths)
    assert counted(before, after, "inference_count") == 4 * 7
    assert counted(before, after, "execution_count") < len(calls)
    assert max(shared_executions(before, after)) > 3


def test_lengths_all_different_share_an_execution(sensevoice):
    before = sensevoice.statistics_at_rest("golden_features")
    names = [f"frames_{frames:02}" for frames in range(1, 9)]
    assert len({len(wav_of(name)) for name in names}) == 8
    for name, (speech, _) in zip(
        names, at_once(sensevoice, [partial(features, sensevoice, [wav_of(name)]) for name in names])
    ):
        np.testing.assert_allclose(speech[0], speech_of(name), rtol=0, atol=TOLERANCE)
    after = sensevoice.statistics_after(before, "golden_features", len(names))
    assert max(shared_executions(before, after)) > 1


@pytest.mark.parametrize("name", ["frames_01", "noise_1s", "speech_digits"])
def test_rounded_up_with_zeros(sensevoice, name):
    expected = speech_of(name)
    speech, lengths = features(sensevoice, [wav_of(name)], model="golden_features_pad_16")
    assert lengths.tolist() == [[len(expected)]]
    assert speech.shape == (1, -(-len(expected) // 16) * 16, 560)
    np.testing.assert_allclose(speech[0, : len(expected)], expected, rtol=0, atol=TOLERANCE)
    assert not speech[0, len(expected) :].any()


def test_one_output_alone(sensevoice):
    wav = wav_of("noise_1s")
    tensors = {"wav": wav[np.newaxis], "wav_lens": np.array([[len(wav)]], np.int32)}
    expected = speech_of("noise_1s")
    only_lengths = sensevoice.infer("golden_features", tensors, ["speech_lengths"])
    assert only_lengths["speech_lengths"].tolist() == [[len(expected)]]
    only_speech = sensevoice.infer("golden_features", tensors, ["speech"])
    np.testing.assert_allclose(only_speech["speech"][0], expected, rtol=0, atol=TOLERANCE)


def test_the_same_audio_gives_the_same_bits(sensevoice):
    """No noise is added unless the config asks for it."""
    first, _ = features(sensevoice, [wav_of("silence_half_s")])
    for _ in range(5):
        again, _ = features(sensevoice, [wav_of("silence_half_s")])
        np.testing.assert_array_equal(first, again)
