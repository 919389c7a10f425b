"""The network in its training form, and its export to a stock openai-whisper checkpoint.

Training embeds only the about 2,000 tokens that the grammar can produce plus one shared row for
all others. The export spreads that row over the full vocabulary of 51,864, so that stock
``whisper.load_model`` loads the result.
"""

from __future__ import annotations

import json
import lzma
import math
import subprocess
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import grammar
import torch
from torch import Tensor, nn
from whisper.model import ModelDimensions, MultiHeadAttention, Whisper, sinusoids
from whisper.tokenizer import get_tokenizer

FULL_VOCABULARY = 51_864  # Whisper's English-only vocabulary
AUDIO_FRAMES = 1_500  # encoder frames in a 30 s window, 20 ms each
TIMESTAMPS = AUDIO_FRAMES + 1

# Frames that each encoder layer's heads look back or ahead at the start of training.
HEAD_SHIFTS = ((-4, -1.5, 1.5, 4), (-6, -2, 2, 6), (-10, -4, 4, 10), (-12, -4, 4, 12))


class Vocabulary:
    """The tokens in use, numbered from 0: text first, then specials, then timestamps.

    Attributes:
        used: Whisper token of each compact number.
        compact: Compact number of each Whisper token.
        text_count: How many of the compact numbers are text.
        other: Compact number of the row which stands for all unused tokens.
    """

    def __init__(self) -> None:
        """Collect the tokens of all words, plain and capitalised."""
        self.tokenizer = get_tokenizer(multilingual=False)
        words = set(grammar.VOCABULARY)
        words |= {word[0].upper() + word[1:] for word in words}
        text = {token for word in words for token in self.tokenizer.encode(" " + word)}
        text |= set(self.tokenizer.encode(".")) | set(self.tokenizer.encode("?"))
        t = self.tokenizer
        specials = [t.eot, t.sot, t.no_timestamps, t.no_speech, t.sot_prev]
        first = t.timestamp_begin
        self.used = sorted(text) + specials + list(range(first, first + TIMESTAMPS))
        self.compact = {token: number for number, token in enumerate(self.used)}
        self.text_count = len(text)
        self.other = len(self.used)
        self.eot, self.sot, self.no_timestamps, self.no_speech, self.previous = (
            self.compact[token] for token in specials
        )
        self.first_timestamp = self.compact[first]
        self._encoded: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        """Compact tokens of a sentence or a word."""
        if text not in self._encoded:
            tokens = self.tokenizer.encode(" " + text)
            self._encoded[text] = [self.compact[token] for token in tokens]
        return self._encoded[text]


class Phones:
    """Pronunciations by espeak-ng, the targets of the lower encoder layers' CTC loss."""

    def __init__(self, path: Path) -> None:
        """Read the pronunciations from ``path``, or ask espeak-ng and write them there."""
        if not path.exists():
            words = sorted({word.lower() for word in grammar.VOCABULARY})
            table = {word: self.pronounce(word) for word in words}
            path.write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")
        self.table: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
        names = sorted({phone for word in self.table.values() for phone in word})
        self.number = {phone: number for number, phone in enumerate(names, 1)}  # 0 is the blank

    def __len__(self) -> int:
        """Count the CTC classes, the blank included."""
        return len(self.number) + 1

    @staticmethod
    def pronounce(word: str) -> list[str]:
        """Ask espeak-ng for a word's phones, without stress marks."""
        command = ["espeak-ng", "-q", "-v", "en-us", "--ipa", "--sep=_", word]
        spoken = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        phones = spoken.strip().replace(" ", "_").split("_")
        return [bare for phone in phones if (bare := phone.strip("ˈˌ \n"))]

    def of_word(self, word: str) -> list[int]:
        """Phone numbers of one word."""
        return [self.number[phone] for phone in self.table[word.lower()]]

    def of_text(self, text: str) -> list[int]:
        """Phone numbers of a sentence."""
        return [phone for word in text.strip(".?").split() for phone in self.of_word(word)]


@dataclass(frozen=True)
class Size:
    """Size of the network."""

    width: int = 96
    heads: int = 4
    encoder_layers: int = 3
    decoder_layers: int = 2

    def dimensions(self, vocabulary: int) -> ModelDimensions:
        """Whisper's own description of a network of this size."""
        audio = (80, AUDIO_FRAMES, self.width, self.heads, self.encoder_layers)
        return ModelDimensions(*audio, vocabulary, 448, self.width, self.heads, self.decoder_layers)


