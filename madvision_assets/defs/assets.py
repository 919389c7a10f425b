"""The pipeline: raw_video -> transcript -> content_type -> clip_candidates -> clips."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import wraps
from typing import Any

import dagster as dg

from madvision_assets.defs import checks, compute, reports, tables
from madvision_assets.defs.partitions import videos
from madvision_assets.defs.runtime.failing import EndedError
from madvision_assets.defs.runtime.stage_context import StageRuntime
from madvision_assets.domain.clips import ClipCandidates
from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.documents import Document
from madvision_assets.domain.stages import LAST_STEP, PipelineStep
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import RawVideo
from madvision_assets.tools.analyst import Analyst
from madvision_assets.tools.database import Database
from madvision_assets.work.choose import choose, with_pictures_chosen_before
from madvision_assets.work.ingest import Ingest
from madvision_assets.work.publish import Finished
from madvision_assets.work.render import ClipRenderer, contact_sheet
from madvision_assets.work.transcribe import Transcriber

OWNERS = ["team:madvision"]


def asset_of(step: PipelineStep) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """What the assets have in common, out of the rows of their stages."""
    document, before = step.stage.document, step.previous
    declare = dg.asset(
        name=step.value,
        output_required=False,
        # One stage of a video at a time, which is what the queue tells of: also where it does not read the one before.
        deps=[before.value] if before and before not in step.inputs else [],
        partitions_def=videos,
        group_name="madvision",
        owners=OWNERS,
        kinds=set(step.stage.kinds),
        metadata=tables.OF_ASSETS.get(step),
        code_version=step.stage.code_version,
        check_specs=checks.SPECS[step],
        dagster_type=finished(document),
        pool=step.stage.pool.value,
        op_tags=compute.op_tags(step),
        retry_policy=compute.LOST_WORKER_POLICY,
    )

    def make(stage: Callable[..., Any]) -> dg.AssetsDefinition:
        @wraps(stage)
        def yielding(context: dg.AssetExecutionContext, *inputs: Any, **named: Any) -> Iterator[Any]:
            # With checks, Dagster 1.13 refuses the annotation of what is returned; a generator's it does not read.
            try:
                yield stage(context, *inputs, **named)
            except EndedError as end:
                yield reports.ended(context, step, end, named["runtime"].links)
                yield from checks.left_out(step)

        return declare(yielding)

    return make


def finished(document: type[Document]) -> dg.DagsterType:
    """The type of what a stage hands over: its own document, finished."""
    return dg.DagsterType(
        lambda _, value: isinstance(value, Finished) and isinstance(value.document, document),
        name=document.__name__,
        typing_type=document,
    )


@asset_of(PipelineStep.RAW_VIDEO)
def raw_video(
    context: dg.AssetExecutionContext,
    runtime: dg.ResourceParam[StageRuntime],
    database: dg.ResourceParam[Database],
    ingest: dg.ResourceParam[Ingest],
) -> dg.MaterializeResult[Finished]:
    """The video and its audio (16 kHz mono FLAC), downloaded, inspected and kept in the store."""
    with runtime.stage(context) as stage:
        video = database.get_video(stage.video_id)
        made = stage.make(lambda: ingest.take(video, stage.folder, stage.progress))
        stage.name_run(made.document.source.title)
        with stage.judged():
            decodes = checks.media_decodes(made.document, runtime.store)
        return stage.done(made, reports.raw_video(made.document), decodes)


@asset_of(PipelineStep.TRANSCRIPT)
def transcript(
    context: dg.AssetExecutionContext,
    raw_video: RawVideo,
    runtime: dg.ResourceParam[StageRuntime],
    transcriber: dg.ResourceParam[Transcriber],
) -> dg.MaterializeResult[Finished]:
    """What is said, with the time of every word, by Whisper on our own machines (the GPU pool)."""
    with runtime.stage(context, raw_video) as stage:
        made = stage.make(lambda: transcriber.transcribe(raw_video, stage.folder, stage.progress))
        document = made.document
        return stage.done(
            made,
            reports.transcript(document, made.recipe.usage, made.recipe.parameters),
            checks.transcript_covers_speech(document),
            checks.transcript_in_order(raw_video, document),
        )


@asset_of(PipelineStep.CONTENT_TYPE)
def content_type(
    context: dg.AssetExecutionContext,
    raw_video: RawVideo,
    transcript: Transcript,
    runtime: dg.ResourceParam[StageRuntime],
    analyst: dg.ResourceParam[Analyst],
) -> dg.MaterializeResult[Finished]:
    """What kind of video it is, out of a closed set, with the reason."""
    with runtime.stage(context, raw_video, transcript) as stage:
        made = stage.make(lambda: analyst.classify(transcript, raw_video.source, stage.progress))
        return stage.done(made, reports.content_type(made.document))


@asset_of(PipelineStep.CLIP_CANDIDATES)
def clip_candidates(
    context: dg.AssetExecutionContext,
    raw_video: RawVideo,
    transcript: Transcript,
    content_type: ContentType,
    runtime: dg.ResourceParam[StageRuntime],
    analyst: dg.ResourceParam[Analyst],
) -> dg.MaterializeResult[Finished]:
    """The insightful moments: proposed by the analyst as segments, given times and vetted by our own rules."""
    with runtime.stage(context, raw_video, transcript, content_type) as stage:
        made = stage.make(lambda: choose(analyst, raw_video, transcript, content_type, stage.progress))
        made = with_pictures_chosen_before(runtime.store, made)
        fits = checks.candidates_fit_transcript(transcript, made.document)
        return stage.done(made, reports.clip_candidates(made.document), fits)


@asset_of(PipelineStep.CLIPS)
def clips(
    context: dg.AssetExecutionContext,
    raw_video: RawVideo,
    transcript: Transcript,
    clip_candidates: ClipCandidates,
    runtime: dg.ResourceParam[StageRuntime],
    renderer: dg.ResourceParam[ClipRenderer],
) -> dg.MaterializeResult[Finished]:
    """The clips: frame-accurate MP4s with captions and thumbnails, each inspected before it is published."""
    with runtime.stage(context, raw_video, transcript, clip_candidates) as stage:
        made = stage.make(lambda: renderer.render(raw_video, transcript, clip_candidates, stage.folder, stage.progress))
        sheet = contact_sheet(runtime.store, made.document)
        report = reports.clips(made.document, runtime.store, raw_video.info.duration_s, sheet, runtime.links)
        return stage.done(made, report, checks.clips_match_plan(clip_candidates, made.document))


PIPELINE = (raw_video, transcript, content_type, clip_candidates, clips)


def pipeline_of(
    versions: Mapping[PipelineStep, str],
    kinds: Mapping[str, frozenset[str]] | None = None,
    clips_every: timedelta | None = None,
) -> tuple[dg.AssetsDefinition, ...]:
    """The assets with these versions of their code, by which Dagster's UI tells what is stale.

    Args:
        versions: by stage.
        kinds: what does the work here, by the kind of the stages' rows that it stands for.
        clips_every: where videos come steadily, so long without new clips is too long; None expects nothing.
    """
    here = kinds or {}
    fresh = dg.FreshnessPolicy.time_window(fail_window=clips_every) if clips_every else None

    def put(spec: dg.AssetSpec) -> dg.AssetSpec:
        step = PipelineStep(spec.key.to_user_string())
        used = set[str]().union(*(here.get(kind, {kind}) for kind in step.stage.kinds))
        expected = fresh if step is LAST_STEP else None
        return spec.replace_attributes(code_version=versions[step], kinds=used, freshness_policy=expected)

    return tuple(asset.map_asset_specs(put) for asset in PIPELINE)
