"""The process that runs yt-dlp: ``python -m madvision_assets.tools.download.child``, a job on stdin, lines on stdout.

It is started with a scrubbed environment and trusts nothing that it fetches. Everything goes through the proxy: yt-dlp
and ffmpeg are told so, and a direct connection by any Python code in here is refused by an audit hook.
"""

import os
import sys
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from madvision_assets.domain.failures import RefusedAddressError, UnsupportedAddressError
from madvision_assets.tools.download import captions
from madvision_assets.tools.download.errors import describe
from madvision_assets.tools.download.messages import Job, Message, Problem, Success
from madvision_assets.tools.download.metadata import kept
from madvision_assets.tools.download.meter import Meter
from madvision_assets.tools.download.options import refuse_too_large, usable_formats, ydl_options

SPARE_BYTES = 16_000_000  # taken first and given back when the job fails, so that want of memory can still be told


def main() -> None:
    """Does the job on stdin and says how it went; only a fault of ours ends with another status than 0."""
    say = _speaker()
    spare = bytearray(SPARE_BYTES)
    job = Job.model_validate_json(sys.stdin.buffer.read())
    try:
        only_through(job.proxy)
        say(download(job, say))
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent judges it by the report
        spare.clear()
        say(Problem(report=describe(error)))


def download(job: Job, say: Callable[[Message], None]) -> Success:
    """Fetches the video of a job into its folder.

    Raises:
        Failure: what we refuse.
        Exception: whatever yt-dlp raises.
    """
    import yt_dlp
    from yt_dlp.globals import plugin_dirs

    plugin_dirs.value = [str(job.plugins)] if job.plugins else []  # no code that happens to lie about

    class Extractor(yt_dlp.YoutubeDL):  # type: ignore[misc] # yt-dlp carries no types
        def process_video_result(self, info_dict: dict[str, Any], download: bool = True) -> Any:
            usable_formats(info_dict)
            return super().process_video_result(info_dict, download=download)

    meter = Meter(say, job.max_bytes)
    options = ydl_options(job, on_progress=meter.on_progress, on_postprocess=meter.on_postprocess, on_choice=meter.plan)
    with Extractor(options) as ydl:
        info = _only_video(ydl.extract_info(job.address))
        name, language = captions.fetch(info, ydl.urlopen, job.folder)
    path = info["requested_downloads"][0]["filepath"]
    refuse_too_large(os.path.getsize(path), job.max_bytes)  # noqa: PTH202 - yt-dlp hands out strings
    return Success(
        name=os.path.basename(path),  # noqa: PTH119
        info=kept(info),
        engine_version=yt_dlp.version.__version__,
        length_known=meter.length_known,
        single=info.get("protocol") in {"http", "https"} and not info.get("requested_formats"),
        captions=name,
        captions_language=language,
    )


def only_through(proxy: str) -> None:
    """Makes every connection of this process to anywhere but the proxy fail with ``RefusedAddressError``, for good."""
    parts = urlsplit(proxy)
    way_out = (parts.hostname, parts.port)

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(args[1], tuple) and args[1][:2] != way_out:
            raise RefusedAddressError("a connection past the proxy")

    sys.addaudithook(watch)


def _only_video(info: dict[str, Any] | None) -> dict[str, Any]:
    """The video in what yt-dlp returns, which for a page with one video is a playlist of one."""
    while info and "entries" in info:
        info = next((entry for entry in info["entries"] if entry), None)
    if not info or not info.get("requested_downloads"):
        raise UnsupportedAddressError("there is no video in it")
    return info


def _speaker() -> Callable[[Message], None]:
    """Writes messages to what was stdout; whatever else prints goes to stderr from here on."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lock = threading.Lock()  # fragments report from several threads

    def say(message: Message) -> None:
        with lock:
            out.write(message.model_dump_json() + "\n")
            out.flush()

    return say


if __name__ == "__main__":
    main()
