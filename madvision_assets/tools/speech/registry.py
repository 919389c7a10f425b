"""The speech engines that there are; a new one is a file beside this one and its name here."""

from collections.abc import Mapping
from pathlib import Path

from madvision_assets.domain.choices import chosen
from madvision_assets.tools.speech import EngineDescriptor, api, faster_whisper, openai_whisper

ENGINES: Mapping[str, EngineDescriptor] = {
    engine.DESCRIPTOR.name: engine.DESCRIPTOR for engine in (faster_whisper, openai_whisper, api)
}
AUTO = "auto"
ON_CPU, ON_GPU = faster_whisper.ENGINE, openai_whisper.ENGINE
NVIDIA_DEVICE = Path("/dev/nvidiactl")  # is there where a process may use a GPU; asking torch would load it


def find_engine(name: str) -> EngineDescriptor:
    """The engine of this name; of ``auto`` the one that is best on this machine.

    Raises:
        ValueError: there is none; the sentence lists those that there are.
    """
    if name == AUTO:
        return ENGINES[ON_GPU if NVIDIA_DEVICE.exists() else ON_CPU]
    return chosen(ENGINES, name, "MADVISION_WHISPER_ENGINE")
