"""Which runs of the command line still have their process, so that one that was killed does not block the others.

A run that Dagster did not launch is watched by nobody: killed, it would stay "started", and keep its slots of the
pools, for ever. So each such process holds a lock on a file of its own, which the system lets go with the process.
"""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import dagster as dg

from madvision_assets.defs import dagster_inside

TAG = "madvision/process"
FOLDER = "history/processes"
ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


@contextmanager
def process_announced(instance: dg.DagsterInstance) -> Iterator[Mapping[str, str]]:
    """Be seen to be alive; gives the tags for a run of this process."""
    folder = dagster_inside.folder_of(instance) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    name = uuid4().hex
    with (folder / f".{name}").open("x") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # Only now under its name: a file that nobody holds is taken for that of a lost process.
        (folder / f".{name}").rename(folder / name)
        try:
            yield {TAG: name}
        finally:
            (folder / name).unlink(missing_ok=True)


def end_lost_runs(instance: dg.DagsterInstance) -> None:
    """Call runs failed whose process is gone, and give back the slots of those and of all that ended."""
    folder = dagster_inside.folder_of(instance) / FOLDER
    for name in [file.name for file in folder.glob("[!.]*")]:
        if not _is_lost(folder / name):
            continue
        for record in instance.get_run_records(dg.RunsFilter(tags={TAG: name})):
            if record.dagster_run.status not in ENDED:
                dagster_inside.end_as_failed(instance, record.dagster_run, "The process of this run was lost.")
        (folder / name).unlink(missing_ok=True)
    for run_id in dagster_inside.runs_with_slots(instance):
        holder = instance.get_run_by_id(run_id)
        if holder is None or holder.status in ENDED:
            dagster_inside.free_slots(instance, run_id)


def _is_lost(path: Path) -> bool:
    """Whether nobody holds the lock; a file that is gone meanwhile belonged to a run that ended well."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    return True
