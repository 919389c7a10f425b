"""One dynamic partition for each video; the key is the video's ID."""

from collections.abc import Sequence

import dagster as dg

from madvision_assets.defs import dagster_inside

videos = dg.DynamicPartitionsDefinition(name="videos")


def delete_partitions(instance: dg.DagsterInstance, video_ids: Sequence[str]) -> None:
    """Make these videos unknown to Dagster, at most a few hundred: it is one statement."""
    dagster_inside.delete_partitions(instance, str(videos.name), video_ids)
