"""What stages took and cost so far: the ``lineage`` table for the seconds and dollars, the store for the durations."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import func, select

from madvision_assets.domain.costs import Measured
from madvision_assets.domain.failures import MissingInputError, NewerDocumentError, UnreadableDocumentError
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import RawVideo
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.tables import lineage
from madvision_assets.tools.store.documents import read_current
from madvision_assets.tools.store.objects import ObjectStore

NEWEST = 500  # videos
AT_ONCE = 16
MINUTE_S = 60.0
MS = "_ms"  # of what is counted in milliseconds in the usage of a transcript


def measure(database: Database, store: ObjectStore, newest: int = NEWEST) -> Measured | None:
    """What the newest videos took that have all stages; None where there is none.

    A stage that was done several times counts as it was done last. Tries that failed are in no row, and do not count.

    Args:
        database: where the lineage is.
        store: where the manifests are.
        newest: at most so many videos, those that were finished last.

    Raises:
        Failure: the database or the store cannot be used.
    """
    taken = _last_of_each_stage(database, newest)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        durations = dict(zip(taken, pool.map(lambda each: _duration_s(store, each), taken), strict=True))
    counted = {video_id: stages for video_id, stages in taken.items() if durations[video_id]}
    minutes = sum(durations[video_id] for video_id in counted) / MINUTE_S
    if not minutes:
        return None
    sums = {
        step: [sum(each) for each in zip(*(s[step] for s in counted.values()), strict=True)] for step in PipelineStep
    }
    return Measured(
        videos=len(counted),
        minutes=minutes,
        seconds={step: wall_s / minutes for step, (wall_s, _) in sums.items()},
        usd={step: cost_usd / minutes for step, (_, cost_usd) in sums.items()},
        hearing_s=_hearing_s(database, list(counted), minutes),
    )


def _hearing_s(database: Database, video_ids: Sequence[str], minutes: float) -> dict[str, float]:
    """What hearing took by kind, seconds for a minute of video; of the last transcript of each."""
    newest = (
        select(func.max(lineage.c.id))
        .where(lineage.c.video_id.in_(video_ids), lineage.c.asset == PipelineStep.TRANSCRIPT.value)
        .group_by(lineage.c.video_id)
    )
    sums = Counter[str]()
    with database.reading() as connection:
        for (usage,) in connection.execute(select(lineage.c.usage).where(lineage.c.id.in_(newest))):
            sums.update({name: ms for name, ms in (usage or {}).items() if name.endswith(MS)})
    return {name.removesuffix(MS): ms / 1000 / minutes for name, ms in sums.items()}


def _last_of_each_stage(database: Database, newest: int) -> Mapping[str, Mapping[PipelineStep, tuple[float, float]]]:
    """By video and stage: seconds and US dollars of the last materialisation."""
    last = func.max(lineage.c.id)
    ours = lineage.c.asset.in_([step.value for step in PipelineStep])  # a newer version may have more
    chosen = (
        select(lineage.c.video_id)
        .where(ours)
        .group_by(lineage.c.video_id)
        .having(func.count(lineage.c.asset.distinct()) == len(PipelineStep))
        .order_by(last.desc())
        .limit(newest)
    )
    rows = select(last).where(lineage.c.video_id.in_(chosen), ours).group_by(lineage.c.video_id, lineage.c.asset)
    columns = (lineage.c.video_id, lineage.c.asset, lineage.c.wall_s, lineage.c.cost_usd)
    found: dict[str, dict[PipelineStep, tuple[float, float]]] = {}
    with database.reading() as connection:
        for row in connection.execute(select(*columns).where(lineage.c.id.in_(rows))):
            found.setdefault(row.video_id, {})[PipelineStep(row.asset)] = (row.wall_s, row.cost_usd)
    return found


def _duration_s(store: ObjectStore, video_id: str) -> float:
    """Of the video; 0 where its manifest cannot be read."""
    try:
        return read_current(store, RawVideo, video_id).info.duration_s
    except (MissingInputError, NewerDocumentError, UnreadableDocumentError):
        return 0.0
