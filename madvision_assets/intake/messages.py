"""What a message in the inbox may say: a submission, or that S3 has a new object.

S3 tells by itself, through SNS, or through EventBridge; each wraps the same few facts in its own way.
"""

import json
from typing import Annotated, Any, Self
from urllib.parse import unquote_plus

from pydantic import AliasChoices, BaseModel, Field, ValidationError, model_validator

from madvision_assets.domain.video import Upload
from madvision_assets.intake.limits import MAX_BODY_BYTES
from madvision_assets.intake.problems import ProblemError
from madvision_assets.intake.schemas import Priority, SubmissionRequest

MAX_ID_CHARS = 200
CREATED = "ObjectCreated:"
NO_VERSION = "null"  # what S3 calls that of a bucket that keeps none


class MessageRequest(SubmissionRequest):
    """A video to process; nobody is answered, so the sender brings along what a receipt would have told him."""

    priority: Priority = 0  # whoever may write into the inbox may hurry
    id: Annotated[
        str | None,
        Field(min_length=1, max_length=MAX_ID_CHARS, description="The same in every message that asks for this once."),
    ] = None
    callback_secret: Annotated[
        str | None, Field(pattern=r"^[!-~]{32,200}$", description="Key of the callbacks' HMAC-SHA256.")
    ] = None

    @model_validator(mode="after")
    def _callback_and_secret(self) -> Self:
        if (self.callback_url is None) != (self.callback_secret is None):
            raise ValueError("callback_url and callback_secret belong together")
        return self


class _Object(BaseModel):
    key: str
    size: int | None = None
    etag: Annotated[str | None, Field(validation_alias=AliasChoices("eTag", "etag"))] = None
    version_id: Annotated[str | None, Field(validation_alias=AliasChoices("versionId", "version-id"))] = None


class _Bucket(BaseModel):
    name: str


class _Stored(BaseModel):
    bucket: _Bucket
    object: _Object

    def upload(self, key: str) -> Upload:
        version_id = self.object.version_id
        return Upload(
            bucket=self.bucket.name,
            key=key,
            version_id=None if version_id == NO_VERSION else version_id,
            etag=(self.object.etag or "").strip('"') or None,
        )


class _Record(BaseModel):
    event_name: Annotated[str, Field(validation_alias="eventName")]
    s3: _Stored


class _Notification(BaseModel):
    records: Annotated[list[_Record], Field(validation_alias="Records")]


class _Event(BaseModel):
    detail: _Stored


def read_message(body: bytes) -> list[MessageRequest | Upload]:
    """What a message asks for; nothing where S3 only tells of a test, of a folder, or of an object that is gone.

    Raises:
        ProblemError: it is no JSON, or none of what we take; never shows what was sent.
    """
    if len(body) > MAX_BODY_BYTES:
        raise ProblemError("body_too_large")
    document = _object(body)
    if document.get("Type") == "Notification":  # of SNS
        document = _object(document.get("Message", ""))
    try:
        if document.get("Event") == "s3:TestEvent":
            return []
        if "Records" in document:
            records = _Notification.model_validate(document).records
            made = [each for each in records if each.event_name.removeprefix("s3:").startswith(CREATED)]
            # The only form in which the key is escaped, as that of a web form is.
            return _of_files([each.s3.upload(unquote_plus(each.s3.object.key)) for each in made])
        if document.get("source") == "aws.s3":
            stored = _Event.model_validate(document).detail
            made_here = document.get("detail-type") == "Object Created"
            return _of_files([stored.upload(stored.object.key)] if made_here else [])
        return [MessageRequest.model_validate(document)]
    except ValidationError as error:
        raise ProblemError.of_validation(error) from error


def _of_files(uploads: list[Upload]) -> list[MessageRequest | Upload]:
    """Without those that consoles make to show a folder."""
    return [each for each in uploads if not each.key.endswith("/")]


def _object(text: Any) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise ProblemError("invalid_json") from error
    if not isinstance(found, dict):
        raise ProblemError("invalid_json", "The body is JSON, but no object.")
    return found
