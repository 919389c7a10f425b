"""Resources: plain objects, made from settings; heavy libraries load when a stage first needs them."""

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from madvision_assets.connections import make_aws_access, make_database, make_quota_rules, make_sources, make_store
from madvision_assets.defs.dagster_inside import events_left_out
from madvision_assets.defs.housekeeping import Housekeeper
from madvision_assets.defs.io_manager import ObjectStoreIOManager
from madvision_assets.defs.links import Links
from madvision_assets.defs.runtime.kept import Setting
from madvision_assets.defs.runtime.lease import COMMAND_LINE, PARTITION_TAG, SOURCE_TAG, RunLease, attempt_of
from madvision_assets.defs.runtime.patience import Patience, wait_for_dagster
from madvision_assets.defs.runtime.pool_wait import pools_awaited
from madvision_assets.defs.runtime.processes import Owner
from madvision_assets.defs.runtime.reconcile import RECONCILE_S, Reconciler
from madvision_assets.defs.runtime.stage_context import ProgressSink, StageRuntime, no_progress
from madvision_assets.defs.runtime.workers import Announcement, Workers
from madvision_assets.domain.clips import Clips
from madvision_assets.domain.networks import networks_of
from madvision_assets.domain.paying import Desk
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.analyst import Analyst, AnalystOptions
from madvision_assets.tools.analyst.offline import OfflineAnalyst
from madvision_assets.tools.analyst.registry import OPENAI, find_analyst
from madvision_assets.tools.database import Database
from madvision_assets.tools.download import Downloader, Etiquette, Wheels
from madvision_assets.tools.egress import EgressProxy
from madvision_assets.tools.room import DiskRoom
from madvision_assets.tools.sandbox.policy import set_memory_bytes
from madvision_assets.tools.speech import EngineOptions, SpeechEngine
from madvision_assets.tools.speech.registry import find_engine
from madvision_assets.tools.store.documents import read_current
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.tools.store.uploads import BucketReader, bucket_names
from madvision_assets.tools.telemetry import Collector
from madvision_assets.work.catalogue import Catalogue
from madvision_assets.work.dispatch import Dispatcher
from madvision_assets.work.fallback import FallbackAnalyst
from madvision_assets.work.ingest import Account, Ingest
from madvision_assets.work.ledger import Ceilings, KeptAnswers, Ledger
from madvision_assets.work.publish import Publisher
from madvision_assets.work.quotas import Quotas
from madvision_assets.work.render import ClipRenderer
from madvision_assets.work.searching import Indexer
from madvision_assets.work.sharing import Sharing
from madvision_assets.work.site_limits import SiteLimits
from madvision_assets.work.staleness import Upgrader, code_versions
from madvision_assets.work.summarising import Summariser
from madvision_assets.work.sweeping import UploadSweeper, WithdrawnSweeper
from madvision_assets.work.tracing import Tracing
from madvision_assets.work.transcribe import Transcriber
from madvision_assets.work.webhooks import WebhookSender

if TYPE_CHECKING:
    from madvision_assets.settings import Settings
    from madvision_assets.tools.database.queue import Queue


# Of a document that is read, that its type fits, and where one was put, which its materialisation tells too. Nobody
# reads these events again: what a run's own process needs of them, it has in memory.
LEFT_OUT = frozenset({"LOADED_INPUT", "STEP_INPUT", "HANDLED_OUTPUT"})


def make_speech_engine(settings: "Settings") -> SpeechEngine:
    """The speech engine asked for.

    Raises:
        ValueError: there is none of this name.
    """
    engine = find_engine(settings.whisper_engine)
    usual = None if "whisper_model" in settings.model_fields_set else engine.default_model
    options = EngineOptions(
        model=usual or settings.whisper_model,
        models_folder=settings.models_folder,
        api_key=_api_key(settings),
        base_url=settings.openai_base_url,
    )
    return engine.make(options)


