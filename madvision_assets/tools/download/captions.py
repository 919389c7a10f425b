"""Captions that people made for a video, fetched beside it within bounds; what a machine made is of no use to us."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from madvision_assets.domain.languages import language_code

FORMS = ("vtt", "srt")
MAX_BYTES, TIME_LIMIT_S, BLOCK_BYTES = 2 << 20, 30.0, 1 << 16
NAME = "captions"
NO_LANGUAGE = frozenset({"", "und", "live_chat", "rechat", "danmaku", "comments"})


class Reads(Protocol):
    """An answer as it comes."""

    def read(self, amt: int) -> bytes:
        """At most so many bytes; none at its end."""


def chosen(info: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Language, form and address of the captions to fetch; None where there are none.

    Those in the language of the video; where that is not known, the only ones, or English.

    Args:
        info: yt-dlp's, whose ``subtitles`` are those that people made.
    """
    offered = info.get("subtitles")
    by_language = offered if isinstance(offered, Mapping) else {}
    usable = {
        str(language): found
        for language, each in by_language.items()
        if language not in NO_LANGUAGE and (found := _readable(each)) is not None
    }
    spoken = language_code(str(info.get("language") or "")) or ("en" if len(usable) > 1 else "")
    fitting = [language for language in usable if not spoken or language_code(language) == spoken]
    if not fitting:
        return None
    language = min(fitting, key=lambda each: (len(each), each))
    return (language, *usable[language])


def fetch(info: Mapping[str, Any], opened: Callable[[str], Reads], folder: Path) -> tuple[str, str]:
    """Fetch the captions into a folder: the file's name, and their language; empty texts where there are none.

    A video is worth having without them: whatever goes wrong, there are none.

    Args:
        info: yt-dlp's.
        opened: opens an address, through the proxy.
        folder: where the video is.
    """
    found = chosen(info)
    if found is None:
        return "", ""
    language, form, address = found
    path = folder / f"{NAME}.{form}"
    try:
        path.write_bytes(_within_bounds(opened(address)))
    except Exception:  # noqa: BLE001 - whatever a site's answer does to whoever reads it
        path.unlink(missing_ok=True)
        return "", ""
    return path.name, language[:35]


def _within_bounds(answer: Reads) -> bytes:
    until_s, data = time.monotonic() + TIME_LIMIT_S, bytearray()
    while block := answer.read(BLOCK_BYTES):
        data += block
        if len(data) > MAX_BYTES or time.monotonic() > until_s:
            raise ValueError
    return bytes(data)


def _readable(each: object) -> tuple[str, str] | None:
    """Form and address of what can be read, the best first."""
    entries = each if isinstance(each, Sequence) and not isinstance(each, str) else ()
    by_form = {
        str(entry["ext"]).lower(): str(entry["url"])
        for entry in entries
        if isinstance(entry, Mapping) and entry.get("ext") and _is_file(entry)
    }
    form = next((form for form in FORMS if form in by_form), None)
    return (form, by_form[form]) if form else None


def _is_file(entry: Mapping[str, Any]) -> bool:
    """Whether an entry is one file, and no playlist of parts."""
    protocol, address = entry.get("protocol"), str(entry.get("url"))
    return protocol in {None, "http", "https"} and address.startswith(("http://", "https://"))