class Networks:
    """Whisper with the compact vocabulary, and the heads that only training needs.

    Attributes:
        whisper: The network; its token embedding has one row per compact token and one more.
        heads: Phone classifier, word-CTC blank, and the layer norm before the phones.
    """

    def __init__(self, size: Size, vocabulary: Vocabulary, phone_count: int) -> None:
        """Build and initialise; ``torch.manual_seed`` decides the outcome."""
        self.size, self.vocabulary = size, vocabulary
        self.whisper = Whisper(size.dimensions(len(vocabulary.used) + 1))
        initialise(self.whisper, vocabulary)
        width = size.width
        self.heads = nn.ModuleList([nn.Linear(width, phone_count), nn.Linear(width, 1), nn.LayerNorm(width)])

    @property
    def middle_layer(self) -> int:
        """Index of the encoder layer whose output the phones are read from."""
        return max(0, self.size.encoder_layers - 2)

    def parameters(self) -> list[nn.Parameter]:
        """All trained parameters."""
        return [*self.whisper.parameters(), *self.heads.parameters()]

    def to(self, device: torch.device) -> Networks:
        """Move everything to a device."""
        self.whisper.to(device)
        self.heads.to(device)
        return self

    def save_state(self, path: Path) -> None:
        """Write the training state (float32, heads included)."""
        state = {"m": self.whisper.state_dict(), "aux": self.heads.state_dict()}
        torch.save(state, path)

    def load_state(self, path: Path) -> None:
        """Read a training state, ``.xz`` or not."""
        state = read_checkpoint(path)
        self.whisper.load_state_dict(state["m"])
        self.heads.load_state_dict(state["aux"])

    def export(self, path: Path) -> None:
        """Write a stock openai-whisper checkpoint (float16, full vocabulary)."""
        weights = {key: value.detach().cpu() for key, value in self.whisper.state_dict().items()}
        name = "decoder.token_embedding.weight"
        compact = weights[name]
        full = compact[self.vocabulary.other].repeat(FULL_VOCABULARY, 1)
        full[torch.tensor(self.vocabulary.used)] = compact[: self.vocabulary.other]
        weights[name] = full
        dimensions = vars(self.size.dimensions(FULL_VOCABULARY))
        half = {key: value.half() for key, value in weights.items()}
        torch.save({"dims": dimensions, "model_state_dict": half}, path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a torch file onto the CPU, unpacking ``.xz``."""
    raw = path.read_bytes()
    if path.suffix == ".xz":
        raw = lzma.decompress(raw)
    return torch.load(BytesIO(raw), map_location="cpu", weights_only=True)


@torch.no_grad()
def aim_heads(attention: MultiHeadAttention, shifts: list[float | None], first_frequency: int, gain: float) -> None:
    """Make attention heads look at a fixed distance from where they are.

    The position embedding is sinusoidal, so a rotation of the query by ``shift`` frames gives the
    highest score at that distance. A network of this size does not find that soon by itself.

    Args:
        attention: The layer whose query and key weights are set.
        shifts: Distance in frames for each head; None leaves a head as it is.
        first_frequency: Index of the first sinusoid to use.
        gain: Size of the weights, and so the sharpness of the attention.
    """
    width = attention.query.weight.shape[0]
    head = width // len(shifts)
    pairs, half = head // 2, width // 2
    rates = torch.exp(-math.log(10_000) / (half - 1) * torch.arange(half))
    for number, shift in enumerate(shifts):
        if shift is None:
            continue
        query, key = torch.zeros(head, width), torch.zeros(head, width)
        for pair in range(pairs):
            f = first_frequency + pair
            sine, cosine = math.sin(shift * rates[f]), math.cos(shift * rates[f])
            query[pair, f], query[pair, half + f] = cosine, -sine
            query[pairs + pair, half + f], query[pairs + pair, f] = cosine, sine
            key[pair, f] = key[pairs + pair, half + f] = 1
        rows = slice(number * head, (number + 1) * head)
        attention.query.weight[rows] = gain * query + 0.01 * torch.randn(head, width)
        attention.key.weight[rows] = gain * key + 0.01 * torch.randn(head, width)
        attention.query.bias[rows] = 0


@torch.no_grad()
def initialise(whisper: Whisper, vocabulary: Vocabulary) -> None:
    """Give a new network its starting weights."""
    width, heads = whisper.dims.n_audio_state, whisper.dims.n_audio_head
    for layer, block in enumerate(whisper.encoder.blocks):
        base = HEAD_SHIFTS[min(layer, len(HEAD_SHIFTS) - 1)]
        shifts = [base[head % 4] * (1 if head < 4 else 1.7) for head in range(heads)]
        aim_heads(block.attn, shifts, first_frequency=0 if layer == 0 else 3, gain=1.4)
    positions = whisper.encoder.positional_embedding
    embedding = whisper.decoder.token_embedding.weight
    embedding.normal_(0, 0.05)
    first = vocabulary.first_timestamp  # a timestamp starts out as the frame it stands for
    embedding[first : first + AUDIO_FRAMES] = 0.1 * positions
    embedding[first + AUDIO_FRAMES] = 0.1 * positions[-1]
    rotation: Tensor = torch.linalg.qr(torch.randn(width, width))[0]
    whisper.decoder.positional_embedding.copy_(0.1 * sinusoids(448, width) @ rotation)
    for block in whisper.decoder.blocks:
        aimed = [0.0] * (heads // 2) + [None] * (heads - heads // 2)
        aim_heads(block.cross_attn, aimed, first_frequency=3, gain=1.0)
