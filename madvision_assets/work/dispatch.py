"""From due rows of the queue to the runs that they need: the sensor's work, but for Dagster's own part."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from madvision_assets.domain.clips import Clips
from madvision_assets.domain.failures import Failure, UnexpectedError
from madvision_assets.domain.stages import FIRST_STEP, PipelineStep, pending_steps
from madvision_assets.tools.store.documents import current_provenance, read_current
from madvision_assets.tools.store.objects import ObjectStore

if TYPE_CHECKING:
    from madvision_assets.tools.database.queue import Queue
    from madvision_assets.tools.database.rows import QueueRow

# Videos that are held back leave room in this tick; after so many rounds the next tick goes on.
MAX_ROUNDS = 50


@dataclass(frozen=True)
class Launch:
    """A run to be launched: these steps of this video, for this attempt, as urgent as it has become by waiting."""

    row: "QueueRow"
    steps: tuple[PipelineStep, ...]
    urgency: int


@dataclass(frozen=True)
class Dispatcher:
    """Takes due videos out of the queue.

    Args:
        queue: the queue.
        store: tells which stages are done.
        max_in_flight: so many videos at once; the rest waits in the table, where priority counts.
        gates: each may hold a video back before its download, by the leaf of the taxonomy that it then waits for; it is
            given the video, and those that were claimed with it and come after it.
        full: names of breakers whose videos are not even to be claimed just now.
    """

    queue: "Queue"
    store: ObjectStore
    max_in_flight: int
    gates: Sequence[Callable[[str, Collection[str]], None]] = ()
    full: Callable[[], Collection[str]] = frozenset

    def launches(self) -> list[Launch]:
        """Claim what is due, and find out which stages are missing; a video without any is done at once.

        Whoever is held back leaves his place to the next one at once.
        """
        launches: list[Launch] = []
        for _ in range(MAX_ROUNDS):
            claimed = self.queue.claim_due(self.max_in_flight, self.full())
            found, held_back = self._look_at(claimed)
            launches += found
            if not held_back:
                break
        return launches

    def _look_at(self, claimed: "Sequence[QueueRow]") -> tuple[list[Launch], bool]:
        """What is to be launched of these, and whether any was held back."""
        launches, held_back = [], False
        for n, row in enumerate(claimed):
            try:
                steps = missing_steps(self.store, row.video_id, row.from_step)
                if FIRST_STEP in steps:
                    for gate in self.gates:
                        gate(row.video_id, {later.video_id for later in claimed[n + 1 :]})
                if steps:
                    launches.append(Launch(row, steps, self.queue.urgency(row)))
                else:
                    self.queue.complete(row.video_id, row.attempt, read_current(self.store, Clips, row.video_id))
            except Failure as failure:  # the store is away, or holds what cannot be read here
                self.queue.fail(row.video_id, "", row.attempt, row.pipeline_step, failure)
                held_back = held_back or not failure.is_counted
            except Exception as error:  # noqa: BLE001 - whatever one video has, those claimed with it go on
                fault = UnexpectedError(f"{type(error).__name__}: {error}")
                self.queue.fail(row.video_id, "", row.attempt, row.pipeline_step, fault)
        return launches, held_back


def missing_steps(store: ObjectStore, video_id: str, from_step: PipelineStep | None) -> tuple[PipelineStep, ...]:
    """The stages of a video that are to be done, in pipeline order.

    Args:
        store: tells which are done.
        video_id: of which video.
        from_step: this stage and all later ones are to be done in any case.

    Raises:
        NewerDocumentError: a document that one of them is to read cannot be read here; it was made, and stays.
        UnreadableDocumentError: likewise.
    """
    forced = from_step.onwards() if from_step else ()
    current = {step: current_provenance(store, step, video_id) for step in PipelineStep if step not in forced}
    steps = pending_steps(current, from_step)
    for needed in dict.fromkeys(given for step in steps for given in step.inputs if given not in steps):
        read_current(store, needed.stage.document, video_id)  # better told now than by a run
    return steps
