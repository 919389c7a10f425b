"""What a client raises."""

from madvision_assets.client.answers import Problem, VideoStatus


class MadVisionError(Exception):
    """Something could not be had; its text says what and why, for a person."""


class ProblemError(MadVisionError):
    """The API refused it, or could not do it.

    Attributes:
        problem: in its words; ``problem.code`` is stable.
        retry_after_s: when to ask again, where it said so.
    """

    def __init__(self, problem: Problem, retry_after_s: float | None = None) -> None:
        self.problem = problem
        self.retry_after_s = retry_after_s
        super().__init__(problem.detail)

    @property
    def code(self) -> str:
        """For programs, such as ``unknown_token``."""
        return self.problem.code


class UnreachableError(MadVisionError):
    """Nobody answered, or not with what the API answers."""


class StillUnderWayError(MadVisionError):
    """The video was not over in the time that there was.

    Attributes:
        status: where it stood last.
    """

    def __init__(self, status: VideoStatus) -> None:
        self.status = status
        super().__init__(f"{status.video_id} is still {status.status}: {status.sentence}")
