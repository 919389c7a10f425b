"""The headers of tus 1.0, as they are read and written."""

import base64
import binascii
import json
from collections.abc import Mapping
from email.utils import format_datetime
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request

from madvision_assets.domain.received import plain_name
from madvision_assets.intake.problems import FieldError, ProblemError
from madvision_assets.intake.schemas import SubmissionAccepted, UploadRequest
from madvision_assets.tools.database.uploads import UploadRow

VERSION = "1.0.0"
EXTENSIONS = "creation,expiration,termination"
CONTENT_TYPE = "application/offset+octet-stream"
MAX_DIGITS = 18
RESUMABLE = {"Tus-Resumable": VERSION}
# Keys of the metadata that are ours, and those by which common clients name the file.
NAMES = ("filename", "name")


def check_version(request: Request) -> None:
    """Return where the client speaks our version.

    Raises:
        ProblemError: ``tus_version``.
    """
    if request.headers.get("tus-resumable") != VERSION:
        raise ProblemError(
            "tus_version", f"Send the header Tus-Resumable: {VERSION}.", headers={"Tus-Version": VERSION, **RESUMABLE}
        )


def length_of(request: Request, max_bytes: int) -> int:
    """How large the file is.

    Raises:
        ProblemError: ``invalid_request``, ``file_too_large``.
    """
    size_bytes = number_in(request, "Upload-Length")
    if not size_bytes:
        raise refused_header("Upload-Length", "The file is empty.")
    if size_bytes > max_bytes:
        detail = f"The file has {size_bytes} bytes, and at most {max_bytes} are taken. Nothing was sent."
        raise ProblemError("file_too_large", detail)
    return size_bytes


def number_in(request: Request, name: str) -> int:
    """The whole number in a header.

    Raises:
        ProblemError: ``invalid_request``.
    """
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS):
        raise refused_header(name, "Give a whole number of bytes.")
    return int(text)


def asked_in(request: Request) -> UploadRequest:
    """What is asked of the video, out of ``Upload-Metadata``; what is not ours in it is passed over.

    Raises:
        ProblemError: ``invalid_request``.
    """
    told = _metadata(request.headers.get("upload-metadata", ""))
    asked: dict[str, Any] = {"name": next((plain_name(told[name]) for name in NAMES if told.get(name)), "")}
    if told.get("callback_url"):
        asked["callback_url"] = told["callback_url"]
    for name in ("priority", "options"):
        if told.get(name):
            asked[name] = _json(name, told[name])
    try:
        return UploadRequest.model_validate(asked)
    except ValidationError as error:
        raise ProblemError.of_fields(error.errors(include_url=False, include_input=False), in_body=False) from error


def state_headers(upload: UploadRow) -> dict[str, str]:
    """Where an upload stands."""
    return {
        **RESUMABLE,
        "Upload-Offset": str(upload.offset_bytes),
        "Upload-Length": str(upload.size_bytes),
        "Upload-Expires": format_datetime(upload.expires_at, usegmt=True),
    }


def receipt_headers(accepted: SubmissionAccepted | None) -> dict[str, str]:
    """What a whole file became; nothing while it is not whole."""
    if accepted is None:
        return {}
    told: Mapping[str, str | None] = {
        "MadVision-Token": accepted.token,
        "MadVision-Video-Id": accepted.video_id,
        "MadVision-Status-Url": accepted.status_url,
        "MadVision-Page-Url": accepted.page_url,
        "MadVision-Callback-Secret": accepted.callback_secret,
    }
    return {name: value for name, value in told.items() if value is not None}


def refused_header(name: str, detail: str) -> ProblemError:
    """A header that cannot be taken."""
    error = FieldError(detail=detail, parameter=name)
    return ProblemError("invalid_request", f"{name}: {detail}", errors=[error])


def _metadata(text: str) -> dict[str, str]:
    """The pairs in ``key base64,key base64``."""
    told: dict[str, str] = {}
    for each in filter(None, (part.strip() for part in text.split(","))):
        key, _, value = each.partition(" ")
        try:
            told[key] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise refused_header("Upload-Metadata", "A value is not UTF-8 in Base64.") from error
    return told


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refused_header("Upload-Metadata", f"{name} is not JSON.") from error
