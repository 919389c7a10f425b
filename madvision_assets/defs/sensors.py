"""The sensors: due rows become runs; what runs could not tell the queue is found out; callbacks are delivered."""

import json
from datetime import UTC, datetime

import dagster as dg

from madvision_assets.defs.compute import limit_pools
from madvision_assets.defs.housekeeping import Chores, Housekeeper, Swept
from madvision_assets.defs.jobs import process_video
from madvision_assets.defs.partitions import VideoPartitions, videos
from madvision_assets.defs.runtime.failing import TITLE_TAG
from madvision_assets.defs.runtime.lease import ATTEMPT_TAG, SOURCE_TAG
from madvision_assets.defs.runtime.reconcile import RECONCILE_S, Reconciler
from madvision_assets.defs.runtime.stage_context import StageRuntime
from madvision_assets.domain import health
from madvision_assets.domain.failures import Failure
from madvision_assets.domain.summaries import About
from madvision_assets.tools.database import Database
from madvision_assets.tools.room import DiskRoom
from madvision_assets.work.catalogue import Catalogue
from madvision_assets.work.dispatch import Dispatcher, Launch
from madvision_assets.work.quotas import Quotas
from madvision_assets.work.searching import Indexer
from madvision_assets.work.staleness import Upgrader
from madvision_assets.work.summarising import Summariser
from madvision_assets.work.sweeping import UploadSweeper, WithdrawnSweeper
from madvision_assets.work.tracing import Tracing
from madvision_assets.work.webhooks import WebhookSender

# The daemon looks every five seconds, and at five exactly a tick that began a moment late would cost the next one.
TICK_S = 4
HOUSEKEEPING_S = 59
# What an operator filters runs by.
HOST_TAG = "madvision/host"
RUNNING = dg.DefaultSensorStatus.RUNNING


@dg.sensor(job=process_video, minimum_interval_seconds=TICK_S, default_status=RUNNING)
def queue_sensor(
    dispatcher: dg.ResourceParam[Dispatcher],
    database: dg.ResourceParam[Database],
) -> dg.SensorResult | dg.SkipReason:
    """Due videos, most urgent first, become partitions, and runs of exactly the stages that they lack."""
    launches = dispatcher.launches()
    show_life(database, health.QUEUE_SENSOR)
    if not launches:
        return dg.SkipReason("Nothing is due, or as much is in flight as MADVISION_MAX_IN_FLIGHT allows.")
    from madvision_assets.tools.database.newest import about_videos

    video_ids = [launch.row.video_id for launch in launches]
    known = about_videos(database, video_ids)
    return dg.SensorResult(
        dynamic_partitions_requests=[videos.build_add_request(video_ids)],
        run_requests=[run_request(launch, known.get(launch.row.video_id, About())) for launch in launches],
    )


def run_request(launch: Launch, about: About) -> dg.RunRequest:
    """The run of one attempt; asked for twice, it is one run."""
    row = launch.row
    names = {HOST_TAG: row.source, TITLE_TAG: about.title}
    return dg.RunRequest(
        run_key=f"{row.video_id}:{row.attempt}",
        partition_key=row.video_id,
        asset_selection=[dg.AssetKey(step.value) for step in launch.steps],
        tags={
            ATTEMPT_TAG: str(row.attempt),
            SOURCE_TAG: "queue",
            "dagster/priority": str(launch.urgency),  # in the pools too
            **{tag: name for tag, name in names.items() if name},
        },
    )


@dg.sensor(minimum_interval_seconds=RECONCILE_S - 1, default_status=RUNNING)
def queue_reconciler(
    context: dg.SensorEvaluationContext,
    reconciler: dg.ResourceParam[Reconciler],
    runtime: dg.ResourceParam[StageRuntime],
    database: dg.ResourceParam[Database],
) -> dg.SensorResult | dg.SkipReason:
    """Videos that the table shows in flight and that are not, go on; an instance that is new gets its pools' limits.

    What tries left on this machine of videos that are given up is removed.
    """
    limit_pools(context.instance)
    seen = {video_id: (sign, count) for video_id, (sign, count) in json.loads(context.cursor or "{}").items()}
    silent, repairs = reconciler.look(context.instance, seen)
    try:  # whatever it comes to, the look counts
        runtime.scratch.sweep_given_up(reconciler.is_given_up)
        DiskRoom(runtime.work_folder).sweep()
    except (Failure, OSError) as error:
        context.log.warning("What tries left on this machine could not be removed: %s", error)
    show_life(database, health.RECONCILER)  # fails while nobody can write; a look then does not count for silence
    return dg.SensorResult(
        cursor=json.dumps(silent), skip_reason=dg.SkipReason("; ".join(repairs) or "Table and runs agree.")
    )


@dg.run_status_sensor(run_status=dg.DagsterRunStatus.FAILURE, default_status=RUNNING)
def failed_runs(context: dg.RunStatusSensorContext, reconciler: dg.ResourceParam[Reconciler]) -> dg.SkipReason:
    """The backstop for runs that crashed."""
    return dg.SkipReason(reconciler.settle(context.dagster_run, context.instance) or "The table knows.")


