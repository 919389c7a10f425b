"""A client of the API for programs in Python: submit, follow, take the clips.

Here belongs what a program of somebody else's needs, and so nothing of ours: the standard library and httpx. What does
not: what the system itself is made of. The API's description (``/openapi.json``) is what it is held against.

    with Client("https://clips.example.org") as madvision:
        receipt = madvision.submit("https://example.org/talk.mp4")
        status = madvision.wait(receipt.token)
        for clip in status.clips:
            madvision.download(clip, Path("clips"))
"""

from madvision_assets.client.answers import (
    Clip,
    ClipHit,
    Considered,
    Deleted,
    EditableClip,
    EditableClips,
    EditableWord,
    EditAccepted,
    FailedClip,
    FieldProblem,
    ListedVideo,
    Moment,
    Problem,
    Receipt,
    SearchResult,
    Span,
    Step,
    UploadStatus,
    VideoList,
    VideoStatus,
)
from madvision_assets.client.client import Client
from madvision_assets.client.errors import MadVisionError, ProblemError, StillUnderWayError, UnreachableError

__all__ = [
    "Client",
    "Clip",
    "ClipHit",
    "Considered",
    "Deleted",
    "EditAccepted",
    "EditableClip",
    "EditableClips",
    "EditableWord",
    "FailedClip",
    "FieldProblem",
    "ListedVideo",
    "MadVisionError",
    "Moment",
    "Problem",
    "ProblemError",
    "Receipt",
    "SearchResult",
    "Span",
    "Step",
    "StillUnderWayError",
    "UnreachableError",
    "UploadStatus",
    "VideoList",
    "VideoStatus",
]
