"""Streaming Paraformer by its rule, over a whole recording at once: no server, none of the project's code.

The frames of a stream are those of the offline front end over all its audio, scaled, with positions from 1. Window k covers the
frames 10k-10 to 10k+10, and CIF consumes those from 10k-5 to 10k+5. What is left at the end is consumed in shorter windows, then
comes the tail.
"""

import numpy as np

from paraformer.reference_chain import HOP, SAMPLE_RATE, STACKED, StreamingChain, joined, log_mel, stacked

CONTEXT, OWN = 5, 10


class RuleChain(StreamingChain):
    """What the pipeline must answer, however a stream is cut into chunks."""

    def __init__(self, directory, tail_padding_ms=240):
        super().__init__(directory)
        self.tail_padding = tail_padding_ms * SAMPLE_RATE // 1000

    def transcribe(self, samples):
        """The text of a stream."""
        return joined(self.ids(samples), self.tokens)

    def ids(self, samples):
        """The ids of a stream."""
        frames = self.frames(np.concatenate([samples, np.zeros(self.tail_padding, np.float32)]))
        caches = {name: np.zeros((1, *shape), np.float32) for name, shape in self.caches.items()}
        total, weighted, enc, ids = 0.0, np.zeros(self.hidden), None, []
        for window, consumed in windows(frames):
            speech = {"speech": window[None], "speech_lengths": np.int32([len(window)])}
            enc, alphas = self.model.run(["enc", "alphas"], speech)
            pairs = zip(alphas[0, consumed].tolist(), enc[0, consumed])
            fired, total, weighted = integrate(pairs, total, weighted)
            found, caches = self.decode(enc, fired, caches)
            ids += found
        if enc is None:
            return []
        fired, _, _ = integrate([(self.TAIL, np.zeros(self.hidden))], total, weighted)
        return ids + self.decode(enc, fired, caches)[0]

    def frames(self, samples):
        """What the encoder's windows are cut from."""
        mel = log_mel(samples)
        if not len(mel):
            return np.zeros((0, self.shift.size), np.float32)
        mel = np.concatenate([mel[:1].repeat((STACKED - 1) // 2, axis=0), mel])
        count = -(-(len(mel) - (STACKED - 1) // 2) // HOP)
        features = self.normalised(stacked(mel, count)) * np.float32(np.sqrt(self.hidden))
        half = self.shift.size // 2
        timescales = np.exp(-np.arange(half) * np.log(10000.0) / (half - 1))
        angles = np.arange(1, count + 1)[:, None] * timescales
        return features + np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)

    def decode(self, enc, fired, caches):
        """The ids of the embeddings that fired in a window, and the caches after them."""
        if not fired:
            return [], caches
        inputs = {"enc": enc, "enc_len": np.int32([enc.shape[1]]), "acoustic_embeds": np.float32(fired)[None], **caches}
        inputs["acoustic_embeds_len"] = np.int32([len(fired)])
        names = [name.replace("in_", "out_") for name in caches]
        ids, *new = self.decoder.run(["sample_ids", *names], inputs)
        return ids[0].tolist(), dict(zip(caches, new))


def windows(frames):
    """The windows of a stream, and which frames of each are consumed."""
    before = np.zeros((OWN, frames.shape[1]), np.float32)
    padded = np.concatenate([before, frames])
    full = len(frames) // OWN
    for number in range(full):
        yield padded[number * OWN : number * OWN + 2 * OWN], slice(CONTEXT, CONTEXT + OWN)
    # The zeros before the stream are consumed with its first full window or not at all.
    start = full * OWN - CONTEXT if full else 0
    left = len(frames) - start
    if left > OWN:
        yield padded[start + OWN - CONTEXT :], slice(CONTEXT, CONTEXT + OWN)
        start, left = start + OWN, left - OWN
    if left > 0:
        yield padded[start + OWN - CONTEXT :], slice(CONTEXT, CONTEXT + left)


def integrate(pairs, total, weighted):
    """Continuous integrate-and-fire: the embeddings that fired, and what is carried on."""
    fired = []
    for alpha, frame in pairs:
        if total + alpha < 1.0:
            total, weighted = total + alpha, weighted + alpha * frame
            continue
        needed = 1.0 - total
        fired.append(weighted + needed * frame)
        total = alpha - needed
        weighted = total * frame
    return fired, total, weighted
