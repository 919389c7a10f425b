"""What lies beside CTranslate2's weights: the vocabulary, the tokenizer, and what a decoder is told of the model."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from madvision_assets.tools.speech.weights.shapes import ENGLISH_VOCABULARY, Shape

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER_FILE, FEATURES_FILE = "tokenizer.json", "preprocessor_config.json"
FIRST_LANGUAGES = 99  # of the first models; each later one is a token more


def describe(spec: Any, shape: Shape, folder: Path) -> None:
    """Tell CTranslate2's specification, and write what faster-whisper reads beside it.

    Args:
        spec: a ``WhisperSpec``, with its weights.
        shape: the model's dimensions.
        folder: where the rest goes.
    """
    from whisper.tokenizer import get_tokenizer

    later = max(0, shape.n_vocab - ENGLISH_VOCABULARY - 1)
    ours = get_tokenizer(shape.is_multilingual, num_languages=FIRST_LANGUAGES + later)
    tokenizer = tokenizer_of(ours.encoding)
    tokenizer.save(str(folder / TOKENIZER_FILE))
    by_number = {number: token for token, number in tokenizer.get_vocab(with_added_tokens=True).items()}
    spec.register_vocabulary([by_number[number] for number in range(shape.n_vocab)])
    spec.config.suppress_ids = sorted(ours.non_speech_tokens)
    spec.config.suppress_ids_begin = [*ours.encode(" "), ours.eot]
    spec.config.lang_ids = sorted(ours.all_language_tokens) if shape.is_multilingual else []
    spec.config.alignment_heads = [list(each) for each in shape.alignment_heads()]
    (folder / FEATURES_FILE).write_text(json.dumps({"feature_size": shape.n_mels}))


def tokenizer_of(encoding: Any) -> "Tokenizer":
    """The tokenizer of Hugging Face's library that does what one of tiktoken's does.

    tiktoken knows tokens by rank; the other wants the merges that lead to them, which are the last ones that the ranks
    below a token allow.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE

    ranks: dict[bytes, int] = encoding._mergeable_ranks  # noqa: SLF001 - pinned; tiktoken has no public way to them
    letters = _letters()

    def spelt(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    pairs = [_last_merge(token, rank, ranks) for token, rank in ranks.items() if len(token) > 1]
    merges = [(spelt(first), spelt(second)) for first, second in pairs]
    tokenizer = Tokenizer(BPE({spelt(token): rank for token, rank in ranks.items()}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    marks = sorted(encoding._special_tokens.items(), key=lambda item: item[1])  # noqa: SLF001 - likewise
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name, _ in marks])
    return tokenizer


def _last_merge(token: bytes, rank: int, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:  # noqa: PLR2004 - the two that become the token
        joined = [(ranks.get(parts[at] + parts[at + 1], rank), at) for at in range(len(parts) - 1)]
        best, at = min(joined)
        if best >= rank:
            raise ValueError(f"no merges lead to the token {token!r}")
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts[0], parts[1]


def _letters() -> list[str]:
    """The letter that stands for each byte in a byte-level vocabulary: itself where it can be seen, else a far one."""
    seen = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    unseen = iter(range(256, 512))
    return [chr(byte) if byte in seen else chr(next(unseen)) for byte in range(256)]
