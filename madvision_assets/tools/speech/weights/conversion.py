"""From one form of weights to the other. What the weights are does not change: each number stays what it was.

CTranslate2's own converters want the weights in a third form first, which needs ``transformers`` and the network.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from madvision_assets.domain.failures import Failure, ModelMissingError
from madvision_assets.tools.speech import Tell
from madvision_assets.tools.speech.weights import CHECKPOINT_SUFFIX, MODEL_FILE, Form, Weights
from madvision_assets.tools.speech.weights.binary import read_variables
from madvision_assets.tools.speech.weights.files import made_once
from madvision_assets.tools.speech.weights.layout import (
    DECODER,
    EMBEDDINGS,
    ENCODER,
    NO_BIAS,
    PROJECTION,
    layers,
    layout,
)
from madvision_assets.tools.speech.weights.shapes import HEAD_WIDTH, Shape
from madvision_assets.tools.speech.weights.vocabulary import describe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from madvision_assets.tools.speech.weights.binary import Arrays


def converted(weights: Weights, form: Form, models_folder: Path, tell: Tell) -> Weights:
    """The same weights in another form, made once and kept under the hash of what they were made from.

    Raises:
        ModelMissingError: they are no Whisper model.
        DiskFullError: there is no room for them.
    """
    stem = f"{weights.name.removesuffix(CHECKPOINT_SUFFIX)}-{weights.sha256[:16]}"
    path = models_folder / (f"{stem}{CHECKPOINT_SUFFIX}" if form is Form.CHECKPOINT else f"{stem}-{form}")
    write = write_checkpoint if form is Form.CHECKPOINT else write_folder
    if not path.exists():
        tell(0.0, f"converting the model {weights.name} for its engine")
    try:
        made_once(path, lambda part: write(weights.path, part))
    except Failure:
        raise
    except Exception as error:  # libraries raise anything for bytes that are no model
        raise ModelMissingError(f"{weights.path} is no Whisper model: {type(error).__name__}: {error}") from error
    return Weights(weights.name, form, path, weights.sha256)


def write_checkpoint(folder: Path, out: Path) -> None:
    """A checkpoint of OpenAI's out of a folder of CTranslate2's."""
    import numpy as np
    import torch

    variables = read_variables(folder / MODEL_FILE)
    shape = _shape_of(variables)
    state: dict[str, Any] = {}
    for ours, theirs in layout(shape.n_audio_layer, shape.n_text_layer):
        for name, part in zip(theirs, np.split(variables[ours], len(theirs)), strict=True):
            if not name.endswith(NO_BIAS):
                state[name] = torch.from_numpy(np.array(part))
    torch.save({"dims": vars(shape), "model_state_dict": state}, out)


def write_folder(checkpoint: Path, out: Path) -> None:
    """A folder of CTranslate2's out of a checkpoint of OpenAI's, with all that faster-whisper looks for in it."""
    import numpy as np
    import torch
    from ctranslate2.specs import WhisperSpec

    loaded = torch.load(checkpoint, map_location="cpu", weights_only=True)
    shape = Shape(**loaded["dims"])
    state = {name: value.numpy() for name, value in loaded["model_state_dict"].items()}
    spec = WhisperSpec(shape.n_audio_layer, shape.n_audio_head, shape.n_text_layer, shape.n_text_head)
    for ours, theirs in layout(shape.n_audio_layer, shape.n_text_layer):
        like = state[theirs[-1]]
        parts = [np.zeros_like(like) if name.endswith(NO_BIAS) else state[name] for name in theirs]
        _put(spec, ours, np.concatenate(parts))
    embeddings = state["decoder.token_embedding.weight"]
    _put(spec, PROJECTION, embeddings)
    out.mkdir()
    describe(spec, shape, out)
    spec.validate()
    spec.optimize(quantization=str(embeddings.dtype))
    spec.save(str(out))


def _shape_of(variables: "Arrays") -> Shape:
    """The dimensions of a model, by those of its variables."""
    audio_context, audio_width = variables["encoder/position_encodings/encodings"].shape
    text_context, text_width = variables["decoder/position_encodings/encodings"].shape
    return Shape(
        n_mels=variables["encoder/conv1/weight"].shape[1],
        n_audio_ctx=audio_context,
        n_audio_state=audio_width,
        n_audio_head=audio_width // HEAD_WIDTH,
        n_audio_layer=layers(variables, ENCODER),
        n_vocab=variables[EMBEDDINGS].shape[0],
        n_text_ctx=text_context,
        n_text_state=text_width,
        n_text_head=text_width // HEAD_WIDTH,
        n_text_layer=layers(variables, DECODER),
    )


def _put(spec: Any, path: str, value: "NDArray[np.generic]") -> None:
    """Set a variable by its name: ``layer_0`` is the first of ``layer``, unless there is an attribute of that name."""
    *way, last = path.split("/")
    for step in way:
        name, _, number = step.rpartition("_")
        spec = getattr(spec, step) if hasattr(spec, step) else getattr(spec, name)[int(number)]
    setattr(spec, last, value)
