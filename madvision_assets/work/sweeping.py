"""Sweeping: what uploads leave in the store goes once nobody needs it.

That is what was broken off and has expired, and what a video has taken over.
"""

from dataclasses import dataclass

from madvision_assets.tools.database import Database
from madvision_assets.tools.store.incoming import IncomingFiles
from madvision_assets.tools.store.objects import ObjectStore


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
