"""Sweeping: what uploads leave in the store goes once nobody needs it, and what is kept of videos that nobody wants.

Of uploads that is what was broken off and has expired, and what a video has taken over.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from madvision_assets.tools.database import Database
from madvision_assets.tools.store.incoming import IncomingFiles
from madvision_assets.tools.store.objects import ObjectStore

if TYPE_CHECKING:
    from madvision_assets.work.forgetting import Partitions

# Of a sensor's tick, which has a minute.
MOST_WITHDRAWN, LIMIT_S = 1000, 20.0


@dataclass(frozen=True)
class UploadSweeper:
    """Sweeps after uploads.

    Args:
        database: which knows what there is.
        store: where it lies.
    """

    database: Database
    store: ObjectStore

    def sweep(self) -> int:
        """Delete what is not needed any more; gives of how many uploads."""
        from madvision_assets.tools.database.uploads import Uploads

        uploads, files, done = Uploads(self.database), IncomingFiles(self.store), 0
        for upload in uploads.to_sweep():
            if upload.video_id is None and not uploads.seize(upload):
                continue  # somebody went on with it at the last moment
            files.delete(upload.place)
            uploads.mark_swept(upload)
            done += 1
        for upload in uploads.to_forget():
            files.delete(upload.place)  # what a writer put who did not know that it was over
            uploads.forget(upload)
        return done


@dataclass(frozen=True)
class WithdrawnSweeper:
    """Deletes all that is kept of videos that whoever submitted them has deleted.

    Args:
        database: where the rows are.
        store: where documents and media are.
        work_folder: where tries have left something on this machine.
    """

    database: Database
    store: ObjectStore
    work_folder: Path

    def sweep(self, partitions: "Partitions") -> int:
        """Delete some of them, and tell how many; one that a run is still at work on is left for the next time."""
        from madvision_assets.tools.database.withdrawing import Withdrawals
        from madvision_assets.work.forgetting import forget

        given_up = Withdrawals(self.database).given_up(MOST_WITHDRAWN)
        ends_s, videos = time.monotonic() + LIMIT_S, 0
        for each in forget(self.database, self.store, self.work_folder, partitions, given_up, only_withdrawn=True):
            videos += each.videos
            if time.monotonic() > ends_s:
                break
        return videos
