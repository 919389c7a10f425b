"""Forward pass with guided attention, and the training losses.

Five losses share one pass: next-token cross-entropy, CTC over words (top encoder layer) and phones
(a lower one), attention mass on the frames where a token is heard, and the word at single frames.
The last two need word times from ``align.py``; without them they are zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from model import FULL_VOCABULARY, Networks, Phones
from torch import Tensor
from whisper.model import ResidualAttentionBlock
from windows import FRAME_RATE, Batch, Utterance

GUIDED_HEADS = 2  # of a lower decoder layer; in the upper half all heads are guided
MASS_FLOOR = 1e-3  # keeps the guide's logarithm finite
LONG_WORD = 0.15  # seconds; a longer word is asked for at three frames

Heard = tuple[int, Utterance]  # window's number in the batch, utterance


@dataclass(frozen=True)
class Weights:
    """How much each loss counts beside the cross-entropy."""

    words: float
    phones: float
    guide: float
    frames: float


@dataclass(frozen=True)
class Losses:
    """Losses of one batch (scalars), and logits (B, T, compact tokens)."""

    tokens: Tensor
    words: Tensor
    phones: Tensor
    guide: Tensor
    frames: Tensor
    logits: Tensor

    def total(self, weights: Weights) -> Tensor:
        """Weighted sum."""
        extra = weights.words * self.words + weights.phones * self.phones
        return self.tokens + extra + weights.guide * self.guide + weights.frames * self.frames

    def values(self) -> list[float]:
        """Print-ready numbers: tokens, words, phones, guide, frames."""
        parts = (self.tokens, self.words, self.phones, self.guide, self.frames)
        return [part.item() for part in parts]


def encode(networks: Networks, mel: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Encode windows of any length that stand anywhere in Whisper's 30 seconds.

    Args:
        networks: The networks.
        mel: (B, 80, 2 S) log-mel spectrogram.
        offsets: (B,) encoder frame at which each window starts.

    Returns:
        (B, S, width) features, and (B, S, width) output of the layer that phones are read from.
    """
    encoder = networks.whisper.encoder
    x = F.gelu(encoder.conv2(F.gelu(encoder.conv1(mel)))).permute(0, 2, 1)
    places = offsets[:, None] + torch.arange(x.shape[1], device=x.device)
    x = x + encoder.positional_embedding[places]
    middle = x
    for layer, block in enumerate(encoder.blocks):
        x = block(x)
        if layer == networks.middle_layer:
            middle = x
    return encoder.ln_post(x), middle


