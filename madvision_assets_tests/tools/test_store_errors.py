"""Every exception of obstore has a leaf, and the leaf's sentence is fit for a person."""

import errno
import warnings

import pytest
from obstore import exceptions

from madvision_assets.domain.failures import (
    DiskFullError,
    Failure,
    MissingInputError,
    StoreDeniedError,
    StoreUnavailableError,
)
from madvision_assets.tools.store.errors import classify_store

# BaseError is raised by nobody, but is what a new kind would be.
EXPECTED: dict[str, type[Failure]] = {
    "BaseError": StoreUnavailableError,
    "GenericError": StoreUnavailableError,
    "JoinError": StoreUnavailableError,
    "AlreadyExistsError": StoreUnavailableError,
    "PreconditionError": StoreUnavailableError,
    "NotModifiedError": StoreUnavailableError,
    "NotFoundError": MissingInputError,
    "InvalidPathError": StoreDeniedError,
    "NotSupportedError": StoreDeniedError,
    "PermissionDeniedError": StoreDeniedError,
    "UnauthenticatedError": StoreDeniedError,
    "UnknownConfigurationKeyError": StoreDeniedError,
}


def vendor_exceptions() -> dict[str, type[Exception]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # NotFoundError, which old versions raise
        found = {name: getattr(exceptions, name) for name in dir(exceptions)}
    return {name: kind for name, kind in found.items() if isinstance(kind, type) and issubclass(kind, Exception)}


def test_every_exception_of_the_vendor_is_expected() -> None:
    assert set(vendor_exceptions()) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_exception_of_the_vendor_becomes_its_leaf_and_names_the_key(name: str) -> None:
    failure = classify_store(vendor_exceptions()[name]("something in /tmp/abc"), "a/b.json")

    assert type(failure) is EXPECTED[name]
    assert "a/b.json" in failure.details
    assert "/tmp/abc" not in failure.details


def s3_answer(status: str, code: str) -> Exception:
    return exceptions.GenericError(
        f"Generic S3 error: Error performing GET http://host/bucket in 5ms - Server returned non-2xx status code: "
        f"{status}: <?xml version='1.0'?><Error><Code>{code}</Code><Message>words</Message></Error>"
    )


@pytest.mark.parametrize(
    ("error", "leaf", "reason"),
    [
        (exceptions.GenericError("Unable to write: No space left on device (os error 28)"), DiskFullError, "No space"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), DiskFullError, "quota"),
        (exceptions.GenericError("Unable to open: Permission denied (os error 13)"), StoreDeniedError, "denied"),
        (exceptions.GenericError("Unable to open: Read-only file system (os error 30)"), StoreDeniedError, "Read-only"),
        (OSError(errno.EIO, "Input/output error"), StoreUnavailableError, "Input/output"),
        (s3_answer("404 Not Found", "NoSuchBucket"), StoreDeniedError, "NoSuchBucket"),
        (FileNotFoundError("404 Not Found: <Code>NoSuchBucket</Code>"), StoreDeniedError, "NoSuchBucket"),
        (FileNotFoundError("404 Not Found: <Code>NoSuchKey</Code>"), MissingInputError, "not in the store"),
        (s3_answer("403 Forbidden", "AccessDenied"), StoreDeniedError, "AccessDenied"),
        (s3_answer("400 Bad Request", "ExpiredToken"), StoreDeniedError, "ExpiredToken"),
        (s3_answer("503 Service Unavailable", "SlowDown"), StoreUnavailableError, "SlowDown"),
        (s3_answer("500 Internal Server Error", "InternalError"), StoreUnavailableError, "InternalError"),
        (
            exceptions.GenericError(
                "Error performing PUT http://169.254.169.254/latest/api/token - error sending request"
            ),
            StoreDeniedError,
            "no AWS credentials were found",
        ),
        (ValueError("bad input"), StoreDeniedError, "ValueError"),
        (NotImplementedError("put_opts"), StoreDeniedError, "NotImplementedError"),
    ],
)
def test_the_reason_decides_where_the_kind_does_not(error: Exception, leaf: type[Failure], reason: str) -> None:
    failure = classify_store(error, "a/b.json")

    assert type(failure) is leaf
    assert reason in failure.details
    assert "host" not in failure.details
