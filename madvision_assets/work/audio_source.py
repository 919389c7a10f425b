"""The audio that a transcript is made of: where it lies in a folder store, else a copy that is fetched once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from madvision_assets.domain.documents import ObjectRef
from madvision_assets.tools.room import DiskRoom
from madvision_assets.tools.store.objects import ObjectStore

TOLD = "fetching the audio"


@contextmanager
def audio_at_hand(
    store: ObjectStore, audio: ObjectRef, folder: Path, room: DiskRoom | None, tell: Callable[[float, str], None]
) -> Iterator[BinaryIO]:
    """The audio as a seekable file of this machine, which is read several times and costs the store one reading.

    Args:
        store: where it is.
        audio: which it is.
        folder: gets the copy, which is gone afterwards.
        room: on the disk of the folder; None promises none.
        tell: gets a fraction from 0 to 1 and a few words, while it is fetched.

    Raises:
        Failure: of the store; ``RoomShortError`` where there is no room for a copy beside the downloads.
    """
    if store.local_path(audio.key) is not None:
        with store.open(audio.key) as file:
            yield file
        return
    path = folder / PurePosixPath(audio.key).name
    try:
        _fetch(store, audio, path, room, tell)
        with path.open("rb") as file:
            yield file
    finally:
        path.unlink(missing_ok=True)


def _fetch(
    store: ObjectStore, audio: ObjectRef, path: Path, room: DiskRoom | None, tell: Callable[[float, str], None]
) -> None:
    def progress(done_bytes: int, size_bytes: int) -> None:
        tell(done_bytes / size_bytes, TOLD)

    if room is None:
        store.download(audio.key, path, progress)
        return
    with room.promised(path.parent) as promise:
        promise.need(audio.size_bytes, times=1.0)
        store.download(audio.key, path, progress)
