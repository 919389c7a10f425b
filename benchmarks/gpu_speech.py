"""Speech on a GPU: from FLAC to words with their times, beside the stock ``transcribe`` and transformers' batches.

One command, no network: ``python benchmarks/gpu_speech.py``. Where there is no CUDA device it says so and ends with 0.

Two models. ``turbo-shaped`` has the dimensions of large-v3-turbo and random weights, and says so many tokens as real
speech has, 112 in half a minute: what it costs is real, what it says is not. ``tiny.en`` hears real voices where those
are, and word errors stand beside its speed. GPU busy is the time between the first and the last of what was launched
at once, by CUDA events, of all the time that passed. Each peer is warm before it is measured.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from measure import Figure, at_least, at_most, show, told

from madvision_assets.domain.heard import Asked
from madvision_assets.tools.media.audio import RATE_HZ, read_windows
from madvision_assets.tools.speech import Heard
from madvision_assets.tools.speech.batched.decoder import Decoder, Effort
from madvision_assets.tools.speech.batched.place import Cuda
from madvision_assets.tools.speech.openai_whisper import load_model, usable_device
from madvision_assets.tools.speech.weights import Form, find_weights
from madvision_assets_tests import footage, real_speech

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from whisper import Whisper

REAL_TIME, STOCK, TRANSFORMERS, BUSY, NO_MORE_ERRORS = 2000.0, 40.0, 2.0, 0.8, 0.003
# Of large-v3-turbo: bands, frames, states, heads, layers of the encoder; tokens, and the like of the decoder.
TURBO = (128, 1500, 1280, 20, 32, 51866, 448, 1280, 20, 4)
HALF_MINUTE_S, TOKENS = 30.0, 112
LONG_S, STOCK_S, WINDOW_S = 3600.0, 120.0, 1200.0
READERS = 4
PEER_BATCH = 32
MODEL = "tiny.en"
FORM = "{:.0f} x real time"


def figures() -> list[Figure]:
    """Ours beside the peers; none where there is no CUDA device."""
    import torch

    if not torch.cuda.is_available():
        print("gpu_speech: skipped: no CUDA device")
        return []
    print(f"gpu_speech: on one {torch.cuda.get_device_name()}")
    with tempfile.TemporaryDirectory() as name:
        return [*_turbo(Path(name)), *_real(Path(name))]


def _turbo(folder: Path) -> list[Figure]:
    """An hour of noise with pauses, as long to hear as speech, in as many files as are read at once."""
    model = _turbo_shaped()
    flacs = [folder / f"noise{number}.flac" for number in range(READERS)]
    for flac in flacs:
        _write(flac, _noise(LONG_S / READERS))
    rate = TOKENS / HALF_MINUTE_S
    exactly = Effort(temperatures=(0.0,), is_rest_heard=False, tokens_per_s=rate)
    decoder = Decoder(model, Cuda(), exactly)
    ours, busy, _ = _measured(decoder, flacs, LONG_S)
    del decoder
    stock = _stock(model)
    found = [
        at_least("turbo-shaped: FLAC to words, times real time", ours, 1.0, REAL_TIME, "{:.0f}"),
        at_least("the same, beside stock transcribe without times of words", ours, stock, STOCK, FORM),
        at_least("the same: share of the time that the GPU is busy", busy, 1.0, BUSY, "{:.2f}"),
    ]
    del model
    peer = _transformers()
    if peer is not None:
        found.append(at_least(f"the same, beside transformers in batches of {PEER_BATCH}, without times of words, "
                              "from spectrograms", ours, peer, TRANSFORMERS, FORM))  # fmt: skip
    return found


def _real(folder: Path) -> list[Figure]:
    """Real voices by ``tiny.en``, ours beside stock; none where either is not here."""
    from madvision_assets.domain.failures import ModelMissingError

    if not real_speech.FOLDER.is_dir():
        print(f"gpu_speech: {MODEL} on real voices: skipped: the recordings are not beside the project")
        return []
    try:
        model = load_model(find_weights(MODEL, folder / "models", Form.CHECKPOINT), usable_device())
    except ModelMissingError as missing:
        print(f"gpu_speech: {MODEL} on real voices: skipped: {missing}")
        return []
    said = real_speech.talk()
    flac = folder / "talk.flac"
    _write(flac, said.samples)
    ours, _, heard = _measured(Decoder(model, Cuda()), [flac], said.duration_s)
    errors = real_speech.word_errors(said.text, "".join(s.text for each in heard for s in each.segments))
    own = _transcribed(model, said.samples, word_timestamps=True)
    stock = said.duration_s / _timed(lambda: _transcribed(model, said.samples, word_timestamps=True))
    theirs = real_speech.word_errors(said.text, str(own["text"]))
    return [
        told(f"{MODEL}, real voices: beside stock transcribe ({errors:.1%} word errors beside {theirs:.1%})",
             ours, stock, FORM),
        at_most("the same: word errors, beside stock and 0.3 points", errors, theirs + NO_MORE_ERRORS, 1.0, "{:.3f}"),
    ]  # fmt: skip


def _measured(decoder: Decoder, flacs: Sequence[Path], seconds: float) -> tuple[float, float, list[Heard]]:
    """Times real time, share of it that the GPU was busy, and what was heard; the second time of two."""
    for _ in range(2):
        started_s = time.monotonic()
        heard = list(decoder.hear_all(_windows(flacs), Asked("en")))
        took_s = time.monotonic() - started_s
    busy_s = sum(each.gpu_s for each in heard)
    return seconds / took_s, busy_s / took_s, heard


def _windows(flacs: Sequence[Path]) -> "Iterator[NDArray[np.float32]]":
    """The windows of files in turn, all of which are read at once: one is decoded no faster than a GPU hears."""

    def read(flac: Path) -> "list[NDArray[np.float32]]":
        return [window.samples for window in read_windows(flac, WINDOW_S)]

    with ThreadPoolExecutor(READERS, "flac") as ahead:
        for windows in ahead.map(read, flacs):
            yield from windows


def _turbo_shaped() -> "Whisper":
    import torch
    from whisper.model import ModelDimensions, Whisper

    torch.manual_seed(0)
    with torch.device("cuda"):
        model = Whisper(ModelDimensions(*TURBO)).eval()
    torch.nn.init.normal_(model.decoder.positional_embedding, std=0.02)  # it is made without being filled
    return model


def _stock(model: "Whisper") -> float:
    """Times real time of ``transcribe`` where each half minute has as many tokens as ours has in it.

    It tells no times, neither of words nor between tokens: by what random weights tell, it would hear much twice.
    """
    from whisper.tokenizer import get_tokenizer

    tokenizer = get_tokenizer(multilingual=True, num_languages=model.num_languages)
    never = [-1, tokenizer.eot, *range(tokenizer.timestamp_begin, model.dims.n_vocab)]
    exactly = {"sample_len": TOKENS, "suppress_tokens": never, "without_timestamps": True, "temperature": 0.0}
    believed = {"compression_ratio_threshold": None, "logprob_threshold": None, "no_speech_threshold": None}
    samples = _noise(STOCK_S)
    return STOCK_S / _timed(lambda: _transcribed(model, samples, **exactly, **believed))


def _transcribed(model: "Whisper", samples: "NDArray[np.float32]", **options: object) -> dict[str, object]:
    wanted = {"language": "en", "condition_on_previous_text": False, "fp16": True}
    found: dict[str, object] = model.transcribe(samples, verbose=None, **wanted, **options)
    return found


def _transformers() -> float | None:
    """Times real time of its batched generation, from spectrograms; None where it is not installed."""
    try:
        from transformers import WhisperConfig, WhisperForConditionalGeneration
    except ImportError:
        print("gpu_speech: beside transformers: skipped: it is not installed (pip install transformers)")
        return None
    import torch
    from transformers.generation import GenerationMixin

    bands, frames, states, heads, layers, tokens, places, _, _, decoder_layers = TURBO
    config = WhisperConfig(
        vocab_size=tokens, num_mel_bins=bands, d_model=states, encoder_layers=layers, decoder_layers=decoder_layers,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=4 * states,
        decoder_ffn_dim=4 * states, max_source_positions=frames, max_target_positions=places,
    )  # fmt: skip
    with torch.device("cuda"):
        peer = WhisperForConditionalGeneration(config).half().eval()
    mel = torch.randn(PEER_BATCH, bands, 2 * frames, device="cuda", dtype=torch.half)
    start = torch.full((PEER_BATCH, 1), 50258, device="cuda")

    def generate() -> None:
        with torch.inference_mode():
            GenerationMixin.generate(
                peer, mel, decoder_input_ids=start, min_new_tokens=TOKENS, max_new_tokens=TOKENS, do_sample=False
            )

    return PEER_BATCH * HALF_MINUTE_S / _timed(generate)


def _timed(work: Callable[[], object]) -> float:
    """Seconds that it takes when it is warm, the GPU included."""
    import torch

    for _ in range(2):
        torch.cuda.synchronize()
        started_s = time.monotonic()
        work()
        torch.cuda.synchronize()
    return time.monotonic() - started_s


def _noise(seconds: float) -> "NDArray[np.float32]":
    """Noise with a pause of 0.4 s every 6 to 9 s, so that pieces are as long as those of speech."""
    import numpy as np

    random = np.random.default_rng(0)
    samples = (0.1 * random.standard_normal(round(seconds * RATE_HZ))).astype(np.float32)
    at_s = 0.0
    while (at_s := at_s + random.uniform(6, 9)) < seconds:
        samples[round(at_s * RATE_HZ) : round((at_s + 0.4) * RATE_HZ)] *= 0.01
    return samples


def _write(flac: Path, samples: "NDArray[np.float32]") -> None:
    raw = flac.with_suffix(".f32")
    samples.tofile(raw)
    footage.ffmpeg("-f", "f32le", "-ar", RATE_HZ, "-ac", "1", "-i", raw, "-sample_fmt", "s16", flac)


if __name__ == "__main__":
    sys.exit(not show(figures()))
