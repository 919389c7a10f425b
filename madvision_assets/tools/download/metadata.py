"""What a source says of a video, out of yt-dlp's info dictionary."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from madvision_assets.domain.addresses import public_address
from madvision_assets.domain.video import Chapter, HeatPoint, SourceMetadata

KEPT_KEYS = (
    "extractor",
    "title",
    "uploader",
    "channel",
    "webpage_url",
    "duration",
    "language",
    "description",
    "upload_date",
    "chapters",
    "heatmap",
)
POINT_KEYS = ("title", "start_time", "end_time", "value")
MAX_TEXT_CHARS = 500
MAX_DESCRIPTION_CHARS = 2000
MAX_POINTS = 2000


def kept(info: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an info dictionary that we keep; the rest holds signed addresses, headers and cookies."""
    return {key: _bounded(info[key]) for key in KEPT_KEYS if info.get(key) is not None}


def source_metadata(info: Mapping[str, Any]) -> SourceMetadata:
    """The metadata in an info dictionary; what is missing, malformed or secret in it is left out."""
    return SourceMetadata(
        extractor=_text(info.get("extractor"), MAX_TEXT_CHARS) or "generic",
        title=_text(info.get("title"), MAX_TEXT_CHARS),
        uploader=_text(info.get("uploader") or info.get("channel"), MAX_TEXT_CHARS),
        webpage_url=_address(info.get("webpage_url")),
        duration_s=_seconds(info.get("duration")) or None,
        language=_text(info.get("language"), MAX_TEXT_CHARS) or None,
        description=_text(info.get("description"), MAX_DESCRIPTION_CHARS),
        upload_date=_text(info.get("upload_date"), MAX_TEXT_CHARS) or None,
        chapters=tuple(_chapter(each) for each in _intervals(info.get("chapters"))),
        heatmap=tuple(_heat_point(each) for each in _intervals(info.get("heatmap"))),
    )


def _bounded(value: object) -> object:
    """The value in a size and spelling that a line of JSON can carry, whatever a site sends."""
    if isinstance(value, str):
        return _text(value, MAX_DESCRIPTION_CHARS)
    if isinstance(value, Mapping):
        return {key: _bounded(value[key]) for key in POINT_KEYS if key in value}
    if isinstance(value, Sequence):
        return [_bounded(each) for each in value[:MAX_POINTS]]
    return value if isinstance(value, int | float) else None


def _chapter(each: Mapping[str, Any]) -> Chapter:
    title = _text(each.get("title"), MAX_TEXT_CHARS)
    return Chapter(title=title, start_s=each["start_time"], end_s=each["end_time"])


def _heat_point(each: Mapping[str, Any]) -> HeatPoint:
    value = min(_seconds(each.get("value")) or 0.0, 1.0)
    return HeatPoint(start_s=each["start_time"], end_s=each["end_time"], value=value)


def _intervals(value: object) -> list[Mapping[str, Any]]:
    """The entries that have a start before their end."""
    entries = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    return [each for each in entries[:MAX_POINTS] if isinstance(each, Mapping) and _is_interval(each)]


def _is_interval(each: Mapping[str, Any]) -> bool:
    start_s, end_s = _seconds(each.get("start_time")), _seconds(each.get("end_time"))
    return start_s is not None and end_s is not None and start_s < end_s


def _seconds(value: object) -> float | None:
    """A number that is finite and not negative; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def _text(value: object, max_chars: int) -> str:
    if not isinstance(value, str):
        return ""
    # A lone surrogate cannot be stored as UTF-8.
    return value.encode("utf-8", "replace").decode().strip()[:max_chars]


def _address(value: object) -> str:
    """An address without user, password and fragment, and with secrets blanked."""
    return public_address(_text(value, MAX_DESCRIPTION_CHARS))