def make_downloader(settings: "Settings") -> Downloader:
    """The downloader, with its limits.

    Raises:
        SettingsError: the file of sites cannot be used.
    """
    from madvision_assets.settings import read_secret

    return Downloader(
        allow_private=settings.allow_private,
        max_height=settings.max_height,
        max_bytes=settings.max_bytes,
        max_duration_s=settings.max_duration_s,
        time_limit_s=settings.download_timeout_s,
        min_bytes_per_s=settings.download_min_bytes_per_s,
        open_proxy=partial(EgressProxy, refused=networks_of(settings.refused_networks)),
        wheels=Wheels(settings.ytdlp_folder),
        etiquette=Etiquette(make_sources(settings), read_secret),
    )


def make_ingest(settings: "Settings", store: ObjectStore, account: Account) -> Ingest:
    """Who takes videos in, from addresses and out of buckets, and tells what came."""
    uploads = BucketReader(
        buckets=bucket_names(settings.upload_buckets),
        s3=make_aws_access(settings),
        max_bytes=settings.max_bytes,
        time_limit_s=settings.download_timeout_s,
    )
    return Ingest(
        store=store,
        downloader=make_downloader(settings),
        max_duration_s=settings.max_duration_s,
        max_bytes=settings.max_bytes,
        uploads=uploads,
        account=account,
        room=DiskRoom(settings.work_folder),
    )


def make_analyst(settings: "Settings", database: Database, store: ObjectStore) -> Analyst:
    """The analyst asked for; paid calls stay under the ceilings, and no answer is paid for twice.

    Raises:
        ValueError: there is none of this name.
        AnalystMisconfiguredError: the file of models cannot be used.
    """
    options = _analyst_options(settings)
    found = find_analyst(settings.analyst, options)
    price_known = found.price_known is not None and found.price_known(options)
    ledger = make_ledger(settings, database, price_known=price_known)
    analyst = found.make(options, Desk(ledger, KeptAnswers(store)))
    if settings.analyst_fallback is None or isinstance(analyst, OfflineAnalyst):
        return analyst
    stand_in = find_analyst(settings.analyst_fallback, options).make(options, Desk())
    return FallbackAnalyst(analyst, stand_in, database, settings.analyst_fallback_after_s)


def make_ledger(settings: "Settings", database: Database, *, price_known: bool = True) -> Ledger:
    """The books of paid calls, with the ceilings that were set; the default ones for prices that are known."""
    return Ledger(database, Ceilings(*settings.ceilings_usd(price_known=price_known)))


def make_fingerprinted(settings: "Settings") -> Analyst:
    """The analyst that does the work, for what he goes by: also where only the pods of his stages have his key."""
    only_pods = settings.executor == "k8s" and settings.analyst is None
    return find_analyst(OPENAI if only_pods else settings.analyst, _analyst_options(settings)).make(
        _analyst_options(settings), Desk()
    )


def make_upgrader(settings: "Settings", database: Database) -> Upgrader:
    """Who has done again what was provisional; needs no key for that, and holds none."""
    analyst = make_fingerprinted(settings)
    return Upgrader(database, code_versions(analyst), isinstance(analyst, OfflineAnalyst), settings.auto_redo)


def _analyst_options(settings: "Settings") -> AnalystOptions:
    return AnalystOptions(
        _api_key(settings),
        settings.openai_base_url,
        settings.openai_model,
        settings.openai_deadline_s,
        settings.models_file,
    )


def _mattering(settings: "Settings") -> dict[str, Setting]:
    """The settings that stages name as mattering to them; of the analyst the one that is chosen."""
    names = {name for step in PipelineStep for name in step.stage.settings}
    chosen = {"analyst": find_analyst(settings.analyst, _analyst_options(settings)).name}
    return {name: chosen.get(name, getattr(settings, name)) for name in names}


def _api_key(settings: "Settings") -> str:
    return settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""


def make_queue(settings: "Settings", database: Database) -> "Queue":
    """The queue, with the rules for its retries."""
    from madvision_assets.domain.breakers import BreakerRules
    from madvision_assets.domain.queue import RetryRules
    from madvision_assets.domain.urgency import Ageing
    from madvision_assets.tools.database.queue import Queue

    retry = RetryRules(base_s=settings.retry_base_s, max_retries=settings.max_retries)
    ageing = Ageing(settings.priority_ageing_s)
    return Queue(database, retry, BreakerRules(pause_s=settings.breaker_pause_s), ageing=ageing)


