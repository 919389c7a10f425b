"""Whisper's network on weights of one precision: encoder, decoder over many tokens, decoder over one.

The weights are those of openai-whisper's module, with the projections of a layer for query, key and value in one
matrix. What the module does not offer and batches need is here: a context as long as the sound, rows at places of
their own, caches that stay where they are. R is rows, A frames of the encoder (50 a second), N states, H heads, D
states a head, L layers of the decoder, T places for tokens, V tokens.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from whisper import Whisper
    from whisper.model import MultiHeadAttention, ResidualAttentionBlock

    from madvision_assets.tools.speech.batched.place import Place


class Affine(NamedTuple):
    """A matrix, or the scale of a norm, with its bias."""

    weight: "Tensor"
    bias: "Tensor"


@dataclass(frozen=True)
class Layer:
    """A layer of either half; those of the encoder have no cross-attention."""

    attention_norm: Affine
    qkv: Affine
    out: Affine
    mlp_norm: Affine
    up: Affine
    down: Affine
    cross_norm: Affine | None = None
    cross_q: Affine | None = None
    cross_kv: Affine | None = None
    cross_out: Affine | None = None


@dataclass(frozen=True)
class Cache:
    """What rows remember: keys and values of their tokens (L, R, H, T, D), and of their sound (L, R, H, A, D)."""

    keys: "Tensor"
    values: "Tensor"
    sound_keys: "Tensor"
    sound_values: "Tensor"

    @property
    def rows(self) -> int:
        """How many."""
        return int(self.keys.shape[1])


class Read(NamedTuple):
    """What the decoder makes of tokens: states (R, n, N), keys and values (L, R, H, n, D), and attention.

    ``attention`` is how much each token asks of each frame, before the softmax (heads, R, n, A), of heads asked for.
    """

    states: "Tensor"
    keys: "Tensor"
    values: "Tensor"
    attention: "Tensor | None"


class Network:
    """Whisper's network.

    Args:
        model: whose weights are taken; it is not needed after.
        place: where they go, and in what precision.
    """

    def __init__(self, model: "Whisper", place: "Place") -> None:
        self.dims = model.dims
        self.alignment_heads: tuple[tuple[int, int], ...] = tuple(
            map(tuple, model.alignment_heads.indices().T.tolist())
        )
        self._device, self._dtype = place.device, place.dtype
        encoder, decoder = model.encoder, model.decoder
        self.conv1, self.conv2 = (self._affine(conv) for conv in (encoder.conv1, encoder.conv2))
        self.frame_places = self._taken(encoder.positional_embedding)
        self.sound_norm = self._affine(encoder.ln_post)
        self.encoder = tuple(self._layer(block) for block in encoder.blocks)
        self.embedding = self._taken(decoder.token_embedding.weight)
        self.token_places = self._taken(decoder.positional_embedding)
        self.token_norm = self._affine(decoder.ln)
        self.decoder = tuple(self._layer(block) for block in decoder.blocks)

    @property
    def device(self) -> "torch.device":
        """Where the weights are."""
        return self._device

    @property
    def dtype(self) -> "torch.dtype":
        """What they are kept in."""
        return self._dtype

    def encode(self, mel: "Tensor") -> "Tensor":
        """States of sound (R, A, N) of its mel spectrogram (R, bands, 2 A), with A at most the model's 1,500."""
        from torch.nn import functional as f

        x = f.gelu(f.conv1d(mel.to(self._dtype), *self.conv1, padding=1))
        x = f.gelu(f.conv1d(x, *self.conv2, stride=2, padding=1)).transpose(1, 2)
        x = x + self.frame_places[: x.shape[1]]
        for layer in self.encoder:
            q, k, v = self._qkv(x, layer, self.dims.n_audio_head)
            x = x + _joined(f.scaled_dot_product_attention(q, k, v), layer.out)
            x = x + _mlp(x, layer)
        return _normed(x, self.sound_norm)

    def sound(self, states: "Tensor") -> tuple["Tensor", "Tensor"]:
        """Keys and values (L, R, H, A, D) that the decoder asks of the encoder's states (R, A, N)."""
        import torch
        from torch.nn import functional as f

        rows, frames, _ = states.shape
        each = []
        for layer in self.decoder:
            kv = f.linear(states, *_there(layer.cross_kv)).view(rows, frames, 2, self.dims.n_text_head, -1)
            each.append(kv.permute(2, 0, 3, 1, 4))
        keys, values = torch.stack(each, dim=1)
        return keys, values

    def read(
        self,
        tokens: "Tensor",
        sound: tuple["Tensor", "Tensor"],
        heads: tuple[tuple[int, int], ...] = (),
    ) -> Read:
        """Read tokens (R, n) all at once, each knowing those before it.

        Args:
            tokens: rows of one length; what is padded at the end changes nothing before it.
            sound: keys and values of the sound.
            heads: layer and head of each whose attention to the sound is wanted.
        """
        import torch
        from torch.nn import functional as f

        x = self.embedding[tokens] + self.token_places[: tokens.shape[1]]
        keys, values, attention = [], [], {}
        for number, (layer, sound_k, sound_v) in enumerate(zip(self.decoder, *sound, strict=True)):
            q, k, v = self._qkv(x, layer, self.dims.n_text_head)
            x = x + _joined(f.scaled_dot_product_attention(q, k, v, is_causal=tokens.shape[1] > 1), layer.out)
            q = self._cross_q(x, layer)
            for head in (head for of, head in heads if of == number):
                scale = q.shape[-1] ** -0.5
                attention[number, head] = (q[:, head] * scale) @ sound_k[:, head].transpose(-1, -2)
            x = x + _joined(f.scaled_dot_product_attention(q, sound_k, sound_v), _there(layer.cross_out))
            x = x + _mlp(x, layer)
            keys.append(k)
            values.append(v)
        weights = torch.stack([attention[each] for each in heads]).float() if heads else None
        return Read(_normed(x, self.token_norm), torch.stack(keys), torch.stack(values), weights)

    def step(self, tokens: "Tensor", at: "Tensor", cache: Cache) -> "Tensor":
        """Read one token of every row (R) at its place (R): what may come next (R, V), before any rule.

        Keys and values of the token are written to the cache.
        """
        import torch
        from torch.nn import functional as f

        rows = torch.arange(cache.rows, device=self._device)
        known = (torch.arange(cache.keys.shape[3], device=self._device) <= at[:, None])[:, None, None]
        x = (self.embedding[tokens] + self.token_places[at])[:, None]
        for layer, keys, values, sound_k, sound_v in zip(
            self.decoder, cache.keys, cache.values, cache.sound_keys, cache.sound_values, strict=True
        ):
            q, k, v = self._qkv(x, layer, self.dims.n_text_head)
            keys[rows, :, at] = k[:, :, 0]
            values[rows, :, at] = v[:, :, 0]
            x = x + _joined(f.scaled_dot_product_attention(q, keys, values, attn_mask=known), layer.out)
            q = self._cross_q(x, layer)
            x = x + _joined(f.scaled_dot_product_attention(q, sound_k, sound_v), _there(layer.cross_out))
            x = x + _mlp(x, layer)
        return self.logits(_normed(x, self.token_norm)[:, 0])

    def logits(self, states: "Tensor") -> "Tensor":
        """How likely each token is next (…, V), in single precision, of states (…, N)."""
        from torch.nn import functional as f

        return f.linear(states, self.embedding).float()

    def cache(self, rows: int, frames: int, places: int) -> Cache:
        """An empty cache."""
        import torch

        heads = self.dims.n_text_head
        shape = len(self.decoder), rows, heads

        def empty(length: int) -> "Tensor":
            return torch.zeros(*shape, length, self.dims.n_text_state // heads, device=self._device, dtype=self._dtype)

        return Cache(empty(places), empty(places), empty(frames), empty(frames))

    def _qkv(self, x: "Tensor", layer: Layer, heads: int) -> tuple["Tensor", "Tensor", "Tensor"]:
        from torch.nn import functional as f

        rows, length, states = x.shape
        fused = f.linear(_normed(x, layer.attention_norm), *layer.qkv).view(rows, length, 3, heads, states // heads)
        q, k, v = fused.permute(2, 0, 3, 1, 4)
        return q, k, v

    def _cross_q(self, x: "Tensor", layer: Layer) -> "Tensor":
        from torch.nn import functional as f

        q = f.linear(_normed(x, _there(layer.cross_norm)), *_there(layer.cross_q))
        return q.view(*x.shape[:2], self.dims.n_text_head, -1).transpose(1, 2)

    def _taken(self, weight: "Tensor") -> "Tensor":
        return weight.detach().to(self._device, self._dtype).contiguous()

    def _affine(self, module: Any) -> Affine:
        return Affine(self._taken(module.weight), self._taken(module.bias))

    def _fused(self, *modules: Any) -> Affine:
        """Several projections of the same states in one; that of keys has no bias."""
        import torch

        weights = [module.weight for module in modules]
        biases = [
            weight.new_zeros(len(weight)) if m.bias is None else m.bias
            for m, weight in zip(modules, weights, strict=True)
        ]
        return Affine(self._taken(torch.cat(weights)), self._taken(torch.cat(biases)))

    def _layer(self, block: "ResidualAttentionBlock") -> Layer:
        attention: MultiHeadAttention = block.attn
        cross: MultiHeadAttention | None = block.cross_attn
        own = {
            "attention_norm": self._affine(block.attn_ln),
            "qkv": self._fused(attention.query, attention.key, attention.value),
            "out": self._affine(attention.out),
            "mlp_norm": self._affine(block.mlp_ln),
            "up": self._affine(block.mlp[0]),
            "down": self._affine(block.mlp[2]),
        }
        if cross is None:
            return Layer(**own)
        return Layer(
            **own,
            cross_norm=self._affine(block.cross_attn_ln),
            cross_q=self._affine(cross.query),
            cross_kv=self._fused(cross.key, cross.value),
            cross_out=self._affine(cross.out),
        )


def _there(affine: Affine | None) -> Affine:
    """Of a layer of the decoder, which has all of them."""
    if affine is None:
        raise TypeError("a layer of the encoder attends to nothing but itself")
    return affine


def _normed(x: "Tensor", norm: Affine) -> "Tensor":
    from torch.nn import functional as f

    return f.layer_norm(x, (x.shape[-1],), *norm)


def _joined(attended: "Tensor", out: Affine) -> "Tensor":
    """The heads (R, H, n, D) side by side, projected (R, n, N)."""
    from torch.nn import functional as f

    return f.linear(attended.transpose(1, 2).flatten(2), *out)


def _mlp(x: "Tensor", layer: Layer) -> "Tensor":
    from torch.nn import functional as f

    return f.linear(f.gelu(f.linear(_normed(x, layer.mlp_norm), *layer.up)), *layer.down)
