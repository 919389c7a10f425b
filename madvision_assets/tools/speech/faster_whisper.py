"""Whisper on CTranslate2, by the package faster-whisper: the default on a CPU.

Weights are rounded to 8 bits where the processor adds up their products without a loss: half the work for no more word
errors. One that cannot saturates in between, and hears a fifth more words wrong (docs/decisions/0029).
A beam of five costs a little more than a greedy search, and loses far fewer words. The package's own voice detection
and batches stay off: the one drops noisy speech, the other a tenth of all words.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from madvision_assets.domain.heard import Asked, HeardSegment, HeardWord
from madvision_assets.domain.provenance import Recipe
from madvision_assets.tools.speech import TRANSCRIBE, TRANSLATE, Abilities, Device, EngineDescriptor, Heard, Tell
from madvision_assets.tools.speech.errors import ENGINE_ERRORS, classify_loading, classify_speech
from madvision_assets.tools.speech.weights import MODEL_FILE, Form, Weights, at_hand, find_weights
from madvision_assets.tools.speech.weights.binary import variable_names
from madvision_assets.tools.speech.weights.layout import DECODER, ENCODER, layers
from madvision_assets.tools.speech.weights.named import still_to_come

if TYPE_CHECKING:
    import numpy as np
    from faster_whisper import WhisperModel
    from faster_whisper.transcribe import Segment
    from numpy.typing import NDArray

ENGINE = "faster-whisper"
BEAM = 5
SEED = 0  # the fall-back temperatures sample
MAX_THREADS = 4  # more gain little on one stream of speech, and wait for each other
# By device, the best first; the last is what every one can do.
COMPUTE_TYPES = {Device.CPU: ("int8", "float32"), Device.CUDA: ("float16", "int8_float16", "float32")}

CPU_INFO = Path("/proc/cpuinfo")
# VNNI and AMX of x86, dot products of ARM: as the kernel names them.
EXACT = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"})

_loading = threading.Lock()


@dataclass(frozen=True)
class FasterWhisper:
    """The engine ``faster-whisper``; the model is loaded on first use and once per process.

    Args:
        model: a model's name, or the path of a folder of CTranslate2's or of a checkpoint.
        models_folder: where downloaded and converted weights are kept.
    """

    model: str
    models_folder: Path

    def prepare(self, tell: Tell) -> None:
        """See ``SpeechEngine``."""
        find_weights(self.model, self.models_folder, Form.CTRANSLATE2, tell)

    def transcribe(self, samples: "NDArray[np.float32]", asked: Asked) -> Heard:
        """See ``SpeechEngine``."""
        return self.transcribe_telling(samples, asked, lambda _done_s: None)

    def transcribe_telling(self, samples: "NDArray[np.float32]", asked: Asked, tell: Callable[[float], None]) -> Heard:
        """See ``TellsProgress``."""
        started_s = time.monotonic()
        model = self._loaded()
        load_s = time.monotonic() - started_s
        self._abilities(model).require(asked, self.recipe().model or "")
        import ctranslate2

        ctranslate2.set_random_seed(SEED)
        try:
            segments, info = model.transcribe(
                samples,
                language=asked.language,
                task=TRANSLATE if asked.translate else TRANSCRIBE,
                hotwords=asked.prompt or None,  # before each half minute; an initial prompt would be before the first
                beam_size=BEAM,
                word_timestamps=True,
                condition_on_previous_text=False,
            )
            heard = []
            for segment in segments:  # they are decoded as they are taken
                heard.append(_segment(segment))
                tell(float(segment.end))
        except ENGINE_ERRORS as error:
            raise classify_speech(error) from error
        return Heard(info.language, tuple(heard), load_s=round(load_s, 3))

    def language_of(self, samples: "NDArray[np.float32]") -> tuple[str, float]:
        """See ``TellsLanguage``; a model of one language is sure of it."""
        model = self._loaded()
        if not model.model.is_multilingual:
            return "en", 1.0
        try:
            language, sure, _ = model.detect_language(samples)
        except ENGINE_ERRORS as error:
            raise classify_speech(error) from error
        return language, float(sure)

    def hears(self, language: str) -> bool:
        """See ``KnowsLanguages``."""
        return self._abilities(self._loaded()).hear(language)

    def check(self) -> tuple[bool, str]:
        """See ``SpeechEngine``. Weights that are here are loaded; others are not downloaded."""
        found = at_hand(self.model, self.models_folder)
        if found is None:
            return False, still_to_come(self.model)
        model = self._loaded()
        return True, f"{found.identity}, {model.model.compute_type} on {model.model.device}, by {ENGINE}"

    def recipe(self) -> Recipe:
        """See ``SpeechEngine``."""
        found = at_hand(self.model, self.models_folder)
        parameters = {"beam_size": BEAM, "condition_on_previous_text": False, "seed": SEED, "word_timestamps": True}
        return Recipe(
            engine=ENGINE,
            engine_version=version(ENGINE),
            model=found.identity if found else self.model,
            parameters={**parameters, "compute_type": compute_type(device())},
        )

    def _abilities(self, model: "WhisperModel") -> Abilities:
        languages = model.model.num_languages if model.model.is_multilingual else 1
        weights = find_weights(self.model, self.models_folder, Form.CTRANSLATE2)
        return Abilities(languages, *_layers(weights.path / MODEL_FILE))

    def _loaded(self) -> "WhisperModel":
        with _loading:
            return _load(find_weights(self.model, self.models_folder, Form.CTRANSLATE2))


def device() -> Device:
    """Where it runs: on a GPU where there is one."""
    import ctranslate2

    return Device.CUDA if ctranslate2.get_cuda_device_count() else Device.CPU


def compute_type(where: Device) -> str:
    """How it counts there, in CTranslate2's words."""
    import ctranslate2

    able = ctranslate2.get_supported_compute_types(where.value)
    if where is Device.CPU and not adds_bytes_exactly(CPU_INFO):
        able -= {"int8"}
    return next((each for each in COMPUTE_TYPES[where] if each in able), COMPUTE_TYPES[where][-1])


