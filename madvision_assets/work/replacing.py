"""Putting a person's version of a document in the place of a stage's, and having the later stages done again.

The store is looked at before the video is taken, so that no transaction waits for it; the video is taken only if nobody
has moved it since. From then on there are two ends: the new version counts and the queue goes on from the next stage,
or all is as it was.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from madvision_assets.domain.documents import Document
from madvision_assets.domain.failures import Failure, SupersededError, UnexpectedError, UnknownVideoError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.replacements import Replacements, is_of
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.store.documents import current_provenance, current_version
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.dispatch import missing_steps
from madvision_assets.work.patience import PATIENCE_S
from madvision_assets.work.publish import Finished, Publisher

# Somebody may move the video between a look and the moment it is taken; it is looked at again, so often.
LOOKS = 3


class BusyError(ValueError):
    """The video is being processed."""


class OutdatedError(BusyError):
    """Somebody else has put a newer version in its place meanwhile, or is about to."""


@dataclass(frozen=True)
class Words:
    """How a person is told that it cannot be done now.

    Attributes:
        then: what to do once it can, such as ``Import the transcript when that has ended.``
        to_be_done_anew: what the stage will do, such as ``transcribed anew``.
        outdated: that there is a newer version, and what to do.
    """

    then: str
    to_be_done_anew: str
    outdated: str


def require_idle(row: QueueRow, engine: str, words: Words) -> None:
    """Return where nobody is at work on a video.

    Args:
        row: the video's.
        engine: of the document that a person makes.
        words: for him.

    Raises:
        OutdatedError: somebody else is just publishing such a document.
        BusyError: it is being processed.
    """
    if row.status is not QueueStatus.RUNNING:
        return
    if is_of(row.run_id, engine):
        raise OutdatedError(words.outdated)
    raise BusyError(f"{row.video_id} is being processed just now. {words.then}")


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

    def publish(self, sealed: Document, over: str, engine: str, words: Words) -> None:
        """Publish it under a lease of our own, which nobody has to give up for it, and queue the later stages.

        Args:
            sealed: the new version; its run is one by ``replacements.new_run``.
            over: the data version that it was made of, which must still be the newest.
            engine: of such documents; its lease is named so, whoever made what is in it.
            words: for a person.

        Raises:
            OutdatedError: there is a newer version than that; nothing is changed.
            BusyError: somebody is at work on the video, or it is to be made anew anyway; nothing is changed.
            UnknownVideoError: whoever submitted the video has deleted it; it and this go for good.
            Failure: the database or the store cannot be used; nothing is changed, unless the version counts already:
                then the later stages are done all the same.
        """
        step = PipelineStep(sealed.asset)
        before = self._taken(sealed, over, engine, words)
        publisher = Publisher(self.store, self.database, self.queue, self.patience_s)
        try:
            publisher.publish(Finished(sealed), attempt=before.attempt + 1, ends=True, go_on_from=step.next)
        except SupersededError as superseded:
            if not self._stands(sealed):
                raise BusyError(f"{sealed.video_id} was taken over by a run. {words.then}") from superseded
        except Exception as error:
            self._leave(before, sealed, error)
            raise

    def _taken(self, sealed: Document, over: str, engine: str, words: Words) -> QueueRow:
        """The row of the video as it was before it was taken."""
        video_id = sealed.video_id
        for _ in range(LOOKS):
            seen = self.queue.get(video_id)
            self._look(sealed, seen, over, engine, words)
            before = self._replacements.take(video_id, seen, sealed.origin.run_id)
            if before is not None:
                return before
        raise BusyError(f"{video_id} is being processed just now. {words.then}")

    def _look(self, sealed: Document, seen: QueueRow | None, over: str, engine: str, words: Words) -> None:
        """Return where the version may be put in place, as far as one can see."""
        video_id, step = sealed.video_id, PipelineStep(sealed.asset)
        if seen is not None:
            require_idle(seen, engine, words)
        now = current_provenance(self.store, step, video_id)
        if now is not None and now.data_version != over:
            raise OutdatedError(words.outdated)
        if step not in missing_steps(self.store, video_id, seen.from_step if seen else None):
            return
        if seen is not None and seen.status is QueueStatus.DONE:
            raise BusyError(
                f"{video_id} was made anew in part, and nothing came of the rest. Whoever runs MadVision can have it "
                f"finished: madvision requeue --video {video_id}. {words.then}"
            )
        raise BusyError(f"{video_id} is to be {words.to_be_done_anew}. {words.then}")

    def _stands(self, sealed: Document) -> bool:
        """Whether the version counts though its lease is over, as where nobody heard that the queue was told."""
        row = self.queue.get(sealed.video_id)
        if row is None or row.is_withdrawn:  # what was written goes with the rest: see ``Withdrawals.given_up``
            raise UnknownVideoError(sealed.video_id)
        return current_version(self.store, sealed.asset, sealed.video_id) == sealed.origin.data_version

    def _leave(self, before: QueueRow, sealed: Document, error: Exception) -> None:
        """Nothing, or nothing more, came of it: the video is as it was, or goes on if the version may count."""
        failure = error if isinstance(error, Failure) else UnexpectedError(f"{type(error).__name__}: {error}")
        run_id, step = sealed.origin.run_id, PipelineStep(sealed.asset)
        with suppress(Failure):  # else whoever looks for lost workers finds it
            if not self._may_count(sealed):
                self._replacements.give_back(before, run_id, failure)
            else:
                self.queue.finish_step(before.video_id, run_id, step, ends=True, made=None, go_on_from=step.next)

    def _may_count(self, sealed: Document) -> bool:
        try:
            return current_version(self.store, sealed.asset, sealed.video_id) == sealed.origin.data_version
        except Failure:
            return True

    @cached_property
    def _replacements(self) -> Replacements:
        return Replacements(self.database)
