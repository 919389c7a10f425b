"""The internal route: an operator's program has a video processed, with the internal key."""

import base64
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
    _check(request, bearer.credentials if bearer else "", 'Bearer realm="madvision internal"')


def require_operator(request: Request) -> None:
    """Return where the key is right: as a bearer, or as the password that a browser asks for, with any user's name.

    For what only shows something: a browser sends a password again by itself, also where another site asks for it.

    Raises:
        ProblemError: as ``require_key``.
    """
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    password = _password(given) if scheme.lower() == "basic" else ""
    key = given.strip() if scheme.lower() == "bearer" else password
    _check(request, key, 'Basic realm="madvision internal", charset="UTF-8"')


def _password(encoded: str) -> str:
    """The password of RFC 7617; empty where it cannot be read."""
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _check(request: Request, given: str, challenge: str) -> None:
    key = services_of(request).settings.internal_key
    if key is None:
        raise ProblemError("not_found", "The internal routes are off. Set MADVISION_INTERNAL_KEY to use them.")
    if not hmac.compare_digest(given.encode(), key.get_secret_value().encode()):
        raise ProblemError("internal_key_invalid", headers={"WWW-Authenticate": challenge})


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
