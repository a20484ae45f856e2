"""The streaming steps: a state per correlation id, in a dictionary."""

import json
from dataclasses import dataclass, field

import numpy as np
import triton_python_backend_utils as pb_utils
from front_end import BINS, HOP, STACKED, fbank_options, log_mel, read_cmvn, stacked
from scoring import joined
from tensors import array, number

CHUNK, OVERLAP = 9600, 320
WINDOW = 61
FRAMES, LOOK_BACK = 10, 5
THRESHOLD, TAIL = 1.0, 0.45


class Streams(dict):
    """States by correlation id: begun at START, dropped at END."""

    def __init__(self, begin):
        self.begin = begin

    def of(self, request):
        """The state of a request's stream, and whether this is its last request."""
        stream, last = int(number(request, "CORRID")), bool(number(request, "END"))
        if number(request, "START"):
            self[stream] = self.begin()
        return (self.pop(stream) if last else self[stream]), last


@dataclass
class Audio:
    """What a stream's next window needs of the ones before."""

    samples: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    frames: np.ndarray = field(default_factory=lambda: np.zeros((0, BINS), np.float32))


class OnlineFeatureExtractor:
    """Chunks of 600 ms to windows of 61 frames, each beginning with the last frame of the one before."""

    def __init__(self, parameters, directory):
        self.options = fbank_options()
        self.streams = Streams(Audio)

    def __call__(self, request):
        state, _ = self.streams.of(request)
        samples = array(request, "wav")[0, : number(request, "wav_lens")]
        chunk = np.zeros(CHUNK, np.float32)
        chunk[: len(samples)] = samples
        frames = log_mel(self.options, np.concatenate([state.samples, chunk]))
        before = state.frames if len(state.frames) else frames[:1].repeat((STACKED - 1) // 2, axis=0)
        window = np.concatenate([before, frames])
        state.samples, state.frames = chunk[-OVERLAP:], window[-1:]
        return {"speech": window[None, :WINDOW]}


@dataclass
class Window:
    """The features of the window before, and how many frames there were."""

    features: np.ndarray
    offset: int = 0


class LfrCmvnPe:
    """Windows to what the encoder takes: the window before and this one, with positions."""

    def __init__(self, parameters, directory):
        self.shift, scale = read_cmvn(directory / parameters["cmvn_path"])
        self.scale = scale * np.float32(np.sqrt(float(parameters["encoder_output_size"])))
        half = self.shift.size // 2
        self.timescales = np.exp(-np.arange(half) * np.log(10000.0) / (half - 1))
        self.streams = Streams(lambda: Window(np.zeros((FRAMES, self.shift.size), np.float32)))

    def __call__(self, request):
        state, _ = self.streams.of(request)
        own = stacked(array(request, "chunk_xs")[0], FRAMES)
        own += self.shift
        own *= self.scale
        own += self.positions(state.offset)
        both = np.concatenate([state.features, own])[None]
        state.features, state.offset = own, state.offset + FRAMES
        return {"chunk_xs_out": both, "chunk_xs_out_len": np.array([[both.shape[1]]], np.int32)}

    def positions(self, offset):
        """The sinusoidal encoding of the positions behind `offset`."""
        angles = np.arange(offset + 1, offset + 1 + FRAMES)[:, None] * self.timescales
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


@dataclass
class Integration:
    """What has not fired yet."""

    alpha: float = 0.0
    hidden: np.ndarray | float = 0.0
    opened: bool = False


class CifSearch:
    """Continuous integrate-and-fire, and calls of the decoder for the tokens that fired."""

    def __init__(self, parameters, directory):
        self.tokens = json.loads((directory / parameters["vocabulary"]).read_text(encoding="utf-8"))
        self.decoder = parameters["decoder"]
        self.streams = Streams(Integration)

    def __call__(self, request):
        state, last = self.streams.of(request)
        enc = array(request, "enc")
        fired = self.fire(state, enc[0], array(request, "alphas")[0], last)
        text = ""
        if fired:
            text = joined(self.tokens, self.decode(request, state, enc, fired, last))
        elif last and state.opened:
            # Only to end the decoder's sequence.
            self.decode(request, state, enc, [np.zeros(enc.shape[2], np.float32)], last)
        return {"transcripts": np.array([[text.encode()]], np.object_)}

    def fire(self, state, enc, alphas, last):
        """The embeddings of the tokens that end in this window."""
        own = slice(LOOK_BACK, LOOK_BACK + FRAMES)
        frames = list(zip(alphas[own].tolist(), enc[own]))
        if last:
            frames.append((TAIL, np.zeros(enc.shape[1], np.float32)))
        fired, total, weighted = [], state.alpha, state.hidden
        for alpha, frame in frames:
            if total + alpha < THRESHOLD:
                total, weighted = total + alpha, weighted + np.float32(alpha) * frame
                continue
            needed = THRESHOLD - total
            fired.append(weighted + np.float32(needed) * frame)
            total = alpha - needed
            weighted = np.float32(total) * frame
        state.alpha, state.hidden = total, weighted
        return fired

    def decode(self, request, state, enc, fired, last):
        """The decoder's tokens; the server keeps its caches."""
        flags = 0
        if not state.opened:
            flags |= pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START
        if last:
            flags |= pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_END
        state.opened = True
        call = pb_utils.InferenceRequest(
            model_name=self.decoder,
            requested_output_names=["sample_ids"],
            inputs=[
                pb_utils.Tensor("enc", enc),
                pb_utils.Tensor("enc_len", np.array([[enc.shape[1]]], np.int32)),
                pb_utils.Tensor("acoustic_embeds", np.stack(fired)[None]),
                pb_utils.Tensor("acoustic_embeds_len", np.array([[len(fired)]], np.int32)),
            ],
            correlation_id=request.correlation_id(),
            flags=flags,
        )
        response = call.exec()
        if response.has_error():
            raise RuntimeError(response.error().message())
        return pb_utils.get_output_tensor_by_name(response, "sample_ids").as_numpy()[0]
