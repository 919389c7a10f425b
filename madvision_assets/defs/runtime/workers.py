"""The processes on this machine that work at the runs that Dagster launched, each announced by a file of its own.

The reconciler finds there whom it has to end: a process that hangs hears neither the queue, which gave its video to
somebody else, nor Dagster's own request to stop.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from madvision_assets.defs.runtime.locks import announced, is_lost, read_owner, sweep_unseen, write_owner
from madvision_assets.defs.runtime.processes import Owner

SUFFIX = ".worker"


@dataclass
class Announcement:
    """What others read of this process."""

    file: IO[str] | None = None

    def tell(self, owner: Owner) -> None:
        """Say what for it is at work."""
        with suppress(OSError):  # the disk is full
            if self.file is not None:
                write_owner(self.file, owner)


@dataclass(frozen=True)
class Workers:
    """Those of this machine.

    Args:
        folder: where each has its file.
    """

    folder: Path

    @contextmanager
    def announced(self, owner: Owner) -> Iterator[Announcement]:
        """Be found; where the disk does not let us, we are not, and the stage will tell of the disk."""
        with ExitStack() as stack:
            file = None
            with suppress(OSError):
                self.folder.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(announced(self.folder / f"{owner.run_id}.{os.getpid()}{SUFFIX}", owner))
            yield Announcement(file)

    def present(self) -> list[tuple[str, Owner]]:
        """Those that are there, each with the name of its file; the files of those that died are removed."""
        sweep_unseen(self.folder, SUFFIX)
        found = []
        for path in sorted(self.folder.glob(f"[!.]*{SUFFIX}")):
            if is_lost(path):
                path.unlink(missing_ok=True)
            elif owner := read_owner(path):
                found.append((path.name, owner))
        return found

    def of_run(self, run_id: str) -> list[Owner]:
        """Those at work at a run."""
        return [owner for _, owner in self.present() if owner.run_id == run_id]
