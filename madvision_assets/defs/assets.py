"""The pipeline: raw_video -> transcript -> content_type -> clip_candidates -> clips."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import dagster as dg

from madvision_assets.defs import checks, compute, reports
from madvision_assets.defs.partitions import videos
from madvision_assets.defs.runtime.stage_context import StageRuntime
from madvision_assets.domain.clips import ClipCandidates, Clips
from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.queue import PipelineStep
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import RawVideo
from madvision_assets.tools.analyst import Analyst
from madvision_assets.tools.database import Database
from madvision_assets.tools.store.documents import DOCUMENTS
from madvision_assets.work.choose import choose
from madvision_assets.work.ingest import Ingest
from madvision_assets.work.render import ClipRenderer
from madvision_assets.work.transcribe import Transcriber

OWNERS = ["team:madvision"]


def asset_of(
    step: PipelineStep, *, kinds: set[str], code_version: str
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """What the five assets have in common."""
    declare = dg.asset(
        name=step.value,
        partitions_def=videos,
        group_name="madvision",
        owners=OWNERS,
        kinds=kinds,
        code_version=code_version,
        check_specs=checks.SPECS[step],
        dagster_type=dg.PythonObjectDagsterType(DOCUMENTS[step]),
        pool=compute.POOLS[step],
        op_tags=compute.OP_TAGS[step],
        retry_policy=compute.LOST_WORKER_POLICY,
    )

    def make(stage: Callable[..., Any]) -> dg.AssetsDefinition:
        @wraps(stage)
        def yielding(*inputs: Any, **named: Any) -> Iterator[Any]:
            # With checks, Dagster 1.13 refuses the annotation of what is returned; a generator's it does not read.
            yield stage(*inputs, **named)

        return declare(yielding)

    return make


@asset_of(PipelineStep.RAW_VIDEO, kinds={"ytdlp", "s3"}, code_version="1")
def raw_video(
    context: dg.AssetExecutionContext,
    runtime: dg.ResourceParam[StageRuntime],
    database: dg.ResourceParam[Database],
    ingest: dg.ResourceParam[Ingest],
) -> dg.MaterializeResult[RawVideo]:
    """The video and its audio (16 kHz mono FLAC), downloaded, inspected and kept in the store."""
    with runtime.stage(context) as stage:
        video = database.get_video(stage.video_id)
        made = ingest.take(video, stage.folder, stage.progress)
        document = made.document
        return stage.done(
            document, made.recipe, reports.raw_video(document), checks.media_decodes(document, runtime.store)
        )


@asset_of(PipelineStep.TRANSCRIPT, kinds={"whisper", "pytorch"}, code_version="1")
def transcript(
    context: dg.AssetExecutionContext,
    raw_video: RawVideo,
    runtime: dg.ResourceParam[StageRuntime],
    transcriber: dg.ResourceParam[Transcriber],
) -> dg.MaterializeResult[Transcript]:
    """What is said, with the time of every word, by Whisper on our own machines (the GPU pool)."""
    with runtime.stage(context, raw_video) as stage:
        made = transcriber.transcribe(raw_video, stage.progress)
        document = made.document
        return stage.done(
            document,
            made.recipe,
            reports.transcript(document),
            checks.transcript_covers_speech(document),
            checks.transcript_in_order(raw_video, document),
        )


@asset_of(PipelineStep.CONTENT_TYPE, kinds={"openai"}, code_version="1")
def content_type(
    context: dg.AssetExecutionContext,
    raw_video: RawVideo,
    transcript: Transcript,
    runtime: dg.ResourceParam[StageRuntime],
    analyst: dg.ResourceParam[Analyst],
) -> dg.MaterializeResult[ContentType]:
    """What kind of video it is, out of a closed set, with the reason."""
    with runtime.stage(context, raw_video, transcript) as stage:
        made = analyst.classify(transcript, raw_video.source, stage.progress)
        return stage.done(made.document, made.recipe, reports.content_type(made.document))


@asset_of(PipelineStep.CLIP_CANDIDATES, kinds={"openai"}, code_version="1")
def clip_candidates(
    context: dg.AssetExecutionContext,
    raw_video: RawVideo,
    transcript: Transcript,
    content_type: ContentType,
    runtime: dg.ResourceParam[StageRuntime],
    analyst: dg.ResourceParam[Analyst],
) -> dg.MaterializeResult[ClipCandidates]:
    """The insightful moments: proposed by the analyst as segments, given times and vetted by our own rules."""
    with runtime.stage(context, raw_video, transcript, content_type) as stage:
        made = choose(analyst, raw_video, transcript, content_type, stage.progress)
        fits = checks.candidates_fit_transcript(transcript, made.document)
        return stage.done(made.document, made.recipe, reports.clip_candidates(made.document), fits)


@asset_of(PipelineStep.CLIPS, kinds={"ffmpeg", "s3"}, code_version="1")
def clips(
    context: dg.AssetExecutionContext,
    raw_video: RawVideo,
    transcript: Transcript,
    clip_candidates: ClipCandidates,
    runtime: dg.ResourceParam[StageRuntime],
    renderer: dg.ResourceParam[ClipRenderer],
) -> dg.MaterializeResult[Clips]:
    """The clips: frame-accurate MP4s with captions and thumbnails, each inspected before it is published."""
    with runtime.stage(context, raw_video, transcript, clip_candidates) as stage:
        rendered = renderer.render(raw_video, transcript, clip_candidates, stage.folder, stage.progress)
        document, recipe = rendered.made.document, rendered.made.recipe
        report = reports.clips(document, runtime.store, rendered.contact_sheet)
        return stage.done(document, recipe, report, checks.clips_match_plan(clip_candidates, document))


PIPELINE = (raw_video, transcript, content_type, clip_candidates, clips)