def cross_attend(block: ResidualAttentionBlock, x: Tensor, features: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """Cross-attention written out, because the guide needs its weights.

    Returns:
        (B, T, width) output and (B, heads, T, S) attention weights.
    """
    attention = block.cross_attn

    def split(value: Tensor) -> Tensor:
        return value.view(value.shape[0], value.shape[1], heads, -1).permute(0, 2, 1, 3)

    query = split(attention.query(block.cross_attn_ln(x)))
    key, value = split(attention.key(features)), split(attention.value(features))
    scores = (query @ key.transpose(-1, -2)).float() * query.shape[-1] ** -0.5
    weights = scores.softmax(-1)
    mixed = (weights.to(x.dtype) @ value).permute(0, 2, 1, 3).flatten(2)
    return attention.out(mixed), weights


def guide_loss(weights: Tensor, spans: Tensor) -> Tensor | None:
    """How little attention lies on the frames where each token is heard.

    Args:
        weights: (B, heads, T, S) attention weights.
        spans: (B, T, 2) first and last frame; -9 for tokens that are left alone.
    """
    guided = spans[..., 1] > -9
    if not guided.any():
        return None
    frames = torch.arange(weights.shape[-1], device=weights.device)
    heard = (frames >= spans[..., :1]) & (frames <= spans[..., 1:])
    mass = (weights * heard[:, None]).sum(-1)
    return -(mass + MASS_FLOOR).log().mean(1)[guided].mean()


def decode(
    networks: Networks, inputs: Tensor, features: Tensor, here: Tensor, following: Tensor
) -> tuple[Tensor, Tensor]:
    """Decode; return (B, T, compact tokens) logits and the guide loss (scalar)."""
    decoder, heads = networks.whisper.decoder, networks.size.heads
    length, lower = inputs.shape[1], len(decoder.blocks) // 2
    x = (decoder.token_embedding(inputs) + decoder.positional_embedding[:length]).to(features.dtype)
    causal = torch.full((length, length), -math.inf, device=x.device).triu_(1)
    guides = []
    for layer, block in enumerate(decoder.blocks):
        x = x + block.attn(block.attn_ln(x), mask=causal)[0]
        out, weights = cross_attend(block, x, features, heads)
        # lower layers listen to the token they have, upper ones to the token they predict
        below = layer < lower
        guided_heads = GUIDED_HEADS if below else heads
        guide = guide_loss(weights[:, :guided_heads], here if below else following)
        if guide is not None:
            guides.append(guide)
        x = x + out
        x = x + block.mlp(block.mlp_ln(x))
    logits = (decoder.ln(x) @ decoder.token_embedding.weight.to(x.dtype).T).float()
    return logits, sum(guides) / len(guides) if guides else features.sum() * 0


def token_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy over the tokens that count."""
    flat = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="none")
    return (flat * batch.mask.flatten().float()).sum() / batch.mask.sum()


def ctc(scores: Tensor, targets: list[list[int]], lengths: Tensor) -> Tensor:
    """CTC loss per target; scores are (U, S, classes) with the blank first."""
    logs = scores.log_softmax(-1).transpose(0, 1).float()
    flat = torch.tensor([number for target in targets for number in target])
    sizes = torch.tensor([len(target) for target in targets])
    loss = F.ctc_loss(logs, flat, lengths, sizes, reduction="sum", zero_infinity=True)
    return loss / sizes.sum().item()


def ctc_losses(
    networks: Networks, phones: Phones, heard: list[Heard], features: Tensor, middle: Tensor
) -> tuple[Tensor, Tensor]:
    """CTC losses of words and phones, each utterance cut out of its window."""
    total, device = features.shape[1], features.device
    vocabulary = networks.vocabulary
    cuts = [(max(0, int(u.start * FRAME_RATE) - 2), int(u.end * FRAME_RATE) + 4) for _, u in heard]
    longest = max(end - start for start, end in cuts)
    frames = torch.tensor([[min(start + t, total - 1) for t in range(longest)] for start, _ in cuts], device=device)
    rows = torch.tensor([row for row, _ in heard], device=device)[:, None]
    lengths = torch.tensor([min(end, total) - start for start, end in cuts])
    classify, blank, norm = networks.heads
    top = features[rows, frames]
    text = networks.whisper.decoder.token_embedding.weight[: vocabulary.text_count]
    words = torch.cat([blank(top), top @ text.T], -1)
    word_targets = [[token + 1 for token in vocabulary.encode(u.text)] for _, u in heard]
    phone_targets = [phones.of_text(u.text) for _, u in heard]
    phone_scores = classify(norm(middle[rows, frames]))
    return ctc(words, word_targets, lengths), ctc(phone_scores, phone_targets, lengths)


def frame_loss(networks: Networks, heard: list[Heard], features: Tensor) -> Tensor | None:
    """Cross-entropy of a word's first token at the middle of the word."""
    vocabulary, last = networks.vocabulary, features.shape[1] - 1
    asked: list[tuple[int, int, int]] = []  # row, frame, token
    for row, utterance in heard:
        for place, (word, (start, end)) in enumerate(zip(utterance.text.split(), utterance.words, strict=False)):
            whole = utterance.text if place == 0 else word.strip(".?")
            token = vocabulary.encode(whole)[0]
            middle = int((start + end) * FRAME_RATE / 2)
            around = (-1, 0, 1) if end - start > LONG_WORD else (0,)
            asked += [(row, min(last, middle + shift), token) for shift in around]
    if not asked:
        return None
    rows, frames, tokens = torch.tensor(asked, device=features.device).T
    text = networks.whisper.decoder.token_embedding.weight[: vocabulary.text_count]
    return F.cross_entropy((features[rows, frames] @ text.T).float(), tokens)


def compute_losses(networks: Networks, phones: Phones, batch: Batch) -> Losses:
    """Run a batch (already on the networks' device) through everything."""
    features, middle = encode(networks, batch.mel, batch.offsets)
    logits, guide = decode(networks, batch.inputs, features, batch.here, batch.following)
    # the last row stands for many tokens: score it as their sum
    unused = math.log(FULL_VOCABULARY - networks.vocabulary.other)
    logits = torch.cat([logits[..., :-1], logits[..., -1:] + unused], -1)
    tokens = token_loss(logits, batch)
    heard = [(row, u) for row, said in enumerate(batch.utterances) for u in said]
    zero = tokens * 0
    if not heard:
        return Losses(tokens, zero, zero, guide, zero, logits)
    words, phone = ctc_losses(networks, phones, heard, features, middle)
    frames = frame_loss(networks, heard, features)
    return Losses(tokens, words, phone, guide, zero if frames is None else frames, logits)
