"""The newest documents of all videos, as the lineage tells of them."""

from collections.abc import Iterator

from sqlalchemy import func, select

from madvision_assets.domain.lineage import NewestDocument
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep, is_stage
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.tables import lineage, video_processing_queue

queue = video_processing_queue


def newest_documents(database: Database) -> Iterator[NewestDocument]:
    """The newest document of each stage of each video that is done, by the videos' IDs; raises as ``Database`` does."""
    newest = select(func.max(lineage.c.id)).group_by(lineage.c.video_id, lineage.c.asset)
    names = ("video_id", "asset", "code_version", "engine", "model", "prompt_hash", "cost_usd", "wall_s")
    query = (
        select(*(lineage.c[name] for name in names))
        .join(queue, queue.c.video_id == lineage.c.video_id)
        .where(lineage.c.id.in_(newest), queue.c.status == QueueStatus.DONE.value)
        .order_by(lineage.c.video_id)
    )
    with database.reading() as connection:
        for video_id, asset, code, engine, model, prompt, cost_usd, wall_s in connection.execute(query):
            if is_stage(asset):
                step = PipelineStep(asset)
                yield NewestDocument(video_id, step, code, engine, model or "", prompt or "", cost_usd, wall_s)
