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
        """Those that are there, each with the name of its file."""
        return [(path.name, owner) for path, owner in self._files() if owner and not is_lost(path)]

    def died(self) -> list[tuple[Path, Owner | None]]:
        """The files of those that did not come to remove them, each with who it was; the dead are the reader's to bury.

        None stands for one of which nothing can be said: it may be at work on another machine, whose locks are its own.
        """
        return [
            (path, owner if owner and owner.process and owner.process.is_of_this_machine else None)
            for path, owner in self._files()
            if is_lost(path)
        ]

    def of_run(self, run_id: str) -> list[Owner]:
        """Those at work at a run."""
        return [owner for _, owner in self.present() if owner.run_id == run_id]

    def _files(self) -> list[tuple[Path, Owner | None]]:
        sweep_unseen(self.folder, SUFFIX)
        return [(path, read_owner(path)) for path in sorted(self.folder.glob(f"[!.]*{SUFFIX}"))]
