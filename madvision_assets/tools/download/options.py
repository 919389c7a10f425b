"""How yt-dlp is set up for a job: nothing read from disk, nothing written but the video, one way out."""

from collections.abc import Callable, Mapping
from typing import Any

from madvision_assets.domain.failures import LiveStreamError, PlaylistError, TooLargeError, TooLongError
from madvision_assets.tools.download.manners import options_of
from madvision_assets.tools.download.messages import Job

# The name never comes from the title. The format is in it so that a broken download is continued only by its like.
OUTPUT_TEMPLATE = "video.%(format_id).40B.%(ext)s"
CONCURRENT_FRAGMENTS = 8  # 3 to 4 times as fast as one where the source comes in fragments
SOCKET_TIMEOUT_S = 25
# ffmpeg opens rtmp and its kind by itself, past the proxy; only what travels over HTTP is taken.
PROTOCOLS = frozenset(
    {"http", "https", "m3u8", "m3u8_native", "http_dash_segments", "http_dash_segments_generator", "ism"}
)
FALLBACK_EXTENSION = "unknown_video"

Hook = Callable[[dict[str, Any]], None]


def ydl_options(job: Job, *, on_progress: Hook, on_postprocess: Hook, on_choice: Hook) -> dict[str, Any]:
    """Options for ``yt_dlp.YoutubeDL``; ``on_choice`` is told the info of the video once its formats are chosen."""
    import imageio_ffmpeg

    return {
        "quiet": True,
        "noprogress": True,
        "color": "no_color",
        "proxy": job.proxy,
        "paths": {"home": str(job.folder)},
        "outtmpl": {"default": OUTPUT_TEMPLATE},
        "restrictfilenames": True,
        "format": format_selection(job.max_height),
        "format_sort": [f"res:{job.max_height}", "vcodec:h264", "acodec:aac"],
        "merge_output_format": "mp4/mkv",
        "noplaylist": True,
        "playlist_items": "1:2",  # two are enough to tell a playlist from a page with one video
        "match_filter": _admission(job, on_choice),
        "progress_hooks": [on_progress],
        "postprocessor_hooks": [on_postprocess],
        "continuedl": True,
        # Sites are asked for captions, and yt-dlp fetches none of them: what comes is bounded (captions.py).
        "writesubtitles": True,
        "subtitleslangs": ["-all"],
        "updatetime": False,
        "cachedir": False,
        "geo_bypass": False,
        "skip_unavailable_fragments": False,
        "concurrent_fragment_downloads": CONCURRENT_FRAGMENTS,
        "hls_prefer_native": True,
        "socket_timeout": SOCKET_TIMEOUT_S,
        "retries": 3,
        "fragment_retries": 5,
        "extractor_retries": 2,
        "retry_sleep_functions": {"http": _backoff_s, "fragment": _backoff_s},
        "ffmpeg_location": imageio_ffmpeg.get_ffmpeg_exe(),
        **options_of(job.manners, job.proxy),
    }


def format_selection(max_height: int) -> str:
    """yt-dlp's format expression: H.264 and AAC up to a height in pixels, else anything up to it, else anything."""
    height = f"[height<=?{max_height}]"
    return "/".join(
        (
            f"bv*[vcodec^=avc1]{height}+ba[acodec^=mp4a]",
            f"b[vcodec^=avc1]{height}",
            f"bv*{height}+ba",
            f"b{height}",
            "bv*+ba",
            "b",
            "bv*",
            "ba",
        )
    )


def usable_formats(info: dict[str, Any]) -> None:
    """Leaves only formats of the info that can be fetched safely, each with an extension that yt-dlp takes."""
    from yt_dlp.utils import determine_protocol
    from yt_dlp.utils._utils import _UnsafeExtensionError

    formats = info.get("formats")
    if formats is not None:
        info["formats"] = [each for each in formats if determine_protocol(each) in PROTOCOLS]
    elif determine_protocol(info) not in PROTOCOLS:
        info["formats"] = []
    for each in (info, *(info.get("formats") or ())):
        extension = each.get("ext")
        if extension is not None and str(extension).lower() not in _UnsafeExtensionError.ALLOWED_EXTENSIONS:
            each["ext"] = FALLBACK_EXTENSION  # a script's address, such as get.php, that answers with a video


def _admission(job: Job, on_choice: Hook) -> Callable[..., None]:
    """Refuses what we do not take before a byte of it is fetched."""

    def admit(info: Mapping[str, Any], *, incomplete: bool | set[str] = False) -> None:
        job.manners.admit(info.get("webpage_url"))
        if (info.get("n_entries") or 1) > 1:
            raise PlaylistError(f"{info.get('playlist_count') or 'several'} videos")
        if info.get("is_live") or info.get("live_status") in {"is_live", "is_upcoming"}:
            raise LiveStreamError
        duration_s = info.get("duration")  # of an entry of a list it is as the site wrote it
        if isinstance(duration_s, int | float) and duration_s > job.max_duration_s:
            raise TooLongError(f"{duration_s:.0f} s, at most {job.max_duration_s:.0f} s are taken")
        if not incomplete:
            chosen = info.get("requested_formats") or [info]
            refuse_too_large(sum(each.get("filesize") or 0 for each in chosen), job.max_bytes)
            on_choice(dict(info))

    return admit


def refuse_too_large(size_bytes: int, max_bytes: int) -> None:
    """Checks a size that was announced or reached.

    Raises:
        TooLargeError: it is over the limit.
    """
    if size_bytes > max_bytes:
        raise TooLargeError(f"over {size_bytes // 1_000_000} MB, at most {max_bytes // 1_000_000} MB are taken")


def _backoff_s(n: int) -> float:
    return min(0.25 * 2.0**n, 2.0)
