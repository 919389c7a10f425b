"""The workbench: one materialisation's clock, scratch folder, progress, failures and provenance.

It is what keeps the assets short: ``with runtime.stage(context, *inputs) as stage`` around the work,
``stage.done(...)`` at its end.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

import dagster as dg

from madvision_assets.defs.checks import refusal
from madvision_assets.defs.dagster_inside import retried_elsewhere, step_of
from madvision_assets.defs.runtime.lease import RunLease
from madvision_assets.domain.disk import home_failure
from madvision_assets.domain.failures import Failure, FailureClass, UnexpectedError, UnknownVideoError
from madvision_assets.domain.provenance import Document, InputRef, Recipe, is_video_id
from madvision_assets.domain.queue import PipelineStep
from madvision_assets.domain.video import RawVideo
from madvision_assets.tools.store.objects import ObjectStore

MINUTE_S = 60
ALMOST = 0.99
REFUSED = "refused"  # why a blocking check turned a document down, in its metadata

Doc = TypeVar("Doc", bound=Document)


class ProgressSink(Protocol):
    """Takes progress: the video, the stage, a fraction from 0 to 1 and a few words."""

    def __call__(self, video_id: str, step: PipelineStep, fraction: float, text: str) -> None:
        """Take one report."""


def no_progress(video_id: str, step: PipelineStep, fraction: float, text: str) -> None:
    """The sink for those who do not look."""


class StoppedError(dg.DagsterError, dg.DagsterExecutionInterruptedError):
    """The process was told to stop; the run ends.

    It is a ``DagsterError`` because Dagster lets those pass, while it would make a retry of a bare interrupt: half a
    minute later, in the very process that was told to stop.
    """


@contextmanager
def interrupts_end_the_run(step_context: Callable[[], dg.StepExecutionContext]) -> Iterator[None]:
    """Make an interrupt end the run; where another process owns the retries (Kubernetes), it is left to that one."""
    try:
        yield
    except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt) as interrupt:
        if retried_elsewhere(step_context()):
            raise
        raise StoppedError from interrupt


@contextmanager
def told_to_dagster(context: dg.AssetExecutionContext, step: PipelineStep) -> Iterator[None]:
    """Let failures and interrupts leave in the form that Dagster takes."""
    try:
        with interrupts_end_the_run(lambda: step_of(context)):
            yield
    except Failure as failure:
        raise as_dagster_failure(failure, step) from failure


@contextmanager
def told_to_the_queue(context: dg.AssetExecutionContext, step: PipelineStep, lease: RunLease | None) -> Iterator[None]:
    """Make every fault a leaf of the taxonomy, and let the queue know of it and of interrupts."""
    try:
        try:
            yield
        except (Failure, dg.Failure):
            raise
        except Exception as error:
            leaf = (home_failure(error) if isinstance(error, OSError) else None) or unexpected(error)
            if isinstance(leaf, UnexpectedError):
                context.log.exception("A fault without a leaf in the taxonomy")
            raise leaf from error
    except Failure as failure:
        _tell(context, lease, partial(RunLease.fail, step=step, failure=failure))
        raise
    except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt):
        _tell(context, lease, partial(RunLease.interrupted, step=step))
        raise


def _tell(context: dg.AssetExecutionContext, lease: RunLease | None, word: Callable[[RunLease], None]) -> None:
    if lease is None:
        return
    try:
        word(lease)
    except Failure as failure:  # the reconciler will find out
        context.log.warning("The queue could not be told: %s", failure)


@dataclass
class Stage:
    """One materialisation under way.

    Attributes:
        folder: scratch folder, made on first use; gone afterwards, unless a later try can resume from it.
    """

    context: dg.AssetExecutionContext
    runtime: "StageRuntime"
    step: PipelineStep
    inputs: tuple[Document, ...]
    started_s: float = field(default_factory=time.monotonic)

    @property
    def video_id(self) -> str:
        """The partition."""
        return str(self.context.partition_key)

    @property
    def folder(self) -> Path:
        """Scratch folder of this stage of this video."""
        folder = self.runtime.work_folder / self.video_id / self.step
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def progress(self, fraction: float, text: str) -> None:
        """Report how far it is; 1 is kept for when all is done."""
        self.runtime.tell(self.video_id, self.step, min(ALMOST, max(0.0, fraction)), text)

    def done(
        self, document: Doc, recipe: Recipe, metadata: Mapping[str, Any], *checked: dg.AssetCheckResult
    ) -> "dg.MaterializeResult[Doc]":
        """Seal the document and hand it to Dagster with the results of its checks; the IO manager persists it.

        Where a blocking check failed, Dagster then ends the step as failed, and tries it no more.
        """
        wall_s = time.monotonic() - self.started_s
        code_version = self.context.assets_def.get_asset_spec(self.context.asset_key).code_version
        sealed = document.seal(
            recipe,
            run_id=self.context.run.run_id,
            code_version=code_version or "",
            inputs=tuple(
                InputRef(asset=i.asset, uri=self.runtime.store.uri(i.key), data_version=i.origin.data_version)
                for i in self.inputs
            ),
            wall_s=wall_s,
            created_at=datetime.now(UTC),
        )
        common: dict[str, Any] = {"wall_s": round(wall_s, 2), "cost_usd": recipe.cost_usd, "engine": recipe.engine}
        if recipe.model:
            common["model"] = recipe.model
        if refused := refusal(self.step, checked):
            common[REFUSED] = refused
        for video in (v for v in (document, *self.inputs) if isinstance(v, RawVideo)):
            common["wall_s_per_video_minute"] = round(wall_s / max(video.info.duration_s, 1) * MINUTE_S, 2)
        return dg.MaterializeResult(
            value=sealed,
            data_version=dg.DataVersion(sealed.origin.data_version),
            metadata={**metadata, **common},
            check_results=checked,
        )


@dataclass(frozen=True)
class StageRuntime:
    """What every stage stands on.

    Args:
        store: where documents and media are.
        work_folder: parent of the scratch folders.
        report: where progress goes.
        lease: this run's lease on its video; None where there is no queue.
    """

    store: ObjectStore
    work_folder: Path
    report: ProgressSink = no_progress
    lease: RunLease | None = None

    @contextmanager
    def stage(self, context: dg.AssetExecutionContext, *inputs: Document) -> Iterator[Stage]:
        """Surround one stage's work; failures leave it in the form that Dagster shows.

        Raises:
            dagster.Failure: with code, class and sentence, not to be retried by Dagster.
        """
        step = PipelineStep(context.asset_key.to_user_string())
        require_video_id(context.partition_key, step)
        stage = Stage(context, self, step, inputs)
        with told_to_dagster(context, step), told_to_the_queue(context, step, self.lease):
            if self.lease is not None:
                self.lease.begin(step)
            with self._scratch(stage):
                stage.progress(0.0, "starting")
                yield stage
                self.tell(stage.video_id, step, 1.0, "done")

    def tell(self, video_id: str, step: PipelineStep, fraction: float, text: str) -> None:
        """Report how far a step is.

        Raises:
            SupersededError: a later run has taken the video over.
        """
        self.report(video_id, step, fraction, text)
        if self.lease is not None:
            self.lease.report(step, fraction, text)

    @contextmanager
    def _scratch(self, stage: Stage) -> Iterator[None]:
        """Have the scratch folder to oneself, and sweep it afterwards where no later try can use it."""
        keep = False
        with self._alone(stage):
            try:
                yield
            except Failure as failure:
                keep = resumable(stage.step, failure)
                raise
            except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt):
                keep = stage.step is PipelineStep.RAW_VIDEO
                raise
            finally:
                if not keep:
                    self._sweep(stage.video_id, stage.step)

    @contextmanager
    def _alone(self, stage: Stage) -> Iterator[None]:
        """Wait until no other process is at this stage of this video."""
        path = self._lock_path(stage.video_id, stage.step)
        self.work_folder.mkdir(parents=True, exist_ok=True)
        while True:
            with path.open("w") as file:
                if not _locked_at_once(file):
                    stage.progress(0.0, "waiting: another process is at this stage of this video")
                    fcntl.flock(file, fcntl.LOCK_EX)
                # Whoever had it before has removed it; then somebody else may hold the one that is there now.
                if not path.exists() or path.stat().st_ino != os.fstat(file.fileno()).st_ino:
                    continue
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return

    def sweep_given_up(self, is_given_up: Callable[[str], bool]) -> None:
        """Remove what tries at a video left for a later one, where there will be none.

        Args:
            is_given_up: whether nothing more happens to a video by itself.
        """
        for folder in self.work_folder.glob("*/*/"):
            video_id, step = folder.parent.name, folder.name
            if not is_given_up(video_id):
                continue
            path = self._lock_path(video_id, step)
            with suppress(OSError), path.open("w") as file:
                # Asked again: somebody may have begun meanwhile, and be about to take the lock.
                if _locked_at_once(file) and is_given_up(video_id):
                    self._sweep(video_id, step)
                    path.unlink(missing_ok=True)

    def _lock_path(self, video_id: str, step: str) -> Path:
        return self.work_folder / f"{video_id}.{step}.lock"

    def _sweep(self, video_id: str, step: str) -> None:
        folder = self.work_folder / video_id
        shutil.rmtree(folder / step, ignore_errors=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _locked_at_once(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def require_video_id(partition_key: str, step: PipelineStep) -> None:
    """Refuse a partition key that cannot be a video's ID, before it becomes part of a path.

    Raises:
        dagster.Failure: ``unknown_video``.
    """
    if not is_video_id(partition_key):
        raise as_dagster_failure(UnknownVideoError(repr(partition_key[:100])), step)


def resumable(step: PipelineStep, failure: Failure) -> bool:
    """Whether the scratch folder is worth keeping: a broken download goes on from what it left there."""
    return step is PipelineStep.RAW_VIDEO and failure.failure_class in {FailureClass.TRANSIENT, FailureClass.SOURCE}


def unexpected(error: Exception) -> Failure:
    """The leaf for what has none."""
    return UnexpectedError(f"{type(error).__name__}: {error}")


def as_dagster_failure(failure: Failure, step: PipelineStep) -> dg.Failure:
    """A leaf of the taxonomy as Dagster shows it; never retried by Dagster, since the queue owns those retries."""
    metadata: dict[str, Any] = {
        "failure_cause": failure.code,
        "failure_class": failure.failure_class.value,
        "failure_details": failure.details,
        "pipeline_step": step.value,
    }
    if failure.retry_after_s is not None:
        metadata["retry_after_s"] = failure.retry_after_s
    return dg.Failure(description=str(failure), metadata=metadata, allow_retries=False)
