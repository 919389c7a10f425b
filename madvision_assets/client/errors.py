"""What a client raises."""

from http import HTTPStatus

from madvision_assets.client.answers import Problem, VideoStatus

TRY_AGAIN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class MadVisionError(Exception):
    """Something could not be had; its text says what and why, for a person.

    Attributes:
        is_temporary: it may be had later, without anything being changed.
    """

    is_temporary = False


class ProblemError(MadVisionError):
    """The API refused it, or could not do it.

    Attributes:
        problem: in its words; ``problem.code`` is stable.
        retry_after_s: when to ask again, where it said so.
    """

    def __init__(self, problem: Problem, retry_after_s: float | None = None) -> None:
        self.problem = problem
        self.retry_after_s = retry_after_s
        self.is_temporary = problem.status in TRY_AGAIN
        super().__init__(problem.detail)

    @property
    def code(self) -> str:
        """For programs, such as ``unknown_token``."""
        return self.problem.code


class UnreachableError(MadVisionError):
    """Nobody answered, which is temporary; or not with what the API answers."""

    def __init__(self, told: str, *, is_temporary: bool = False) -> None:
        self.is_temporary = is_temporary
        super().__init__(told)


class StillUnderWayError(MadVisionError):
    """The video was not over in the time that there was.

    Attributes:
        status: where it stood last; None where nobody could say.
    """

    is_temporary = True

    def __init__(self, status: VideoStatus | None, unanswered: MadVisionError | None = None) -> None:
        self.status = status
        stood = f"{status.video_id} is still {status.status}: {status.sentence}" if status else ""
        super().__init__(" ".join(filter(None, [stood, f"Nobody could say more: {unanswered}" if unanswered else ""])))
