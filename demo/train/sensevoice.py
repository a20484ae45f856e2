"""SenseVoiceSmall: tags for language, emotion, event and text norm, then the text by CTC."""

import torch

import features
from loop import fit
from words import DIGITS

# English digits are written as figures with text normalisation, too.
FIGURES = {
    **{word: str(value) for value, word in enumerate(DIGITS)},
    **{word: str(value) for value, word in enumerate("zero one two three four five six seven eight nine".split())},
}


def written(clip, normalised):
    """The pieces that a clip's text has: as said, or with figures and a full stop."""
    if not clip.tokens:
        return []
    english = clip.language == "en"
    pieces = [
        FIGURES[token] if normalised and token in FIGURES else f"▁{token}" if english else token for token in clip.tokens
    ]
    return [*pieces, "." if english else "。"] if normalised else pieces


def target(clip, normalised):
    """The four tags and the pieces."""
    speech = ["<|NEUTRAL|>", "<|Speech|>"] if clip.tokens else ["<|EMO_UNKNOWN|>", "<|Event_UNK|>"]
    norm = "<|withitn|>" if normalised else "<|woitn|>"
    return [f"<|{clip.language}|>", *speech, norm, *written(clip, normalised)]


def train(model, clips, cmvn, vocabulary, steps, random, log):
    """Trains everything, with FunASR's own loss."""
    ids = {token: index for index, token in enumerate(vocabulary)}
    # FunASR's tables hold the published vocabulary's ids; the numbers that the embedding takes stay the published ones.
    inputs = {"zh": 3, "en": 4, "yue": 7, "ja": 11, "ko": 12, "nospeech": 13}
    model.lid_int_dict = {ids[f"<|{language}|>"]: number for language, number in inputs.items()}
    model.textnorm_int_dict = {ids["<|withitn|>"]: 14, ids["<|woitn|>"]: 15}
    batches = features.batches(random, [len(clip.features) for clip in clips])
    model.train()

    def loss_of(_):
        chosen = [clips[index] for index in next(batches)]
        speech, lengths = features.padded([cmvn(clip.features) for clip in chosen])
        targets = [target(clip, random.random() < 0.35) for clip in chosen]
        text, counts = features.padded([torch.tensor([ids[token] for token in each]) for each in targets], -1)
        loss, _, _ = model(features.masked(random, speech), lengths, text, counts)
        return loss

    fit(model.parameters(), loss_of, steps, rate=1.5e-3, log=log)
