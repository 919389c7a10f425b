"""The internal route: an operator's program has a video processed, with the internal key."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from madvision_assets.intake.problems import ProblemError, documented
from madvision_assets.intake.public import BODY_PROBLEMS, COMMON_PROBLEMS
from madvision_assets.intake.schemas import ProcessingAccepted, ProcessingRequest
from madvision_assets.intake.services import services_of
from madvision_assets.tools.database.operations import Operations

router = APIRouter(prefix="/internal", tags=["internal"])
_bearer = HTTPBearer(auto_error=False, scheme_name="internal key", description="MADVISION_INTERNAL_KEY")


def require_key(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None
) -> None:
    """Return where the key is right.

    Raises:
        ProblemError: ``not_found`` where the internal routes are off, else ``internal_key_invalid``.
    """
    key = services_of(request).settings.internal_key
    if key is None:
        raise ProblemError("not_found", "The internal routes are off. Set MADVISION_INTERNAL_KEY to use them.")
    given = bearer.credentials if bearer else ""
    if not hmac.compare_digest(given.encode(), key.get_secret_value().encode()):
        raise ProblemError("internal_key_invalid", headers={"WWW-Authenticate": 'Bearer realm="madvision internal"'})


@router.post(
    "/perform-video-processing",
    status_code=202,
    dependencies=[Depends(require_key)],
    responses=documented(
        "internal_key_invalid",
        "not_found",
        *BODY_PROBLEMS,
        *COMMON_PROBLEMS,
        unknown_video="404",
        forgotten_video="410",
        database_unavailable="503",
    ),
)
def perform_video_processing(request: Request, asked: ProcessingRequest) -> ProcessingAccepted:
    """Queue a video again, whatever its state; one that runs is taken from its worker."""
    operations = Operations(services_of(request).database)
    row = operations.restart(asked.video_id, asked.from_step, asked.priority)
    return ProcessingAccepted.model_validate(row.model_dump(include=set(ProcessingAccepted.model_fields)))
