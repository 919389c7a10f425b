"""Claims about Whisper on a GPU, where there is one; elsewhere they are skipped."""

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from madvision_assets.domain.failures import OutOfGpuMemoryError
from madvision_assets.domain.heard import Asked
from madvision_assets.tools.media.audio import extract_flac, read_windows
from madvision_assets.tools.speech import Heard
from madvision_assets.tools.speech.openai_whisper import OpenAIWhisper
from madvision_assets_tests.sample import MODEL, SAMPLE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WINDOW_S, SEARCH_S = 30.0, 5.0
# What is left free on a full GPU: less than half of a second of sound takes.
CRUMB_BYTES = 1 << 20
ALIKE = 0.95


@pytest.fixture(scope="module", autouse=True)
def torch() -> Any:
    module = pytest.importorskip("torch")
    if not module.cuda.is_available():
        pytest.skip("there is no GPU here")
    return module


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> "NDArray[np.float32]":
    flac = tmp_path_factory.mktemp("speech") / "audio.flac"
    extract_flac(SAMPLE, flac)
    return next(iter(read_windows(flac, WINDOW_S, SEARCH_S))).samples


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> OpenAIWhisper:
    return OpenAIWhisper(MODEL, tmp_path_factory.mktemp("models"))


@contextmanager
def full_gpu(torch: Any) -> Iterator[None]:
    """All of its memory is taken by somebody."""
    torch.cuda.empty_cache()
    taken = []
    size_bytes = torch.cuda.mem_get_info()[0]
    while size_bytes > CRUMB_BYTES:
        try:
            taken.append(torch.empty(size_bytes, dtype=torch.uint8, device="cuda"))
        except torch.OutOfMemoryError:
            size_bytes //= 2
    try:
        yield
    finally:
        taken.clear()
        torch.cuda.empty_cache()


def text(heard: Heard) -> str:
    return "".join(segment.text for segment in heard.segments)


def test_the_gpu_is_taken_by_itself_and_hears_in_half_precision_what_the_cpu_hears(
    engine: OpenAIWhisper, speech: "NDArray[np.float32]"
) -> None:
    import whisper

    on_gpu = engine.transcribe(speech, Asked("en"))
    decoder = engine._loaded().decoder
    assert decoder.network.device.type == "cuda"
    assert "float16 on cuda" in engine.check()[1]
    assert engine.recipe().parameters["compute_type"] == "float16"
    assert on_gpu.gpu_s > 0

    checkpoint = next(engine.models_folder.glob("*.pt"))
    options = {"word_timestamps": True, "condition_on_previous_text": False, "fp16": False}
    on_cpu = whisper.load_model(str(checkpoint), device="cpu").transcribe(speech, language="en", **options)

    # Half precision may decide otherwise where two words are as likely.
    alike = SequenceMatcher(None, text(on_gpu).split(), str(on_cpu["text"]).split()).ratio()
    assert alike > ALIKE, (text(on_gpu), on_cpu["text"])
    assert all(segment.words for segment in on_gpu.segments)


def test_a_full_gpu_is_told_as_that_and_the_next_try_hears_again(
    engine: OpenAIWhisper, speech: "NDArray[np.float32]", torch: Any
) -> None:
    before = engine.transcribe(speech, Asked("en"))

    with full_gpu(torch), pytest.raises(OutOfGpuMemoryError):
        engine.transcribe(speech, Asked("en"))

    assert text(engine.transcribe(speech, Asked("en"))) == text(before)


def test_a_gpu_that_is_full_before_the_weights_are_loaded_is_told_as_that(
    tmp_path: Path, speech: "NDArray[np.float32]", torch: Any
) -> None:
    other = OpenAIWhisper(MODEL, tmp_path)

    with full_gpu(torch), pytest.raises(OutOfGpuMemoryError):
        other.transcribe(speech, Asked("en"))

    assert text(other.transcribe(speech, Asked("en")))
