"""Whether the service lives, and whether it can take submissions in."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from madvision_assets.domain import health
from madvision_assets.domain.failures import Failure, FailureClass, leaf_of
from madvision_assets.intake.metrics import Remembered
from madvision_assets.intake.problems import RETRY_AFTER_S, ProblemError, documented
from madvision_assets.intake.services import Services
from madvision_assets.tools.database.figures import Figures

PROBE_LIMIT_S = 5.0
KEEP_S = 5.0

router = APIRouter(tags=["operation"])


class CheckStatus(StrEnum):
    """How a part is; a failed one is needed to take submissions in."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


class Check(BaseModel):
    """One part."""

    name: str
    status: CheckStatus
    detail: Annotated[str, Field(description="What was found, and what to do.")] = ""


class Alive(BaseModel):
    """The service lives."""

    status: Annotated[str, Field(examples=["alive"])] = "alive"


class Readiness(BaseModel):
    """Every part; degraded where submissions are taken in, but something holds processing up."""

    status: Annotated[str, Field(examples=["ready", "degraded"])]
    checks: list[Check]


@router.get("/healthz", responses=documented("not_ready", "internal_error"))
async def healthz(request: Request) -> Alive:
    """Whether the service lives, whatever else is away; 503 where it alone no longer gets through to the database."""
    complaint = request.app.state.round_trips.complaint()
    if complaint is not None:
        raise ProblemError("not_ready", complaint)
    return Alive()


@router.get("/readyz", responses=documented("not_ready", "internal_error"))
def readyz(request: Request) -> Readiness:
    """Whether submissions can be taken in; 503 where they cannot."""
    checks: list[Check] = request.app.state.checks()
    failed = [check for check in checks if check.status is CheckStatus.FAILED]
    if failed:
        detail = " ".join(f"{check.name}: {check.detail}" for check in failed)
        raise ProblemError("not_ready", detail, headers={"Retry-After": str(RETRY_AFTER_S)})
    all_well = all(check.status is CheckStatus.OK for check in checks)
    return Readiness(status="ready" if all_well else "degraded", checks=checks)


def make_checks(services: Services) -> Callable[[], list[Check]]:
    """The checks of these parts, whose answers hold for some seconds."""
    figures = Figures(services.database)
    parts = (
        _Part("database", services.database.check, CheckStatus.FAILED),
        _Part("store", services.store.check, CheckStatus.FAILED),
        _Part("tables", services.database.newer_tables, CheckStatus.DEGRADED),
        *(_Part(each.part, partial(_check_sensor, figures, each), CheckStatus.DEGRADED) for each in health.SENSORS),
        _Part("breakers", partial(_check_breakers, figures), CheckStatus.DEGRADED),
    )
    pool = ThreadPoolExecutor(len(parts), thread_name_prefix="readiness")

    def ask() -> list[Check]:
        pending = [part.begin(pool) for part in parts]
        return [part.end(each) for part, each in zip(parts, pending, strict=True)]

    return Remembered(ask, KEEP_S)


@dataclass
class _Part:
    """A part that is asked in a thread of its own, and by one at a time: one that hangs must not take all threads."""

    name: str
    probe: Callable[[], str | None]
    when_bad: CheckStatus
    asked: Future[str | None] | None = field(default=None)

    def begin(self, pool: ThreadPoolExecutor) -> Future[str | None]:
        if self.asked is None or self.asked.done():
            self.asked = pool.submit(self.probe)
        return self.asked

    def end(self, asked: Future[str | None]) -> Check:
        try:
            complaint = asked.result(PROBE_LIMIT_S)
        except TooLate:
            complaint = f"It gave no answer within {PROBE_LIMIT_S:g} s."
        except Failure as failure:
            complaint = failure.sentence
        return Check(name=self.name, status=self.when_bad if complaint else CheckStatus.OK, detail=complaint or "")


def _check_sensor(figures: Figures, sensor: health.Beating) -> str | None:
    silence = sensor.silence(figures.beats().get(sensor.name), datetime.now(UTC))
    return f"{silence.capitalize()}; {sensor.meanwhile}. {health.MEND_SENSOR}" if silence else None


def _check_breakers(figures: Figures) -> str | None:
    told = []
    for breaker in figures.open_breakers():
        leaf = leaf_of(breaker.cause or "")
        by_itself = leaf.failure_class is not FailureClass.OPERATOR
        told.append(f"{breaker.name}: {leaf.sentence}{' It is probed again by itself.' if by_itself else ''}")
    return " ".join(told) or None
