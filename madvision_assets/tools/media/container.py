"""Opens a media file with PyAV, safely, and turns whatever goes wrong into a leaf of the taxonomy."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from madvision_assets.domain.failures import (
    CorruptMediaError,
    EmptyFileError,
    Failure,
    MediaToolError,
    NotMediaError,
    NoVideoTrackError,
    TooCostlyError,
)
from madvision_assets.tools.media import structure
from madvision_assets.tools.media.ffmpeg import INPUT_GUARD

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.error import FFmpegError
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    _Track = TypeVar("_Track", VideoStream, AudioStream)

READ_GUARD = {**INPUT_GUARD, "max_streams": str(structure.MAX_STREAMS + structure.MAX_ATTACHMENTS)}
MAX_BAD_PACKETS = 25
# MPEG-TS has no index: a seek may land behind the random-access point, so that nothing decodes; go further back then.
SEEK_BACK_S = (0.0, 10.0, 60.0, 1e9)
SEEK_MARGIN_S = 10.0
HEAD_BYTES = 64
FULL_RANGE = 2

# What files of the kinds we take begin with; the box type of MP4 and MOV stands at offset 4.
SIGNATURES = (b"\x1aE\xdf\xa3", b"RIFF", b"FLV\x01", b"OggS", b"0&\xb2u", b"\x00\x00\x01\xba", b"ID3", b"fLaC", b"G@")
BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"styp", b"pnot")
STILL_BRANDS = (b"avif", b"heic", b"heix", b"mif1")  # pictures in MP4's clothes

# By name, so that importing this module does not import av; a test demands an entry for each class of av.error.
AV_FAILURES: dict[str, type[Failure]] = {
    **dict.fromkeys(("DemuxerNotFoundError", "ProtocolNotFoundError"), NotMediaError),
    **dict.fromkeys(
        ("InvalidDataError", "EOFError", "DecoderNotFoundError", "PatchWelcomeError", "BufferTooSmallError",
         "InputChangedError", "OutputChangedError", "OverflowError", "NotImplementedError",
         # The child holds nothing but the file: a bare -1 (EPERM) and what libraries have no word for come of it.
         "ArgumentError", "BugError", "ExternalError", "PermissionError", "UnknownError"),
        CorruptMediaError,
    ),
    "MemoryError": TooCostlyError,
    **dict.fromkeys(
        ("BSFNotFoundError", "BlockingIOError", "BrokenPipeError", "ChildProcessError",
         "ConnectionAbortedError", "ConnectionRefusedError", "ConnectionResetError", "EncoderNotFoundError",
         "ExitError", "ExperimentalError", "FFmpegError", "FileExistsError", "FileNotFoundError",
         "FilterNotFoundError", "HTTPBadRequestError", "HTTPClientError", "HTTPError", "HTTPForbiddenError",
         "HTTPNotFoundError", "HTTPOtherClientError", "HTTPServerError", "HTTPTooManyRequestsError",
         "HTTPUnauthorizedError", "InterruptedError", "IsADirectoryError", "LookupError",
         "MuxerNotFoundError", "NotADirectoryError", "OSError", "OptionNotFoundError",
         "ProcessLookupError", "PyAVCallbackError", "TimeoutError", "UndefinedError"),
        MediaToolError,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Tracks:
    """The tracks that are used."""

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
        TooCostlyError: it claims more than any video has.
        MediaToolError: it cannot be read at all.
    """
    import av

    with _stream(source) as stream:
        head = _head(stream)
        structure.refuse_claims(stream)
        try:
            container = av.open(_Nameless(stream), mode="r", options=dict(READ_GUARD), metadata_errors="replace")
        except (av.error.InvalidDataError, av.error.EOFError, av.error.ArgumentError) as error:
            leaf = CorruptMediaError if looks_like_media(head) else NotMediaError
            raise leaf(error.strerror or "") from error
        except av.error.FFmpegError as error:
            raise classify_av(error) from error
        with container:
            structure.refuse_streams(container)
            for each in decodable(container.streams.video):
                each.codec_context.options = {"max_pixels": str(structure.MAX_PIXELS)}
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


