"""What is sent, and the text of each recording alone: nothing else may ever be answered for it."""

import itertools
import random
from dataclasses import dataclass, field

import numpy as np

from paraformer.streaming import send_all
from paraformer.test_offline import ask
from paraformer.texts import SILENCE_BEHIND, streams
from paraformer.texts import recordings as paraformer_recordings
from pipelines.audio import SAMPLE_RATE, cut, made_up
from support.client import GRPC, InferenceServerException
from support.recordings import WITH_ITN, WITHOUT_ITN, padded, recordings

ENSEMBLE, PIPELINE = FORMS = ("ensemble", "pipeline")
NORMS = (WITH_ITN, WITHOUT_ITN)

# Samples of an ensemble's chunk.
CHUNK = 9600
# Rows that share a request of a Paraformer ensemble must be equally long: there is some audio of each of these lengths.
EQUAL_SECONDS = (1.2, 2.0, 3.0)
EQUAL_EACH = 6


@dataclass
class Material:
    """Audio, and what each model answers to it alone, by the audio's place in the list."""

    form: str
    audio: list
    sensevoice: dict = field(default_factory=dict)
    paraformer: dict = field(default_factory=dict)
    stream: dict = field(default_factory=dict)

    def companions(self):
        """Lists of audio that may share a request of Paraformer: any in a pipeline, equally long in an ensemble."""
        if self.form == PIPELINE:
            return [list(self.paraformer)]
        by_length = {}
        for index in self.paraformer:
            by_length.setdefault(len(self.audio[index]), []).append(index)
        return list(by_length.values())

    def pieces(self, index, dice=None):
        """A recording as the chunks of a stream; with `dice` of random sizes, where the model takes any."""
        samples = self.audio[index]
        if self.form == ENSEMBLE:
            # Its last 300 ms would never be decoded.
            return cut(np.append(samples, np.zeros(SILENCE_BEHIND, np.float32)), CHUNK)
        if dice is None:
            return cut(samples, CHUNK)
        pieces, begin = [], 0
        while begin < len(samples):
            end = begin + dice.choice([0, dice.randrange(1600), 4800, CHUNK, dice.randrange(30_000)])
            pieces.append(samples[begin:end])
            begin = end
        return pieces


def audio():
    """The demo's recordings, then pieces of other lengths: mostly short, so that a run has many requests."""
    dice = random.Random(6)
    seconds = [dice.uniform(0.2, 1) for _ in range(8)]
    seconds += [each for each in EQUAL_SECONDS for _ in range(EQUAL_EACH)]
    seconds += [dice.uniform(4, 12) for _ in range(6)]
    return [each.samples for each in recordings()] + [_cut_out(dice, int(each * SAMPLE_RATE)) for each in seconds]


def _cut_out(dice, length):
    source = dice.choice([each for each in made_up() if len(each) > length])
    begin = dice.randrange(len(source) - length)
    return source[begin : begin + length]


def ask_alone(client, form):
    """Asks for each recording by itself, one after the other, and checks the answers that are known."""
    material = Material(form, audio())
    ids = itertools.count(1)
    for index, samples in enumerate(material.audio):
        material.sensevoice[index] = {norm: client.transcribe([samples], norm, protocol=GRPC)[0] for norm in NORMS}
        material.stream[index] = "".join(send_all(client, material.pieces(index), next(ids), GRPC))
        try:
            (material.paraformer[index],) = ask(client, [samples], protocol=GRPC)
        except InferenceServerException:
            # Audio without a token is an error of ONNX Runtime in an ensemble. None of the demo's recordings is such.
            if form == PIPELINE or index < len(recordings()):
                raise
    for index, known in enumerate(zip(recordings(), paraformer_recordings(), streams())):
        answers = material.sensevoice[index], material.paraformer[index], material.stream[index]
        assert answers == (known[0].texts, known[1].text, known[2].text), known[0].name
    if form == ENSEMBLE:
        # And in a batch an error for all its rows.
        material.paraformer = {index: text for index, text in material.paraformer.items() if text}
    return material


def tensors(rows, norm=None):
    """The inputs of a request with these rows; with `norm` those of SenseVoice."""
    lengths = np.int32([[len(each)] for each in rows])
    inputs = {"WAV": padded(rows), "WAV_LENS": lengths}
    if norm is not None:
        inputs["LANGUAGE"] = np.zeros_like(lengths)
        inputs["TEXT_NORM"] = np.full_like(lengths, norm)
    return inputs
