"""What the tables say of each video of a soak, and whether that is what was planned."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select

from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.tables import lineage, processing_attempts, video_processing_queue
from madvision_assets_tests.soak.pipeline import PERMANENT, TRANSIENT
from madvision_assets_tests.soak.plan import Planned

# Given back by the queue, uncounted: the machine was too busy to start it, which no video has to answer for.
NOT_LAUNCHED = "run_not_launched"


@dataclass(frozen=True)
class Record:
    """A video as the tables have it in the end.

    Attributes:
        video_id: its ID.
        priority: with which it was submitted.
        status: of its row.
        cause: of its failure, if that is how it ended.
        came_at: when its row was made.
        began_at: when it was claimed first.
        ended_at: when it was over.
        causes: in which its attempts ended that did not end well, in their order.
        made: how often each stage was done to its end.
    """

    video_id: str
    priority: int
    status: QueueStatus
    cause: str | None
    came_at: datetime
    began_at: datetime | None
    ended_at: datetime | None
    causes: Sequence[str] = ()
    made: Counter[PipelineStep] = field(default_factory=Counter)


def read_records(database: Database) -> dict[str, Record]:
    """Every video, by its ID."""
    queue, tries = video_processing_queue, processing_attempts
    attempts = select(tries).order_by(tries.c.video_id, tries.c.attempt)
    with database.reading() as connection:
        rows = connection.execute(select(queue)).mappings().all()
        all_tries = connection.execute(attempts).mappings().all()
        made = connection.execute(select(lineage.c.video_id, lineage.c.asset)).tuples().all()
    causes: dict[str, list[str]] = {}
    began: dict[str, datetime] = {}
    for each in all_tries:
        began.setdefault(each["video_id"], each["started_at"])
        if each["failure_cause"]:
            causes.setdefault(each["video_id"], []).append(each["failure_cause"])
    stages: dict[str, Counter[PipelineStep]] = {}
    for video_id, asset in made:
        stages.setdefault(video_id, Counter())[PipelineStep(asset)] += 1
    return {
        row["video_id"]: Record(
            video_id=row["video_id"],
            priority=row["priority"],
            status=QueueStatus(row["status"]),
            cause=row["failure_cause"],
            came_at=row["created_at"],
            began_at=began.get(row["video_id"]),
            ended_at=row["finished_at"],
            causes=causes.get(row["video_id"], []),
            made=stages.get(row["video_id"], Counter()),
        )
        for row in rows
    }


def broken(planned: Iterable[Planned], records: dict[str, Record]) -> list[str]:
    """Each promise that was not held, in a sentence; of a video that has not ended only that it is there."""
    found = []
    for video in planned:
        record = records.get(video.video_id)
        if record is None:
            found.append(f"{video.video_id} was taken in and is gone")
            continue
        twice = {step.value: count for step, count in record.made.items() if count > 1}
        if twice:
            found.append(f"{video.video_id}: a finished stage was done again: {twice}")
        if not record.status.is_final:
            continue
        found += [f"{video.video_id}: {what}" for what in _wrong_end(video, record)]
    return found


def _wrong_end(video: Planned, record: Record) -> Iterable[str]:
    step = video.fails_at
    cause = PERMANENT[step].code if step and video.is_lost else None
    status = QueueStatus.FAILED if video.is_lost else QueueStatus.DONE
    if (record.status, record.cause) != (status, cause):
        yield f"ended as {record.status} ({record.cause}), and was to end as {status} ({cause})"
    expected = [] if step is None else [cause] if cause else [TRANSIENT[step].code] * video.times
    if (told := [each for each in record.causes if each != NOT_LAUNCHED]) != expected:
        yield f"failed on its way by {told}, and was to by {expected}"
    stages = set(PipelineStep) if step is None or not video.is_lost else set(PipelineStep) - set(step.onwards())
    if set(record.made) != stages:
        yield f"has the stages {sorted(record.made)}, and was to have {sorted(stages)}"