@cache
def adds_bytes_exactly(cpu_info: Path) -> bool:
    """Whether the processor has instructions for dot products of bytes with sums of 32 bits.

    Args:
        cpu_info: what the kernel says of it; one that cannot be read has none.
    """
    try:
        told = cpu_info.read_text()
    except (OSError, UnicodeDecodeError):
        return False
    return bool(EXACT & {*told.split()})


@cache
def _layers(model_file: Path) -> tuple[int, int]:
    """Layers of encoder and decoder; zeros where the file is of a version that is not known."""
    try:
        names = variable_names(model_file)
    except (ValueError, OSError):
        return 0, 0
    return layers(names, ENCODER), layers(names, DECODER)


@lru_cache(maxsize=1)
def _load(weights: Weights) -> "WhisperModel":
    from faster_whisper import WhisperModel

    where = device()
    threads = min(MAX_THREADS, len(os.sched_getaffinity(0)))
    try:
        return WhisperModel(
            str(weights.path),
            device=where.value,
            compute_type=compute_type(where),
            cpu_threads=threads,
            local_files_only=True,
        )
    except ENGINE_ERRORS as error:
        raise classify_loading(error, weights.name) from error


def _segment(raw: "Segment") -> HeardSegment:
    """A segment in our form; the package's times are floats of numpy."""
    words = tuple(
        HeardWord(word.word, float(word.start), float(word.end), float(word.probability)) for word in raw.words or ()
    )
    return HeardSegment(raw.text, float(raw.start), float(raw.end), words)


DESCRIPTOR = EngineDescriptor(
    name=ENGINE,
    make=lambda options: FasterWhisper(options.model, options.models_folder),
    extra=ENGINE,
    devices=(Device.CPU, Device.CUDA),
    models="a Whisper model's name, a folder of CTranslate2's, or a checkpoint (.pt)",
)
