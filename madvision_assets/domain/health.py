"""How an outside part is, as the doctor tells it, and which parts give signs of life in the database."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MINUTE_S = 60.0


class Health(StrEnum):
    """How a part is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One part: how it is, what was found, and what to do (empty where nothing is)."""

    part: str
    health: Health
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Beating:
    """A part that gives a sign of life each time it has done its work.

    Attributes:
        name: among the heartbeats.
        part: as people call it.
        silent_after_s: older than this, its last sign means that it does not work.
        meanwhile: what its silence means for others.
    """

    name: str
    part: str
    silent_after_s: float
    meanwhile: str

    def silence(self, beat_at: datetime | None, now: datetime) -> str | None:
        """That it is silent, in words; None where it has done its work lately."""
        if beat_at is None:
            return "it never gave a sign of life"
        silent_s = (now - beat_at).total_seconds()
        if silent_s > self.silent_after_s:
            return f"its last sign of life was {_span(silent_s)} ago"
        if silent_s < -self.silent_after_s:  # one that works would have overwritten it since
            return f"its last sign of life lies {_span(-silent_s)} in the future: a clock is wrong, or was"
        return None


def _span(span_s: float) -> str:
    return f"{span_s:.0f} s" if span_s < 2 * MINUTE_S else f"{span_s / MINUTE_S:.0f} min"


QUEUE_SENSOR = Beating("queue_sensor", "queue sensor", 60.0, "submissions are taken and wait")
RECONCILER = Beating("queue_reconciler", "reconciler", 90.0, "videos whose run was lost wait")
WEBHOOK_SENSOR = Beating("webhook_sensor", "webhook sensor", 90.0, "callbacks wait")
HOUSEKEEPING = Beating(
    "housekeeping", "housekeeping", 300.0, "what submitters deleted stays, and nothing that is old goes by itself"
)

MEND_SENSOR = (
    "Start the Dagster daemon and the code server where they do not run (make up starts both); see that the sensor is "
    "on in its page, and what its last ticks say."
)

# The sensors that work at every tick; the others have nothing to do unless a run fails, and the daemon watches them.
SENSORS = (QUEUE_SENSOR, RECONCILER, WEBHOOK_SENSOR, HOUSEKEEPING)
