"""The stage context: what one materialisation knows of itself, and what it reports.

It is what keeps the assets short: ``with runtime.stage(context, *inputs) as stage`` around the work,
``stage.done(...)`` at its end.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

import dagster as dg

from madvision_assets.defs.checks import refusal
from madvision_assets.defs.links import Links
from madvision_assets.defs.runtime.failing import TITLE_TAG, require_video_id, tag, told_to_dagster, told_to_the_queue
from madvision_assets.defs.runtime.kept import Basis, Setting, Shelf, TakenUp, discard
from madvision_assets.defs.runtime.lease import RunLease
from madvision_assets.defs.runtime.processes import Owner
from madvision_assets.defs.runtime.scratch import Scratch
from madvision_assets.domain.documents import Document, Made
from madvision_assets.domain.failures import PermanentFailure
from madvision_assets.domain.provenance import InputRef
from madvision_assets.domain.stages import FIRST_STEP, PipelineStep
from madvision_assets.domain.video import RawVideo
from madvision_assets.tools.media import apart
from madvision_assets.tools.store.documents import current_provenance
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.publish import Finished
from madvision_assets.work.sharing import Sharing

MINUTE_S = 60
ALMOST = 0.99
WAITS = "waiting: another process is at this stage of this video"
TAKES_OVER = "taking over what was found in the same video at another address"
TAKES_UP = "taking up what an earlier try finished"

D = TypeVar("D", bound=Document)


class ProgressSink(Protocol):
    """Takes progress: the video, the stage, a fraction from 0 to 1 and a few words."""

    def __call__(self, video_id: str, step: PipelineStep, fraction: float, text: str) -> None:
        """Take one report."""


def no_progress(video_id: str, step: PipelineStep, fraction: float, text: str) -> None:
    """The sink for those who do not look."""


@dataclass
class StageContext:
    """One materialisation under way."""

    context: dg.AssetExecutionContext
    runtime: "StageRuntime"
    step: PipelineStep
    inputs: tuple[Document, ...]
    started_s: float = field(default_factory=time.monotonic)
    taken_up: TakenUp | None = None

    @property
    def video_id(self) -> str:
        """The partition."""
        return str(self.context.partition_key)

    @property
    def folder(self) -> Path:
        """Scratch folder, made on first use; gone afterwards, unless a later try can resume from it."""
        return self.runtime.scratch.folder(self.video_id, self.step)

    def progress(self, fraction: float, text: str) -> None:
        """Report how far it is; 1 is kept for when all is done."""
        self.runtime.tell(self.video_id, self.step, min(ALMOST, max(0.0, fraction)), text)

    def make(self, work: Callable[[], Made[D]]) -> Made[D]:
        """What the work comes to: done now, unless an earlier try on this machine finished it and did not publish it.

        It is kept until it is published, or a check turns it down.
        """
        self.taken_up = self._shelf.take(self.step.stage.document, self._basis, self.runtime.store)
        if self.taken_up is not None:
            self.context.log.info("Run %s did the work of %s and did not publish it", self.taken_up.run_id, self.step)
            self.progress(ALMOST, TAKES_UP)
            return self.taken_up.made
        discard(self._shelf.path)
        shared = self._shared()
        if shared is not None:
            self.context.log.info("The same bytes came before: this is the work of %s", shared.recipe.taken_from)
            self.progress(ALMOST, TAKES_OVER)
            return shared
        made = work()
        try:
            self._shelf.put(self._sealed(made), made.recipe, self._basis)
        except OSError as error:
            self.context.log.warning("What %s came to cannot be kept until it is published: %s", self.step, error)
        return made

    def name_run(self, title: str | None) -> None:
        """Let the run be found by its video's title; when it was launched, nobody knew it."""
        if title:
            tag(self.context, {TITLE_TAG: title})

    @contextmanager
    def judged(self) -> Iterator[None]:
        """Around what looks at the work itself: work that it finds to be of no use is not taken up by another try."""
        try:
            yield
        except PermanentFailure:
            discard(self._shelf.path)
            raise

    def done(
        self, made: Made[Document], metadata: Mapping[str, Any], *checked: dg.AssetCheckResult
    ) -> dg.MaterializeResult[Finished]:
        """Seal the document and hand it to Dagster with the results of its checks; the IO manager persists it.

        Where a blocking check failed, Dagster then ends the step as failed, and tries it no more.
        """
        sealed, taken = self._sealed(made), self.taken_up
        refused = refusal(self.step, checked)
        if refused:
            discard(self._shelf.path)
        return dg.MaterializeResult(
            value=Finished(sealed, refused=refused, kept=self._shelf.path, work_of_run=taken.run_id if taken else None),
            data_version=dg.DataVersion(sealed.origin.data_version),
            metadata={**metadata, **self._common(made, sealed.origin.wall_s)},
            check_results=checked,
        )

    def _sealed(self, made: Made[D]) -> D:
        """With the time and the inputs of the work; whoever publishes it has the lineage's row."""
        store = self.runtime.store
        return made.document.seal(
            made.recipe,
            run_id=self._run_id,
            code_version=self._basis.code_version,
            inputs=tuple(
                InputRef(asset=i.asset, uri=store.uri(i.key), data_version=i.origin.data_version) for i in self.inputs
            ),
            wall_s=self.taken_up.wall_s if self.taken_up else time.monotonic() - self.started_s,
            created_at=datetime.now(UTC),
        )

    def _shared(self) -> Made[Any] | None:
        """What was made of the same bytes in another partition, unless somebody asks for this stage anew."""
        sharing, lease = self.runtime.sharing, self.runtime.lease
        if sharing is None or lease is None or lease.asks_anew(self.step):
            return None
        if self.step is FIRST_STEP:
            return sharing.find_download(self.video_id, self._basis.code_version)
        return sharing.find(self.step.stage.document, self.inputs, self._basis.code_version)

    @property
    def _shelf(self) -> Shelf:
        return Shelf(self.runtime.scratch.kept(self.video_id, self.step))

    @property
    def _run_id(self) -> str:
        return str(self.context.run.run_id)

    @cached_property
    def _basis(self) -> Basis:
        return Basis(
            code_version=self.context.assets_def.get_asset_spec(self.context.asset_key).code_version or "",
            inputs=tuple((each.asset, each.origin.data_version) for each in self.inputs),
            settings={name: self.runtime.settings[name] for name in sorted(self.step.stage.settings)},
            anew_over=self._anew_over(),
        )

    def _anew_over(self) -> str | None:
        lease = self.runtime.lease
        if lease is None or not lease.asks_anew(self.step):
            return None
        now = current_provenance(self.runtime.store, self.step, self.video_id)
        return now.data_version if now else ""

    def _common(self, made: Made[Document], wall_s: float) -> dict[str, Any]:
        """The metadata that every stage has."""
        recipe = made.recipe
        common: dict[str, Any] = {"wall_s": round(wall_s, 2), "cost_usd": recipe.cost_usd, "engine": recipe.engine}
        common |= self.runtime.links.video(self.video_id)
        if recipe.model:
            common["model"] = recipe.model
        for video in (v for v in (made.document, *self.inputs) if isinstance(v, RawVideo)):
            common["wall_s_per_video_minute"] = round(wall_s / max(video.info.duration_s, 1) * MINUTE_S, 2)
        return common


