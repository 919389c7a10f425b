"""Convert an openai-whisper checkpoint to a CTranslate2 folder that faster-whisper loads.

Works offline and without transformers: the tokenizer is rebuilt from the ranks that openai-whisper
ships. Needs torch, ctranslate2, tokenizers and openai-whisper.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from ctranslate2.converters import utils
from ctranslate2.specs import common_spec, whisper_spec
from model import read_checkpoint
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from whisper.tokenizer import Tokenizer, get_tokenizer

FIRST_MULTILINGUAL = 51_865  # vocabularies of this size and more are multilingual
SAMPLES = (" Hello everyone, it's 3.5 GB — naïve 日本!", " We measured the speed.")


def byte_letters() -> dict[int, str]:
    """The printable letter that byte-level BPE writes for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in plain}
    others = (byte for byte in range(256) if byte not in letters)
    return letters | {byte: chr(256 + number) for number, byte in enumerate(others)}


def merged_pair(token: bytes, rank: int, ranks: dict[bytes, int]) -> list[bytes]:
    """Split a token into what BPE had just before it made that token."""
    parts = [bytes([byte]) for byte in token]
    while True:
        best = None
        for place, (left, right) in enumerate(itertools.pairwise(parts)):
            found = ranks.get(left + right)
            if found is not None and (best is None or found < best[1]):
                best = (place, found)
        if best is None or best[1] >= rank:
            return parts
        place = best[0]
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


def build_tokenizer(whisper_tokenizer: Tokenizer) -> tokenizers.Tokenizer:
    """Rebuild Whisper's tiktoken tokenizer as a ``tokenizers`` one, and check it."""
    encoding = whisper_tokenizer.encoding
    ranks, letters = encoding._mergeable_ranks, byte_letters()  # noqa: SLF001 - tiktoken has no public name for it

    def spell(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    vocabulary, merges = {}, []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        vocabulary[spell(token)] = rank
        if len(token) > 1 and len(pair := merged_pair(token, rank, ranks)) == 2:
            merges.append((spell(pair[0]), spell(pair[1])))
    result = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    result.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    result.decoder = decoders.ByteLevel()
    specials = sorted(encoding._special_tokens.items(), key=lambda item: item[1])  # noqa: SLF001 - likewise
    first = whisper_tokenizer.timestamp_begin
    hidden = [name for name, number in specials if number < first]
    shown = [name for name, number in specials if number >= first]
    result.add_special_tokens([AddedToken(n, special=True, normalized=False) for n in hidden])
    result.add_tokens([AddedToken(n, special=False, normalized=False) for n in shown])
    check_tokenizer(result, whisper_tokenizer, specials)
    return result


def check_tokenizer(built: tokenizers.Tokenizer, original: Tokenizer, specials: list[tuple[str, int]]) -> None:
    """Raise where the rebuilt tokenizer differs from the original."""
    wrong = [name for name, number in specials if built.token_to_id(name) != number]
    wrong += [text for text in SAMPLES if built.encode(text, add_special_tokens=False).ids != original.encode(text)]
    if wrong:
        raise ValueError(f"the rebuilt tokenizer differs on {wrong[:5]}")


@dataclass
class WeightCopier:
    """Copies openai-whisper weights, by name, into CTranslate2 specs."""

    weights: dict[str, np.ndarray]

    def linear(self, spec: Any, name: str) -> None:
        """A linear or convolution layer."""
        spec.weight = self.weights[f"{name}.weight"]
        if f"{name}.bias" in self.weights:
            spec.bias = self.weights[f"{name}.bias"]

    def norm(self, spec: Any, name: str) -> None:
        """A layer norm."""
        spec.gamma, spec.beta = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]

    def attention(self, spec: Any, name: str, own: bool) -> None:
        """An attention layer; ``own`` for self-attention."""
        query, key, value = (common_spec.LinearSpec() for _ in range(3))
        for part, of in ((query, "query"), (key, "key"), (value, "value")):
            self.linear(part, f"{name}.{of}")
        key.bias = np.zeros(key.weight.shape[0], np.float32)  # Whisper's keys have none
        if own:
            utils.fuse_linear(spec.linear[0], [query, key, value])
        else:
            utils.fuse_linear(spec.linear[0], [query])
            utils.fuse_linear(spec.linear[1], [key, value])
        self.linear(spec.linear[-1], f"{name}.out")

    def layer(self, spec: Any, name: str, cross: bool) -> None:
        """One transformer layer; ``cross`` for the decoder's."""
        self.attention(spec.self_attention, f"{name}.attn", own=True)
        self.norm(spec.self_attention.layer_norm, f"{name}.attn_ln")
        if cross:
            self.attention(spec.attention, f"{name}.cross_attn", own=False)
            self.norm(spec.attention.layer_norm, f"{name}.cross_attn_ln")
        self.linear(spec.ffn.linear_0, f"{name}.mlp.0")
        self.linear(spec.ffn.linear_1, f"{name}.mlp.2")
        self.norm(spec.ffn.layer_norm, f"{name}.mlp_ln")


