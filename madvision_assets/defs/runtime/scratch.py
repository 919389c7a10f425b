"""The scratch folder of a stage of a video: one process at a time, swept afterwards unless a later try can use it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import dagster as dg

from madvision_assets.defs.runtime.kept import SUFFIX, discard
from madvision_assets.defs.runtime.locks import LockLimits, locked, locked_at_once, open_lock
from madvision_assets.defs.runtime.processes import Owner
from madvision_assets.domain.failures import Failure, FailureClass
from madvision_assets.domain.stages import PipelineStep

LOCK = ".lock"


@dataclass(frozen=True)
class Scratch:
    """The scratch folders of this machine.

    Args:
        root: parent of them all, ``<root>/<video_id>/<step>``.
        limits: with another process that has one.
    """

    root: Path
    limits: LockLimits = field(default_factory=LockLimits)

    def folder(self, video_id: str, step: PipelineStep) -> Path:
        """The folder of this stage of this video; made on first use."""
        folder = self.root / video_id / step
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def held(self, owner: Owner, step: PipelineStep, waits: Callable[[], None]) -> Iterator[None]:
        """Have the folder of the owner's video to oneself; ``waits`` is called while somebody else has it.

        Where that one's lease on the video is over and it does not notice, it hangs and is ended.

        Raises:
            StageHeldError: it cannot be ended from here, or may be at work with good reason.
        """
        keep, video_id = False, owner.video_id
        self.root.mkdir(parents=True, exist_ok=True)
        with locked(self._lock_path(video_id, step), owner, self.limits, waits):
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
        for video_id, step in self._left():
            if not is_given_up(video_id):
                continue
            path = self._lock_path(video_id, step)
            with suppress(OSError), open_lock(path) as file:
                # Asked again: somebody may have begun meanwhile, and be about to take the lock.
                if locked_at_once(file) and is_given_up(video_id):
                    discard(self.kept(video_id, step))
                    self._sweep(video_id, step)
                    path.unlink(missing_ok=True)

    def kept(self, video_id: str, step: str) -> Path:
        """Where the finished work of a stage is kept until it is published (``kept.py``)."""
        return self.root / video_id / f"{step}{SUFFIX}"

    def _left(self) -> set[tuple[str, str]]:
        """Of which stages of which videos something is here."""
        inside = chain(self.root.glob("*/*/"), self.root.glob(f"*/*{SUFFIX}"))
        left = {(path.parent.name, path.name.removesuffix(SUFFIX)) for path in inside}
        locks = (path.name.removesuffix(LOCK).partition(".") for path in self.root.glob(f"*.*{LOCK}"))
        return left | {(video_id, step) for video_id, _, step in locks}

    def _lock_path(self, video_id: str, step: str) -> Path:
        return self.root / f"{video_id}.{step}{LOCK}"

    def _sweep(self, video_id: str, step: str) -> None:
        folder = self.root / video_id
        shutil.rmtree(folder / step, ignore_errors=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def resumable(step: PipelineStep, failure: Failure) -> bool:
    """Whether the scratch folder is worth keeping: a broken download goes on from what it left there."""
    return step.stage.resumes and failure.failure_class in {FailureClass.TRANSIENT, FailureClass.SOURCE}
