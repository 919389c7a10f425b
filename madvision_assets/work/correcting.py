"""Taking in a corrected transcript: a new version of it, and the later stages done again."""

import hashlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from madvision_assets.domain.correction import corrected
from madvision_assets.domain.failures import Failure, SupersededError
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.subtitles import read_subtitles
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.transcript_forms import Form
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.store.documents import current_provenance, read_current
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.dispatch import missing_steps
from madvision_assets.work.publish import Finished, Publisher

ENGINE = "import"
STEP = PipelineStep.TRANSCRIPT


class BusyError(ValueError):
    """The video is being processed."""


@dataclass(frozen=True)
class Corrections:
    """Takes in what a person has corrected.

    Args:
        store: where the documents are.
        database: where the lineage rows are.
        queue: which video is whose.
    """

    store: ObjectStore
    database: Database
    queue: Queue

    def take(self, video_id: str, data: bytes, form: Form, who: str) -> Transcript:
        """Publish a corrected transcript as its newest version, and queue the later stages.

        Args:
            video_id: its partition.
            data: the file, as ``subtitles.read_subtitles`` reads it.
            form: of the file.
            who: corrected it, for lineage.

        Returns:
            The transcript, sealed.

        Raises:
            BadSubtitlesError: the file cannot be taken; nothing is changed.
            BusyError: the video is being processed; likewise.
            MissingInputError: nothing is transcribed of it yet; likewise.
            Failure: the database or the store cannot be used.
        """
        started_s = time.monotonic()
        old = read_current(self.store, Transcript, video_id)
        document = corrected(old, read_subtitles(data, form, old.duration_s))
        recipe = Recipe(
            engine=ENGINE,
            parameters={
                "file_sha256": hashlib.sha256(data).hexdigest(),
                "form": form.value,
                "who": who,
                "in_place_of": old.origin.data_version,
            },
        )
        run_id = f"{ENGINE}-{uuid.uuid4()}"
        sealed = document.seal(
            recipe,
            run_id=run_id,
            code_version=old.origin.code_version,
            inputs=old.origin.inputs,
            wall_s=time.monotonic() - started_s,
            created_at=datetime.now(UTC),
        )
        self._publish(sealed, run_id, old.origin.data_version)
        Operations(self.database).requeue(video_ids=[video_id], from_step=STEP.next)
        return sealed

    def _publish(self, sealed: Transcript, run_id: str, over: str) -> None:
        """Under a lease of our own, which nobody has to give up for it."""
        video_id = sealed.video_id
        taken = self.queue.take(video_id, lambda again: self._look(video_id, over, again))
        if taken is None:
            raise BusyError(f"{video_id} is being processed just now. Import the transcript when that has ended.")
        try:
            self.queue.begin(video_id, run_id, taken.attempt, STEP, insists=True)
            publisher = Publisher(self.store, self.database, self.queue)
            publisher.publish(Finished(sealed), attempt=taken.attempt, ends=True)
        except SupersededError as error:
            raise BusyError(
                f"{video_id} was taken over by a run. Import the transcript when that has ended."
            ) from error
        except Failure as failure:
            self.queue.fail(video_id, run_id, taken.attempt, STEP, failure)
            raise

    def _look(self, video_id: str, over: str, again: PipelineStep | None) -> Sequence[PipelineStep]:
        """What there is to do: nothing while somebody has the video, or has transcribed it anew meanwhile."""
        row = self.queue.get(video_id)
        now = current_provenance(self.store, STEP, video_id)
        if (row is not None and row.status is QueueStatus.RUNNING) or now is None or now.data_version != over:
            return ()
        if STEP in missing_steps(self.store, video_id, again):
            raise BusyError(f"{video_id} is to be transcribed anew. Import the transcript when that has ended.")
        return (STEP,)
