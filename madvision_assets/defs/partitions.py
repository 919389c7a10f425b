"""One dynamic partition for each video; the key is the video's ID."""

from collections.abc import Collection
from dataclasses import dataclass

import dagster as dg

from madvision_assets.defs import dagster_inside
from madvision_assets.defs.runtime.lease import PARTITION_TAG
from madvision_assets.defs.runtime.liveness import ENDED

videos = dg.DynamicPartitionsDefinition(name="videos")


@dataclass(frozen=True)
class VideoPartitions:
    """What an instance has of videos. Every method raises ``Failure`` where its database cannot be used."""

    instance: dg.DagsterInstance

    def in_flight(self, video_ids: Collection[str]) -> frozenset[str]:
        """Those of these videos that a run is about, whether or not it has begun."""
        from madvision_assets.tools.database.errors import database_failures

        going = [status for status in dg.DagsterRunStatus if status not in ENDED]
        mine = dg.RunsFilter(statuses=going, tags={PARTITION_TAG: list(video_ids)})
        with database_failures():
            found = self.instance.get_run_records(mine) if video_ids else []
        return frozenset(record.dagster_run.tags[PARTITION_TAG] for record in found)

    def delete(self, video_ids: Collection[str]) -> None:
        """Make these videos unknown to Dagster, with their runs that have ended and all that these told of them."""
        from madvision_assets.tools.database.errors import database_failures

        if not video_ids:
            return
        with database_failures():
            self.delete_runs(video_ids)
            self.leave(video_ids)

    def delete_runs(self, video_ids: Collection[str]) -> int:
        """Delete the runs of these videos that have ended, with their events; gives how many."""
        mine = dg.RunsFilter(statuses=list(ENDED), tags={PARTITION_TAG: list(video_ids)})
        found = self.instance.get_run_records(mine) if video_ids else []
        for record in found:
            dagster_inside.delete_run(self.instance, record.dagster_run.run_id)
        return len(found)

    def leave(self, video_ids: Collection[str]) -> None:
        """Take these videos out of Dagster's partitions, at most a few hundred: it is one statement."""
        from madvision_assets.tools.database.errors import database_failures

        with database_failures():
            dagster_inside.delete_partitions(self.instance, str(videos.name), list(video_ids))
