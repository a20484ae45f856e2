"""Writes silero.json: what the Python package silero-vad makes of seeded random probabilities.

    pip download silero-vad==6.2.3 --no-deps && unzip silero_vad-*.whl
    python make_silero_goldens.py DIRECTORY_WITH_silero_vad     (needs torch and packaging)

Its functions run as they are; only the model is replaced by answers that tests/goldens/mod.rs computes as well.
"""

import json
import sys
from pathlib import Path

import torch
from make_goldens import runs, unit

HERE = Path(__file__).parent
WINDOW, RATE = 512, 16000


def probabilities(seed: int, windows: int, longest: float):
    """A window is speech with a probability that is mostly sure, but often between the thresholds."""
    made = []
    for window, speech in enumerate(runs(seed, windows, longest)):
        doubt = 0.7 * unit(seed, 3, window)
        made.append(1.0 - doubt if speech else doubt)
    return torch.tensor(made, dtype=torch.float64).float().tolist()


class Model:
    """Answers one probability after the other."""

    def __init__(self, answers):
        self.answers = iter(answers)

    def reset_states(self):
        pass

    def __call__(self, _samples, _rate):
        return torch.tensor(next(self.answers))


def ms(samples: int) -> int:
    return samples * 1000 // RATE


def options(case: int) -> dict:
    """The package's own at first, then others."""
    seed = 1000 + case
    pick = lambda lane, values: values[int(unit(seed, lane, 0) * len(values))]  # noqa: E731
    if case < 4:
        return {}
    threshold = pick(1, [0.5, 0.5, 0.3, 0.7, 0.05])
    return {
        "threshold": threshold,
        "neg_threshold": pick(2, [None, None, 0.4 * threshold, threshold]),
        "min_speech_duration_ms": pick(3, [0, 250, 250, 1000]),
        "min_silence_duration_ms": pick(4, [0, 64, 100, 300, 800]),
        "speech_pad_ms": pick(5, [0, 30, 100, 257]),
        "max_speech_duration_s": pick(6, [None, 1.0, 2.5, 6.0, 15.0]),
    }


def main(root: Path) -> None:
    sys.path.insert(0, str(root))
    from silero_vad.utils_vad import VADIterator, get_speech_timestamps_from_probs

    cases = []
    for case in range(60):
        seed, own = 500 + case, options(case)
        windows = 1 + int(unit(seed, 9, 0) * 600)
        longest = 4 + unit(seed, 9, 1) * 120
        # The last window may be shorter.
        samples = windows * WINDOW - int(unit(seed, 9, 2) * WINDOW)
        answers = probabilities(seed, windows, longest)
        given = {key: value for key, value in own.items() if value is not None}
        segments = get_speech_timestamps_from_probs(answers, audio_length_samples=samples, **given)
        written = {
            "seed": seed,
            "windows": windows,
            "longest": longest,
            "samples": samples,
            "options": own,
            "segments": [[ms(each["start"]), ms(each["end"])] for each in segments],
        }
        if own.get("neg_threshold") is None:
            taken = ("threshold", "min_silence_duration_ms", "speech_pad_ms")
            iterator = VADIterator(Model(answers), **{key: given[key] for key in taken if key in given})
            told = [iterator(torch.zeros(WINDOW)) for _ in answers]
            written["events"] = [[ms(each[key]) if key in each else -1 for key in ("start", "end")] for each in told if each]
        cases.append(written)
    lines = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "silero.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
