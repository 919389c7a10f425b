"""``ObjectStoreIOManager``: what Dagster persists of a stage, and reads for the next one.

Facts go through here, bytes go through the store. How a document is published is ``work.publish``.
"""

from typing import Any

import dagster as dg

from madvision_assets.defs.dagster_inside import assets_of_run, run_of, step_of
from madvision_assets.defs.runtime.failing import (
    as_dagster_failure,
    cause_tags,
    interrupts_end_the_run,
    require_video_id,
    tag,
)
from madvision_assets.defs.runtime.kept import discard
from madvision_assets.defs.runtime.lease import attempt_of
from madvision_assets.domain.documents import Document
from madvision_assets.domain.failures import CheckFailedError, Failure
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.store.documents import read_current
from madvision_assets.work.publish import Finished, Publisher


class ObjectStoreIOManager(dg.IOManager):
    """Typed JSON documents in a folder, in memory or in S3, one version of many per partition.

    Args:
        publisher: publishes them, and has the store that they are read from.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def handle_output(self, context: dg.OutputContext, obj: Finished) -> None:
        """Publish the document, once; a run whose lease is over publishes nothing."""
        step = PipelineStep(context.asset_key.to_user_string())
        document = obj.document if isinstance(obj, Finished) else None
        if document is None or document.asset != step or document.video_id != context.partition_key:
            raise TypeError(f"{step}/{context.partition_key} must be its own sealed document, not {type(obj).__name__}")
        try:
            with interrupts_end_the_run(lambda: step_of(context)):
                uri = self._publish(obj, step, context)
        except Failure as failure:
            self._tell(context, document.video_id, step, failure)
            raise as_dagster_failure(failure, step) from failure
        if obj.kept is not None:
            discard(obj.kept)
        if obj.refused:
            tag(context, cause_tags(CheckFailedError(obj.refused)))
        told = {"uri": uri, "data_version": document.origin.data_version}
        context.add_output_metadata({**told, "refused": obj.refused} if obj.refused else told)

    def load_input(self, context: dg.InputContext) -> Document:
        """Read the newest version of the upstream document of the same video; the reading stage has the failure."""
        step = PipelineStep(context.op_def.name)
        require_video_id(",".join(context.asset_partition_keys), step)  # a range of them is no video
        kind: Any = context.dagster_type.typing_type
        try:
            with interrupts_end_the_run(lambda: step_of(context)):
                document: Document = read_current(self._publisher.store, kind, context.asset_partition_key)
        except Failure as failure:
            self._tell(context, context.asset_partition_key, step, failure)
            raise as_dagster_failure(failure, step) from failure
        return document

    def _publish(self, finished: Finished, step: PipelineStep, context: dg.OutputContext) -> str:
        if self._publisher.queue is None:  # then perhaps there is no run either
            return self._publisher.publish(finished, attempt=None, ends=False)
        running = step_of(context)
        return self._publisher.publish(finished, attempt=attempt_of(run_of(running)), ends=step is last_step(running))

    def _tell(
        self, context: dg.OutputContext | dg.InputContext, video_id: str, step: PipelineStep, failure: Failure
    ) -> None:
        """Tell the queue, and whoever looks for the run."""
        queue, outcome = self._publisher.queue, None
        if queue is None:  # then perhaps there is no run either
            return
        run = run_of(step_of(context))
        try:
            outcome = queue.fail(video_id, run.run_id, attempt_of(run), step, failure)
        except Failure as also:  # the reconciler will find out
            context.log.warning("The queue could not be told: %s", also)
        tag(context, cause_tags(failure, outcome))


def last_step(context: dg.StepExecutionContext) -> PipelineStep:
    """The last of our stages that the run does."""
    selected = assets_of_run(context)
    return [step for step in PipelineStep if step.value in selected][-1]
