"""The routes of tus: begin a file, ask how much of it has come, go on with it, give it up."""

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from madvision_assets.intake.limits import ClientGoneError, client_of, limit_callbacks
from madvision_assets.intake.problems import ProblemError, documented
from madvision_assets.intake.public import COMMON_PROBLEMS
from madvision_assets.intake.schemas import SubmissionAccepted, UploadStatus
from madvision_assets.intake.services import Services, base_url_of, services_of
from madvision_assets.intake.submitting import accepted
from madvision_assets.intake.uploads import protocol
from madvision_assets.intake.uploads.pace import Senders, pieces
from madvision_assets.intake.uploads.receiving import Receiver, Writer, hash_of
from madvision_assets.tools.database.uploads import UploadRow

KNOWN_PROBLEMS = ("unknown_upload", "upload_expired", "invalid_request", *COMMON_PROBLEMS)

router = APIRouter(prefix="/public/upload", tags=["uploads"])


def _header(name: str, schema: Mapping[str, Any], description: str, *, required: bool = True) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": required, "schema": dict(schema), "description": description}


# Read by hand: a wrong version is told as tus wants it.
_VERSION = _header("Tus-Resumable", {"type": "string", "enum": [protocol.VERSION]}, "The version of the protocol.")
_NUMBER = {"type": "integer", "minimum": 1, "maximum": 10**protocol.MAX_DIGITS - 1}
_LENGTH = _header("Upload-Length", _NUMBER, "Size of the file, bytes.")
_OFFSET = _header("Upload-Offset", {**_NUMBER, "minimum": 0}, "Where in the file the body begins, bytes.")
_METADATA = _header(
    "Upload-Metadata",
    {"type": "string", "pattern": r"^$|^[!-+\--~]+ [A-Za-z0-9+/]+={0,2}(,[!-+\--~]+ [A-Za-z0-9+/]+={0,2})*$"},
    "`key base64,key base64`: `filename`, and as for POST /public/video `priority`, `callback_url`, `options` (JSON).",
    required=False,
)
_FILE = {protocol.CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}}}


@router.options("", status_code=204, include_in_schema=False)
@router.options("/{secret}", status_code=204, include_in_schema=False)
def describe(request: Request) -> Response:
    """What of the protocol is spoken here."""
    told = {
        **protocol.RESUMABLE,
        "Tus-Version": protocol.VERSION,
        "Tus-Extension": protocol.EXTENSIONS,
        "Tus-Max-Size": str(services_of(request).settings.max_bytes),
    }
    return Response(status_code=204, headers=told)


@router.post(
    "",
    status_code=201,
    response_class=Response,
    openapi_extra={"parameters": [_VERSION, _LENGTH, _METADATA]},
    responses=documented(
        "uploads_off",
        "body_timeout",
        "body_too_large",
        "tus_version",
        "file_too_large",
        "invalid_request",
        "too_many_uploads",
        "upload_quota",
        "quota_spent",
        "uploads_full",
        *COMMON_PROBLEMS,
        invalid_address="422",
        refused_address="422",
        database_unavailable="503",
    ),
)
def create(request: Request) -> Response:
    """Begin to send a file (tus 1.0). Its bytes go to the address in `Location`, which is a secret, by PATCH."""
    protocol.check_version(request)
    services = services_of(request)
    if not services.settings.uploads_per_client:
        raise ProblemError("uploads_off")
    size_bytes = protocol.length_of(request, services.settings.max_bytes)
    asked = protocol.asked_in(request)
    limit_callbacks(request, [asked.callback_url])
    secret, row = Receiver(services).create(client_of(request.scope), size_bytes, asked)
    place = f"{base_url_of(request)}{router.prefix}/{secret}"
    return Response(status_code=201, headers={**protocol.state_headers(row), "Location": place})


@router.head("/{secret}", include_in_schema=False)
async def ask(request: Request, secret: str) -> Response:
    """How much has come, and what the whole file became."""
    protocol.check_version(request)
    senders: Senders = request.app.state.senders
    await senders.settled(hash_of(secret))
    row, became = await run_in_threadpool(_state, request, secret)
    return Response(headers={**protocol.state_headers(row), **protocol.receipt_headers(became)})


