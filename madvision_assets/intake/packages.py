"""All that is made of a video in one download, and its edit for other programs, for whoever has the token.

The ZIP is sent while it is read: nothing of it is kept, and a client that reads slowly holds one open file.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from madvision_assets.domain.documents import ObjectRef
from madvision_assets.domain.edit_list import EditForm
from madvision_assets.domain.failures import Failure, MissingInputError, StoreUnavailableError
from madvision_assets.intake.clips import attachment, etags, whole
from madvision_assets.intake.problems import ProblemError, documented
from madvision_assets.intake.public import COMMON_PROBLEMS
from madvision_assets.intake.services import services_of, tell_operators
from madvision_assets.intake.status import require_tracked
from madvision_assets.tools.store.documents import are_whole
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.package import Package, PackagedFile

READ_BYTES = 256 * 1024
ZIP = "application/zip"
PROBLEMS = documented(
    "unknown_token",
    "no_clips",
    "not_found",
    "invalid_request",
    *COMMON_PROBLEMS,
    newer_document="503",
    store_unavailable="503",
    unreadable_document="500",
)

router = APIRouter(tags=["clips"])


@router.get(
    "/video/{token}/package.zip",
    response_class=Response,
    responses={
        200: {"description": "The files", "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}}},
        304: {"description": "The package is the one that the client has"},
        **PROBLEMS,
    },
)
@router.head("/video/{token}/package.zip", include_in_schema=False)
def read_package(request: Request, token: str) -> Response:
    """Every file of every clip, and the timelines, as a ZIP. It is made while it is sent, so that it has no ranges."""
    package = _package(request, token)
    files = list(package.files())
    name = package.clips.video_id
    digest = hashlib.sha256("\n".join(f"{each.sha256} {each.name}" for each in files).encode())
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": attachment(f"{name}.zip"),
        "ETag": f'W/"{digest.hexdigest()}"',  # weak: of the same files, at another time of day
        "Accept-Ranges": "none",
    }
    if headers["ETag"].removeprefix("W/") in etags(request):
        return Response(status_code=304, headers=headers)
    if not are_whole(package.store, (each.content for each in files if isinstance(each.content, ObjectRef))):
        raise ProblemError("not_found", "A file of these clips is not in the store any more.")
    zipped = _Zipped(package.store, name, files)
    headers["Content-Length"] = str(zipped.size_bytes)
    if request.method == "HEAD":
        return Response(headers=headers, media_type=ZIP)
    return _ZipResponse(zipped, headers=headers, media_type=ZIP)


@router.get(
    "/video/{token}/timeline.{form}",
    response_class=Response,
    responses={
        200: {
            "description": "The edit",
            "content": {each.media_type.partition(";")[0]: {"schema": {"type": "string"}} for each in EditForm},
        },
        304: {"description": "The edit is the one that the client has"},
        **PROBLEMS,
    },
)
@router.head("/video/{token}/timeline.{form}", include_in_schema=False)
def read_timeline(request: Request, token: str, form: EditForm) -> Response:
    """The clips as cuts of the source, what was not taken as marks: OpenTimelineIO, FCPXML, Premiere's XML, or EDL."""
    package = _package(request, token)
    content = package.timeline(form)
    if content is None:
        raise ProblemError("not_found", "What the timeline is made of is not in the store any more.")
    name = f"{package.clips.video_id}.{form}"
    headers = {"Cache-Control": "private, no-cache", "Content-Disposition": attachment(name)}
    return whole(request, content, form.media_type, headers)


def _package(request: Request, token: str) -> Package:
    services = services_of(request)
    video_id = require_tracked(services, token).row.video_id
    try:
        package = Package.read(services.store, video_id)
    except MissingInputError as error:
        raise ProblemError("no_clips", "Nothing is cut of it yet. Look again later.") from error
    if not package.clips.clips:
        raise ProblemError("no_clips", package.clips.outcome_reason)
    return package


class _Zipped:
    """A ZIP whose size is known before any of it is read: nothing in it is compressed, as pictures are already."""

    def __init__(self, store: ObjectStore, folder: str, files: Sequence[PackagedFile]) -> None:
        from zipstream import ZipStream

        self._store = store
        self._opened = ExitStack()
        self._zip = ZipStream(sized=True)
        for each in files:
            name = f"{folder}/{each.name}"
            if isinstance(each.content, bytes):
                self._zip.add(each.content, name)
            else:
                self._zip.add(self._stored(each.content), name, size=each.size_bytes)

    @property
    def size_bytes(self) -> int:
        """Of all of it."""
        return len(self._zip)

    def __iter__(self) -> Iterator[bytes]:
        yield from self._zip

    def close(self) -> None:
        """Lets go of what is being read."""
        self._opened.close()

    def _stored(self, ref: ObjectRef) -> Iterator[bytes]:
        left = ref.size_bytes
        with self._store.open(ref.key) as file:
            self._opened.callback(file.close)  # of a client that hung up
            while left and (chunk := file.read(min(READ_BYTES, left))):
                left -= len(chunk)
                yield chunk
        if left:
            raise StoreUnavailableError(f"{ref.key} is cut short by {left} bytes")


class _ZipResponse(StreamingResponse):
    """Sends a ZIP, and lets go of it whatever happens."""

    def __init__(self, zipped: _Zipped, *, headers: dict[str, str], media_type: str) -> None:
        super().__init__(zipped, headers=headers, media_type=media_type)
        self._zipped = zipped

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        try:
            await super().__call__(scope, receive, send)
        except Failure as failure:  # the answer ends before its length, so that the server cuts the connection
            tell_operators(failure)
        finally:
            await run_in_threadpool(self._zipped.close)
