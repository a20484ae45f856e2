"""What holds for SenseVoice's and Paraformer's ensembles holds for their pipelines: the same tests, with these servers."""

# ruff: noqa: F401
from paraformer.test_offline import (
    test_different_rows_of_equal_length,
    test_each_recording_alone,
    test_each_recording_padded_to_ten_seconds,
    test_one_answer_per_recording_in_random_company,
    test_requests_beside_each_other,
    test_requests_of_one_length_beside_each_other,
    test_rows_of_equal_length_in_one_request,
    test_the_largest_batch as test_paraformers_largest_batch,
)
from test_bad_requests import (
    test_good_requests_beside_bad_ones,
    test_the_error_says_what_is_wrong_and_the_next_request_succeeds,
)
from test_company import test_two_hundred_times_in_random_company
from test_texts import (
    test_a_language_given_by_its_id,
    test_a_padded_batch_with_noise_behind_every_row,
    test_audio_padded_to_the_next_ten_seconds,
    test_four_recordings_of_different_lengths_per_request,
    test_languages_mixed_in_one_request,
    test_one_recording_per_request,
    test_text_norms_mixed_in_one_request,
    test_the_largest_batch,
    test_what_wav_lens_cuts_off_is_not_heard,
)
