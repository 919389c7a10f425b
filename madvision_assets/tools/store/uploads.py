"""Uploads out of buckets: objects that somebody put into S3, fetched by the machine's own right to read them.

Files that are sent to the intake are ``incoming``.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.failures import (
    ConnectionLostError,
    DownloadTimeoutError,
    EmptyFileError,
    Failure,
    FailureClass,
    FileChangedError,
    IncompleteDownloadError,
    MissingInputError,
    NotFoundError,
    Resource,
    TooLargeError,
    UnknownBucketError,
    UploadDeniedError,
)
from madvision_assets.domain.video import Upload
from madvision_assets.tools.store.backends import Location, connect
from madvision_assets.tools.store.errors import classify_store
from madvision_assets.tools.store.files import suffix_of

if TYPE_CHECKING:
    from obstore import GetOptions

READ_BYTES = 1024 * 1024
MIB = 1024 * 1024

OnProgress = Callable[[float, str], None]


def bucket_names(text: str) -> frozenset[str]:
    """The names in a list that commas separate."""
    return frozenset(name for each in text.split(",") if (name := each.strip()))


@dataclass(frozen=True)
class BucketReader:
    """Fetches uploads; without arguments, none.

    Attributes:
        buckets: nothing is read out of others.
        s3: how to reach them.
        max_bytes: refuse more.
        time_limit_s: of one ``fetch``, seconds.
    """

    buckets: frozenset[str] = frozenset()
    s3: AwsAccess = field(default_factory=AwsAccess)
    max_bytes: int = 0
    time_limit_s: float = 0.0

    def fetch(self, address: str, folder: Path, progress: OnProgress) -> Path:
        """Fetch an upload into a folder of its own, going on where an earlier call stopped; gives the file.

        Args:
            address: of an ``Upload``.
            folder: kept between tries of the same address; made where it is missing.
            progress: told the fraction done (0 to 1) and a text.

        Raises:
            Failure: a leaf that says why it is not there; what came so far stays in the folder.
        """
        upload = Upload.of(address)
        if upload.bucket not in self.buckets:
            raise UnknownBucketError(upload.bucket)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"video{suffix_of(upload.key)}"
        if not path.exists():
            partial = folder / "video.part"
            with _upload_failures(upload):
                self._stream(upload, partial, progress)
                partial.replace(path)
        return path

    def _stream(self, upload: Upload, partial: Path, progress: OnProgress) -> None:
        import obstore

        deadline_s = time.monotonic() + self.time_limit_s
        with partial.open("ab") as file:
            # Its last byte comes again, since a range that begins at the end is refused.
            done_bytes = max(0, file.tell() - 1)
            file.truncate(done_bytes)
            backend = connect(Location("s3", bucket=upload.bucket), self.s3)
            found = obstore.get(backend, upload.key, options=_options(upload, done_bytes))
            size_bytes = found.meta["size"]
            if not size_bytes:
                raise EmptyFileError
            if size_bytes > self.max_bytes:
                raise TooLargeError(
                    f"over {size_bytes // 1_000_000} MB, at most {self.max_bytes // 1_000_000} MB are taken"
                )
            for chunk in found.stream(min_chunk_size=READ_BYTES):
                done_bytes += file.write(chunk)
                progress(done_bytes / size_bytes, f"{done_bytes / MIB:.1f} of {size_bytes / MIB:.1f} MiB")
                if time.monotonic() > deadline_s:
                    raise DownloadTimeoutError(f"over {self.time_limit_s:.0f} s")
        if done_bytes != size_bytes:
            raise IncompleteDownloadError(f"{done_bytes} of {size_bytes} bytes arrived")


def _options(upload: Upload, offset: int) -> "GetOptions":
    """Exactly these contents, from a byte on."""
    options: GetOptions = {"range": {"offset": offset}} if offset else {}
    if upload.version_id:
        options["version"] = upload.version_id
    else:
        options["if_match"] = f'"{upload.etag}"'
    return options


@contextmanager
def _upload_failures(upload: Upload) -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        raise classify_upload(error, upload) from error


def classify_upload(error: Exception, upload: Upload) -> Failure:
    """The leaf for an exception of obstore, or of the disk, while fetching an upload.

    The store's own leaves would open the breaker of the store, which is another bucket.
    """
    from obstore.exceptions import PreconditionError

    place = f"{upload.bucket}/{upload.key}"
    if isinstance(error, PreconditionError):
        return FileChangedError(place)
    failure = classify_store(error, place)
    if isinstance(failure, MissingInputError):
        return NotFoundError(place)
    if failure.resource is not Resource.STORE:
        return failure
    denied = failure.failure_class is FailureClass.OPERATOR
    return UploadDeniedError(failure.details) if denied else ConnectionLostError(failure.details)
