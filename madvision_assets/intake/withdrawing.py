"""Deleting one's own video: the token leads nowhere at once, and what is kept of the video goes soon after."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from madvision_assets.intake.problems import ProblemError, documented
from madvision_assets.intake.public import COMMON_PROBLEMS
from madvision_assets.intake.services import Services, services_of
from madvision_assets.intake.status import NO_SUBMISSION
from madvision_assets.intake.tokens import Token

IS_DELETED = "The video is deleted: nothing leads to it any more, and its files are gone within minutes."
IS_KEPT = (
    "Your submission is deleted, and nothing of it leads to the video any more. The video itself stays, since it was "
    "submitted more than once. Whoever holds another token of it can delete that too; where nobody knows of one, "
    "whoever runs this system can delete the video."
)

router = APIRouter(prefix="/public", tags=["public"])


class Deleted(BaseModel):
    """What became of a video whose submission is deleted."""

    video_id: str
    is_kept: Annotated[bool, Field(description="Whether it stays, for another submission.")]
    message: Annotated[str, Field(description="The same, for a person.")]


def delete(services: Services, token: str) -> Deleted:
    """Delete the submission of a token, and its video where it has no other.

    Raises:
        ProblemError: ``unknown_token``.
        Failure: the database is away.
    """
    from madvision_assets.tools.database.withdrawing import Withdrawals

    done = Withdrawals(services.database).withdraw(token)
    if done is None:
        raise ProblemError("unknown_token", NO_SUBMISSION)
    message = IS_DELETED if done.is_given_up else IS_KEPT
    return Deleted(video_id=done.video_id, is_kept=not done.is_given_up, message=message)


@router.delete(
    "/video",
    responses=documented(
        "missing_token", "unknown_token", "invalid_request", *COMMON_PROBLEMS, database_unavailable="503"
    ),
)
def delete_video(request: Request, token: Token) -> Deleted:
    """Delete a video, whatever state it is in. What others submitted too stays for them."""
    return delete(services_of(request), token)
