"""Putting a person's version of a document in the place of a stage's, and having the later stages done again."""

from collections.abc import Sequence
from dataclasses import dataclass

from madvision_assets.domain.documents import Document
from madvision_assets.domain.failures import Failure, SupersededError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.store.documents import current_provenance
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.dispatch import missing_steps
from madvision_assets.work.patience import PATIENCE_S
from madvision_assets.work.publish import Finished, Publisher


class BusyError(ValueError):
    """The video is being processed."""


@dataclass(frozen=True)
class Words:
    """How a person is told that it cannot be done now.

    Attributes:
        then: what to do once it can, such as ``Import the transcript when that has ended.``
        to_be_done_anew: what the stage will do, such as ``transcribed anew``.
    """

    then: str
    to_be_done_anew: str


@dataclass(frozen=True)
class Replacing:
    """Puts a person's version of a stage's document in the place of its newest one.

    Args:
        store: where the documents are.
        database: where the lineage rows are.
        queue: which video is whose.
        patience_s: how long a database or store that is away is waited for, seconds.
    """

    store: ObjectStore
    database: Database
    queue: Queue
    patience_s: float = PATIENCE_S

    def publish(self, sealed: Document, over: str, words: Words) -> None:
        """Publish it under a lease of our own, which nobody has to give up for it, and queue the later stages.

        Args:
            sealed: the new version.
            over: the data version that it was made of, which must still be the newest.
            words: for a person.

        Raises:
            BusyError: somebody is at work on the video, or it is to be made anew anyway; nothing is changed.
            Failure: the database or the store cannot be used.
        """
        video_id, run_id, step = sealed.video_id, sealed.origin.run_id, PipelineStep(sealed.asset)
        taken = self.queue.take(video_id, lambda again: self._look(video_id, step, over, again, words))
        if taken is None:
            raise BusyError(f"{video_id} is being processed just now. {words.then}")
        try:
            self.queue.begin(video_id, run_id, taken.attempt, step, insists=True)
            publisher = Publisher(self.store, self.database, self.queue, self.patience_s)
            publisher.publish(Finished(sealed), attempt=taken.attempt, ends=True)
        except SupersededError as error:
            raise BusyError(f"{video_id} was taken over by a run. {words.then}") from error
        except Failure as failure:
            self.queue.fail(video_id, run_id, taken.attempt, step, failure)
            raise
        Operations(self.database).requeue(video_ids=[video_id], from_step=step.next)

    def _look(
        self, video_id: str, step: PipelineStep, over: str, again: PipelineStep | None, words: Words
    ) -> Sequence[PipelineStep]:
        """What there is to do: nothing while somebody has the video, or has made the document anew meanwhile."""
        row = self.queue.get(video_id)
        now = current_provenance(self.store, step, video_id)
        if (row is not None and row.status is QueueStatus.RUNNING) or now is None or now.data_version != over:
            return ()
        if step in missing_steps(self.store, video_id, again):
            raise BusyError(f"{video_id} is to be {words.to_be_done_anew}. {words.then}")
        return (step,)
