"""``ObjectStoreIOManager``: persists every document, and a row of lineage with it.

Facts go through here, bytes go through the store. The order makes a stage complete or absent: the immutable document
first, its lineage row second (refused where the run's lease on the video is over), the pointer to it third, and then
the queue is told. Of a failed check the queue hears before the pointer moves, lest a crash in between let it pass.
A database or store that is away for a moment is waited for: the work behind a document may be hours.
"""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import dagster as dg

from madvision_assets.defs.dagster_inside import assets_of_run, run_of, step_of
from madvision_assets.defs.runtime.lease import attempt_of
from madvision_assets.defs.runtime.stage_context import (
    REFUSED,
    as_dagster_failure,
    interrupts_end_the_run,
    require_video_id,
)
from madvision_assets.domain.clips import Clips
from madvision_assets.domain.failures import (
    CheckFailedError,
    DatabaseUnavailableError,
    Failure,
    StoreUnavailableError,
)
from madvision_assets.domain.provenance import Document
from madvision_assets.domain.queue import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.store.documents import point_current, read_current, write_document
from madvision_assets.tools.store.objects import ObjectStore

if TYPE_CHECKING:
    from madvision_assets.tools.database.queue import Queue

PATIENCE_S = 180.0


class ObjectStoreIOManager(dg.IOManager):
    """Typed JSON documents in a folder, in memory or in S3, one version of many per partition.

    Args:
        store: where the documents are.
        database: where the lineage rows are.
        queue: what is told of published documents; None where there is none.
        patience_s: how long a database or store that is away is waited for, seconds.
    """

    def __init__(
        self, store: ObjectStore, database: Database, queue: "Queue | None" = None, patience_s: float = PATIENCE_S
    ) -> None:
        self._store = store
        self._database = database
        self._queue = queue
        self._patience_s = patience_s

    def handle_output(self, context: dg.OutputContext, obj: Document) -> None:
        """Publish the document, once; a run whose lease is over publishes nothing."""
        step = PipelineStep(context.asset_key.to_user_string())
        if not isinstance(obj, Document) or obj.asset is not step or obj.video_id != context.partition_key:
            raise TypeError(f"{step}/{context.partition_key} must be its own sealed document, not {type(obj).__name__}")
        try:
            with interrupts_end_the_run(lambda: step_of(context)):
                uri = self._publish(obj, context)
        except Failure as failure:
            self._tell_queue(context, obj.video_id, step, failure)
            raise as_dagster_failure(failure, step) from failure
        context.add_output_metadata({"uri": uri, "data_version": obj.origin.data_version})

    def load_input(self, context: dg.InputContext) -> Document:
        """Read the newest version of the upstream document of the same video; the reading stage has the failure."""
        step = PipelineStep(context.op_def.name)
        require_video_id(",".join(context.asset_partition_keys), step)  # a range of them is no video
        kind: Any = context.dagster_type.typing_type
        try:
            with interrupts_end_the_run(lambda: step_of(context)):
                document: Document = read_current(self._store, kind, context.asset_partition_key)
        except Failure as failure:
            self._tell_queue(context, context.asset_partition_key, step, failure)
            raise as_dagster_failure(failure, step) from failure
        return document

    def _publish(self, document: Document, context: dg.OutputContext) -> str:
        """Publish, and where the database or the store is away, again and again for a while."""
        away = (DatabaseUnavailableError, StoreUnavailableError)
        with suppress(*away):
            return self._publish_once(document, context)
        import stamina  # 60 ms of CPU with what it brings, that most runs need not pay

        return stamina.retry(on=away, attempts=None, timeout=self._patience_s)(self._publish_once)(document, context)

    def _publish_once(self, document: Document, context: dg.OutputContext) -> str:
        """Each of its acts may be done again without harm."""
        refused = context.output_metadata.get(REFUSED)
        if self._queue is not None:
            self._queue.require_lease(document.video_id, document.origin.run_id)
        uri = write_document(self._store, document)
        self._database.add_lineage(document, uri)
        if self._queue is not None and refused:
            run, failure = run_of(step_of(context)), CheckFailedError(refused.value)
            self._queue.fail(document.video_id, run.run_id, attempt_of(run), document.asset, failure)
        point_current(self._store, document)
        if self._queue is not None and not refused:
            made = document if isinstance(document, Clips) else None
            ends = document.asset is last_step(step_of(context))
            self._queue.finish_step(document.video_id, document.origin.run_id, document.asset, ends=ends, made=made)
        return uri

    def _tell_queue(
        self, context: dg.OutputContext | dg.InputContext, video_id: str, step: PipelineStep, failure: Failure
    ) -> None:
        if self._queue is None:
            return
        run = run_of(step_of(context))
        try:
            self._queue.fail(video_id, run.run_id, attempt_of(run), step, failure)
        except Failure as also:  # the reconciler will find out
            context.log.warning("The queue could not be told: %s", also)


def last_step(context: dg.StepExecutionContext) -> PipelineStep:
    """The last of our stages that the run does."""
    selected = assets_of_run(context)
    return [step for step in PipelineStep if step.value in selected][-1]
