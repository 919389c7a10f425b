"""A video: its address, its ID (the partition key) and the manifest of ``raw_video``."""

import hashlib
import json
import re
import unicodedata
from typing import Annotated, ClassVar, Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from madvision_assets.domain.addresses import DEFAULT_PORTS
from madvision_assets.domain.documents import Document, ObjectRef
from madvision_assets.domain.failures import InvalidAddressError
from madvision_assets.domain.languages import NAMES as LANGUAGE_NAMES
from madvision_assets.domain.normal_form import normal_form
from madvision_assets.domain.provenance import VIDEO_ID_PATTERN, Value
from madvision_assets.domain.renditions import PictureOptions
from madvision_assets.domain.tracks import Tracks

ID_HASH_HEX_DIGITS = 16
WEB = "web"  # in place of an extractor's name
CUT_MARK, CUT_HASH_HEX_DIGITS = "--", 8
_CUT = re.compile(f"{CUT_MARK}[0-9a-f]{{{CUT_HASH_HEX_DIGITS}}}$")
UPLOAD = "s3"  # the scheme of an upload's address
# Keys that obstore does not read: with an empty or dotted part, or a control character.
UNREADABLE_KEY = re.compile(r"(^|/)\.{0,2}(/|$)|[\x00-\x1f\x7f]")


MAX_TERMS, MAX_TERM_CHARS, MAX_VOCABULARY_CHARS = 50, 60, 600
MAX_TOPIC_CHARS = 200
MAX_DURATION_S = 1e6  # beyond every video
NO_LANGUAGE = "give the code of a language that a Whisper knows (ISO 639-1), such as en, de or ja"
SPEECH_OPTIONS = ("language", "translate", "vocabulary")
NO_TIME = "give a time in the video: seconds, or as 12:34 or 1:02:03"
_TIME = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,4}):)?(\d{1,7}(?:\.\d{1,6})?)", re.ASCII)


def _known_language(told: object) -> object:
    if not isinstance(told, str):
        return told
    plain = told.strip().lower()
    if plain and plain not in LANGUAGE_NAMES:
        raise ValueError(NO_LANGUAGE)
    return plain or None


def seconds_of(text: str) -> float:
    """The place in a video that a person typed, seconds: ``754``, ``12:34`` or ``1:02:03.5``.

    Raises:
        ValueError: it is none.
    """
    told = _TIME.fullmatch(text.strip())
    if told is None:
        raise ValueError(NO_TIME)
    hours, minutes, seconds = (float(part or 0) for part in told.groups())
    return 3600 * hours + 60 * minutes + seconds


def _is_unasked(value: object) -> bool:
    return not value


def _one_line(told: object) -> object:
    return plain_term(told) if isinstance(told, str) else told


def _terms(told: object) -> object:
    """Names and words: of one form, without what is no text, each once, in the order in which they came."""
    if not isinstance(told, list | tuple) or not all(isinstance(term, str) for term in told):
        return told
    return tuple(dict.fromkeys(filter(None, map(plain_term, told))))


def _short_together(terms: tuple[str, ...]) -> tuple[str, ...]:
    if sum(map(len, terms)) > MAX_VOCABULARY_CHARS:
        raise ValueError(f"all together may have at most {MAX_VOCABULARY_CHARS} letters")
    return terms


def plain_term(text: str) -> str:
    """A name or word in one form (NFC) and on one line: control characters, and what only steers a display, are out."""
    composed = normal_form("NFC", text)
    shown = "".join(" " if char.isspace() else char for char in composed if char.isspace() or _is_shown(char))
    return " ".join(shown.split()).strip(" ,")


def _is_shown(char: str) -> bool:
    return not unicodedata.category(char).startswith("C")