@dg.run_status_sensor(run_status=dg.DagsterRunStatus.CANCELED, default_status=RUNNING)
def cancelled_runs(context: dg.RunStatusSensorContext, reconciler: dg.ResourceParam[Reconciler]) -> dg.SkipReason:
    """The backstop for runs that somebody terminated."""
    return dg.SkipReason(reconciler.settle(context.dagster_run, context.instance) or "The table knows.")


@dg.sensor(minimum_interval_seconds=TICK_S, default_status=RUNNING)
def webhook_sensor(
    webhooks: dg.ResourceParam[WebhookSender],
    database: dg.ResourceParam[Database],
) -> dg.SkipReason:
    """Tell those who left a callback that their video has ended."""
    delivered = webhooks.deliver_due()
    show_life(database, health.WEBHOOK_SENSOR)
    return dg.SkipReason(f"{delivered.ok} delivered, {delivered.failed} to be tried again.")


@dg.sensor(minimum_interval_seconds=HOUSEKEEPING_S, default_status=RUNNING)
def housekeeping(
    context: dg.SensorEvaluationContext,
    housekeeper: dg.ResourceParam[Housekeeper],
    upload_sweeper: dg.ResourceParam[UploadSweeper],
    withdrawn_sweeper: dg.ResourceParam[WithdrawnSweeper],
    quotas: dg.ResourceParam[Quotas],
    upgrader: dg.ResourceParam[Upgrader],
    summariser: dg.ResourceParam[Summariser],
    indexer: dg.ResourceParam[Indexer],
    catalogue: dg.ResourceParam[Catalogue],
    database: dg.ResourceParam[Database],
) -> dg.SensorResult | dg.SkipReason:
    """Videos that ended long ago leave Dagster with their runs and events, which would grow without bound.

    What uploads left in the store, and nobody needs, goes too, likewise all that is kept of videos which their
    submitters deleted, what the catalogue still has of them, and what was taken in for whom on days that are over. What
    an analyst without a key stood in for is queued again once there is one who has it. Documents of older versions are
    summarised for the lineage, and their words made searchable. One of these that fails holds up none of the others,
    and no life is shown then.
    """

    def archived() -> Swept | str:
        try:
            return housekeeper.sweep(context.instance, context.cursor or None)
        except ValueError as held_up:
            return str(held_up)

    chores = Chores()
    deleted = chores.do("what submitters deleted", lambda: withdrawn_sweeper.sweep(VideoPartitions(context.instance)))
    chores.do("quotas", quotas.sweep)
    upgraded = chores.do("what is to be redone", upgrader.upgrade) or 0
    chores.do("summaries", summariser.summarise)
    chores.do("the search", indexer.go_on)
    chores.do("the catalogue", catalogue.erase)
    swept_uploads = chores.do("uploads", upload_sweeper.sweep) or 0
    swept = chores.do("what ended long ago", archived)
    if not chores.failed:
        show_life(database, health.HOUSEKEEPING)
    if not isinstance(swept, Swept):
        return dg.SkipReason(" ".join(filter(None, [swept, *chores.failed])))
    went = f"{swept.archived} videos archived, {swept.runs} runs deleted, {swept_uploads} uploads swept"
    went += f", {deleted} videos of their submitters deleted" if deleted else ""
    told = " ".join([f"{went}, {upgraded} videos to be redone.", *chores.failed])
    return dg.SensorResult(cursor=swept.last_kept or "", skip_reason=dg.SkipReason(told))


def show_life(database: Database, beating: health.Beating) -> None:
    """A sensor has done its work; whoever fails at it, or is never asked to, shows nothing."""
    from madvision_assets.tools.database.figures import Figures

    Figures(database).beat(beating.name, datetime.now(UTC))


@dg.sensor(minimum_interval_seconds=TICK_S, default_status=RUNNING)
def trace_sensor(context: dg.SensorEvaluationContext, tracing: dg.ResourceParam[Tracing]) -> dg.SensorResult:
    """What has ended goes to the collector of ``OTEL_EXPORTER_OTLP_ENDPOINT``, as traces."""
    step = tracing.look(context.cursor or None)
    return dg.SensorResult(cursor=step.progress.to_text(), skip_reason=dg.SkipReason(step.sentence))


def no_traces(why: str) -> dg.SensorDefinition:
    """In place of ``trace_sensor`` where its collector cannot be used: its ticks say why."""

    @dg.sensor(name=trace_sensor.name, minimum_interval_seconds=HOUSEKEEPING_S, default_status=RUNNING)
    def telling() -> dg.SkipReason:
        return dg.SkipReason(why)

    return telling


SENSORS = (queue_sensor, queue_reconciler, failed_runs, cancelled_runs, webhook_sensor, housekeeping)
