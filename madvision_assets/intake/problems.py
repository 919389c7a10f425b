"""Everything that is refused or fails, as one form: RFC 9457 problem documents with a stable ``code``."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, ValidationError
from starlette.responses import Response

from madvision_assets.domain.failures import Failure, FailureClass

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20
MAX_POINTER_CHARS = 200
RETRY_AFTER_S = 10

# Status and title of each code of our own; those of the taxonomy bring their sentence.
KINDS: Mapping[str, tuple[int, str]] = {
    "invalid_json": (400, "The body is not JSON."),
    "invalid_range": (400, "The Range header cannot be read."),
    "missing_token": (401, "The token of the submission is missing."),
    "internal_key_invalid": (401, "The key of the internal routes is missing or wrong."),
    "unknown_token": (404, "No submission has this token."),
    "unknown_upload": (404, "There is no such upload."),
    "unknown_clip": (404, "The video has no such clip."),
    "no_clips": (404, "The video has no clips."),
    "no_moments": (404, "No moments are chosen of the video yet."),
    "no_transcript": (404, "The video has no transcript yet."),
    "not_found": (404, "There is nothing at this address."),
    "method_not_allowed": (405, "The method is not allowed here."),
    "uploads_off": (403, "No files are taken here. Submit the address of the video."),
    "clips_of_another": (403, "This is not the token of the first submission of this video."),
    "body_timeout": (408, "The body took too long to arrive."),
    "upload_offset": (409, "The upload goes on at another byte."),
    "upload_overtaken": (409, "Another request goes on with this upload."),
    "upload_finished": (409, "The upload has become a video."),
    "edit_outdated": (409, "The clips were changed meanwhile."),
    "video_busy": (409, "The video is being processed just now."),
    "upload_expired": (410, "The upload is not there any more."),
    "tus_version": (412, "The upload protocol is tus 1.0.0."),
    "body_too_large": (413, "The body is too large."),
    "file_too_large": (413, "The file is too large."),
    "unsupported_media_type": (415, "The body must be JSON."),
    "range_not_satisfiable": (416, "The file has no such bytes."),
    "unknown_host": (421, "This server is not known by that name."),
    "edit_refused": (422, "The changes cannot be made."),
    "invalid_request": (422, "The request does not have the form that is asked for."),
    "too_many_requests": (429, "There were too many requests. Wait, then go on."),
    "too_many_uploads": (429, "Too many files are being sent."),
    "upload_fragmented": (429, "The file comes in too many small requests."),
    "upload_quota": (429, "Your files take all the room that one client has."),
    "quota_spent": (429, "Your share of today is used up."),
    "internal_error": (500, "Something went wrong here; the log has the details."),
    "uploads_full": (503, "There is no room for more files at the moment."),
    "not_ready": (503, "A part that the service cannot do without is away."),
}
# Where a failure of the taxonomy is not the client's.
_STATUS_OF_FAILURE: Mapping[str, int] = {
    "unknown_video": 404,
    "forgotten_video": 410,
    "missing_input": 404,
    "database_unavailable": 503,
    "database_denied": 503,
    "schema_outdated": 503,
    "schema_foreign": 503,
    "disk_full": 503,
    "store_unavailable": 503,
    "store_denied": 503,
    "store_region": 503,
    "clock_skewed": 503,
    "newer_document": 503,
    "unreadable_document": 500,
}


class FieldError(BaseModel):
    """What is wrong with one part of a request."""

    detail: str
    pointer: Annotated[str | None, Field(description="JSON pointer into the body.")] = None
    parameter: Annotated[str | None, Field(description="Name of the parameter or header.")] = None


class Problem(BaseModel):
    """A problem document, RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    code: Annotated[str, Field(description="Stable, for programs.")]
    errors: list[FieldError] | None = None


