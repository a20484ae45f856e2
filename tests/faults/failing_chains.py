"""What streams answer when calls of their encoder or decoder fail: the rules' answers without what failed."""

import numpy as np

from paraformer.texts import ONLINE
from paraformer.reference_chain import stacked
from pipelines.rule_chain import RuleChain, integrate, windows


class _FailingChain(RuleChain):
    """A stream in chunks of 600 ms: every chunk but the last computes one window."""

    def __init__(self):
        super().__init__(ONLINE)

    def no_caches(self):
        """The decoder's caches at its beginning."""
        return {name: np.zeros((1, *shape), np.float32) for name, shape in self.caches.items()}

    def encode(self, window):
        """The encoder's output for a window."""
        speech = {"speech": window[None], "speech_lengths": np.int32([len(window)])}
        return self.model.run(["enc", "alphas"], speech)

    def embeddings(self, samples):
        """The embeddings that fire in each window that has any, and the window's number."""
        frames = self.frames(samples)
        total, weighted = 0.0, np.zeros(self.hidden)
        for number, (window, consumed) in enumerate(windows(frames)):
            enc, alphas = self.encode(window)
            fired, total, weighted = integrate(zip(alphas[0, consumed].tolist(), enc[0, consumed]), total, weighted)
            if fired:
                yield number, fired


class FailingPipeline(_FailingChain):
    """A pipeline's stream, which goes on as if a call that failed had not been made."""

    def deltas(self, samples, chunks, failed, model):
        """The text that each chunk adds. For the chunks `failed`, calls of `model` failed, and their text is anything."""
        frames = self.frames(np.concatenate([samples, np.zeros(self.tail_padding, np.float32)]))
        caches, total, weighted = self.no_caches(), 0.0, np.zeros(self.hidden)
        per_chunk, enc = [[] for _ in range(chunks)], None
        for number, (window, consumed) in enumerate(windows(frames)):
            chunk = min(number, chunks - 1)
            if chunk in failed and model == "encoder":
                continue
            enc, alphas = self.encode(window)
            fired, total, weighted = integrate(zip(alphas[0, consumed].tolist(), enc[0, consumed]), total, weighted)
            if chunk not in failed:
                found, caches = self.decode(enc, fired, caches)
                per_chunk[chunk] += found
        if chunks - 1 not in failed:
            fired, _, _ = integrate([(self.TAIL, np.zeros(self.hidden))], total, weighted)
            per_chunk[-1] += self.decode(enc, fired, caches)[0]
        return self.texts(per_chunk)


class FailingEnsemble(_FailingChain):
    """An ensemble's stream: CIF never sees what the encoder failed at, and a decoder that failed begins afresh."""

    def deltas(self, samples, chunks, failed, model):
        """The same."""
        own_windows = self.windows(samples)
        assert len(own_windows) == chunks
        previous = np.zeros((self.FRAMES, self.shift.size), np.float32)
        caches, total, weighted = self.no_caches(), 0.0, np.zeros(self.hidden)
        per_chunk = [[] for _ in range(chunks)]
        for chunk, window in enumerate(own_windows):
            own = self.normalised(stacked(window, self.FRAMES)) * np.float32(np.sqrt(self.hidden))
            own += self.positions(chunk * self.FRAMES)
            both, previous = np.concatenate([previous, own]), own
            if chunk in failed and model == "encoder":
                continue
            enc, alphas = self.encode(both)
            fired, total, weighted = self.fire(enc[0], alphas[0], total, weighted, last=chunk == chunks - 1)
            if chunk in failed:
                caches = self.no_caches()
            else:
                per_chunk[chunk], caches = self.decode(enc, fired, caches)
        return self.texts(per_chunk)
