"""What a row may say next: Whisper's rules for tokens and for the times between them, for all rows at once.

They are those of ``whisper.decoding`` (SuppressBlank, SuppressTokens, ApplyTimestampRules), written without a look at
single rows, so that a GPU need not wait for who looks.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from whisper.tokenizer import Tokenizer

FIRST_TIME_AT_MOST = 50  # steps of 20 ms: the first time told lies within a second
NEVER = float("-inf")


@dataclass(frozen=True)
class Said:
    """What a rule has to know of rows: how they began, and the times they told.

    Attributes:
        nothing: nothing yet.
        time_last: a time was the last token.
        time_before: and one before that; also where there was none before.
        latest: the last time told, as a token; 0 without any.
    """

    nothing: "Tensor"
    time_last: "Tensor"
    time_before: "Tensor"
    latest: "Tensor"


class Rules:
    """The rules.

    Args:
        tokenizer: of the model.
        tokens: in its vocabulary.
        device: where rows are.
        endless: rows do not end by themselves, which benchmarks want.
    """

    def __init__(self, tokenizer: "Tokenizer", tokens: int, device: "torch.device", *, endless: bool = False) -> None:
        import torch

        self.eot, self.first_time = tokenizer.eot, tokenizer.timestamp_begin
        special = (tokenizer.transcribe, tokenizer.translate, tokenizer.sot, tokenizer.sot_prev, tokenizer.sot_lm)
        never = [*tokenizer.non_speech_tokens, *special, tokenizer.no_speech, tokenizer.no_timestamps]
        self._number = torch.arange(tokens, device=device)
        self._never = torch.zeros(tokens, dtype=torch.bool, device=device)
        self._never[never + [tokenizer.eot] * endless] = True
        self._not_first = (self._number < self.first_time) | (self._number > self.first_time + FIRST_TIME_AT_MOST)

    def allowed(self, logits: "Tensor", said: Said) -> "Tensor":
        """The logits (R, V) with those of what must not come next at minus infinity."""
        import torch

        time = self._number >= self.first_time
        paired, opened = said.time_last & said.time_before, said.time_last & ~said.time_before
        # A pair of times is followed by text; a time that closes text by one that opens the next, or by the end.
        forbidden = self._never | (paired[:, None] & time) | (opened[:, None] & (self._number < self.eot))
        # Times do not fall, and a segment has a length.
        earliest = torch.where(opened, said.latest, said.latest + 1)
        told = said.latest > 0
        forbidden = forbidden | (told[:, None] & time & (self._number < earliest[:, None]))
        forbidden = forbidden | (said.nothing[:, None] & self._not_first)
        logits = logits.masked_fill(forbidden, NEVER)
        # A time, where all of them together are likelier than any other token.
        times, text = logits[:, self.first_time :].logsumexp(-1), logits[:, : self.first_time].amax(-1)
        return logits.masked_fill((times > text)[:, None] & ~time, NEVER)


def greedy(logits: "Tensor") -> "Tensor":
    """The likeliest token of each row."""
    return logits.argmax(-1)


def sampled(logits: "Tensor", temperature: "Tensor", drawn: "Tensor") -> "Tensor":
    """A token of each row (R) by a number drawn for it from 0 to 1, so that no row depends on those beside it."""
    import torch

    sums = torch.softmax(logits / temperature[:, None], -1).cumsum(-1)
    # By its own last sum, which rounding keeps from being 1.
    wanted = drawn[:, None] * sums[:, -1:]
    found = torch.searchsorted(sums, wanted, right=True)[:, 0].clamp(max=logits.shape[1] - 1)
    return torch.where(logits.gather(1, found[:, None])[:, 0] > NEVER, found, greedy(logits))