def choose_tracks(
    container: "InputContainer", video_index: int | None = None, audio_index: int | None = None
) -> Tracks:
    """The tracks of these numbers, as ``probe`` chose them; else the first picture and sound.

    Raises:
        NoVideoTrackError: sound only; a cover picture is no video.
        NotMediaError: neither sound nor picture.
        CorruptMediaError: there are no such tracks.
    """
    pictures, sounds = real_pictures(container), sounds_by_preference(container)
    if not pictures:
        raise NoVideoTrackError if sounds else NotMediaError
    video = pictures[0] if video_index is None else _numbered(pictures, video_index)
    if not sounds:
        return Tracks(video, None)
    return Tracks(video, sounds[0] if audio_index is None else _numbered(sounds, audio_index))


def _numbered(tracks: "Sequence[Any]", index: int) -> Any:
    found = next((track for track in tracks if track.index == index), None)
    if found is None:
        raise CorruptMediaError(f"it has no track {index}")
    return found


def layout(source: BinaryIO) -> dict[str, Any]:
    """The fields of ``domain.tracks.Tracks`` for a file whose document does not have them; in the child.

    Raises:
        NotMediaError: neither sound nor picture.
        Failure: what ``opened`` raises.
    """
    with opened(source) as container:
        pictures, sounds = real_pictures(container), sounds_by_preference(container)
        if not pictures and not sounds:
            raise NotMediaError
        return {
            "video": pictures[0].index if pictures else None,
            "audio": sounds[0].index if sounds else None,
            "zero_s": zero_s(container),
            "colour": colour_of(pictures[0]) if pictures else None,
        }


def colour_of(track: "VideoStream", frame: "VideoFrame | None" = None) -> dict[str, Any]:
    """The fields of ``domain.tracks.Colour``; a decoded frame knows more than the header."""
    context = track.codec_context
    told: Any = context if frame is None else frame
    name = (context.pix_fmt or "yuv420p") if frame is None else frame.format.name
    return {
        "pixel_format": name,
        "matrix": int(told.colorspace),
        "primaries": int(told.color_primaries),
        "transfer": int(told.color_trc),
        "full_range": int(told.color_range) == FULL_RANGE or name.startswith("yuvj"),
    }


def zero_s(container: "InputContainer") -> float:
    """Where ffmpeg and players put time zero: the start of the earliest track."""
    return float((container.start_time or 0) / 1e6)


def real_pictures(container: "InputContainer") -> "list[VideoStream]":
    """The pictures that are no cover, thumbnails or stills beside them, in order."""
    from av.stream import Disposition

    beside = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    return [stream for stream in decodable(container.streams.video) if not stream.disposition & beside]


def sounds_by_preference(container: "InputContainer") -> "list[AudioStream]":
    """The sounds, those first that players take by default."""
    from av.stream import Disposition

    return sorted(decodable(container.streams.audio), key=lambda stream: not stream.disposition & Disposition.default)


def decodable(tracks: "Iterable[_Track]") -> "list[_Track]":
    """Those that there is a decoder for; the others count as not being there."""
    return [track for track in tracks if track.codec_context is not None]


@contextmanager
def only(container: "InputContainer", index: int) -> Iterator[None]:
    """Inside, the bytes of other tracks are not read."""
    from av.stream import Discard

    for stream in container.streams:
        stream.discard = Discard.default if stream.index == index else Discard.all
    try:
        yield
    finally:
        for stream in container.streams:
            stream.discard = Discard.default


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
        # A stream whose clock was set back has times before that of its start, which would be taken for its end.
        before_s = start_s if back_s < SEEK_BACK_S[-1] else min(start_s, 0.0)
        _seek(container, track, max(at_s - back_s, before_s - SEEK_MARGIN_S))
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
