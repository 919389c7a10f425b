"""What was heard of an audio, piece by piece, so that a try that breaks off loses one piece and not hours.

Pieces lie in the store, for whichever machine comes next, below what decides what they say: the sound, and all that the
engine says of itself. When the transcript is published they go.
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import TypeAdapter, ValidationError

from madvision_assets.domain.documents import ObjectRef
from madvision_assets.domain.failures import Failure
from madvision_assets.tools.speech import Heard, SpeechEngine
from madvision_assets.tools.store.objects import ObjectStore

FOLDER = "pieces"
# In the usage of a transcript: what hearing took, milliseconds.
ENGINE_MS, LOAD_MS, GPU_MS = "engine_ms", "load_ms", "gpu_ms"
_HEARD = TypeAdapter(Heard)


@dataclass(frozen=True)
class Pieces:
    """The pieces of one audio, as one engine hears them, and what they cost.

    They are a help and not a condition: where the store cannot be asked, a piece is not there.

    Args:
        store: where they are.
        video_id: whose audio.
        audio: its sound.
        engine: who hears it; its model must be at hand, for it to say which.
        asked: what is wanted of all of them, by name.
    """

    store: ObjectStore
    video_id: str
    audio: ObjectRef
    engine: SpeechEngine
    asked: Mapping[str, object] = field(default_factory=dict)
    _paid: list[Heard] = field(default_factory=list, init=False)
    _made: list[Heard] = field(default_factory=list, init=False)

    def heard(self, name: str, hear: Callable[[], Heard]) -> Heard:
        """What was heard of a piece, else what is heard of it now; either has its cost."""
        found = self.get(name)
        if found is None:
            found = hear()
            self._made.append(found)
            self.put(name, found)
        self._paid.append(found)
        return found

    @property
    def cost_usd(self) -> float:
        """What was paid to third parties for all that were heard, whichever try did that, US dollars."""
        return round(sum(heard.cost_usd for heard in self._paid), 8)

    @property
    def usage(self) -> dict[str, int]:
        """What that was paid for, by name, and the milliseconds of work in it: of engine, loading and GPU."""
        usage = Counter[str]()
        for heard in self._paid:
            usage.update(heard.usage)
            usage.update({name: round(1000 * seconds) for name, seconds in _work_s(heard).items() if seconds})
        return dict(usage)

    @property
    def here_s(self) -> float:
        """How long an engine worked on those that were heard by this try, seconds."""
        return sum(heard.took_s for heard in self._made)

    def get(self, name: str) -> Heard | None:
        """What was heard of a piece; None where that is not known, or cannot be read."""
        with suppress(Failure, ValidationError):
            return _HEARD.validate_json(self.store.get_bytes(self._key(name)))
        return None

    def put(self, name: str, heard: Heard) -> None:
        """Keep what was heard of a piece."""
        with suppress(Failure):
            self.store.put_bytes(self._key(name), _HEARD.dump_json(heard), media_type="application/json")

    def _key(self, name: str) -> str:
        return f"{FOLDER}/{self.video_id}/{self._basis}/{name}.json"

    @cached_property
    def _basis(self) -> str:
        """A hash of the sound, and of all that changes what is heard of it."""
        decides: list[object] = [self.audio.sha256, self.engine.recipe().identity()]
        said = json.dumps([*decides, self.asked] if self.asked else decides, sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:32]


def _work_s(heard: Heard) -> dict[str, float]:
    return {ENGINE_MS: heard.took_s, LOAD_MS: heard.load_s, GPU_MS: heard.gpu_s}


def name_of(start_s: float, end_s: float, language: str | None) -> str:
    """The name of a stretch of an audio, to the millisecond, as heard in a language that was told."""
    return f"{round(start_s * 1000)}-{round(end_s * 1000)}-{language or 'any'}"


def forget_pieces(store: ObjectStore, video_id: str) -> None:
    """Delete all pieces of a video, where the store can be asked; a later transcript of it does so again."""
    prefix = f"{FOLDER}/{video_id}"
    with suppress(Failure):
        store.delete(store.list_keys(prefix))
        folder = store.local_path(prefix)
        if folder is not None:  # its empty folders would stay
            shutil.rmtree(folder, ignore_errors=True)