@dataclass(frozen=True)
class StageRuntime:
    """What every stage stands on.

    Args:
        store: where documents and media are.
        work_folder: parent of the scratch folders.
        report: where progress goes.
        lease: this run's lease on its video; None where there is no queue.
        settings: those that stages name as mattering to them.
        sharing: finds work that was done for the same bytes; None where there is no queue.
        links: out of Dagster's UI.
    """

    store: ObjectStore
    work_folder: Path
    report: ProgressSink = no_progress
    lease: RunLease | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)
    sharing: Sharing | None = None
    links: Links = field(default_factory=Links)

    @property
    def scratch(self) -> Scratch:
        """The scratch folders."""
        return Scratch(self.work_folder)

    @contextmanager
    def stage(self, context: dg.AssetExecutionContext, *inputs: Document) -> Iterator[StageContext]:
        """Surround one stage's work; failures leave it in the form that Dagster shows.

        Raises:
            dagster.Failure: with code, class and sentence, not to be retried by Dagster.
        """
        step = PipelineStep(context.asset_key.to_user_string())
        require_video_id(context.partition_key, step)
        stage = StageContext(context, self, step, inputs)
        with told_to_dagster(context, step), told_to_the_queue(context, step, self.lease, self.work_folder):
            if self.lease is not None:
                self.lease.begin(step)
            owner = self.lease.owner if self.lease is not None else Owner.here(stage.video_id)
            with self.scratch.held(owner, step, lambda: stage.progress(0.0, WAITS)), apart.one_child():
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
