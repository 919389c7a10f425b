"""The workbench: one materialisation's clock, scratch folder, progress, failures and provenance.

It is what keeps the assets short: ``with bench.stage(context, *inputs) as stage`` around the work,
``stage.done(...)`` at its end.
"""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import dagster as dg

from madvision_assets.domain.failures import Failure, FailureClass, UnexpectedError
from madvision_assets.domain.provenance import Document, InputRef, Recipe
from madvision_assets.domain.queue import PipelineStep
from madvision_assets.domain.video import RawVideo
from madvision_assets.tools.store.objects import ObjectStore

MINUTE_S = 60
ALMOST = 0.99

Doc = TypeVar("Doc", bound=Document)


class ProgressSink(Protocol):
    """Takes progress: the video, the stage, a fraction from 0 to 1 and a few words."""

    def __call__(self, video_id: str, step: PipelineStep, fraction: float, text: str) -> None:
        """Take one report."""


def no_progress(video_id: str, step: PipelineStep, fraction: float, text: str) -> None:
    """The sink for those who do not look."""


@dataclass
class Stage:
    """One materialisation under way.

    Attributes:
        folder: scratch folder, made on first use; gone afterwards, unless a later try can resume from it.
    """

    context: dg.AssetExecutionContext
    bench: "Workbench"
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
        folder = self.bench.work_folder / self.video_id / self.step
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def progress(self, fraction: float, text: str) -> None:
        """Report how far it is; 1 is kept for when all is done."""
        self.bench.report(self.video_id, self.step, min(ALMOST, max(0.0, fraction)), text)

    def done(self, document: Doc, recipe: Recipe, metadata: Mapping[str, Any]) -> "dg.MaterializeResult[Doc]":
        """Seal the document and hand it to Dagster; the IO manager persists it."""
        wall_s = time.monotonic() - self.started_s
        code_version = self.context.assets_def.code_versions_by_key[self.context.asset_key]
        sealed = document.seal(
            recipe,
            run_id=self.context.run.run_id,
            code_version=code_version or "",
            inputs=tuple(
                InputRef(asset=i.asset, uri=self.bench.store.uri(i.key), data_version=i.origin.data_version)
                for i in self.inputs
            ),
            wall_s=wall_s,
            created_at=datetime.now(UTC),
        )
        common: dict[str, Any] = {"wall_s": round(wall_s, 2), "cost_usd": recipe.cost_usd, "engine": recipe.engine}
        if recipe.model:
            common["model"] = recipe.model
        for video in (v for v in (document, *self.inputs) if isinstance(v, RawVideo)):
            common["wall_s_per_video_minute"] = round(wall_s / max(video.info.duration_s, 1) * MINUTE_S, 2)
        return dg.MaterializeResult(
            value=sealed,
            data_version=dg.DataVersion(sealed.origin.data_version),
            metadata={**metadata, **common},
        )


@dataclass(frozen=True)
class Workbench:
    """What every stage stands on.

    Args:
        store: where documents and media are.
        work_folder: parent of the scratch folders.
        report: where progress goes.
    """

    store: ObjectStore
    work_folder: Path
    report: ProgressSink = no_progress

    @contextmanager
    def stage(self, context: dg.AssetExecutionContext, *inputs: Document) -> Iterator[Stage]:
        """Surround one stage's work; failures leave it in the form that Dagster shows.

        Raises:
            dagster.Failure: with code, class and sentence, not to be retried by Dagster.
        """
        step = PipelineStep(context.asset_key.to_user_string())
        stage = Stage(context, self, step, inputs)
        keep = False
        try:
            stage.progress(0.0, "starting")
            yield stage
            self.report(context.partition_key, step, 1.0, "done")
        except Failure as failure:
            keep = resumable(step, failure)
            raise as_dagster_failure(failure, step) from failure
        except (dg.Failure, dg.DagsterExecutionInterruptedError, KeyboardInterrupt):
            keep = step is PipelineStep.RAW_VIDEO
            raise
        except Exception as error:
            context.log.exception("A fault without a leaf in the taxonomy")
            raise as_dagster_failure(UnexpectedError(f"{type(error).__name__}: {error}"), step) from error
        finally:
            if not keep:
                self._sweep(context.partition_key, step)

    def _sweep(self, video_id: str, step: PipelineStep) -> None:
        folder = self.work_folder / video_id
        shutil.rmtree(folder / step, ignore_errors=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def resumable(step: PipelineStep, failure: Failure) -> bool:
    """Whether the scratch folder is worth keeping: a broken download goes on from its ``.part``."""
    return step is PipelineStep.RAW_VIDEO and failure.failure_class in {FailureClass.TRANSIENT, FailureClass.SOURCE}


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