class Options(PictureOptions):
    """What a submitter may ask of the clips, of their pictures, and of what is written down.

    Attributes:
        max_clips: at most so many clips.
        min_clip_s: a clip lasts at least so long, seconds.
        max_clip_s: what is said in it lasts at most so long, seconds; up to 0.8 s of air around it come on top.
        topic: clips are taken of what is said about it alone; empty for all that is said.
        start_s: clips are taken of what is said from here on, seconds from the start of the video.
        end_s: and up to here; None for the end.
        title_language: that clips are named in (ISO 639-1); None is the transcript's. Rules do not translate.
        language: that is spoken (ISO 639-1); None finds out.
        translate: write down in English what is said in another language.
        vocabulary: names and words that are likely to be said, spelt as they should be.
    """

    max_clips: Annotated[int, Field(ge=1, le=50)] = 10
    min_clip_s: Annotated[float, Field(ge=1, le=600)] = 10.0
    max_clip_s: Annotated[float, Field(ge=5, le=1200)] = 60.0
    # What is not asked for is left out: documents and rows stay as they were, for versions before it too.
    topic: Annotated[
        str,
        BeforeValidator(_one_line),
        Field(max_length=MAX_TOPIC_CHARS, examples=["pricing"], exclude_if=_is_unasked),
    ] = ""
    start_s: Annotated[float, Field(ge=0, le=MAX_DURATION_S, exclude_if=_is_unasked)] = 0.0
    end_s: Annotated[float | None, Field(gt=0, le=MAX_DURATION_S, examples=[600], exclude_if=_is_unasked)] = None
    title_language: Annotated[
        str | None, BeforeValidator(_known_language), Field(examples=["de"], exclude_if=_is_unasked)
    ] = None
    language: Annotated[
        str | None, BeforeValidator(_known_language), Field(examples=["en"], exclude_if=_is_unasked)
    ] = None
    translate: Annotated[bool, Field(exclude_if=_is_unasked)] = False
    vocabulary: Annotated[
        tuple[Annotated[str, Field(max_length=MAX_TERM_CHARS)], ...],
        BeforeValidator(_terms),
        AfterValidator(_short_together),
        Field(max_length=MAX_TERMS, examples=[["MadVision", "Dagster"]], exclude_if=_is_unasked),
    ] = ()

    @field_validator("end_s", mode="after")
    @classmethod
    def _after_the_start(cls, end_s: float | None, told: ValidationInfo) -> float | None:
        if end_s is not None and end_s <= told.data.get("start_s", 0.0):
            raise ValueError("end_s must be more than start_s")
        return end_s

    @property
    def moments(self) -> Self:
        """What of it decides which moments are chosen: not what their pictures look like."""
        usual = {name: type(self).model_fields[name].default for name in PictureOptions.model_fields}
        return self.model_copy(update=usual)

    @property
    def speech(self) -> dict[str, object]:
        """What of it changes what is written down, by name; only what differs from the usual."""
        return self.model_dump(mode="json", include=set(SPEECH_OPTIONS), exclude_defaults=True)


class Video(Value):
    """A row of ``videos``: one partition, its address and its options."""

    video_id: Annotated[str, Field(pattern=VIDEO_ID_PATTERN)]
    address: str
    options: Options = Options()

    @property
    def source(self) -> str:
        """What throttles it together with others: its extractor, host or bucket; empty for a file."""
        parts = urlsplit(self.address)
        if parts.scheme == UPLOAD:
            return f"{UPLOAD}://{parts.netloc}"
        if parts.scheme not in DEFAULT_PORTS:
            return ""
        extractor, _, _ = self.video_id.partition("-")
        return parts.netloc if extractor == WEB else extractor


class Upload(Value):
    """An object that somebody put into a bucket for us: these bytes, whatever is put under its key later.

    Attributes:
        bucket: its bucket.
        key: its key.
        version_id: its version, in a bucket that keeps versions.
        etag: else the tag of its contents, without quotes.
    """

    bucket: str
    key: str
    version_id: str | None = None
    etag: str | None = None

    @property
    def address(self) -> str:
        """``s3://bucket/key?versionId=…`` or ``?etag=…``.

        Raises:
            InvalidAddressError: nothing tells its contents from later ones, or its key cannot be read.
        """
        if UNREADABLE_KEY.search(self.key):
            raise InvalidAddressError("the object's key has an empty or dotted part, or a control character")
        if not (self.version_id or self.etag):
            raise InvalidAddressError("the object has neither a version nor an ETag")
        pin = {"versionId": self.version_id} if self.version_id else {"etag": self.etag}
        return urlunsplit((UPLOAD, self.bucket, f"/{quote(self.key)}", urlencode(pin), ""))

    @classmethod
    def of(cls, address: str) -> Self:
        """The upload with an address that ``address`` gave."""
        parts = urlsplit(address)
        pin = dict(parse_qsl(parts.query))
        key = unquote(parts.path.removeprefix("/"))
        return cls(bucket=parts.netloc, key=key, version_id=pin.get("versionId"), etag=pin.get("etag"))


