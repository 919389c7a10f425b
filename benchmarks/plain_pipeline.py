"""The peer of ``cost_of_failure``: the same five stages, as one writes them from Dagster's documentation.

Dagster's defaults: the multiprocess executor (a process for each stage), pickles in a folder for what stages hand over,
a job of all assets, a sensor that makes a partition and a run of each row. ``INSTANCE`` is that of the documentation on
run retries and run monitoring. The work itself is ours: the same downloader, Whisper model, analyst and cutter.
``MADVISION_HOME`` holds the table of rows and the media.
"""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import dagster as dg

from madvision_assets.domain.clips import ClipCandidates, Clips
from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.paying import Desk
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import RawVideo, Video
from madvision_assets.settings import load_settings
from madvision_assets.tools.analyst import AnalystOptions
from madvision_assets.tools.analyst.registry import find_analyst
from madvision_assets.tools.download import Downloader
from madvision_assets.tools.egress import EgressProxy
from madvision_assets.tools.speech import EngineOptions
from madvision_assets.tools.speech.registry import find_engine
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.choose import choose
from madvision_assets.work.ingest import Ingest
from madvision_assets.work.render import ClipRenderer
from madvision_assets.work.transcribe import Transcriber

ROWS = "rows.db"
TABLE = "CREATE TABLE rows (id TEXT PRIMARY KEY, address TEXT NOT NULL, status TEXT NOT NULL)"
# max_retries is the documentation's example; everything that is not named is as Dagster has it, such as retries from
# the failed step, also after a step's failure, and a look at running workers every 120 s.
INSTANCE = {
    "telemetry": {"enabled": False},
    "run_retries": {"enabled": True, "max_retries": 3},
    "run_monitoring": {"enabled": True},
}

settings = load_settings()
store = ObjectStore.from_url((settings.home_folder / "store").as_uri())
options = AnalystOptions(
    settings.openai_api_key.get_secret_value() if settings.openai_api_key else "",
    settings.openai_base_url,
    settings.openai_model,
)
analyst = find_analyst(settings.analyst, options).make(options, Desk())
engine_options = EngineOptions(model=settings.whisper_model, models_folder=settings.models_folder)
transcriber = Transcriber(store, find_engine(settings.whisper_engine).make(engine_options))
renderer = ClipRenderer(store)
downloader = Downloader(
    allow_private=settings.allow_private,
    max_height=settings.max_height,
    max_bytes=settings.max_bytes,
    max_duration_s=settings.max_duration_s,
    time_limit_s=settings.download_timeout_s,
    open_proxy=EgressProxy,
)
ingest = Ingest(store, downloader, settings.max_duration_s, settings.max_bytes)

videos = dg.DynamicPartitionsDefinition(name="videos")


def _rows() -> sqlite3.Connection:
    return sqlite3.connect(settings.home_folder / ROWS)


def _quiet(_share: float, _text: str) -> None:
    """Tells nobody."""


@dg.asset(partitions_def=videos)
def raw_video(context: dg.AssetExecutionContext) -> RawVideo:
    """The video and its audio."""
    with closing(_rows()) as connection:
        (address,) = connection.execute("SELECT address FROM rows WHERE id = ?", (context.partition_key,)).fetchone()
    with tempfile.TemporaryDirectory() as folder:
        return ingest.take(Video(video_id=context.partition_key, address=address), Path(folder), _quiet).document


@dg.asset(partitions_def=videos)
def transcript(raw_video: RawVideo) -> Transcript:
    """What is said."""
    with tempfile.TemporaryDirectory() as folder:
        return transcriber.transcribe(raw_video, Path(folder), _quiet).document


@dg.asset(partitions_def=videos)
def content_type(raw_video: RawVideo, transcript: Transcript) -> ContentType:
    """What kind of video it is."""
    return analyst.classify(transcript, raw_video.source).document


@dg.asset(partitions_def=videos)
def clip_candidates(raw_video: RawVideo, transcript: Transcript, content_type: ContentType) -> ClipCandidates:
    """The moments."""
    return choose(analyst, raw_video, transcript, content_type, _quiet).document


@dg.asset(partitions_def=videos)
def clips(raw_video: RawVideo, transcript: Transcript, clip_candidates: ClipCandidates) -> Clips:
    """The clips."""
    with tempfile.TemporaryDirectory() as folder:
        return renderer.render(raw_video, transcript, clip_candidates, Path(folder), _quiet).document


STAGES = [raw_video, transcript, content_type, clip_candidates, clips]
process_video = dg.define_asset_job("process_video", selection=dg.AssetSelection.assets(*STAGES))


# Every 30 s would be Dagster's default: what is measured begins with the first stage.
@dg.sensor(job=process_video, minimum_interval_seconds=5, default_status=dg.DefaultSensorStatus.RUNNING)
def rows_sensor() -> dg.SensorResult:
    """Every new row becomes a partition and a run."""
    with closing(_rows()) as connection, connection:
        keys = [key for (key,) in connection.execute("SELECT id FROM rows WHERE status = 'new'")]
        connection.executemany("UPDATE rows SET status = 'taken' WHERE id = ?", [(key,) for key in keys])
    return dg.SensorResult(
        dynamic_partitions_requests=[videos.build_add_request(keys)] if keys else [],
        run_requests=[dg.RunRequest(run_key=key, partition_key=key) for key in keys],
    )


defs = dg.Definitions(assets=STAGES, jobs=[process_video], sensors=[rows_sensor])
