"""Ingest: from an address to media and audio in the store, and the manifest that says so.

Downloads an ``http(s)`` address, fetches an upload out of its bucket or one that was sent to us out of the store, or
takes a local file that the command line was given; probes it, makes it an MP4
where it is none, and extracts the audio once, so that a GPU machine fetches megabytes and not gigabytes.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from urllib.request import url2pathname

from madvision_assets.domain import disk, received
from madvision_assets.domain.addresses import public_address
from madvision_assets.domain.documents import Made, ObjectRef
from madvision_assets.domain.failures import (
    CorruptMediaError,
    Failure,
    FileChangedError,
    IncompleteDownloadError,
    MissingInputError,
    NotFoundError,
    NotMediaError,
    TooLargeError,
    TooLongError,
    UnreadableFileError,
)
from madvision_assets.domain.provenance import Recipe
from madvision_assets.domain.quotas import Taken
from madvision_assets.domain.video import (
    UPLOAD,
    MediaInfo,
    PublisherCaptions,
    RawVideo,
    SourceMetadata,
    Upload,
    Video,
    file_video_id,
    uncut_id,
)
from madvision_assets.tools.download import Download, Downloader, OnSize
from madvision_assets.tools.media import audio, ffmpeg, normalise, probe
from madvision_assets.tools.room import DiskRoom
from madvision_assets.tools.store.documents import read_current
from madvision_assets.tools.store.incoming import IncomingFiles
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.tools.store.uploads import BucketReader

Progress = Callable[[float, str], None]
# Is told of a video what was taken in.
Account = Callable[[str, Taken], None]

# A source's word on its duration is rounded; shorter than this means that parts are missing.
DURATION_SLACK_S = 2.0
DURATION_SLACK_SHARE = 0.03
DOWNLOAD_SHARE = 0.7  # of the progress bar

# Python's table differs from system to system.
CAPTION_SUFFIXES, MAX_CAPTION_BYTES = (".vtt", ".srt"), 2 << 20
MEDIA_TYPES = {".mp4": "video/mp4", ".mkv": "video/x-matroska", ".webm": "video/webm", ".flac": "audio/flac"}
MEDIA_TYPES |= {".vtt": "text/vtt", ".srt": "application/x-subrip"}


@dataclass(frozen=True)
class Ingest:
    """Takes videos in.

    Args:
        store: where media and audio go.
        downloader: fetches addresses.
        max_duration_s: longer videos are refused, seconds.
        max_bytes: larger files are refused.
        uploads: fetches what lies in a bucket.
        account: whose share of the day it is.
        room: on the disk; None promises none.
    """

    store: ObjectStore
    downloader: Downloader
    max_duration_s: float
    max_bytes: int
    uploads: BucketReader = field(default_factory=BucketReader)
    account: Account = lambda _video_id, _taken: None
    room: DiskRoom | None = None

    def take(self, video: Video, folder: Path, progress: Progress) -> Made[RawVideo]:
        """Fetch, inspect, normalise and store one video.

        Args:
            video: its row.
            folder: scratch; a broken download is resumed from what an earlier try left there.
            progress: gets a fraction from 0 to 1 and a few words.

        Raises:
            Failure: a leaf of the taxonomy: of the download, of the media, or of the store.
        """
        with self._promised(folder) as need:
            return self._take(video, folder, progress, need)

    def _take(self, video: Video, folder: Path, progress: Progress, need: OnSize) -> Made[RawVideo]:
        fetched = self._fetch(video, folder, lambda f, text: progress(DOWNLOAD_SHARE * f, text), need)
        try:
            with ffmpeg.within(ffmpeg.budget_s(fetched.path.stat().st_size)):
                return self._taken(video, fetched, folder, progress)
        except CorruptMediaError as error:
            if fetched.may_be_cut():
                raise IncompleteDownloadError("the site told no length, and the file is damaged") from error
            raise

    def _taken(self, video: Video, fetched: Download, folder: Path, progress: Progress) -> Made[RawVideo]:
        """Inspect, normalise and store what was fetched."""
        self._check_size(fetched.path)
        info = probe.probe(fetched.path)
        self._check_duration(info)
        self._check_all_is_there(info, fetched)
        progress(0.72, "making an MP4 where it is none")
        media_path = normalise.to_mp4(
            fetched.path, folder, info, lambda f: progress(0.72 + 0.08 * f, "making an MP4 where it is none")
        )
        if media_path != fetched.path:
            is_known_short = overstated_s(info, fetched.source) > 0
            info = _with_counts(probe.probe(media_path), info)
            self._check_duration(info)  # spliced streams tell their length only now
            if not is_known_short:
                self._check_all_is_there(info, fetched)
        progress(0.8, "extracting the audio")
        audio_path = folder / "audio.flac"
        audio.extract_flac(
            media_path, audio_path, info, progress=lambda f: progress(0.8 + 0.1 * f, "extracting the audio")
        )
        progress(0.9, "storing")
        document = RawVideo(
            video_id=video.video_id,
            address=public_address(video.address),
            media=self._store(media_path, video.video_id),
            audio=self._store(audio_path, video.video_id),
            info=info,
            source=fetched.source,
            options=video.options,
            captions=self._captions(fetched, video.video_id),
        )
        self._note(video.video_id, Taken(media_s=info.duration_s))
        return Made(document, self._recipe(fetched))

    @contextmanager
    def _promised(self, folder: Path) -> Iterator[OnSize]:
        """Have room for what comes, of as many bytes as are told."""
        if self.room is None:
            yield lambda _size_bytes: None
            return
        with self.room.promised(folder) as promise:
            yield promise.need

    @contextmanager
    def _counted(self, video_id: str, folder: Path) -> Iterator[None]:
        """Count the bytes that come, in vain or not."""
        before = _size_bytes(folder)
        try:
            yield
        finally:
            self._note(video_id, Taken(size_bytes=max(0, _size_bytes(folder) - before)))

    def _note(self, video_id: str, taken: Taken) -> None:
        with suppress(Failure):  # a database that is away: better uncounted than downloaded twice
            self.account(video_id, taken)

    def _fetch(self, video: Video, folder: Path, progress: Progress, need: OnSize) -> Download:
        scheme = urlsplit(video.address).scheme
        if scheme == "file":
            return local_file(video)
        need(received.ReceivedFile.of(video.address).size_bytes if scheme == received.SCHEME else 0)
        if scheme == UPLOAD:
            with self._counted(video.video_id, folder):
                path = self.uploads.fetch(video.address, folder / "download", progress)
            name = PurePosixPath(Upload.of(video.address).key)
            return Download(path, SourceMetadata(extractor=UPLOAD, title=name.stem), engine_version="")
        if scheme == received.SCHEME:
            return self._received(video, folder / "download", progress)
        return self.downloader.fetch(
            video.address, folder / "download", progress, need, lambda n: self._note(video.video_id, Taken(n))
        )

    def _received(self, video: Video, folder: Path, progress: Progress) -> Download:
        """A file that was sent to us; once it was taken over, only what was kept of it is still there.

        Its bytes were counted as they came.

        Raises:
            NotFoundError: nothing is.
        """
        name = PurePosixPath(received.ReceivedFile.of(video.address).name)
        try:
            path = IncomingFiles(self.store).fetch(video.address, uncut_id(video.video_id), folder, progress)
        except MissingInputError:
            path = self._kept(video.video_id, folder)
        return Download(path, SourceMetadata(extractor="upload", title=name.stem), engine_version="")

    def _kept(self, video_id: str, folder: Path) -> Path:
        try:
            media = read_current(self.store, RawVideo, video_id).media
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"video{PurePosixPath(media.key).suffix}"
            self.store.download(media.key, path)
        except MissingInputError as error:
            raise NotFoundError("the file that was sent is not kept any more") from error
        return path

    def _check_size(self, path: Path) -> None:
        size_bytes = path.stat().st_size
        if size_bytes > self.max_bytes:
            raise TooLargeError(f"{size_bytes} bytes; the limit is {self.max_bytes}")

    def _check_duration(self, info: MediaInfo) -> None:
        if info.duration_s > self.max_duration_s:
            raise TooLongError(f"{info.duration_s:.0f} s; the limit is {self.max_duration_s:.0f} s")

    def _check_all_is_there(self, info: MediaInfo, fetched: Download) -> None:
        promised_s = overstated_s(info, fetched.source)
        if promised_s and not fetched.is_all_there_is(info.duration_s):
            raise IncompleteDownloadError(f"{info.duration_s:.1f} s arrived of {promised_s:.1f} s")

    def _captions(self, fetched: Download, video_id: str) -> PublisherCaptions | None:
        """Those that came with it, where they can be kept; whether they can be read, their reader tells."""
        path = fetched.captions
        if path is None or not path.is_file() or not 0 < path.stat().st_size <= MAX_CAPTION_BYTES:
            return None
        return PublisherCaptions(file=self._store(path, video_id), language=fetched.captions_language)

    def _store(self, path: Path, video_id: str) -> ObjectRef:
        media_type = MEDIA_TYPES.get(path.suffix, "application/octet-stream")
        return self.store.store_media(path, video_id, path.suffix.lstrip("."), media_type)

    def _recipe(self, fetched: Download) -> Recipe:
        return Recipe(
            engine="yt-dlp" if fetched.engine_version else fetched.source.extractor,
            engine_version=fetched.engine_version,
            parameters={"max_height": self.downloader.max_height, "ffmpeg": ffmpeg.version()},
        )


def overstated_s(info: MediaInfo, source: SourceMetadata) -> float:
    """How long a source says that a video is, seconds, where it is shorter than that by more than rounding; else 0."""
    promised_s = source.duration_s or 0.0
    slack_s = max(DURATION_SLACK_S, DURATION_SLACK_SHARE * promised_s)
    return promised_s if info.duration_s < promised_s - slack_s else 0.0


def _with_counts(info: MediaInfo, before: MediaInfo) -> MediaInfo:
    """What a probe says of the MP4 that was made, with how many tracks there were in what came."""
    if info.tracks is None or before.tracks is None:
        return info
    counts = before.tracks.model_dump(include={"video_count", "audio_count", "audio_before"})
    return info.model_copy(update={"tracks": info.tracks.model_copy(update=counts)})


def _size_bytes(folder: Path) -> int:
    found = (path.lstat() for path in folder.rglob("*"))
    return sum(each.st_size for each in found if stat.S_ISREG(each.st_mode))


def _sha256(path: Path) -> str:
    """Of a regular file, in hex."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise NotMediaError(f"{path.name} is not a regular file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def local_file(video: Video) -> Download:
    """A file on this machine, as the command line registered it; it is read where it lies.

    Raises:
        NotFoundError: it is not there any more.
        NotMediaError: it is a folder or a device.
        UnreadableFileError: it may not be read.
        FileChangedError: it is another one by now.
    """
    path = Path(url2pathname(urlsplit(video.address).path))
    try:
        if file_video_id(_sha256(path)) != uncut_id(video.video_id):
            raise FileChangedError(path.name)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"no file {path.name}") from error
    except OSError as error:
        if disk.is_refused(error.errno):
            raise UnreadableFileError(f"{path.name}: {disk.reason(error.errno)}") from error
        raise
    beside = (path.with_suffix(suffix) for suffix in CAPTION_SUFFIXES)
    captions = next((each for each in beside if os.access(each, os.R_OK) and each.is_file()), None)
    source = SourceMetadata(extractor="file", title=path.stem)
    return Download(path=path, source=source, engine_version="", captions=captions)
