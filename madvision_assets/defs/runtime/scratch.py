"""The scratch folder of a stage of a video: one process at a time, swept afterwards unless a later try can use it."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import dagster as dg

from madvision_assets.domain.failures import Failure, FailureClass
from madvision_assets.domain.stages import PipelineStep


@dataclass(frozen=True)
class Scratch:
    """The scratch folders of this machine.

    Args:
        root: parent of them all, ``<root>/<video_id>/<step>``.
    """

    root: Path

    def folder(self, video_id: str, step: PipelineStep) -> Path:
        """The folder of this stage of this video; made on first use."""
        folder = self.root / video_id / step
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def held(self, video_id: str, step: PipelineStep, waits: Callable[[], None]) -> Iterator[None]:
        """Have the folder to oneself; ``waits`` is called where somebody else has it."""
        keep = False
        with self._alone(video_id, step, waits):
            try:
                yield
            except Failure as failure:
                keep = resumable(step, failure)
                raise
            except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt):
                keep = step.stage.resumes
                raise
            finally:
                if not keep:
                    self._sweep(video_id, step)

    def sweep_given_up(self, is_given_up: Callable[[str], bool]) -> None:
        """Remove what tries at a video left for a later one, where there will be none.

        Args:
            is_given_up: whether nothing more happens to a video by itself.
        """
        for folder in self.root.glob("*/*/"):
            video_id, step = folder.parent.name, folder.name
            if not is_given_up(video_id):
                continue
            path = self._lock_path(video_id, step)
            with suppress(OSError), path.open("w") as file:
                # Asked again: somebody may have begun meanwhile, and be about to take the lock.
                if _locked_at_once(file) and is_given_up(video_id):
                    self._sweep(video_id, step)
                    path.unlink(missing_ok=True)

    @contextmanager
    def _alone(self, video_id: str, step: PipelineStep, waits: Callable[[], None]) -> Iterator[None]:
        """Wait until no other process is at this stage of this video."""
        path = self._lock_path(video_id, step)
        self.root.mkdir(parents=True, exist_ok=True)
        while True:
            with path.open("w") as file:
                if not _locked_at_once(file):
                    waits()
                    fcntl.flock(file, fcntl.LOCK_EX)
                # Whoever had it before has removed it; then somebody else may hold the one that is there now.
                if not path.exists() or path.stat().st_ino != os.fstat(file.fileno()).st_ino:
                    continue
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return

    def _lock_path(self, video_id: str, step: str) -> Path:
        return self.root / f"{video_id}.{step}.lock"

    def _sweep(self, video_id: str, step: str) -> None:
        folder = self.root / video_id
        shutil.rmtree(folder / step, ignore_errors=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def resumable(step: PipelineStep, failure: Failure) -> bool:
    """Whether the scratch folder is worth keeping: a broken download goes on from what it left there."""
    return step.stage.resumes and failure.failure_class in {FailureClass.TRANSIENT, FailureClass.SOURCE}


def _locked_at_once(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
