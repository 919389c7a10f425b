"""Which weights of OpenAI's checkpoint are which variables of CTranslate2's: one table, read in both directions.

Read off ``whisper.model`` and ``ctranslate2.specs.whisper_spec``.
"""

from collections.abc import Iterable, Iterator

# A variable of CTranslate2's, and the weights that it is, one behind the other.
Row = tuple[str, tuple[str, ...]]

# Keys have no bias in OpenAI's model, and one of zeros in CTranslate2's.
NO_BIAS = ".key.bias"
# The same numbers under a second name.
PROJECTION, EMBEDDINGS = "decoder/projection/weight", "decoder/embeddings/weight"

# What the names of their variables begin with.
ENCODER, DECODER = "encoder/", "decoder/"


def layers(names: Iterable[str], part: str) -> int:
    """How many layers a part of the model has, by the names of its variables."""
    return sum(name.startswith(part) and name.endswith("ffn/layer_norm/gamma") for name in names)


def layout(encoder_layers: int, decoder_layers: int) -> Iterator[Row]:
    """Every row of the table, for a model with so many layers."""
    yield from _linear("encoder/conv1", "encoder.conv1")
    yield from _linear("encoder/conv2", "encoder.conv2")
    yield from _norm("encoder/layer_norm", "encoder.ln_post")
    yield "encoder/position_encodings/encodings", ("encoder.positional_embedding",)
    yield "decoder/position_encodings/encodings", ("decoder.positional_embedding",)
    yield EMBEDDINGS, ("decoder.token_embedding.weight",)
    yield from _norm("decoder/layer_norm", "decoder.ln")
    for number in range(encoder_layers):
        yield from _block(f"encoder/layer_{number}", f"encoder.blocks.{number}")
    for number in range(decoder_layers):
        ours, theirs = f"decoder/layer_{number}", f"decoder.blocks.{number}"
        yield from _block(ours, theirs)
        cross = f"{theirs}.cross_attn"
        yield from _linear(f"{ours}/attention/linear_0", f"{cross}.query")
        yield from _linear(f"{ours}/attention/linear_1", f"{cross}.key", f"{cross}.value")
        yield from _linear(f"{ours}/attention/linear_2", f"{cross}.out")
        yield from _norm(f"{ours}/attention/layer_norm", f"{theirs}.cross_attn_ln")


def _block(ours: str, theirs: str) -> Iterator[Row]:
    """What a block of the encoder and one of the decoder have in common."""
    own = f"{theirs}.attn"
    yield from _linear(f"{ours}/self_attention/linear_0", f"{own}.query", f"{own}.key", f"{own}.value")
    yield from _linear(f"{ours}/self_attention/linear_1", f"{own}.out")
    yield from _norm(f"{ours}/self_attention/layer_norm", f"{theirs}.attn_ln")
    yield from _linear(f"{ours}/ffn/linear_0", f"{theirs}.mlp.0")
    yield from _linear(f"{ours}/ffn/linear_1", f"{theirs}.mlp.2")
    yield from _norm(f"{ours}/ffn/layer_norm", f"{theirs}.mlp_ln")


def _linear(ours: str, *theirs: str) -> Iterator[Row]:
    for kind in ("weight", "bias"):
        yield f"{ours}/{kind}", tuple(f"{each}.{kind}" for each in theirs)


def _norm(ours: str, theirs: str) -> Iterator[Row]:
    yield f"{ours}/gamma", (f"{theirs}.weight",)
    yield f"{ours}/beta", (f"{theirs}.bias",)
