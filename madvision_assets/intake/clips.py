"""The files of a clip, for whoever has the token: pictures, captions, words, facts."""

import hashlib
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from starlette.datastructures import Headers
from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable, RedirectResponse
from starlette.types import Receive, Scope, Send

from madvision_assets.domain import sidecars
from madvision_assets.domain.clips import Clip, Clips, Role
from madvision_assets.domain.documents import ObjectRef
from madvision_assets.domain.failures import MissingInputError
from madvision_assets.domain.sidecars import Sidecar
from madvision_assets.intake.problems import ProblemError, documented
from madvision_assets.intake.public import COMMON_PROBLEMS
from madvision_assets.intake.services import services_of
from madvision_assets.intake.status import require_tracked
from madvision_assets.tools.store.documents import read_current
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.package import Package

# What is read whole and sent as text; the others go out as they lie, in ranges.
TEXT_TYPES = {Role.CAPTIONS.suffix: f"{Role.CAPTIONS.media_type}; charset=utf-8"}
MEDIA_TYPES = {each.media_type.partition(";")[0] for each in (*Role, *Sidecar)}
SIDECARS = {each.suffix: each for each in Sidecar}
LINK_EXPIRES_S = 3600.0

router = APIRouter(tags=["clips"])


@router.get(
    "/video/{token}/clips/{name}",
    response_class=Response,
    responses={
        200: {
            "description": "The file",
            "content": {each: {"schema": {"type": "string"}} for each in sorted(MEDIA_TYPES)},
        },
        206: {"description": "The range of bytes asked for"},
        304: {"description": "The file is the one that the client has"},
        307: {"description": "The file is in the object store, behind this link, for an hour"},
        **documented(
            "unknown_token",
            "unknown_clip",
            "not_found",
            "invalid_range",
            "range_not_satisfiable",
            "invalid_request",
            *COMMON_PROBLEMS,
            newer_document="503",
            store_unavailable="503",
            unreadable_document="500",
        ),
    },
)
@router.head("/video/{token}/clips/{name}", include_in_schema=False)
def read_clip(
    request: Request,
    token: str,
    name: str,
    download: Annotated[bool, Query(description="As a file to save, with a readable name.")] = False,
) -> Response:
    """A file of a clip: ``CLIP_ID.mp4``, ``.srt``, ``.jpg``, ``.vtt``, ``.ass``, ``.words.json``, ``.facts.json``.

    Ranges and ETags as usual.
    """
    tracked = require_tracked(services_of(request), token)
    return clip_file(request, tracked.row.video_id, name, download=download)


def clip_file(request: Request, video_id: str, name: str, *, download: bool = False) -> Response:
    """A file of a clip of a video that whoever asks may see.

    Raises:
        ProblemError: ``unknown_clip``, or ``not_found`` where its file is gone.
        Failure: the store is away, or holds clips of another version of this program.
    """
    services = services_of(request)
    clip, suffix = _clip(services.store, video_id, name)
    headers = {"Cache-Control": "private, no-cache"}  # kept, but asked for each time: the token may be forgotten
    if download:
        headers["Content-Disposition"] = attachment(f"{sidecars.file_stem(clip)}.{suffix}")
    if suffix in SIDECARS:
        content = Package.read(services.store, video_id).sidecar(clip, SIDECARS[suffix])
        if content is None:
            raise ProblemError("unknown_clip", "What this file is made of is not in the store any more.")
        return whole(request, content, SIDECARS[suffix].media_type, headers)
    ref = _object(clip, suffix)
    if suffix in TEXT_TYPES:
        return whole(request, services.store.get_bytes(ref.key), TEXT_TYPES[suffix], headers)
    headers |= {"ETag": f'"{ref.sha256}-{suffix}"', "Accept-Ranges": "bytes"}
    if headers["ETag"] in etags(request):
        return Response(status_code=304, headers=headers)
    return _file(services.store, ref, headers, is_head=request.method == "HEAD")


def attachment(name: str) -> str:
    """The header that has a browser save a file under a name of ours."""
    plain = name.encode("ascii", "ignore").decode()
    plain = (
        plain if plain == name else f"{name.partition('-')[0]}{name[name.index('.') :]}"
    )  # rank and suffix, for old browsers
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"


def whole(request: Request, content: bytes, media_type: str, headers: dict[str, str]) -> Response:
    """A small file in one piece, or 304 where the client has it."""
    headers = {**headers, "ETag": f'"{hashlib.sha256(content).hexdigest()}"', "Accept-Ranges": "none"}
    if headers["ETag"] in etags(request):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=media_type)


def _clip(store: ObjectStore, video_id: str, name: str) -> tuple[Clip, str]:
    """The clip that a file's name begins with, and the rest of the name."""
    try:
        made = read_current(store, Clips, video_id).clips
    except MissingInputError:
        made = ()
    found = next((clip for clip in made if name.startswith(f"{clip.clip_id}.")), None)
    if found is None:
        raise ProblemError("unknown_clip")
    return found, name.removeprefix(f"{found.clip_id}.")


def _object(clip: Clip, suffix: str) -> ObjectRef:
    for role, file in clip.files.items():
        if sidecars.suffix_of(role, file.key) == suffix:
            return file
    raise ProblemError("unknown_clip")


def etags(request: Request) -> set[str]:
    """Of what the client has, without their mark of weakness."""
    given = request.headers.get("if-none-match", "")
    return {each.strip().removeprefix("W/") for each in given.split(",")}


def _file(store: ObjectStore, ref: ObjectRef, headers: dict[str, str], *, is_head: bool) -> Response:
    path = store.local_path(ref.key)
    if path is None and is_head:  # a link would be signed for GET alone
        return Response(headers=headers | {"Content-Length": str(ref.size_bytes)}, media_type=ref.media_type)
    link = store.presigned_url(ref.key, LINK_EXPIRES_S, headers.get("Content-Disposition", ""), ref.media_type)
    if link is not None:
        return RedirectResponse(link, 307, {"Cache-Control": "no-store"})
    if path is None or not path.is_file():
        raise ProblemError("not_found", "The file of this clip is not in the store any more.")
    return _RangedFile(path, headers=headers, media_type=ref.media_type, stat_result=path.stat())


class _RangedFile(FileResponse):
    """A file of which parts may be asked for; ranges that cannot be are told as a problem."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        headers = Headers(scope=scope)
        asked, since = headers.get("range", ""), headers.get("if-range")
        size_bytes = int(self.headers["content-length"])
        # RFC 9110, 14.2 and 13.1.5: another unit is passed over, and so is a part of what is another file now.
        if not asked.strip().lower().startswith("bytes") or (since and not self._should_use_range(since)):
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0].lower() != b"range"]}
            asked = ""
        try:
            if asked:
                self._parse_range_header(asked, size_bytes)
        except RangeNotSatisfiable as error:
            raise ProblemError("range_not_satisfiable", headers={"Content-Range": f"bytes */{size_bytes}"}) from error
        except MalformedRangeHeader as error:
            raise ProblemError("invalid_range") from error
        await super().__call__(scope, receive, send)