@router.get(
    "/{secret}",
    response_model_exclude_none=True,
    responses=documented(*KNOWN_PROBLEMS, database_unavailable="503"),
)
def read(request: Request, secret: str) -> UploadStatus:
    """How much of a file has come, and once it is whole the token of its video."""
    row, became = _state(request, secret)
    return UploadStatus(
        offset_bytes=row.offset_bytes, size_bytes=row.size_bytes, expires_at=row.expires_at, submission=became
    )


@router.patch(
    "/{secret}",
    status_code=204,
    openapi_extra={"parameters": [_VERSION, _OFFSET], "requestBody": {"required": True, "content": _FILE}},
    responses=documented(
        *KNOWN_PROBLEMS,
        "tus_version",
        "body_timeout",
        "upload_offset",
        "upload_overtaken",
        "body_too_large",
        "unsupported_media_type",
        "too_many_uploads",
        "upload_fragmented",
        "upload_quota",
        "uploads_full",
        database_unavailable="503",
        store_unavailable="503",
    ),
)
async def go_on(request: Request, secret: str) -> Response:
    """Send the next bytes of a file. The last answer has the token of its video in `MadVision-Token`."""
    protocol.check_version(request)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != protocol.CONTENT_TYPE:
        title = f"Send the body with Content-Type: {protocol.CONTENT_TYPE}."
        raise ProblemError("unsupported_media_type", kind=(415, title))
    offset_bytes = protocol.number_in(request, "Upload-Offset")
    services = services_of(request)
    receiver = Receiver(services)
    senders: Senders = request.app.state.senders
    await senders.settled(hash_of(secret))  # browsers try again by themselves, without asking for the offset
    with senders.place(client_of(request.scope), hash_of(secret)):
        writer = await run_in_threadpool(receiver.begin, secret, offset_bytes)
        _check_length(request, writer.row)
        await _receive(request, services, writer)
    became = await run_in_threadpool(_accepted, request, receiver, secret, writer.row)
    return Response(status_code=204, headers={**protocol.state_headers(writer.row), **protocol.receipt_headers(became)})


@router.delete(
    "/{secret}",
    status_code=204,
    openapi_extra={"parameters": [_VERSION]},
    responses=documented(
        *KNOWN_PROBLEMS, "tus_version", "upload_finished", database_unavailable="503", store_unavailable="503"
    ),
)
def give_up(request: Request, secret: str) -> Response:
    """Give an unfinished file up; what came of it is deleted."""
    protocol.check_version(request)
    Receiver(services_of(request)).end(secret)
    return Response(status_code=204, headers=protocol.RESUMABLE)


async def _receive(request: Request, services: Services, writer: Writer) -> None:
    """Take the body in, block by block; where it breaks off, what came is kept."""
    try:
        async with aclosing(pieces(request.receive, services.settings.upload_min_bytes_per_s)) as coming:
            async for piece in coming:
                writer.add(piece)
                while writer.has_block:
                    await run_in_threadpool(writer.keep)
        await run_in_threadpool(writer.keep)
    except (ClientGoneError, ProblemError):
        await run_in_threadpool(writer.keep_rest)
        raise


def _check_length(request: Request, row: UploadRow) -> None:
    """Refuse what the file has no room for before it comes."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > row.size_bytes - row.offset_bytes:
        raise ProblemError("body_too_large", f"Only {row.size_bytes - row.offset_bytes} bytes of the file are missing.")


def _state(request: Request, secret: str) -> tuple[UploadRow, SubmissionAccepted | None]:
    receiver = Receiver(services_of(request))
    row = receiver.find(secret)
    return row, _accepted(request, receiver, secret, row)


def _accepted(request: Request, receiver: Receiver, secret: str, row: UploadRow) -> SubmissionAccepted | None:
    receipt = receiver.receipt(secret, row)
    return accepted(receipt, base_url_of(request)) if receipt else None
