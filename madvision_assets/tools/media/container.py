"""Opens a media file with PyAV, safely, and turns whatever goes wrong into a leaf of the taxonomy."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from madvision_assets.domain.failures import (
    CorruptMediaError,
    EmptyFileError,
    Failure,
    MediaToolError,
    NotMediaError,
    NoVideoTrackError,
    TooCostlyError,
)
from madvision_assets.tools.media.ffmpeg import INPUT_GUARD

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.error import FFmpegError
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_BAD_PACKETS = 25
# MPEG-TS has no index: a seek may land behind the random-access point, so that nothing decodes; go further back then.
SEEK_BACK_S = (0.0, 10.0, 60.0, 1e9)
SEEK_MARGIN_S = 10.0
HEAD_BYTES = 64

# What files of the kinds we take begin with; the box type of MP4 and MOV stands at offset 4.
SIGNATURES = (b"\x1aE\xdf\xa3", b"RIFF", b"FLV\x01", b"OggS", b"0&\xb2u", b"\x00\x00\x01\xba", b"ID3", b"fLaC", b"G@")
BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"styp", b"pnot")
STILL_BRANDS = (b"avif", b"heic", b"heix", b"mif1")  # pictures in MP4's clothes

# By name, so that importing this module does not import av; a test demands an entry for each class of av.error.
AV_FAILURES: dict[str, type[Failure]] = {
    **dict.fromkeys(("DemuxerNotFoundError", "ProtocolNotFoundError"), NotMediaError),
    **dict.fromkeys(
        ("InvalidDataError", "EOFError", "DecoderNotFoundError", "PatchWelcomeError", "BufferTooSmallError",
         "InputChangedError", "OutputChangedError", "OverflowError", "NotImplementedError"),
        CorruptMediaError,
    ),
    "MemoryError": TooCostlyError,
    **dict.fromkeys(
        ("ArgumentError", "BSFNotFoundError", "BlockingIOError", "BrokenPipeError", "BugError", "ChildProcessError",
         "ConnectionAbortedError", "ConnectionRefusedError", "ConnectionResetError", "EncoderNotFoundError",
         "ExitError", "ExperimentalError", "ExternalError", "FFmpegError", "FileExistsError", "FileNotFoundError",
         "FilterNotFoundError", "HTTPBadRequestError", "HTTPClientError", "HTTPError", "HTTPForbiddenError",
         "HTTPNotFoundError", "HTTPOtherClientError", "HTTPServerError", "HTTPTooManyRequestsError",
         "HTTPUnauthorizedError", "InterruptedError", "IsADirectoryError", "LookupError",
         "MuxerNotFoundError", "NotADirectoryError", "OSError", "OptionNotFoundError", "PermissionError",
         "ProcessLookupError", "PyAVCallbackError", "TimeoutError", "UndefinedError", "UnknownError"),
        MediaToolError,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Tracks:
    """The tracks that are used: the first video that is no cover picture, the default or else the first audio."""

    video: "VideoStream"
    audio: "AudioStream | None"


def classify_av(error: "FFmpegError") -> Failure:
    """The leaf that stands for an error of PyAV; details hold no path."""
    leaf = AV_FAILURES.get(type(error).__name__, MediaToolError)
    return leaf(f"{type(error).__name__}: {error.strerror}")


@contextmanager
def opened(source: Path | BinaryIO) -> "Iterator[InputContainer]":
    """A container to read from; ``source`` is a file or a seekable binary stream.

    Errors of PyAV inside the ``with`` leave as leaves too; errors that a stream of ours raises pass unchanged.

    Raises:
        EmptyFileError: zero bytes.
        NotMediaError: a format that we do not open, or a still picture.
        CorruptMediaError: it begins like media but cannot be opened or read.
        MediaToolError: it cannot be read at all.
    """
    import av

    with _stream(source) as stream:
        head = _head(stream)
        try:
            container = av.open(_Nameless(stream), mode="r", options=dict(INPUT_GUARD), metadata_errors="replace")
        except (av.error.InvalidDataError, av.error.EOFError, av.error.ArgumentError) as error:
            leaf = CorruptMediaError if looks_like_media(head) else NotMediaError
            raise leaf(error.strerror or "") from error
        except av.error.FFmpegError as error:
            raise classify_av(error) from error
        with container:
            try:
                yield container
            except av.error.FFmpegError as error:
                raise classify_av(error) from error


class _Nameless:
    """A stream without its name: by it FFmpeg would take a text for music that is called ``.mp3``."""

    def __init__(self, stream: BinaryIO) -> None:
        self.read = stream.read
        self.seek = stream.seek
        self.tell = stream.tell


@contextmanager
def _stream(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(source, Path):
        yield source
        return
    try:
        file = source.open("rb")
    except OSError as error:
        raise MediaToolError(f"the file cannot be read: {error.strerror}") from error
    with file:
        yield file


def choose_tracks(container: "InputContainer") -> Tracks:
    """The tracks to use.

    Raises:
        NoVideoTrackError: sound only; a cover picture is no video.
        NotMediaError: neither sound nor picture.
    """
    video = choose_video(container)
    audio = choose_audio(container)
    if video is None:
        raise NotMediaError if audio is None else NoVideoTrackError
    return Tracks(video, audio)


def layout(source: BinaryIO) -> dict[str, Any]:
    """The numbers of the tracks that are used, the picture's transfer curve, begin and length; in the child.

    Raises:
        NotMediaError: neither sound nor picture.
        Failure: what ``opened`` raises.
    """
    with opened(source) as container:
        video, audio = choose_video(container), choose_audio(container)
        if video is None and audio is None:
            raise NotMediaError
        return {
            "video": None if video is None else video.index,
            "audio": None if audio is None else audio.index,
            "transfer": None if video is None else int(video.codec_context.color_trc),
            "zero_s": (container.start_time or 0) / 1e6,
            "duration_s": (container.duration or 0) / 1e6,
        }


def choose_video(container: "InputContainer") -> "VideoStream | None":
    """The first picture that is no cover."""
    return next((stream for stream in container.streams.video if not _is_cover(stream)), None)


def choose_audio(container: "InputContainer") -> "AudioStream | None":
    """The default audio track, or else the first."""
    from av.stream import Disposition

    tracks = container.streams.audio
    return next((stream for stream in tracks if stream.disposition & Disposition.default), next(iter(tracks), None))


def looks_like_media(head: bytes) -> bool:
    """Whether a file begins like one of the containers that we take."""
    return head.startswith(SIGNATURES) or head[4:8] in BOXES


def pictures_from(container: "InputContainer", track: "VideoStream", at_s: float) -> "Iterator[VideoFrame]":
    """Pictures from the last random-access point at or before a time of the file's own clock, in order.

    Raises:
        av.error.InvalidDataError: more than MAX_BAD_PACKETS in a row do not decode.
    """
    return _decode_from(container, track, at_s)


def sounds_from(container: "InputContainer", track: "AudioStream", at_s: float) -> "Iterator[AudioFrame]":
    """Sound likewise."""
    return _decode_from(container, track, at_s)


def _decode_from(container: "InputContainer", track: "VideoStream | AudioStream", at_s: float) -> Iterator[Any]:
    start_s = (container.start_time or 0) / 1e6
    for back_s in SEEK_BACK_S:
        _seek(container, track, max(at_s - back_s, start_s - SEEK_MARGIN_S))
        found = False
        for frame in _decode(container, track):
            found = True
            yield frame
        if found:
            return


def _seek(container: "InputContainer", track: "VideoStream | AudioStream", to_s: float) -> None:
    """To a track's last random-access point at or before a time, or else to the first after it."""
    import av

    # By the track itself: left to the demuxer, sound that begins before the picture is never reached.
    offset = round(to_s / track.time_base) if track.time_base else round(to_s * 1e6)
    stream = track if track.time_base else None
    try:
        container.seek(offset, backward=True, stream=stream)
    except av.error.PermissionError:  # -1: what FLV says where the picture begins after the sound
        container.seek(offset, backward=False, stream=stream)


def _decode(container: "InputContainer", track: "VideoStream | AudioStream") -> Iterator[Any]:
    import av

    bad = 0
    for packet in container.demux(track):
        try:
            frames: list[Any] = list(packet.decode())
        except av.error.InvalidDataError:
            bad += 1
            if bad > MAX_BAD_PACKETS:
                raise
            continue
        for frame in frames:
            if not frame.is_corrupt:
                bad = 0
                yield frame


def _is_cover(stream: "VideoStream") -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _head(stream: BinaryIO) -> bytes:
    try:
        head = stream.read(HEAD_BYTES)
        stream.seek(0)
    except OSError as error:
        raise MediaToolError(f"the file cannot be read: {error.strerror}") from error
    if not head:
        raise EmptyFileError
    if head[4:8] == b"ftyp" and head[8:12] in STILL_BRANDS:
        raise NotMediaError("it is a still picture")
    return head
