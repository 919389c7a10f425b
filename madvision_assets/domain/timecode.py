"""Time code as editors count it (SMPTE ST 12-1): frames of a rate, as hours, minutes, seconds and frames."""

from dataclasses import dataclass
from fractions import Fraction

NTSC_DENOMINATOR = 1001
DROPPING_FPS = 30  # 29.97 and its multiples drop numbers, of the nominal 30 two a minute; 23.976 does not
MINUTE_S, HOUR_S, DAY_H = 60, 3600, 24
KEPT_MINUTE = 10  # each tenth minute drops nothing


@dataclass(frozen=True)
class FrameRate:
    """A constant frame rate.

    Attributes:
        fps: exact frames per second.
    """

    fps: Fraction

    @property
    def nominal(self) -> int:
        """Whole frames that a second of time code counts."""
        return max(1, round(self.fps))

    @property
    def is_ntsc(self) -> bool:
        """Whether it is a whole rate slowed by 1000/1001."""
        return self.fps.denominator == NTSC_DENOMINATOR and self.fps * NTSC_DENOMINATOR == self.nominal * 1000

    @property
    def drops_frames(self) -> bool:
        """Whether its time code leaves numbers out, so that it keeps up with the clock."""
        return self.is_ntsc and self.nominal % DROPPING_FPS == 0

    def timecode(self, frame: int) -> str:
        """``HH:MM:SS:FF``, with a semicolon before the frames where numbers are dropped; a day later it begins anew."""
        if self.drops_frames:
            frame += self._dropped_before(frame)
        seconds, frames = divmod(frame, self.nominal)
        hours, rest_s = divmod(seconds, HOUR_S)
        minutes, rest_s = divmod(rest_s, MINUTE_S)
        mark = ";" if self.drops_frames else ":"
        return f"{hours % DAY_H:02}:{minutes:02}:{rest_s:02}{mark}{frames:02}"

    def seconds(self, frames: int) -> Fraction:
        """Exact length of so many frames."""
        return frames / self.fps

    def _dropped_before(self, frame: int) -> int:
        """How many numbers were left out before a frame."""
        each = self.nominal // DROPPING_FPS * 2
        minute = self.nominal * MINUTE_S - each
        ten_minutes = minute * KEPT_MINUTE + each
        tens, rest = divmod(frame, ten_minutes)
        return each * ((KEPT_MINUTE - 1) * tens + max(0, rest - each) // minute)
