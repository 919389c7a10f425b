"""Housekeeping: what the archive would take out of Dagster goes by itself, once it is old enough.

Dagster has no retention for runs and their events, and their log grows without bound.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import dagster as dg

from madvision_assets.defs.catalogue import JOB as CATALOGUE_JOB
from madvision_assets.defs.runtime.lease import PARTITION_TAG
from madvision_assets.defs.runtime.liveness import ENDED
from madvision_assets.domain.failures import DatabaseUnavailableError
from madvision_assets.tools.database import Database

logger = logging.getLogger(__name__)
T = TypeVar("T")

SWEEP_RUNS = 100  # looked at in one go
SWEEP_S = 20.0  # a tick is over then, whatever is left


@dataclass(frozen=True)
class Chores:
    """What is done in one tick, each by itself: what fails holds up none of the others.

    Attributes:
        failed: a sentence for each that failed.
    """

    failed: list[str] = field(default_factory=list)

    def do(self, name: str, chore: Callable[[], T]) -> T | None:
        """Do one; None where it fails.

        Raises:
            DatabaseUnavailableError: each of them needs the database.
        """
        try:
            return chore()
        except DatabaseUnavailableError:
            raise
        except Exception as error:  # whatever it has, the others go on
            logger.exception("Housekeeping failed at %s", name)
            self.failed.append(f"Failed at {name}: {type(error).__name__}: {error}")
            return None


@dataclass(frozen=True)
class Swept:
    """What a sweep came to.

    Attributes:
        archived: videos.
        runs: that were deleted.
        last_kept: ID of the last run that was looked at and stays: the next sweep goes on after it. None where all
            were looked at.
    """

    archived: int
    runs: int
    last_kept: str | None


@dataclass(frozen=True)
class Housekeeper:
    """Archives by itself what the archive would, with its runs, once it is old enough.

    Runs of forgotten videos go too, and those that brought the catalogue up to date.

    Args:
        database: where our tables are.
        days: so long after its end a video stays in Dagster; 0 is for ever.
    """

    database: Database
    days: int

    def sweep(self, instance: dg.DagsterInstance, last_kept: str | None = None, limit_s: float = SWEEP_S) -> Swept:
        """Look at runs that ended long ago, the oldest first, for so many seconds.

        A run goes with its video, since a partition without its run would look as if nothing had been made of it; so
        runs of videos that are not over, or were over only lately, stay.

        Args:
            instance: where partitions and runs are.
            last_kept: as the last sweep told.
            limit_s: after so many seconds it ends; what is left is for the next one.

        Raises:
            Failure: a database cannot be used.
            ValueError: a backfill is under way.
        """
        from madvision_assets.defs.archive import archive
        from madvision_assets.defs.partitions import VideoPartitions
        from madvision_assets.tools.database.ended import Ended
        from madvision_assets.tools.database.errors import database_failures

        if not self.days:
            return Swept(0, 0, None)
        before, ends_s = datetime.now(UTC) - timedelta(days=self.days), time.monotonic() + limit_s
        ended = Ended(self.database, before)
        archived = deleted = 0
        while True:
            old = self._old_runs(instance, before, last_kept)
            video_ids = {run.tags[PARTITION_TAG] for run in old if PARTITION_TAG in run.tags}
            over = ended.among(video_ids)
            for done in archive(instance, ended, over, with_runs=True):
                archived, deleted = archived + done.archived, deleted + done.runs
            forgotten = ended.unknown(video_ids)
            gone = forgotten | set(over)
            with database_failures():
                deleted += VideoPartitions(instance).delete_runs(sorted(forgotten))
                of_catalogue = {run.run_id for run in old if run.job_name == CATALOGUE_JOB}
                for run_id in of_catalogue:
                    instance.delete_run(run_id)
            deleted += len(of_catalogue)
            kept = [
                run.run_id for run in old if run.run_id not in of_catalogue and run.tags.get(PARTITION_TAG) not in gone
            ]
            last_kept = kept[-1] if kept else last_kept
            if len(old) < SWEEP_RUNS:
                return Swept(archived, deleted, None)
            if time.monotonic() > ends_s:
                return Swept(archived, deleted, last_kept)

    @staticmethod
    def _old_runs(instance: dg.DagsterInstance, before: datetime, after: str | None) -> list[dg.DagsterRun]:
        """The next runs that ended before then, the oldest first."""
        from madvision_assets.tools.database.errors import database_failures

        wanted = dg.RunsFilter(statuses=list(ENDED), updated_before=before)
        with database_failures():
            if after is not None and instance.get_run_by_id(after) is None:
                after = None  # somebody has deleted it
            found = instance.get_run_records(wanted, limit=SWEEP_RUNS, cursor=after, ascending=True)
        return [record.dagster_run for record in found]
