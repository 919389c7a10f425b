"""The public routes: submit an address, and follow it with the token."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from madvision_assets.intake.limits import RateLimits, client_of, limit_callbacks
from madvision_assets.intake.problems import Problem, ProblemError, documented
from madvision_assets.intake.schemas import BatchRequest, SubmissionAccepted, SubmissionRequest, VideoStatus
from madvision_assets.intake.services import base_url_of, services_of
from madvision_assets.intake.status import status_of
from madvision_assets.intake.submitting import accepted, submit_many, submit_one
from madvision_assets.intake.tokens import Token

BODY_PROBLEMS = ("invalid_json", "body_timeout", "body_too_large", "unsupported_media_type", "invalid_request")
COMMON_PROBLEMS = ("too_many_requests", "internal_error")

router = APIRouter(prefix="/public", tags=["public"])


class BatchAccepted(BaseModel):
    """For each video of a batch a receipt or a problem, in the same order."""

    submissions: list[SubmissionAccepted | Problem]


@router.post(
    "/video",
    status_code=202,
    response_model=SubmissionAccepted,
    response_model_exclude_none=True,
    responses=documented(
        *BODY_PROBLEMS,
        *COMMON_PROBLEMS,
        "quota_spent",
        invalid_address="422",
        refused_address="422",
        database_unavailable="503",
    ),
)
def submit(request: Request, asked: SubmissionRequest) -> Response:
    """Submit the address of a video. The same video submitted twice is processed once, and has two tokens."""
    limit_callbacks(request, [asked.callback_url])
    receipt = accepted(submit_one(services_of(request), asked, client_of(request.scope)), base_url_of(request))
    body = receipt.model_dump_json(exclude_none=True)
    return Response(body, 202, {"Location": receipt.status_url}, media_type="application/json")


@router.post(
    "/videos",
    status_code=202,
    response_model=BatchAccepted,
    response_model_exclude_none=True,
    responses=documented(*BODY_PROBLEMS, *COMMON_PROBLEMS, "quota_spent", database_unavailable="503"),
)
def submit_batch(request: Request, asked: BatchRequest) -> Response:
    """Submit up to 1000 videos; those that can be taken are, and each of the others says why not."""
    rate_limits: RateLimits = request.app.state.rate_limits
    rate_limits.admit_addresses(request.scope, len(asked.videos))
    named = [each.get("callback_url") for each in asked.videos if isinstance(each, dict)]
    limit_callbacks(request, [each for each in named if isinstance(each, str)])
    base_url = base_url_of(request)
    answers = submit_many(services_of(request), asked.videos, client_of(request.scope))
    told = [each.problem if isinstance(each, ProblemError) else accepted(each, base_url) for each in answers]
    body = BatchAccepted(submissions=told).model_dump_json(exclude_none=True)
    return Response(body, 202, media_type="application/json")


@router.get(
    "/video/status",
    responses=documented(
        "missing_token", "unknown_token", "invalid_request", *COMMON_PROBLEMS, database_unavailable="503"
    ),
)
def read_status(request: Request, token: Token) -> VideoStatus:
    """Where a video stands, and its clips once they are made."""
    return status_of(services_of(request), token, base_url_of(request))
