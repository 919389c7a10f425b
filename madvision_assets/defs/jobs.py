"""The jobs: one processes a video from end to end, one has the queue do so again."""

import dagster as dg

from madvision_assets.defs.assets import PIPELINE
from madvision_assets.defs.compute import errand_tags
from madvision_assets.defs.partitions import videos
from madvision_assets.domain.failure_records import to_record
from madvision_assets.domain.failures import Failure
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database

process_video = dg.define_asset_job(
    "process_video",
    selection=dg.AssetSelection.assets(*PIPELINE),
    description="All stages of one video, with their checks.",
)


# By the names that they have everywhere: those of a Python enum would be its members'.
STAGE = dg.Enum("Stage", [dg.EnumValue(step.value, description=step.stage.title) for step in PipelineStep])
FROM_STEP = dg.Field(
    STAGE,
    is_required=False,
    description="This stage and all later ones are done again; without one it goes on where it stopped.",
)


@dg.op(config_schema={"from_step": FROM_STEP}, tags=errand_tags())
def queue_again(context: dg.OpExecutionContext, database: dg.ResourceParam[Database]) -> None:
    """Queue the video of the partition again, as ``madvision requeue --video`` does."""
    from madvision_assets.tools.database.operations import Operations

    video_id, asked = context.partition_key, context.op_config.get("from_step")
    try:
        queued = Operations(database).requeue(video_ids=[video_id], from_step=PipelineStep(asked) if asked else None)
    except Failure as failure:
        raise dg.Failure(str(failure), metadata=to_record(failure), allow_retries=False) from failure
    if not queued:
        raise dg.Failure(
            f"{video_id} is being processed just now, or was deleted by whoever submitted it, and is left alone. "
            "Terminate its run, or wait for its end.",
            allow_retries=False,
        )
    context.log.info("%s is queued again, from %s", video_id, asked or "where it stopped")


@dg.job(partitions_def=videos)
def reprocess() -> None:
    """The queue does a video again, in its turn: choose the partition, and in the configuration from which stage on.

    Of many videos, launch a backfill. What this run does is put the video into the queue; another one makes the stages.
    """
    queue_again()


JOBS = (process_video, reprocess)
