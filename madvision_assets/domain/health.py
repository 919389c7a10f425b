"""How an outside part is, as the doctor tells it."""

from dataclasses import dataclass
from enum import StrEnum


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
