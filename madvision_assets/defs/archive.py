"""Archiving: videos that ended long ago leave Dagster. Their rows, documents, clips, tokens and lineage stay.

A video's row is held while its partition goes, so that the queue cannot claim it in between; and a partition that a run
or a backfill needs stays, whoever launched it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import dagster as dg

from madvision_assets.defs import dagster_inside
from madvision_assets.defs.partitions import VideoPartitions, videos
from madvision_assets.tools.database.errors import database_failures

if TYPE_CHECKING:
    from madvision_assets.tools.database.ended import Ended

BATCH = 500  # videos whose rows are held at once
NAME = str(videos.name)


@dataclass(frozen=True)
class Plan:
    """What is to be archived.

    Attributes:
        partitions: that Dagster has of videos.
        video_ids: those to be archived, the first to end first.
    """

    partitions: int
    video_ids: tuple[str, ...]


@dataclass(frozen=True)
class Progress:
    """What one batch came to: videos archived, videos left alone, and runs deleted."""

    archived: int
    left_alone: int
    runs: int


def plan_archive(instance: dg.DagsterInstance, ended: "Ended", keep: int = 0) -> Plan:
    """Which partitions may go.

    Args:
        instance: where the partitions are.
        ended: tells which videos ended long enough ago.
        keep: so many partitions stay in any case.

    Raises:
        Failure: a database cannot be used.
    """
    with database_failures():
        partitions = instance.get_dynamic_partitions(NAME)
    most = max(0, len(partitions) - keep)
    return Plan(len(partitions), tuple(ended.among(partitions)[:most]))


def archive(
    instance: dg.DagsterInstance, ended: "Ended", video_ids: Sequence[str], *, with_runs: bool = False
) -> Iterator[Progress]:
    """Archive these videos, batch by batch; broken off, it may be run again.

    Args:
        instance: where the partitions and runs are.
        ended: tells which of them still may go.
        video_ids: of ``plan_archive``.
        with_runs: delete their runs and events too.

    Raises:
        Failure: a database cannot be used.
        ValueError: a backfill is under way, which may need any partition.
    """
    left = iter(video_ids)
    partitions = VideoPartitions(instance)
    while batch := list(islice(left, BATCH)):
        _refuse_during_backfills(instance)
        with database_failures():
            # First, and the rows not held yet, since it takes long: broken off, the partitions still tell what is left.
            runs = partitions.delete_runs(ended.among(batch)) if with_runs else 0
            with ended.held(batch) as idle:
                archived = sorted(idle - partitions.in_flight(batch))
                partitions.leave(archived)
        yield Progress(len(archived), len(batch) - len(archived), runs)


def _refuse_during_backfills(instance: dg.DagsterInstance) -> None:
    with database_failures():
        backfill_id = dagster_inside.backfill_under_way(instance)
    if backfill_id:
        raise ValueError(f"The backfill {backfill_id} is under way: wait for its end, or cancel it.")
