"""The media of a clip, for whoever has the token: MP4, captions, subtitles, thumbnail."""

import re
import unicodedata
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from starlette.datastructures import Headers
from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable, RedirectResponse
from starlette.types import Receive, Scope, Send

from madvision_assets.domain.captions import vtt_of
from madvision_assets.domain.clips import Clip, Clips, Role
from madvision_assets.domain.documents import ObjectRef
from madvision_assets.domain.failures import MissingInputError
from madvision_assets.intake.problems import ProblemError, documented
from madvision_assets.intake.public import COMMON_PROBLEMS
from madvision_assets.intake.services import services_of
from madvision_assets.intake.status import SUBTITLES_SUFFIX, require_tracked
from madvision_assets.tools.store.documents import read_current
from madvision_assets.tools.store.objects import ObjectStore

# What is read whole and sent as text; the others go out as they lie, in ranges.
TEXT_TYPES = {
    Role.CAPTIONS.suffix: f"{Role.CAPTIONS.media_type}; charset=utf-8",
    SUBTITLES_SUFFIX: "text/vtt; charset=utf-8",
}
MEDIA_TYPES = {role.suffix: role.media_type for role in Role} | TEXT_TYPES
LINK_EXPIRES_S = 3600.0
MAX_NAME_BYTES = 120  # file systems take 255
_UNSAFE_IN_NAMES = re.compile(r"[^\w ,()-]+")

router = APIRouter(tags=["clips"])


@router.get(
    "/video/{token}/clips/{name}",
    response_class=Response,
    responses={
        200: {
            "description": "The file",
            "content": {each.partition(";")[0]: {"schema": {"type": "string"}} for each in MEDIA_TYPES.values()},
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
    """A file of a clip: ``CLIP_ID.mp4``, ``.srt``, ``.vtt`` or ``.jpg``. Ranges and ETags as usual."""
    services = services_of(request)
    tracked = require_tracked(services, token)
    clip, suffix = _clip(services.store, tracked.row.video_id, name)
    ref = _object(clip, suffix)
    headers = {
        "ETag": f'"{ref.sha256}-{suffix}"',
        "Cache-Control": "private, no-cache",  # kept, but asked for each time: the token may be forgotten
        "Accept-Ranges": "none" if suffix in TEXT_TYPES else "bytes",
    }
    if headers["ETag"] in _etags(request):
        return Response(status_code=304, headers=headers)
    if download:
        name = quote(f"{clip.rank:02d} {readable_name(clip.title)}.{suffix}")
        headers["Content-Disposition"] = f"attachment; filename=\"{clip.rank:02d}.{suffix}\"; filename*=UTF-8''{name}"
    if suffix not in TEXT_TYPES:
        return _file(services.store, ref, headers, MEDIA_TYPES[suffix])
    captions = services.store.get_bytes(ref.key)
    content = vtt_of(captions.decode()).encode() if suffix == SUBTITLES_SUFFIX else captions
    return Response(content, headers=headers, media_type=MEDIA_TYPES[suffix])


def readable_name(title: str) -> str:
    """The title as part of a file name that every system takes."""
    plain = _UNSAFE_IN_NAMES.sub(" ", unicodedata.normalize("NFC", title))
    short = " ".join(plain.split()).encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    return short.strip(" .") or "clip"


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
    of_suffix = {role.suffix: role for role in Role} | {SUBTITLES_SUFFIX: Role.CAPTIONS}
    file = clip.files.get(of_suffix[suffix]) if suffix in of_suffix else None
    if file is None:
        raise ProblemError("unknown_clip")
    return file


def _etags(request: Request) -> set[str]:
    given = request.headers.get("if-none-match", "")
    return {each.strip().removeprefix("W/") for each in given.split(",")}


def _file(store: ObjectStore, ref: ObjectRef, headers: dict[str, str], media_type: str) -> Response:
    link = store.presigned_url(ref.key, LINK_EXPIRES_S)
    if link is not None:
        return RedirectResponse(link, 307, {"Cache-Control": "no-store"})
    path = store.local_path(ref.key)
    if path is None or not path.is_file():
        raise ProblemError("not_found", "The file of this clip is not in the store any more.")
    return _RangedFile(path, headers=headers, media_type=media_type, stat_result=path.stat())


class _RangedFile(FileResponse):
    """A file of which parts may be asked for; ranges that cannot be are told as a problem."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        asked = Headers(scope=scope).get("range")
        size_bytes = int(self.headers["content-length"])
        try:
            if asked:
                self._parse_range_header(asked, size_bytes)
        except RangeNotSatisfiable as error:
            raise ProblemError("range_not_satisfiable", headers={"Content-Range": f"bytes */{size_bytes}"}) from error
        except MalformedRangeHeader as error:
            raise ProblemError("invalid_range") from error
        await super().__call__(scope, receive, send)
