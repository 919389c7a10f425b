"""The newest documents of all videos, as the lineage tells of them."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, select

from madvision_assets.domain.clip_edits import ENGINE as EDITOR
from madvision_assets.domain.documents import Json
from madvision_assets.domain.lineage import NewestDocument
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep, is_stage
from madvision_assets.domain.summaries import TOLD_BY, About, ShownClip, about, shown_clips
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.tables import lineage, video_processing_queue
from madvision_assets.tools.database.tables import processing_attempts as history

queue = video_processing_queue


def newest_documents(database: Database, *, but_failed: bool = False) -> Iterator[NewestDocument]:
    """The newest document of each stage of each video that is done, by the videos' IDs; raises as ``Database`` does.

    Args:
        database: where they are told.
        but_failed: leave out the videos of which something was last done again in vain.
    """
    newest = select(func.max(lineage.c.id)).group_by(lineage.c.video_id, lineage.c.asset)
    names = ("video_id", "asset", "code_version", "engine", "model", "prompt_hash", "cost_usd", "wall_s")
    query = (
        select(*(lineage.c[name] for name in names))
        .join(queue, queue.c.video_id == lineage.c.video_id)
        .where(lineage.c.id.in_(newest), queue.c.status == QueueStatus.DONE.value)
        .order_by(lineage.c.video_id)
    )
    if but_failed:
        tries = history.alias()
        mine = and_(tries.c.video_id == queue.c.video_id, tries.c.refused.is_not(True))
        last = select(func.max(tries.c.attempt)).where(mine).scalar_subquery()
        of_last = and_(history.c.video_id == queue.c.video_id, history.c.attempt == last)
        in_vain = and_(of_last, history.c.failure_cause.is_not(None))
        query = query.where(~exists().where(in_vain))
    with database.reading() as connection:
        for video_id, asset, code, engine, model, prompt, cost_usd, wall_s in connection.execute(query):
            if is_stage(asset):
                step = PipelineStep(asset)
                yield NewestDocument(video_id, step, code, engine, model or "", prompt or "", cost_usd, wall_s)


def newest_summaries(
    database: Database, video_ids: Collection[str], assets: Collection[str]
) -> Mapping[str, Mapping[str, Json | None]]:
    """The summaries of the newest documents of these stages, by video and stage; raises as ``Database``."""
    of_these = lineage.c.video_id.in_(video_ids), lineage.c.asset.in_(assets)
    newest = select(func.max(lineage.c.id)).where(*of_these).group_by(lineage.c.video_id, lineage.c.asset)
    query = select(lineage.c.video_id, lineage.c.asset, lineage.c.summary).where(lineage.c.id.in_(newest))
    summaries: dict[str, dict[str, Json | None]] = defaultdict(dict)
    with database.reading() as connection:
        for video_id, asset, summary in connection.execute(query):
            summaries[video_id][asset] = summary
    return summaries


def newest_makers(
    database: Database, video_id: str, assets: Collection[str]
) -> Mapping[str, tuple[str | None, str | None]]:
    """Model and version of the prompt of the newest documents of these stages, by stage; raises as ``Database``."""
    of_these = lineage.c.video_id == video_id, lineage.c.asset.in_(assets)
    newest = select(func.max(lineage.c.id)).where(*of_these).group_by(lineage.c.asset)
    query = select(lineage.c.asset, lineage.c.model, lineage.c.prompt_version).where(lineage.c.id.in_(newest))
    with database.reading() as connection:
        return {asset: (model, prompt) for asset, model, prompt in connection.execute(query)}


def about_videos(database: Database, video_ids: Collection[str]) -> Mapping[str, About]:
    """What these videos are called, by their IDs; without those of which nothing is known; raises as ``Database``."""
    return {video_id: about(told) for video_id, told in newest_summaries(database, video_ids, TOLD_BY).items()}


def clips_of_videos(database: Database, video_ids: Collection[str]) -> Mapping[str, Sequence[ShownClip]]:
    """The clips that these videos have now, best first, by their IDs; raises as ``Database``."""
    step = PipelineStep.CLIPS.value
    told = newest_summaries(database, video_ids, [step])
    return {video_id: shown_clips(summaries[step]) for video_id, summaries in told.items()}


def names_of(video_id: ColumnElement[str]) -> list[ColumnElement[Any]]:
    """Title, uploader and length of each row's video, as its newest download has them; to be columns of a query."""
    told = lineage.c.summary
    facts = {
        "title": told["title"].as_string(),
        "uploader": told["uploader"].as_string(),
        "duration_s": told["duration_s"].as_float(),
    }
    of_download = lineage.c.video_id == video_id, lineage.c.asset == PipelineStep.RAW_VIDEO.value
    return [
        select(fact).where(*of_download).order_by(lineage.c.id.desc()).limit(1).scalar_subquery().label(name)
        for name, fact in facts.items()
    ]


def edited_videos(database: Database) -> list[str]:
    """The videos whose newest moments are a person's, by their IDs; raises as ``Database`` does."""
    of_moments = lineage.c.asset == PipelineStep.CLIP_CANDIDATES.value
    newest = select(func.max(lineage.c.id)).where(of_moments).group_by(lineage.c.video_id)
    query = select(lineage.c.video_id).where(lineage.c.id.in_(newest), lineage.c.engine == EDITOR)
    with database.reading() as connection:
        return list(connection.execute(query.order_by(lineage.c.video_id)).scalars())
