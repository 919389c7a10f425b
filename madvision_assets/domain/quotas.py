"""What one client may have taken in on one day, from midnight to midnight UTC."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MINUTE_S = 60
GB = 10**9
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Taken:
    """What was taken in.

    Attributes:
        size_bytes: that came, in vain or not.
        media_s: length of the videos that were taken over, seconds.
    """

    size_bytes: int = 0
    media_s: float = 0.0


@dataclass(frozen=True)
class QuotaRules:
    """The share of each client; 0 is no limit.

    Attributes:
        size_bytes: a day.
        minutes: of video, a day.
    """

    size_bytes: int = 0
    minutes: int = 0

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit."""
        return bool(self.size_bytes or self.minutes)

    def complaint(self, taken: Taken) -> str | None:
        """Which share is used up, in words; None while there is some left."""
        if self.minutes and taken.media_s >= self.minutes * MINUTE_S:
            return f"{taken.media_s / MINUTE_S:.0f} minutes of video were taken in, and a day has {self.minutes}"
        if self.size_bytes and taken.size_bytes >= self.size_bytes:
            return f"{taken.size_bytes / GB:.1f} GB were taken in, and a day has {self.size_bytes / GB:.1f} GB"
        return None


def day_of(now: datetime) -> datetime:
    """When the day began."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def seconds_left(now: datetime) -> float:
    """Until the next day begins."""
    return (day_of(now) + DAY - now).total_seconds()