class Chapter(Value):
    """A chapter as the source advertises it."""

    title: str
    start_s: float
    end_s: float


class HeatPoint(Value):
    """How often viewers replayed an interval; ``value`` is relative, 0 to 1."""

    start_s: float
    end_s: float
    value: float


class SourceMetadata(Value):
    """What the source says of the video; every field may be missing there."""

    extractor: str
    title: str = ""
    uploader: str = ""
    webpage_url: str = ""
    duration_s: float | None = None
    language: str | None = None
    description: str = ""
    upload_date: str | None = None
    chapters: tuple[Chapter, ...] = ()
    heatmap: tuple[HeatPoint, ...] = ()


class MediaInfo(Value):
    """What a probe found in a media file.

    Attributes:
        container: short name of the format, such as ``mp4`` or ``matroska``.
        duration_s: from the first to the end of the last packet, seconds.
        advertised_duration_s: what the container's header says, seconds.
        width: of the picture as shown (after rotation), pixels.
        height: likewise.
        rotation_deg: clockwise turn the player applies, 0, 90, 180 or 270.
        fps: mean frames per second.
        max_frame_gap_s: longest time between two frames, seconds (large: slides, variable frame rate).
        video_codec: such as ``h264``.
        audio_codec: such as ``aac``; None without an audio track.
        audio_rate_hz: sampling rate.
        audio_channels: how many.
        video_start_s: time of the first video frame.
        audio_start_s: time of the first audio sample.
        tracks: which tracks are used; None in documents of 0.2.0 and before, whose files are looked at again.
    """

    container: str
    duration_s: float
    advertised_duration_s: float | None
    width: int
    height: int
    rotation_deg: int = 0
    fps: float
    max_frame_gap_s: float
    video_codec: str
    audio_codec: str | None
    audio_rate_hz: int | None = None
    audio_channels: int | None = None
    video_start_s: float = 0.0
    audio_start_s: float | None = None
    tracks: Tracks | None = None


class PublisherCaptions(Value):
    """Captions that people made, as the source hands them out; ``language`` is empty where it does not say."""

    file: ObjectRef
    language: str = ""


class RawVideo(Document):
    """Manifest of a downloaded video: the media and its audio are in the store, and captions where it has any."""

    asset: ClassVar[str] = "raw_video"

    address: str
    media: ObjectRef
    audio: ObjectRef
    info: MediaInfo
    source: SourceMetadata
    options: Options = Options()
    captions: Annotated[PublisherCaptions | None, Field(exclude_if=_is_unasked)] = None


def web_video_id(address: str) -> str:
    """ID of a video that only its canonical address identifies."""
    return f"{WEB}-" + hashlib.sha256(address.encode()).hexdigest()[:ID_HASH_HEX_DIGITS]


def file_video_id(sha256_hex: str) -> str:
    """ID of a local file with these contents."""
    return "file-" + sha256_hex[:ID_HASH_HEX_DIGITS]


def extractor_video_id(extractor: str, source_id: str) -> str | None:
    """``<extractor>-<id>`` in lower-case extractor and unchanged ID; None where that is no valid partition key."""
    video_id = f"{extractor.lower()}-{source_id}"
    return video_id if re.fullmatch(VIDEO_ID_PATTERN, video_id) and not _CUT.search(video_id) else None


def cut_id(video_id: str, options: Options) -> str:
    """The partition of a video that is cut as these options say: its own ID where they are the usual ones.

    A partition is one video cut in one way. Only what differs from the usual counts, so that an option more in a later
    version changes no ID.
    """
    asked = options.model_dump(mode="json", exclude_defaults=True)
    if not asked:
        return video_id
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:CUT_HASH_HEX_DIGITS]
    found = f"{video_id}{CUT_MARK}{digest}"
    return found if re.fullmatch(VIDEO_ID_PATTERN, found) else f"{web_video_id(video_id)}{CUT_MARK}{digest}"


def uncut_id(video_id: str) -> str:
    """The ID of the same video cut as usual; of a very long one a hash."""
    return _CUT.sub("", video_id)
