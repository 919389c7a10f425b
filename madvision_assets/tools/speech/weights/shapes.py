"""What follows from a model's dimensions: which of Whisper's sizes it has, and which heads tell when a word is said."""

import base64
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

HEAD_WIDTH = 64  # of every Whisper
ENGLISH_VOCABULARY, NEWEST_VOCABULARY = 51864, 51866
# By the layers of the encoder; both generations of ``large`` before the third have the same shape.
_SIZES: Mapping[int, str] = {4: "tiny", 6: "base", 12: "small", 24: "medium", 32: "large-v2"}
_NEWEST: Mapping[int, str] = {32: "large-v3", 4: "large-v3-turbo"}  # by the layers of the decoder


@dataclass(frozen=True)
class Shape:
    """The dimensions of a Whisper model, as OpenAI's checkpoints name them."""

    n_mels: int
    n_audio_ctx: int
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_vocab: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int

    @property
    def is_multilingual(self) -> bool:
        """Whether it knows languages beside English."""
        return self.n_vocab > ENGLISH_VOCABULARY

    @property
    def size(self) -> str | None:
        """Whisper's name for a model of this shape; None where it has none."""
        if self.n_vocab == NEWEST_VOCABULARY:
            return _NEWEST.get(self.n_text_layer)
        name = _SIZES.get(self.n_audio_layer)
        if name is None or self.n_text_layer != self.n_audio_layer:
            return None
        return name if self.is_multilingual or name.startswith("large") else f"{name}.en"

    def alignment_heads(self) -> Sequence[tuple[int, int]]:
        """Layer and head of each that attends to when a token is said; of an unknown shape all of the later half."""
        import numpy as np
        import whisper

        packed = whisper._ALIGNMENT_HEADS.get(self.size)  # noqa: SLF001 - pinned; the package sets them by name alone
        if packed is None:
            half = range(self.n_text_layer // 2, self.n_text_layer)
            return [(layer, head) for layer in half for head in range(self.n_text_head)]
        mask = np.frombuffer(gzip.decompress(base64.b85decode(packed)), bool).reshape(-1, self.n_text_head)
        return [(int(layer), int(head)) for layer, head in np.argwhere(mask)]
