"""What obstore, and the disk below it, raise; turned into leaves of the taxonomy."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from madvision_assets.domain import disk
from madvision_assets.domain.failures import (
    ClockSkewedError,
    DiskFullError,
    Failure,
    MissingInputError,
    StoreDeniedError,
    StoreRegionError,
    StoreUnavailableError,
)

_PLAIN_KEY = re.compile(r"[A-Za-z0-9._/-]*")
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_S3_CODE = re.compile(r"<Code>([A-Za-z0-9.]+)</Code>")
_S3_REGION = re.compile(r"<Region>([a-z0-9-]+)</Region>")
_SERVER_TIME = re.compile(r"<ServerTime>([0-9TZ:.-]+)</ServerTime>")
_HTTP_STATUS = re.compile(r"status code: (\d{3} [A-Za-z ]+)")
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html: those that only an operator can mend.
_DENYING_S3_CODES = {
    "AccessDenied", "AccountProblem", "AllAccessDisabled", "AuthorizationHeaderMalformed",
    "AuthorizationQueryParametersError", "ExpiredToken", "InvalidAccessKeyId", "InvalidBucketName", "InvalidSecurity",
    "InvalidToken", "NoSuchBucket", "NotSignedUp", "SignatureDoesNotMatch", "TokenRefreshRequired",
}  # fmt: skip
# Those that pass, whatever the status beside them (many are 400s): broken transfers, and a server's own trouble.
_PASSING_S3_CODES = {
    "BadDigest", "BandwidthLimitExceeded", "Busy", "EC2ThrottledException", "IncompleteBody", "InternalError",
    "InternalFailure", "OperationAborted", "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException",
    "RequestTimeout", "ServiceUnavailable", "SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling",
    "ThrottlingException", "ThrottledException", "TooManyRequests", "TooManyRequestsException",
    "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch",
}  # fmt: skip
_OTHER_REGION_S3_CODES = {"IllegalLocationConstraintException", "PermanentRedirect"}
# All that obstore leaves of a 301 of AWS, whose body would say more.
_REDIRECTED = "redirect without LOCATION"
_DENYING_STATUSES = ("301", "400", "401", "403")
# The last link of AWS's chain: asked only when no other credentials were found, and there to answer only on AWS.
_CREDENTIAL_SERVICES = ("/latest/api/token", "/latest/meta-data/", "169.254.170.2")

# What the vendor's chain of errors shows of a server that gave no answer.
_NO_ANSWER = {
    "dns error": "its host name is not known",
    "ConnectionRefused": "nothing listens there",
    "InvalidCertificate": "its certificate is not trusted",
    "InvalidContentType": "it speaks http, not https",
}


@contextmanager
def store_failures(key: str) -> Iterator[None]:
    """Turn whatever the store raises inside into a leaf that names the key."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError, ValueError, NotImplementedError) as error:
        raise classify_store(error, key) from error


def classify_store(error: BaseException, key: str) -> Failure:
    """The leaf for an exception of obstore, or of the disk, while working on a key.

    Args:
        error: one of ``obstore.exceptions``, or the built-in exceptions that obstore raises as well.
        key: what was being read or written; goes into the sentence.

    Returns:
        A failure whose details give key and reason, and neither path nor secret.
    """
    text = _without_name(str(error), key)
    number = _errno(error, text)
    s3_code = _first(_S3_CODE, text)
    status = _first(_HTTP_STATUS, text).strip()
    if disk.is_full(number):
        return DiskFullError(f"{key}: {disk.reason(number)}")
    told = _told_by_s3(key, text, s3_code)
    if told is not None:
        return told
    if isinstance(error, FileNotFoundError) or type(error).__name__ == "NotFoundError":
        return MissingInputError(f"{key} is not in the store")
    leaf = StoreDeniedError if _is_denied(error, number, status) else StoreUnavailableError
    return leaf(f"{key}: {_reason(error, number, s3_code, status)}")


def _without_name(text: str, key: str) -> str:
    """An error's words without the key, which somebody outside may have named so as to be read as an error."""
    names = [] if _PLAIN_KEY.fullmatch(key) else [key, key.partition("/")[2]]
    for name in filter(None, [*names, *map(quote, names)]):
        text = text.replace(name, "")
    return text


def folder_failure(error: OSError) -> Failure:
    """The leaf for a folder that the store cannot make its own."""
    number = _errno(error, str(error))
    leaf = DiskFullError if disk.is_full(number) else StoreDeniedError
    return leaf(f"the store's folder cannot be made: {disk.reason(number)}")


def _told_by_s3(key: str, text: str, s3_code: str) -> Failure | None:
    """The leaf for what S3 says in its own words, or for want of credentials; None where it says nothing we know."""
    if any(service in text for service in _CREDENTIAL_SERVICES):
        return StoreDeniedError(f"{key}: no AWS credentials were found")
    region = _first(_S3_REGION, text)
    if region or s3_code in _OTHER_REGION_S3_CODES or _REDIRECTED in text:
        return StoreRegionError(f"{key}: {f'the bucket is in {region}' if region else s3_code or 'HTTP 301'}")
    if s3_code == "RequestTimeTooSkewed":
        return ClockSkewedError(f"{key}: the store's clock says {_first(_SERVER_TIME, text) or 'another time'}")
    if s3_code in _PASSING_S3_CODES:
        return StoreUnavailableError(f"{key}: {s3_code}")
    return StoreDeniedError(f"{key}: {s3_code}") if s3_code in _DENYING_S3_CODES else None


def _is_denied(error: BaseException, number: int, status: str) -> bool:
    from obstore import exceptions as vendor

    denied = (
        vendor.InvalidPathError,
        vendor.NotSupportedError,
        vendor.PermissionDeniedError,
        vendor.UnauthenticatedError,
        vendor.UnknownConfigurationKeyError,
        NotImplementedError,
        ValueError,
    )
    return isinstance(error, denied) or disk.is_refused(number) or status.startswith(_DENYING_STATUSES)


def _errno(error: BaseException, text: str) -> int:
    if isinstance(error, OSError) and error.errno:
        return error.errno
    return int(_first(_OS_ERROR, text) or 0)


def _reason(error: BaseException, number: int, s3_code: str, status: str) -> str:
    """A few words out of a long message, which would show paths and addresses."""
    if s3_code:
        return s3_code
    if status:
        return f"HTTP {status}"
    if number:
        return disk.reason(number)
    text = str(error)
    if "error sending request" not in text:
        return type(error).__name__
    return "no answer" + next((f": {told}" for seen, told in _NO_ANSWER.items() if seen in text), "")


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match.group(1) if match else ""
