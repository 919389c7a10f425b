"""The speech engines that there are; a new one is a file beside this one and its name here."""

from collections.abc import Mapping

from madvision_assets.domain.choices import chosen
from madvision_assets.tools.speech import (
    NVIDIA_DEVICE,
    EngineDescriptor,
    api,
    faster_whisper,
    openai_whisper,
    sequential,
)

ENGINES: Mapping[str, EngineDescriptor] = {
    engine.DESCRIPTOR.name: engine.DESCRIPTOR for engine in (faster_whisper, openai_whisper, sequential, api)
}
AUTO = "auto"
ON_CPU, ON_GPU = faster_whisper.ENGINE, openai_whisper.ENGINE


def find_engine(name: str) -> EngineDescriptor:
    """The engine of this name; of ``auto`` the one that is best on this machine.

    Raises:
        ValueError: there is none; the sentence lists those that there are.
    """
    if name == AUTO:
        return ENGINES[ON_GPU if NVIDIA_DEVICE.exists() else ON_CPU]
    return chosen(ENGINES, name, "MADVISION_WHISPER_ENGINE")
