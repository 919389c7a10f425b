"""What the database gives back, as frozen values."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator

from madvision_assets.domain.breakers import Breaker, BreakerState
from madvision_assets.domain.clips import Outcome
from madvision_assets.domain.failures import WithdrawnError
from madvision_assets.domain.provenance import Provenance, Value, VideoId
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import LAST_STEP, PipelineStep, is_stage
from madvision_assets.domain.video import Options

# What the name of a person's lease begins with (``replacements``); no run of Dagster has such a name.
BY_A_PERSON = "person-"


def _known(name: Any) -> Any:
    """The last stage, in place of one that only a newer version of this program knows; claims leave such rows alone."""
    return name if not isinstance(name, str) or is_stage(name) else LAST_STEP


# A stage as a column holds it.
Step = Annotated[PipelineStep, BeforeValidator(_known)]


class LineageRow(Provenance):
    """One materialisation: the provenance block of the document that it made, and where that lies.

    Attributes:
        id: counts up in the order of writing.
        video_id: the partition.
        uri: of the document, in the store that it was written to.
        package_version: of the program that made it; None where a version before it was told did.
        code_commit: likewise, where it ran from a checkout or was built from one.
    """

    id: int
    video_id: VideoId
    uri: str
    package_version: str | None = None
    code_commit: str | None = None


class SchemaState(Value):
    """Which migrations a database has seen.

    Attributes:
        current: its revision; None where it has no tables of ours.
        head: the revision that this version of the program needs.
        is_newer: a later version of the program migrated it. Migrations only add, so this one can work on.
    """

    current: str | None
    head: str
    is_newer: bool = False

    @property
    def is_usable(self) -> bool:
        """Whether nothing is left to migrate."""
        return self.is_newer or self.current == self.head


class QueueRow(Value):
    """A video's row of ``video_processing_queue``.

    Attributes:
        pipeline_step: the step under way, or the next one to be done.
        progress: of the whole, 0 to 1.
        step_progress: of the step, 0 to 1.
        message: what is being done, in a few words.
        priority: a higher one is done earlier.
        retry: retries used up by failures of this video's own.
        lost_workers: workers lost in a row on this step.
        attempt: counts the attempts; the fencing token of the one under way.
        failure_cause: code of the taxonomy; None while all is well.
        next_attempt_at: a waiting video is tried again from then on.
        turn_of: the client who takes turns with others by it.
        turn_s: when a client's queued video has its turn among those of other clients, seconds since 1970.
        heartbeat_at: the running worker's last sign of life.
        run_id: the Dagster run of the last attempt.
        from_step: this step and all later ones are to be done again.
        source: what is throttled together: the extractor, else the host.
        resource: name of the breaker that guards ``pipeline_step``.
        outcome: how it ended, once it is done; also while it is done again, until other clips count.
    """

    video_id: VideoId
    status: QueueStatus
    pipeline_step: Step
    progress: float
    step_progress: float
    message: str
    priority: int
    retry: int
    lost_workers: int
    attempt: int
    failure_cause: str | None
    failure_details: str | None
    next_attempt_at: AwareDatetime
    turn_of: str | None = None
    turn_s: float | None = None
    heartbeat_at: AwareDatetime | None
    run_id: str | None
    from_step: Step | None
    source: str
    resource: str | None
    outcome: Outcome | None
    outcome_reason: str | None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    finished_at: AwareDatetime | None

    @property
    def is_withdrawn(self) -> bool:
        """Whether nobody wants the video any more, and it is to be deleted."""
        return self.status is QueueStatus.FAILED and self.failure_cause == WithdrawnError.code

    @property
    def is_by_a_person(self) -> bool:
        """Whether whoever has it, or had it last, is a person who keeps a document, and gives no sign of life."""
        return (self.run_id or "").startswith(BY_A_PERSON)

    @property
    def turn_at(self) -> datetime:
        """When it is its turn; it is sorted by that."""
        return self.next_attempt_at if self.turn_s is None else datetime.fromtimestamp(self.turn_s, UTC)

    def behind(self, breaker: Breaker | None) -> "QueueRow":
        """As somebody outside sees it: a video whose turn has come waits where its next step's breaker is open."""
        if breaker is None or breaker.probe_at is None or breaker.state is BreakerState.CLOSED:
            return self
        if self.status not in {QueueStatus.QUEUED, QueueStatus.WAITING}:
            return self
        return self.model_copy(
            update={
                "status": QueueStatus.WAITING,
                "failure_cause": breaker.cause,
                "failure_details": breaker.details,
                "next_attempt_at": max(self.next_attempt_at, breaker.probe_at),
            }
        )


class TrackedVideo(Value):
    """A video as its submitter sees it: the address that he gave himself, its options, and where it stands."""

    address: str
    options: Options
    row: QueueRow
