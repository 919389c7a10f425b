"""The video that clips are cut from: where it lies in a folder store, else a copy of only what the clips need."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self, cast

from madvision_assets.domain.cutting import CutPlan
from madvision_assets.domain.failures import CorruptMediaError, MediaToolError, TooCostlyError
from madvision_assets.domain.video import RawVideo
from madvision_assets.tools.media import apart
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.tools.store.partial import PartialCopy

# How far ffmpeg reads beyond what it encodes: it decodes ahead, and stops some time after it has all.
READ_AHEAD_S = 6.0
Stretches = Sequence[Sequence[int]]


@dataclass
class CutSource:
    """A file to cut from.

    Attributes:
        path: the file; of a copy, only what was reached is in it, and the rest is a hole.
        copy: what fetches more of it; None where the store is a folder.
    """

    path: Path
    raw_video: RawVideo
    copy: PartialCopy | None = None
    _needed: dict[tuple[CutPlan, bool], Stretches] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def of(cls, store: ObjectStore, raw_video: RawVideo, folder: Path) -> Iterator[Self]:
        """The video, of a copy in ``folder`` that is gone afterwards.

        Raises:
            Failure: of the store.
        """
        key = raw_video.media.key
        local = store.local_path(key)
        if local is not None:
            yield cls(local, raw_video)
            return
        path = folder / f"{Path(key).stem}.part{Path(key).suffix}"
        try:
            with store.partial(key, path) as copy:
                yield cls(path, raw_video, copy)
        finally:
            path.unlink(missing_ok=True)

    def look(self, plans: Sequence[CutPlan]) -> None:
        """Reads the index once, and from it which stretches these plans need.

        Raises:
            Failure: of the store.
        """
        if self.copy is None:
            return
        wanted = [(plan, whole) for plan in plans for whole in (False, True)]
        tracks = self.raw_video.info.tracks
        zero_s = tracks.zero_s if tracks else 0.0
        chosen = (tracks.video, tracks.audio) if tracks else (None, None)
        spans = [
            (zero_s + plan.start_s - plan.preroll_s * whole, zero_s + plan.end_s + READ_AHEAD_S * whole)
            for plan, whole in wanted
        ]
        try:
            found = apart.result_of("stretches", cast("BinaryIO", self.copy), tracks=chosen, spans_s=spans)
        except (CorruptMediaError, MediaToolError, TooCostlyError):
            self.copy.fetch((0, self.raw_video.media.size_bytes))  # whoever reads it finds out
            return
        self._needed = dict(zip(wanted, found["spans"], strict=True))
        self._fetch(found["head"])

    def reach(self, plan: CutPlan, *, whole: bool = False) -> None:
        """Has what a plan needs in the file: to copy what can be copied, or for coding it anew as a whole.

        Raises:
            Failure: of the store.
        """
        self._fetch(self._needed.get((plan, whole), ()))

    def _fetch(self, stretches: Stretches) -> None:
        if self.copy is not None:
            self.copy.fetch(*((begin, end) for begin, end in stretches))
