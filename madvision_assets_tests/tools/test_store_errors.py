"""Every exception of obstore has a leaf, and the leaf's sentence is fit for a person."""

import errno
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from obstore import exceptions

from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.failures import (
    ClockSkewedError,
    DiskFullError,
    Failure,
    MissingInputError,
    StoreDeniedError,
    StoreRegionError,
    StoreUnavailableError,
)
from madvision_assets.tools.store.errors import classify_store
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets_tests.real_servers import S3Server
from madvision_assets_tests.site import Page, Site
from madvision_assets_tests.stores import s3_store

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
        (s3_answer("400 Bad Request", "InvalidRequest"), StoreDeniedError, "InvalidRequest"),  # not known: by status
        (s3_answer("400 Bad Request", "RequestTimeout"), StoreUnavailableError, "RequestTimeout"),
        (s3_answer("400 Bad Request", "IncompleteBody"), StoreUnavailableError, "IncompleteBody"),
        (s3_answer("400 Bad Request", "BadDigest"), StoreUnavailableError, "BadDigest"),
        (exceptions.PermissionDeniedError("403: <Code>SlowDown</Code>"), StoreUnavailableError, "SlowDown"),
        (exceptions.PermissionDeniedError("403: <Code>RequestTimeTooSkewed</Code>"), ClockSkewedError, "clock"),
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


# As https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html has them.
OTHER_ENDPOINT = b"<Error><Code>PermanentRedirect</Code><Endpoint>b.s3.eu-central-1.amazonaws.com</Endpoint></Error>"
OTHER_REGION = (
    b"<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; the region "
    b"'us-east-1' is wrong; expecting 'eu-central-1'</Message><Region>eu-central-1</Region></Error>"
)
SKEWED = (
    b"<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the current time is "
    b"too large.</Message><ServerTime>2026-11-23T09:00:00Z</ServerTime></Error>"
)


@pytest.mark.parametrize(
    ("answer", "leaf", "details", "advice"),
    [
        (Page(OTHER_ENDPOINT, 301, {"x-amz-bucket-region": "eu-central-1"}), StoreRegionError, "301", "AWS_REGION"),
        (Page(OTHER_REGION, 400), StoreRegionError, "the bucket is in eu-central-1", "AWS_REGION"),
        (Page(SKEWED, 403), ClockSkewedError, "2026-11-23T09:00:00Z", "clock"),
    ],
)
def test_what_aws_answers_to_a_wrong_region_or_clock_says_what_to_set(
    answer: Page, leaf: type[Failure], details: str, advice: str
) -> None:
    with Site() as aws:
        aws.add("/bbb/key", answer)
        settings = AwsAccess(aws.url(""), "us-east-1", access_key_id="key", secret_access_key="a-secret")
        with pytest.raises(leaf, match=details) as refused:
            ObjectStore.from_url("s3://bbb", s3=settings).get_bytes("key")

    assert advice in refused.value.sentence
    assert "a-secret" not in str(refused.value)


def test_a_real_server_of_another_region_says_which(s3_server: S3Server) -> None:
    with pytest.raises(StoreRegionError, match=f"the bucket is in {s3_server.region}"):
        s3_store(s3_server, region="eu-central-1").check()


@pytest.mark.whole
def test_a_store_that_cannot_be_reached_says_why(s3_server: S3Server) -> None:
    reasons = {
        "http://127.0.0.1:9": "nothing listens there",
        "http://nosuch.invalid": "its host name is not known",
        s3_server.endpoint_url.replace("http://", "https://"): "it speaks http, not https",
    }

    def ask(endpoint_url: str) -> str:
        with pytest.raises(StoreUnavailableError) as away:
            s3_store(s3_server, endpoint_url=endpoint_url).get_bytes("key")
        return str(away.value)

    with ThreadPoolExecutor() as pool:  # each takes the seconds of its retries
        told = pool.map(ask, reasons)
        assert all(
            reason in said and "AWS_ENDPOINT_URL_S3" in said
            for reason, said in zip(reasons.values(), told, strict=True)
        )