def build_spec(dims: dict[str, int], weights: dict[str, np.ndarray]) -> whisper_spec.WhisperSpec:
    """Fill CTranslate2's description of the network with weights."""
    copier = WeightCopier(weights)
    audio = (dims["n_audio_layer"], dims["n_audio_head"])
    spec = whisper_spec.WhisperSpec(*audio, dims["n_text_layer"], dims["n_text_head"])
    encoder, decoder = spec.encoder, spec.decoder
    copier.linear(encoder.conv1, "encoder.conv1")
    copier.linear(encoder.conv2, "encoder.conv2")
    encoder.position_encodings.encodings = weights["encoder.positional_embedding"]
    copier.norm(encoder.layer_norm, "encoder.ln_post")
    for number, layer in enumerate(encoder.layer):
        copier.layer(layer, f"encoder.blocks.{number}", cross=False)
    decoder.embeddings.weight = weights["decoder.token_embedding.weight"]
    decoder.projection.weight = weights["decoder.token_embedding.weight"]
    decoder.position_encodings.encodings = weights["decoder.positional_embedding"]
    copier.norm(decoder.layer_norm, "decoder.ln")
    for number, layer in enumerate(decoder.layer):
        copier.layer(layer, f"decoder.blocks.{number}", cross=True)
    return spec


def configure(spec: whisper_spec.WhisperSpec, dims: dict[str, int], tokenizer: Tokenizer) -> None:
    """Set what Whisper's own decoder suppresses, and which heads give word times."""
    t, config = tokenizer, spec.config
    never = [t.sot, t.sot_prev, t.sot_lm, t.no_speech, t.transcribe, t.translate]
    config.suppress_ids = [*t.non_speech_tokens, *never]
    config.suppress_ids_begin = [t.encode(" ")[0], t.eot]
    config.lang_ids = list(t.all_language_tokens) if dims["n_vocab"] >= FIRST_MULTILINGUAL else []
    layers, heads = dims["n_text_layer"], dims["n_text_head"]
    config.alignment_heads = list(itertools.product(range(layers // 2, layers), range(heads)))


def convert(checkpoint: Path, out: Path, quantization: str | None) -> None:
    """Convert a checkpoint (``.pt`` or ``.pt.xz``) to a CTranslate2 folder."""
    content = read_checkpoint(checkpoint)
    dims = content["dims"]
    weights = {name: w.float().numpy() for name, w in content["model_state_dict"].items()}
    multilingual = dims["n_vocab"] >= FIRST_MULTILINGUAL
    languages = dims["n_vocab"] - 51_765 - int(multilingual)
    original = get_tokenizer(multilingual, num_languages=languages)
    tokenizer = build_tokenizer(original)
    spec = build_spec(dims, weights)
    names = [f"<pad{number}>" for number in range(dims["n_vocab"])]
    for name, number in tokenizer.get_vocab().items():
        names[number] = name
    spec.register_vocabulary(names)
    configure(spec, dims, original)
    spec.validate()
    spec.optimize(quantization=quantization)
    out.mkdir(parents=True, exist_ok=True)
    spec.save(str(out))
    tokenizer.save(str(out / "tokenizer.json"))
    features = {"feature_size": dims["n_mels"], "sampling_rate": 16_000, "hop_length": 160}
    features |= {"chunk_length": 30, "n_fft": 400}
    (out / "preprocessor_config.json").write_text(json.dumps(features), encoding="utf-8")


def main() -> None:
    """Convert."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--quantization", help="such as int8; none by default")
    options = parser.parse_args()
    convert(options.checkpoint, options.out, options.quantization)


if __name__ == "__main__":
    main()
