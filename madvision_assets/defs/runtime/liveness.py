"""Which runs of the command line still have their process, so that one that was killed does not block the others.

A run that Dagster did not launch is watched by nobody: killed, it would stay "started", and keep its slots of the
pools, for ever. So each such process holds a lock on a file of its own, which the system lets go with the process.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import uuid4

import dagster as dg

from madvision_assets.defs import dagster_inside
from madvision_assets.defs.runtime.locks import announced, is_lost, sweep_unseen

TAG = "madvision/process"
FOLDER = "history/processes"
ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


@contextmanager
def process_announced(instance: dg.DagsterInstance) -> Iterator[Mapping[str, str]]:
    """Be seen to be alive; gives the tags for a run of this process."""
    folder = dagster_inside.folder_of(instance) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    name = uuid4().hex
    with announced(folder / name):
        yield {TAG: name}


def is_lost_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run of the command line was one of this machine's, and its process is gone.

    One that is executed again in Dagster has the tags of its parent, and another process.
    """
    path = dagster_inside.folder_of(instance) / FOLDER / run.tags.get(TAG, "")
    return run.parent_run_id is None and path.is_file() and is_lost(path)


def end_lost_runs(instance: dg.DagsterInstance) -> None:
    """Call runs failed whose process is gone, and give back the slots of those and of all that ended."""
    folder = dagster_inside.folder_of(instance) / FOLDER
    sweep_unseen(folder)
    for name in [file.name for file in folder.glob("[!.]*")]:
        if not is_lost(folder / name):
            continue
        for record in instance.get_run_records(dg.RunsFilter(tags={TAG: name})):
            if record.dagster_run.status not in ENDED:
                dagster_inside.end_as_failed(instance, record.dagster_run, "The process of this run was lost.")
        (folder / name).unlink(missing_ok=True)
    for run_id in dagster_inside.runs_with_slots(instance):
        holder = instance.get_run_by_id(run_id)
        if holder is None or holder.status in ENDED:
            dagster_inside.free_slots(instance, run_id)
