"""Publishing a document, so that a stage is complete or absent, whatever breaks off in between.

The order: the immutable document first, its lineage row second (refused where the run's lease on the video is over),
the pointer to it third, and then the queue is told. Of a failed check the queue hears before the pointer moves, lest a
crash in between let it pass. A database or store that is away for a moment is waited for: the work behind a document
may be hours.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from madvision_assets.domain.clips import Clips
from madvision_assets.domain.documents import Document
from madvision_assets.domain.failures import CheckFailedError, DatabaseUnavailableError, StoreUnavailableError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import LAST_STEP, PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.store.documents import point_current, read_current, write_document
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.patience import PATIENCE_S, patiently
from madvision_assets.work.pieces import forget_pieces

if TYPE_CHECKING:
    from madvision_assets.tools.database.queue import Queue


@dataclass(frozen=True)
class Finished:
    """What a stage hands over to be published.

    Attributes:
        document: sealed.
        refused: what its blocking checks have against it; None where they passed.
        kept: the file on this machine that its work is kept in until it is published; None where there is none.
        work_of_run: the earlier run that did the work; None where the publishing one did.
    """

    document: Document
    refused: str | None = None
    kept: Path | None = None
    work_of_run: str | None = None


@dataclass(frozen=True)
class Publisher:
    """Publishes documents.

    Args:
        store: where the documents are.
        database: where the lineage rows are.
        queue: what is told of published documents; None where there is none.
        patience_s: how long a database or store that is away is waited for, seconds.
    """

    store: ObjectStore
    database: Database
    queue: "Queue | None" = None
    patience_s: float = PATIENCE_S

    def publish(
        self, finished: Finished, *, attempt: int | None, ends: bool, go_on_from: PipelineStep | None = None
    ) -> str:
        """Publish, once; where the database or the store is away, again and again for a while.

        Args:
            finished: the document, and whether it was turned down.
            attempt: that the queue launched the run for; None for a run by hand.
            ends: whether the run does no stage after this one.
            go_on_from: the document is a person's, and from this stage on all is to be done again.

        Returns:
            Its URI.

        Raises:
            SupersededError: the run's lease on the video is over; nothing counts then.
            Failure: the database or the store cannot be used.
        """
        away = (DatabaseUnavailableError, StoreUnavailableError)
        uri = patiently(lambda: self._point(finished, attempt), away=away, patience_s=self.patience_s)
        patiently(lambda: self._tell(finished, ends, go_on_from), away=away, patience_s=self.patience_s)
        return uri

    def _point(self, finished: Finished, attempt: int | None) -> str:
        """Everything until the pointer is moved; each of the acts may be done again without harm."""
        document, refused = finished.document, finished.refused
        video_id, run_id, step = document.video_id, document.origin.run_id, PipelineStep(document.asset)
        if self.queue is not None:
            self.queue.require_lease(video_id, run_id)
        uri = write_document(self.store, document)
        if not self._was_told(finished):
            self.database.add_lineage(document, uri)
        if self.queue is not None and refused:
            self.queue.fail(video_id, run_id, attempt, step, CheckFailedError(refused))
            row = self.queue.get(video_id)
            if row is not None and row.status is QueueStatus.DONE:  # as before: what was made before counts
                return uri
        point_current(self.store, document)
        return uri

    def _tell(self, finished: Finished, ends: bool, go_on_from: PipelineStep | None) -> None:
        """What follows; by itself, since the lease may be over by it, though nobody heard that it was told."""
        document, step = finished.document, PipelineStep(finished.document.asset)
        if step is PipelineStep.TRANSCRIPT:
            forget_pieces(self.store, document.video_id)
        if self.queue is not None and not finished.refused:
            made = self._ending(document, step)
            run_id = document.origin.run_id
            self.queue.finish_step(document.video_id, run_id, step, ends=ends, made=made, go_on_from=go_on_from)

    def _was_told(self, finished: Finished) -> bool:
        """Whether the run that did the work has told of it, and of what it cost, before it broke off."""
        document, run_id = finished.document, finished.work_of_run
        told = self.database.lineage_of(document.video_id) if run_id else []
        mine = (run_id, document.asset, document.origin.data_version)
        return any((row.run_id, row.asset, row.data_version) == mine for row in told)

    def _ending(self, document: Document, step: PipelineStep) -> Clips | None:
        """What tells how the video ended; None before the last stage."""
        if step is not LAST_STEP:
            return None
        return document if isinstance(document, Clips) else read_current(self.store, Clips, document.video_id)