def make_runtime(
    settings: "Settings", sharing: Sharing, queue: "Queue", report: ProgressSink = no_progress
) -> dg.ResourceDefinition:
    """What stages stand on; within a run, it keeps the run's lease on its video alive, also between stages."""
    work_folder, in_pods, mattering = settings.work_folder, settings.executor == "k8s", _mattering(settings)
    links = Links(settings.internal_url)

    def announced(run: dg.DagsterRun) -> AbstractContextManager[Announcement]:
        if run.tags.get(SOURCE_TAG) == COMMAND_LINE:
            return nullcontext(Announcement())  # nobody's to end while it is in nobody's way; see liveness.py
        return Workers(work_folder).announced(Owner.here(run.tags[PARTITION_TAG], run.run_id, attempt_of(run)))

    @dg.resource
    def runtime(context: dg.InitResourceContext) -> Iterator[StageRuntime]:
        run, instance = context.run, context.instance
        if run is None or instance is None or PARTITION_TAG not in run.tags:
            yield StageRuntime(sharing.store, work_folder, report, None, mattering, links=links)
            return
        patience = Patience()
        wait_for_dagster(instance, patience)
        with (
            announced(run) as announcement,
            RunLease(queue, instance, run, announcement, patience, in_pods=in_pods).kept_alive() as lease,
            pools_awaited(instance, lease.interrupted_before),
            events_left_out(instance, LEFT_OUT),
        ):
            yield StageRuntime(sharing.store, work_folder, report, lease, mattering, sharing, links)

    return runtime


def make_tracing(settings: "Settings", database: Database) -> Tracing | None:
    """Who sends traces; None where no collector is named that can be used."""
    if settings.collector is None:
        return None
    headers = settings.otlp_headers.get_secret_value() if settings.otlp_headers else ""
    return Tracing(database, Collector(settings.collector, headers))


def make_webhooks(
    settings: "Settings", store: ObjectStore, database: Database, tracing: Tracing | None = None
) -> WebhookSender:
    """Who tells submitters that their video has ended."""
    return WebhookSender(
        database,
        allow_private=settings.allow_private,
        refused=networks_of(settings.refused_networks),
        public_url=settings.public_url,
        find_clips=partial(read_current, store, Clips),
        told=tracing.told if tracing else None,
    )


def make_resources(settings: "Settings") -> Mapping[str, object]:
    """Every resource by the name that assets and sensors ask for it."""
    set_memory_bytes(settings.sandbox_memory_bytes)
    store = make_store(settings)
    database = make_database(settings)
    queue = make_queue(settings, database)
    quotas = Quotas(database, make_quota_rules(settings))
    sites = SiteLimits(database, queue, make_sources(settings))
    tracing = make_tracing(settings, database)
    return {
        "io_manager": ObjectStoreIOManager(Publisher(store, database, queue)),
        "runtime": make_runtime(settings, Sharing(store, database, quotas.note), queue),
        "dispatcher": Dispatcher(
            queue, store, settings.max_in_flight, gates=(quotas.check_video, sites.check), full=sites.full
        ),
        "reconciler": Reconciler(
            queue,
            looks=math.ceil(settings.lost_after_s / RECONCILE_S),
            one_process=settings.executor == "in_process",
            workers=Workers(settings.work_folder),
        ),
        "webhooks": make_webhooks(settings, store, database, tracing),
        **({"tracing": tracing} if tracing else {}),
        "housekeeper": Housekeeper(database, settings.dagster_retention_days),
        "upload_sweeper": UploadSweeper(database, store),
        "withdrawn_sweeper": WithdrawnSweeper(database, store, settings.work_folder),
        "database": database,
        "ingest": make_ingest(settings, store, quotas.note),
        "quotas": quotas,
        "transcriber": Transcriber(
            store,
            make_speech_engine(settings),
            make_ledger(settings, database),
            settings.prefer_captions,
            DiskRoom(settings.work_folder),
        ),
        "analyst": make_analyst(settings, database, store),
        "upgrader": make_upgrader(settings, database),
        "summariser": Summariser(database, store),
        "indexer": Indexer(database, store),
        "catalogue": Catalogue(database, store),
        "renderer": ClipRenderer(store),
    }
