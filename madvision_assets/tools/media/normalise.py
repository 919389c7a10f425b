"""Brings any video into an MP4 that plays while it loads and that can be cut by its index."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from madvision_assets.domain.failures import MediaToolError
from madvision_assets.domain.video import MediaInfo
from madvision_assets.tools.media import colour
from madvision_assets.tools.media.ffmpeg import Progress, budget_s, run, source, target
from madvision_assets.tools.media.probe import tracks_of

VIDEO_FIT = frozenset({"h264", "hevc", "av1", "libdav1d", "vp9", "mpeg4"})
AUDIO_FIT = frozenset({"aac", "mp3", "mp3float", "ac3", "eac3", "opus", "flac"})
# Only these carry time stamps that can be copied as they are; AVI and WMV, say, have none for frames out of order.
COPY_FROM = frozenset({"mp4", "matroska", "mpegts", "flv"})
# Broadcasts switch between mono, stereo and 5.1, which restarts ffmpeg's filters and so moves the sound by seconds
# wherever it is read later: their sound is always brought to one format.
UNEVEN_SOUND = frozenset({"mpegts"})
QUICKTIME_BRAND = b"qt  "
BOX_HEADER_BYTES = 8
LARGE_BOX_HEADER_BYTES = 16

# The same input gives the same bytes, and nothing of the source's titles, places or devices is kept.
REPRODUCIBLE: dict[str, Any] = {
    "format": "mp4", "movflags": "+faststart", "map_metadata": -1, "map_chapters": -1, "fflags": "+genpts+bitexact",
}  # fmt: skip
H264 = {"vcodec": "libx264", "preset": "veryfast", "crf": 18, "pix_fmt": "yuv420p", "flags:v": "+bitexact"}
AAC = {"acodec": "aac", "audio_bitrate": "192k", "ar": 48_000, "ac": 2, "flags:a": "+bitexact"}


@dataclass(frozen=True)
class Box:
    """A top-level box of an MP4: its type and its first bytes after the header."""

    kind: bytes
    head: bytes


def to_mp4(
    path: Path, folder: Path, info: MediaInfo, progress: Progress | None = None, *, timeout_s: float | None = None
) -> Path:
    """An MP4 with its index at the front; copies what fits in MP4 and re-encodes only what does not.

    Args:
        path: a video that ``probe`` accepts.
        folder: where the new file goes, where one is needed.
        info: what ``probe`` says of it.
        progress: is told the share done.
        timeout_s: wall-clock limit, seconds; by default what its bytes allow.

    Returns:
        ``path`` itself where it is such an MP4 already, else the new file.

    Raises:
        Failure: what ``ffmpeg.run`` raises.
    """
    fits = info.video_codec in VIDEO_FIT, info.audio_codec in AUDIO_FIT
    if all(fits) and info.container == "mp4" and starts_fast(path):
        return path
    out = folder / f"{path.stem[:40]}.normalised.mp4"
    tracks = tracks_of(path, info.tracks)
    media = source(path)
    video = media[str(tracks.video)]
    sound = media[str(tracks.video if tracks.audio is None else tracks.audio)]
    options = REPRODUCIBLE | ({"acodec": "copy"} if fits[1] and info.container not in UNEVEN_SOUND else AAC)
    if fits[0] and info.container in COPY_FROM:
        options |= {"vcodec": "copy"} | ({"tag:v": "hvc1"} if info.video_codec == "hevc" else {})
    else:
        video = colour.deinterlaced(video, tracks)
        video = colour.to_sdr(video, tracks.colour, "trunc(iw/2)*2", "trunc(ih/2)*2", (info.width, info.height))
        options |= H264 | {"fps_mode": "vfr"}
    run(
        target([video, sound], out, **options),
        timeout_s=timeout_s or budget_s(path.stat().st_size),
        what="writing an MP4", progress=progress, duration_s=info.duration_s,
    )  # fmt: skip
    return out


def starts_fast(path: Path) -> bool:
    """Whether a file is an MP4 (no QuickTime movie, no fragments) whose index stands before its media.

    Raises:
        MediaToolError: it cannot be read.
    """
    seen: list[bytes] = []
    try:
        for box in boxes(path):
            if box.kind == b"ftyp" and box.head.startswith(QUICKTIME_BRAND):
                return False
            seen.append(box.kind)
    except OSError as error:
        raise MediaToolError(f"the file cannot be read: {error.strerror}") from error
    if b"moof" in seen or seen[:1] != [b"ftyp"]:
        return False
    return b"moov" in seen and b"mdat" in seen and seen.index(b"moov") < seen.index(b"mdat")


def boxes(path: Path) -> Iterator[Box]:
    """The top-level boxes of an MP4 in order (ISO/IEC 14496-12, 4.2); ends at the first that is none."""
    size = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while at + BOX_HEADER_BYTES <= size:
            file.seek(at)
            header = file.read(LARGE_BOX_HEADER_BYTES)
            length = int.from_bytes(header[:4])
            if length == 1:  # the length is in the 64 bits that follow
                length = int.from_bytes(header[BOX_HEADER_BYTES:LARGE_BOX_HEADER_BYTES])
            elif length == 0:  # to the end of the file
                length = size - at
            if length < BOX_HEADER_BYTES:
                return
            yield Box(header[4:8], header[BOX_HEADER_BYTES:])
            at += length
