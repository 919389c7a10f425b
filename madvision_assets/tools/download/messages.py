"""What parent and child say to each other: one job in, JSON lines out."""

from pathlib import Path
from typing import Any, Literal

from madvision_assets.domain.provenance import Value
from madvision_assets.tools.download.manners import Manners


class Job(Value):
    """What the child is to do.

    Attributes:
        address: of the video, http or https.
        folder: where its files go; also holds what an earlier, broken download left.
        proxy: address of the proxy that everything is fetched through.
        max_height: of the picture, pixels; a larger one is taken only where there is no other.
        max_bytes: refuse more.
        max_duration_s: refuse more, seconds.
        plugins: a folder of wheels that yt-dlp's plugins are taken out of; None for no plugins.
        manners: how the site is met.
    """

    address: str
    folder: Path
    proxy: str
    max_height: int
    max_bytes: int
    max_duration_s: float
    plugins: Path | None = None
    manners: Manners = Manners()


class ErrorReport(Value):
    """An exception of the child, as far as its reason can be read from it.

    Attributes:
        types: class names of each exception in the chain of causes, innermost first, each followed by its bases.
        message: of the outermost, on one line.
        status: HTTP status, where the chain holds one.
        retry_after_s: what the site asked for, seconds.
        code: of a leaf of the taxonomy, where the child decided itself.
        is_bug: code of the downloader broke, and not the site or the network.
    """

    types: tuple[str, ...] = ()
    message: str = ""
    status: int | None = None
    retry_after_s: float | None = None
    code: str | None = None
    is_bug: bool = False


class Progress(Value):
    """How far the download is: ``fraction`` of the bytes (or fragments), 0 to 1; of ``size_bytes`` (0: not known).

    ``arriving``: bytes are to come, and are not only put together.
    """

    kind: Literal["progress"] = "progress"
    fraction: float
    text: str
    size_bytes: int = 0
    arriving: bool = True


class Success(Value):
    """The file's name in the folder, and what the source says of the video (the part of yt-dlp's info that we keep).

    ``length_known``: the site told how many bytes there are. ``single``: they came as one file, in one answer.
    ``captions``: name of the file of captions that people made, in ``captions_language``; empty without any.
    """

    kind: Literal["success"] = "success"
    name: str
    info: dict[str, Any]
    engine_version: str
    length_known: bool = False
    single: bool = False
    captions: str = ""
    captions_language: str = ""


class Problem(Value):
    """The download failed."""

    kind: Literal["problem"] = "problem"
    report: ErrorReport


Message = Progress | Success | Problem
