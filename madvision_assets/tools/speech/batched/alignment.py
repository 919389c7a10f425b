"""When each token is said: by what the decoder attends to while it reads its own text, for many rows at once.

The method is that of ``whisper.timing.find_alignment``: some heads of the cross-attention follow the sound; their
weights, normalised over tokens, smoothed by a median over time and averaged, are a map from text to time, and the path
through it that costs least tells when each token begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor
    from whisper.tokenizer import Tokenizer

    from madvision_assets.tools.speech.batched.network import Network

ROWS = 8  # the maps of all heads, and of all tokens, take some memory
MEDIAN = 7  # frames of 20 ms
# Compare and exchange, after which the fourth of seven is their median (N. Devillard, Fast median search, 1998).
EXCHANGES = (
    (0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4)
)  # fmt: skip


@dataclass(frozen=True)
class Spoken:
    """Text of a row, for its times: text tokens alone, the encoder's states (A, N), and how many frames are sound."""

    tokens: tuple[int, ...]
    states: "Tensor"
    frames: int


@dataclass(frozen=True)
class Map:
    """From text to time.

    Attributes:
        costs: of each token (and the end) at each frame of 20 ms (n + 1, frames).
        probabilities: of each token.
    """

    costs: "NDArray[np.float32]"
    probabilities: "NDArray[np.float32]"


def maps(network: "Network", tokenizer: "Tokenizer", spoken: Sequence[Spoken], at_once: int = ROWS) -> list[Map]:
    """The maps of rows, on the processor; one pass of the decoder for so many rows at once."""
    import torch

    found: list[Map] = []
    with torch.inference_mode():
        for at in range(0, len(spoken), at_once):
            found += _maps(network, tokenizer, spoken[at : at + at_once])
    return found


def _maps(network: "Network", tokenizer: "Tokenizer", spoken: Sequence[Spoken]) -> list[Map]:
    import torch

    head = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
    lengths = [len(each.tokens) for each in spoken]
    longest = max(lengths)
    padded = [[*head, *each.tokens, *[tokenizer.eot] * (longest - len(each.tokens) + 1)] for each in spoken]
    tokens = torch.tensor(padded, device=network.device)
    read = network.read(tokens, network.sound(torch.stack([each.states for each in spoken])), network.alignment_heads)
    text = read.states[:, len(head) - 1 : -2]
    logits = network.logits(text)[..., : tokenizer.eot]
    wanted = tokens[:, len(head) : -1].clamp(max=tokenizer.eot - 1)
    probabilities = (logits.gather(-1, wanted[..., None])[..., 0] - logits.logsumexp(-1)).exp().cpu().numpy()
    del logits
    frames = tokens.new_tensor([each.frames for each in spoken])
    there = tokens.new_tensor([len(head) + length + 1 for length in lengths])
    weights = followed(read.attention, frames, there)[:, len(head) - 1 : -1].cpu().numpy()
    return [
        Map(-weights[row, : lengths[row] + 1, : each.frames], probabilities[row, : lengths[row]])
        for row, each in enumerate(spoken)
    ]


def followed(attention: "Tensor | None", frames: "Tensor", tokens: "Tensor") -> "Tensor":
    """How much tokens follow the sound at each frame (R, n, A), of the attention of heads before the softmax.

    Args:
        attention: (heads, R, n, A).
        frames: that are sound, of each row (R).
        tokens: that are there, of each row (R); others do not count.
    """
    import torch

    if attention is None:
        raise TypeError("no heads were asked for their attention")
    number = torch.arange(attention.shape[3], device=attention.device)
    silent = (number >= frames[:, None])[None, :, None, :]
    weights = attention.masked_fill(silent, float("-inf")).softmax(-1)
    there = (torch.arange(attention.shape[2], device=attention.device) < tokens[:, None])[None, :, :, None]
    count = tokens[None, :, None, None]
    mean = (weights * there).sum(2, keepdim=True) / count
    spread = (((weights - mean) * there).square().sum(2, keepdim=True) / count).sqrt()
    return smoothed((weights - mean) / spread.clamp(min=1e-12), frames).mean(0)


def smoothed(weights: "Tensor", frames: "Tensor") -> "Tensor":
    """The median of seven frames around each (heads, R, n, A); sound is mirrored where it begins and ends."""
    import torch

    length = weights.shape[-1]
    half = MEDIAN // 2
    index = torch.arange(-half, length + half, device=weights.device).abs().expand(len(frames), -1)
    last = frames[:, None] - 1
    index = torch.where(index > last, 2 * last - index, index).clamp(min=0, max=length - 1)
    mirrored = weights.gather(-1, index[None, :, None, :].expand(*weights.shape[:3], -1))
    views = [mirrored[..., at : at + length] for at in range(MEDIAN)]
    for low, high in EXCHANGES:
        views[low], views[high] = torch.minimum(views[low], views[high]), torch.maximum(views[low], views[high])
    # A row that is shorter than half the median stays as it is.
    return torch.where((frames <= half)[None, :, None, None], weights, views[half])


def begins(costs: "NDArray[np.float32]") -> "NDArray[np.int64]":
    """The frame at which each row of a map (rows, frames) begins, on the path through it that costs least."""
    import numpy as np
    from whisper.timing import dtw_cpu

    text, time = dtw_cpu(costs.astype(np.float64))
    first: NDArray[np.int64] = time[np.diff(text, prepend=-1).astype(bool)]
    return first
