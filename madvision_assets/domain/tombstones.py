"""What remains of a forgotten video: that it was.

It is kept below a hash of the video's ID, since an ID may itself name somebody's video at its site: who knows it can
ask, and nobody can read it there.
"""

import hashlib
from enum import StrEnum

from pydantic import AwareDatetime

from madvision_assets.domain.failures import ForgottenVideoError
from madvision_assets.domain.provenance import Value


class ForgottenBy(StrEnum):
    """Who had a video forgotten: whoever runs the system, or whoever submitted it."""

    OPERATOR = "operator"
    SUBMITTER = "submitter"

    @property
    def told(self) -> str:
        """For a person."""
        return "whoever submitted it" if self is ForgottenBy.SUBMITTER else "an operator"


class Tombstone(Value):
    """That a video was, and was forgotten.

    Attributes:
        forgotten_at: the last time.
        forgotten_by: who wanted it.
        documents: how many its stages had made.
    """

    forgotten_at: AwareDatetime
    forgotten_by: ForgottenBy
    documents: int

    def failure(self, video_id: str) -> ForgottenVideoError:
        """What whoever asks for this video is told."""
        made = f"{self.documents} document{'s' * (self.documents != 1)}"
        day = self.forgotten_at.date().isoformat()
        return ForgottenVideoError(f"{video_id}: forgotten on {day} by {self.forgotten_by.told}, with {made}")


def tombstone_key(video_id: str) -> str:
    """What stands in place of the ID: its sha256, hex."""
    return hashlib.sha256(video_id.encode(errors="replace")).hexdigest()
