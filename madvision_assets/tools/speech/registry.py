"""The speech engines that there are; a new one is a file beside this one and its name here."""

from collections.abc import Mapping

from madvision_assets.domain.choices import chosen
from madvision_assets.tools.speech import EngineDescriptor, openai_whisper

ENGINES: Mapping[str, EngineDescriptor] = {engine.DESCRIPTOR.name: engine.DESCRIPTOR for engine in (openai_whisper,)}


def find_engine(name: str) -> EngineDescriptor:
    """The engine of this name.

    Raises:
        ValueError: there is none; the sentence lists those that there are.
    """
    return chosen(ENGINES, name, "MADVISION_WHISPER_ENGINE")
