"""Store URLs, and the obstore backend for each of the three schemes."""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.documents import is_key

if TYPE_CHECKING:
    from obstore.store import ClientConfig, LocalStore, MemoryStore, S3Store

    Backend = LocalStore | MemoryStore | S3Store

Scheme = Literal["file", "memory", "s3"]

CONNECT_TIMEOUT = timedelta(seconds=5)
# For the answer to one request, the upload of its part (8 MiB) included; and between two reads of a long answer.
READ_TIMEOUT = timedelta(seconds=60)
# A long download is one request, so its whole must not be limited; the time between two reads is.
REQUEST_TIMEOUT = timedelta(days=1)
MAX_RETRIES = 8
# obstore's own retries are the only ones; minutes and hours are the queue's.
RETRY_LIMIT = timedelta(seconds=15)

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_EXAMPLES = "file:///var/lib/madvision, s3://bucket/prefix or memory://"


@dataclass(frozen=True)
class Location:
    """A parsed store URL.

    Attributes:
        scheme: which backend.
        root: the folder (``file`` only).
        bucket: the bucket (``s3`` only).
        prefix: what goes before every key, without surrounding slashes; may be empty (``s3`` only).
    """

    scheme: Scheme
    root: Path | None = None
    bucket: str = ""
    prefix: str = ""

    @property
    def url(self) -> str:
        """The URL again, in one spelling, without a slash at its end (``memory://`` apart)."""
        if self.root is not None:
            return self.root.as_uri()
        if self.scheme == "memory":
            return "memory://"
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def uri(self, key: str) -> str:
        """Address of an object: the URL and its key."""
        base = self.url
        return f"{base}{key}" if base.endswith("/") else f"{base}/{key}"


def parse_store_url(url: str) -> Location:
    """The location that ``MADVISION_STORE_URL`` names.

    Raises:
        ValueError: an unknown scheme, a relative folder, a bucket or prefix that cannot be; says what to write.
    """
    parts = urlsplit(url)
    if parts.query or parts.fragment or parts.username is not None:
        raise _malformed(f"{parts.scheme}://…", "it must not carry credentials, a query or a fragment")
    if parts.scheme == "file":
        if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
            raise _malformed(url, "a folder needs three slashes and an absolute path")
        return Location("file", root=Path(unquote(parts.path)))
    if parts.scheme == "memory":
        if parts.netloc or parts.path.strip("/"):
            raise _malformed(url, "memory:// takes nothing after it")
        return Location("memory")
    if parts.scheme == "s3":
        return _parse_s3(url, parts.netloc, parts.path.strip("/"))
    raise _malformed(url, f"the scheme {parts.scheme!r} is not known" if parts.scheme else "it has no scheme")


def _parse_s3(url: str, bucket: str, prefix: str) -> Location:
    if not _BUCKET.fullmatch(bucket):
        raise _malformed(url, f"{bucket!r} cannot be the name of a bucket")
    if prefix:
        try:
            validate_key(prefix)
        except ValueError as error:
            raise _malformed(url, f"{prefix!r} cannot be a prefix") from error
    return Location("s3", bucket=bucket, prefix=prefix)


def _malformed(url: str, reason: str) -> ValueError:
    return ValueError(f"MADVISION_STORE_URL={url!r}: {reason}. Write for example {_EXAMPLES}.")


def validate_key(key: str) -> str:
    """The key itself, if every store takes it as it stands.

    Raises:
        ValueError: a leading or trailing slash, an empty part, ``.`` or ``..``, or a character that some store
            would escape or mean something else by (``#`` marks a staged file in a folder, for one).
    """
    if not is_key(key):
        raise ValueError(f"{key!r} is not a key: parts of letters, digits and ._=+@- separated by single slashes")
    return key


def connect(location: Location, s3: AwsAccess) -> "Backend":
    """The obstore backend of a location; a folder is created, nothing else is touched."""
    from obstore.store import LocalStore, MemoryStore

    if location.scheme == "memory":
        return MemoryStore()
    if location.root is not None:
        return LocalStore(prefix=location.root, mkdir=True)
    return _connect_s3(location, s3)


def _connect_s3(location: Location, s3: AwsAccess) -> "S3Store":
    from obstore.store import S3Store

    given: dict[str, str | None] = {
        # obstore prefers AWS_ENDPOINT_URL_S3 of the environment to `endpoint`, whoever set which.
        "aws_endpoint_url_s3": s3.endpoint_url,
        "region": s3.region,
        "access_key_id": s3.access_key_id,
        "secret_access_key": s3.secret_access_key,
        "session_token": s3.session_token,
    }
    client: ClientConfig = {
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": READ_TIMEOUT,
        "timeout": REQUEST_TIMEOUT,
    }
    if (s3.endpoint_url or "").startswith("http://"):
        client["allow_http"] = True
    return S3Store(
        location.bucket,
        prefix=location.prefix or None,
        config={name: value for name, value in given.items() if value},  # type: ignore[arg-type]
        client_options=client,
        retry_config={
            "max_retries": MAX_RETRIES,
            "retry_timeout": RETRY_LIMIT,
            "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=4), "base": 2},
        },
    )
