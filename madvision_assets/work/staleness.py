"""What would come out otherwise today: which documents were made by prompts, models, rules or code that changed since.

Nothing is redone by itself because of that, unless an operator wants it. What an analyst without a key stood in for is,
since it was only ever provisional.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from madvision_assets.domain.clip_edits import ENGINE as EDITOR
from madvision_assets.domain.failures import AnalystRateLimitedError, AnalystUnavailableError, Resource
from madvision_assets.domain.lineage import NewestDocument
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.analyst import Analyst
from madvision_assets.tools.database import Database

# What is redone gives way to what is new.
REDO_PRIORITY = -10
FINGERPRINT_HEX_DIGITS = 8
AWAY = (AnalystUnavailableError, AnalystRateLimitedError)
UPGRADED_AT_ONCE = 20
# Looking costs a walk through the lineage.
BUSY_PAUSE_S, IDLE_PAUSE_S = 120.0, 900.0
OFFLINE = "offline"


@dataclass(frozen=True)
class Stale:
    """A video of which a stage would come out otherwise.

    Attributes:
        video_id: the partition.
        step: the first such stage; all later ones are made from it.
        why: in a few words.
        cost_usd: what it and the later ones cost when they were made, US dollars.
        wall_s: what they took, seconds.
    """

    video_id: str
    step: PipelineStep
    why: str
    cost_usd: float
    wall_s: float


def away(database: Database) -> tuple[datetime, datetime] | None:
    """Since when the books have had the analyst away, and when he was last asked in vain; None while he answers."""
    from madvision_assets.tools.database.paid_calls import PaidCalls

    his = [step.value for step in PipelineStep if step.stage.guard is Resource.ANALYST]
    return PaidCalls(database).failing([leaf.code for leaf in AWAY], his)


# Why a document would come out otherwise; None where it would not.
Reason = Callable[[NewestDocument], str | None]


def code_versions(analyst: Analyst) -> Mapping[PipelineStep, str]:
    """The version of each stage's code; of those that the analyst does, with a hash of what he goes by."""
    return {step: _version(step, analyst) for step in PipelineStep}


def changed_since(now: Mapping[PipelineStep, str]) -> Reason:
    """Whatever is not of the version that is made today."""

    def reason(made: NewestDocument) -> str | None:
        return None if made.code_version == now[made.step] else f"{made.code_version} is {now[made.step]} now"

    return reason


def changed_code(made: NewestDocument) -> str | None:
    """What is of another version of our code, whatever prompts and models it is made by."""
    was, now = made.code_version.partition("-")[0], made.step.stage.code_version
    return None if was == now else f"code {was} is {now} now"


def other_model(name: str, steps: Iterable[PipelineStep], is_of: Callable[[str], bool]) -> Reason:
    """What another model than this one made, on these stages."""
    wanted = frozenset(steps)

    def reason(made: NewestDocument) -> str | None:
        if made.step not in wanted or is_of(made.model) or _asked_nobody(made):
            return None
        return f"made by {made.model or made.engine}, not {name}"

    return reason


def other_prompt(hashes: Mapping[PipelineStep, str]) -> Reason:
    """What was asked for by another prompt, on the stages that ask by it."""

    def reason(made: NewestDocument) -> str | None:
        wanted = hashes.get(made.step)
        if wanted is None or made.engine == OFFLINE or made.prompt_hash == wanted or _asked_nobody(made):
            return None
        return "asked otherwise"

    return reason


def provisional(made: NewestDocument) -> str | None:
    """What rules stood in for a language model at."""
    return "provisional" if made.engine == OFFLINE else None


def find(database: Database, reason: Reason, limit: int | None = None, *, by_itself: bool = False) -> Iterator[Stale]:
    """The videos of which something would come out otherwise, by their IDs; those that are being processed not.

    Args:
        database: whose lineage is asked.
        reason: decides.
        limit: so many at most; None for all.
        by_itself: nobody asks: what was last done again in vain is left alone, or it would be paid for without end.
    """
    from madvision_assets.tools.database.newest import newest_documents

    found = 0
    for video_id, documents in groupby(
        newest_documents(database, but_failed=by_itself), key=lambda made: made.video_id
    ):
        stale = _first(video_id, list(documents), reason)
        if stale is None:
            continue
        yield stale
        found += 1
        if found == limit:
            return


def redo(database: Database, stale: Sequence[Stale]) -> int:
    """Queue these again, each from its first stage that would come out otherwise, behind all that is new.

    Returns:
        How many.
    """
    from madvision_assets.tools.database.operations import Operations

    operations, count = Operations(database), 0
    for step in PipelineStep:
        video_ids = [each.video_id for each in stale if each.step is step]
        if video_ids:
            count += operations.requeue(video_ids=video_ids, from_step=step, priority=REDO_PRIORITY)
    return count


@dataclass
class Upgrader:
    """Has done again what was provisional, once there is an analyst who can; and, where that is wanted, what is stale.

    Args:
        database: whose lineage is asked.
        versions: of what is made today.
        is_provisional: whether that is provisional, too.
        auto_redo: whether all that would come out otherwise is to be redone.
    """

    database: Database
    versions: Mapping[PipelineStep, str]
    is_provisional: bool
    auto_redo: bool
    _looks_again_s: float = 0.0

    def upgrade(self) -> int:
        """Queue a few videos again, now and then; says how many."""
        if time.monotonic() < self._looks_again_s or (self.is_provisional and not self.auto_redo):
            return 0
        from madvision_assets.tools.database.figures import Figures

        if Resource.ANALYST in {breaker.name for breaker in Figures(self.database).open_breakers()}:
            return 0  # a video that is done would wait in vain
        # While nobody knows whether the analyst is back, one video finds out; rules stand in again if he is not.
        is_away = away(self.database) is not None
        at_once = 1 if is_away else UPGRADED_AT_ONCE
        found = [] if self.is_provisional else list(find(self.database, provisional, at_once, by_itself=True))
        if self.auto_redo and not found and not is_away:
            found = list(find(self.database, changed_since(self.versions), UPGRADED_AT_ONCE, by_itself=True))
        self._looks_again_s = time.monotonic() + (IDLE_PAUSE_S if is_away or not found else BUSY_PAUSE_S)
        return redo(self.database, found)


def _asked_nobody(made: NewestDocument) -> bool:
    """Whether there was nothing to ask a language model, since nobody speaks."""
    of_analyst = made.step.stage.guard is Resource.ANALYST and made.engine != OFFLINE
    return of_analyst and not (made.model or made.prompt_hash)


def _version(step: PipelineStep, analyst: Analyst) -> str:
    own = step.stage.code_version
    if step.stage.guard is not Resource.ANALYST:
        return own
    goes_by = hashlib.sha256(analyst.fingerprint(step.value).encode()).hexdigest()
    return f"{own}-{goes_by[:FINGERPRINT_HEX_DIGITS]}"


def _first(video_id: str, documents: Sequence[NewestDocument], reason: Reason) -> Stale | None:
    by_step = {made.step: made for made in documents}
    chosen = by_step.get(PipelineStep.CLIP_CANDIDATES)
    by_a_person = chosen is not None and chosen.engine == EDITOR
    for step in PipelineStep:
        if by_a_person and chosen is not None and chosen.step in step.onwards():
            continue  # nothing takes an editor's clips away but a person who asks for that
        why = reason(by_step[step]) if step in by_step else None
        if why is not None:
            later = [by_step[each] for each in step.onwards() if each in by_step]
            return Stale(video_id, step, why, sum(m.cost_usd for m in later), sum(m.wall_s for m in later))
    return None