class ProblemError(Exception):
    """A request ends with this problem.

    Args:
        code: one of ``KINDS``, or of the taxonomy.
        detail: what is special to this case; shown to the client.
        errors: the parts of the request that are wrong.
        headers: of the answer.
        kind: status and title of a code that ``KINDS`` does not list.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        kind: tuple[int, str] | None = None,
    ) -> None:
        status, title = kind or KINDS[code]
        self.headers = dict(headers or {})
        self.problem = Problem(
            type=f"urn:problem-type:madvision:{code}",
            title=title,
            status=status,
            detail=detail or title,
            code=code,
            errors=list(errors) or None,
        )
        super().__init__(self.problem.detail)

    @classmethod
    def of(cls, failure: Failure, *, pointer: str | None = None) -> Self:
        """A failure of the taxonomy; what is ours to mend shows no details, which would name hosts and folders.

        Args:
            failure: what happened.
            pointer: the part of the body that it is about.
        """
        asked_wrongly = failure.failure_class is FailureClass.PERMANENT
        status = _STATUS_OF_FAILURE.get(failure.code, 422 if asked_wrongly else 500)
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            return cls(failure.code, headers={"Retry-After": str(RETRY_AFTER_S)}, kind=(status, failure.sentence))
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            known = failure.code in _STATUS_OF_FAILURE
            return cls(failure.code, kind=(status, failure.sentence)) if known else cls("internal_error")
        detail = f"{failure.sentence} ({_printable(failure.details)})" if failure.details else failure.sentence
        errors = [FieldError(detail=detail, pointer=pointer)] if pointer else []
        return cls(failure.code, detail, errors=errors, kind=(status, failure.sentence))

    @classmethod
    def of_fields(cls, errors: Sequence[Mapping[str, Any]], *, in_body: bool | None = None) -> Self:
        """What pydantic found wrong, without repeating what was sent.

        Args:
            errors: pydantic's list.
            in_body: whether the places are relative to the body; None where each says so itself, as FastAPI's do.
        """
        if any(error["type"] == "json_invalid" for error in errors):
            return cls("invalid_json", f"The body is not JSON: {errors[0].get('ctx', {}).get('error', 'unreadable')}.")
        found = [_field_error(error, in_body=in_body) for error in errors[:MAX_ERRORS]]
        first = found[0]
        place = first.pointer or first.parameter
        return cls("invalid_request", f"{place}: {first.detail}" if place else first.detail, errors=found)

    @classmethod
    def of_validation(cls, error: ValidationError) -> Self:
        """One part of a batch that does not have its form."""
        return cls.of_fields(error.errors(include_url=False, include_input=False), in_body=True)


class ProblemResponse(Response):
    """The answer that a problem is."""

    media_type = MEDIA_TYPE

    def __init__(self, error: ProblemError) -> None:
        body = error.problem.model_dump_json(exclude_none=True)
        super().__init__(body, error.problem.status, error.headers)


def documented(*codes: str, **examples: str) -> dict[int | str, dict[str, Any]]:
    """The answers with these codes, as OpenAPI describes them.

    Args:
        codes: of ``KINDS``.
        examples: codes of the taxonomy, each with its status.
    """
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(KINDS[code][0], []).append(code)
    for code, status in examples.items():
        by_status.setdefault(int(status), []).append(code)
    return {
        status: {
            "description": "Problem: " + ", ".join(f"`{code}`" for code in found),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, found in sorted(by_status.items())
    }


# What pydantic says there names its own classes.
_NO_OBJECT = {"model_type", "model_attributes_type", "dict_type"}


def _field_error(error: Mapping[str, Any], *, in_body: bool | None) -> FieldError:
    place = [str(part) for part in error["loc"]]
    detail = "Input should be an object" if error["type"] in _NO_OBJECT else _told(error["msg"])
    if in_body is None:
        in_body = place[:1] == ["body"]
        place = place[1:]
    if not in_body:
        return FieldError(detail=detail, parameter=_printable(".".join(place)))
    escaped = [part.replace("~", "~0").replace("/", "~1") for part in place]
    return FieldError(detail=detail, pointer=_printable("/" + "/".join(escaped)) if place else "")


def _told(message: str) -> str:
    """What a validator of ours said, as a sentence; pydantic's own messages begin with a capital already."""
    said = message.removeprefix("Value error, ")
    return message if said == message else f"{said[:1].upper()}{said[1:]}"


def _printable(text: str) -> str:
    """What a client wrote, fit for JSON: a lone surrogate cannot be encoded."""
    return text.encode(errors="replace").decode()[:MAX_POINTER_CHARS]
