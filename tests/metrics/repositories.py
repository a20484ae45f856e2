"""Pipelines that are held, short of room, or let streams be idle for a moment only."""

from faults.repositories import add_stand_in, copy_of_all
from paraformer.repositories import with_idle
from pipelines.variants import SHORT_IDLE_SECONDS, add_pipeline
from support.repository import chain, with_parameter

MOST_ROWS = 4
SHORT_SECONDS = 2.5
ONE_BY_ONE = chain(with_parameter("max_rows_per_call", 1), with_parameter("calls_in_flight", 1))


def repository(gate):
    """Writes the repository. While the file `gate` is there, the encoders of `*_held` answer nothing.

    - the pipelines and what they call: as users get them
    - `sensevoice_held`: held; a call of a row at a time, room for MOST_ROWS rows
    - `sensevoice_padded`: rows of any lengths share a call
    - `sensevoice_short`: takes SHORT_SECONDS of audio at most
    - `streaming_held`: held
    - `streaming_short`: streams may be idle for SHORT_IDLE_SECONDS
    """
    repository = copy_of_all("metrics")
    for target in ("sensevoice_encoder", "online_encoder"):
        add_stand_in(repository, f"{target}_held", target, pipeline=True, hold_while=gate)
    held, room = with_parameter("encoder", "sensevoice_encoder_held"), with_parameter("max_pending_rows", MOST_ROWS)
    for new, like, edit in (
        ("sensevoice_held", "sensevoice", chain(held, ONE_BY_ONE, room)),
        ("sensevoice_padded", "sensevoice", with_parameter("max_padding_percent", 90)),
        ("sensevoice_short", "sensevoice", with_parameter("max_audio_seconds", SHORT_SECONDS)),
        ("streaming_held", "streaming_paraformer", with_parameter("encoder", "online_encoder_held")),
        ("streaming_short", "streaming_paraformer", with_idle(SHORT_IDLE_SECONDS)),
    ):
        add_pipeline(repository, new, like, edit)
    return repository
