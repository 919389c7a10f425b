"""What is handed out beside a clip's stored files, made of documents when it is asked for; and what files are called.

Nothing of these is stored: they say what the documents say, and so clips of older versions have them too.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Self, overload
from urllib.parse import unquote, urlsplit

from madvision_assets.domain.addresses import DEFAULT_PORTS, public_address
from madvision_assets.domain.captions import words_inside
from madvision_assets.domain.clips import Clip, ClipCandidate, Clips, Role
from madvision_assets.domain.normal_form import normal_form
from madvision_assets.domain.plain_text import cleaned
from madvision_assets.domain.provenance import Provenance
from madvision_assets.domain.transcript import Transcript
from madvision_assets.domain.video import RawVideo

SLUG_BYTES = 80  # with rank and suffix far below the 255 that file systems take
SOURCE_NAME_BYTES = 120
DIGITS = 3  # milliseconds
_KEPT_CLASSES = "LMN"  # letters, the marks that belong to them, digits
_UNSEEN = "Cf"  # what only steers a display, within a word too
_UNSAFE_IN_NAMES = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*%]+')
_OF_RECIPE = ("data_version", "code_version", "engine", "engine_version", "model", "prompt_version", "prompt_hash")


class Sidecar(StrEnum):
    """A file that is made when it is asked for.

    Attributes:
        suffix: of its name, after the clip's ID and a dot.
        media_type: MIME type.
        needs: the stored file that it is made of; None where documents do.
    """

    suffix: str
    media_type: str
    needs: Role | None

    @overload
    def __new__(cls, name: str) -> Self: ...
    @overload
    def __new__(cls, name: str, suffix: str, media_type: str, needs: Role | None = None) -> Self: ...
    def __new__(cls, name: str, suffix: str = "", media_type: str = "", needs: Role | None = None) -> Self:
        """A member; with its name alone, mypy takes it for a look-up."""
        member = str.__new__(cls, name)
        member._value_, member.suffix, member.media_type, member.needs = name, suffix, media_type, needs
        return member

    SUBTITLES = "subtitles", "vtt", "text/vtt; charset=utf-8", Role.CAPTIONS
    STYLED = "styled_subtitles", "ass", "text/x-ssa; charset=utf-8"
    WORDS = "words", "words.json", "application/json"
    FACTS = "facts", "facts.json", "application/json"


def file_stem(clip: Clip) -> str:
    """What all files of a clip are called before their suffix: rank and title, of letters and digits of any script."""
    return f"{clip.rank:02d}-{slug(clip.title)}"


def slug(title: str) -> str:
    """Letters and digits of the title in small letters, with hyphens between, at most 80 bytes; never empty."""
    composed = normal_form("NFKC", normal_form("NFKC", title).lower())
    seen = (c for c in composed if unicodedata.category(c) != _UNSEEN)
    parts = "".join(c if unicodedata.category(c)[0] in _KEPT_CLASSES else " " for c in seen).split()
    plain = "-".join(parts)
    short = plain.encode(errors="ignore")[:SLUG_BYTES].decode(errors="ignore")
    if short != plain and "-" in short:
        short = short.rpartition("-")[0]  # no half word
    return short.strip("-") or "clip"


def suffix_of(role: str, key: str) -> str:
    """What the file of a role is called after its stem; a role of a newer version by its own name.

    Args:
        role: a key of ``Clip.files``.
        key: of the file in the store.
    """
    if role in set(Role):
        return Role(role).suffix
    extension = key.rpartition("/")[2].rpartition(".")[2]
    return f"{slug(role)}.{slug(extension)}"


def shown_source(address: str) -> str:
    """Where a video comes from, for anybody: its address without secrets; of a file the name alone."""
    return public_address(address) if urlsplit(address).scheme in DEFAULT_PORTS else _file_name(address) or "a file"


def source_name(raw: RawVideo) -> str:
    """Name of the source's file, as an editor may have it: a file's own; else the video's ID."""
    named = _file_name(raw.address) if urlsplit(raw.address).scheme not in DEFAULT_PORTS else ""
    if "." in named.strip("."):
        return named
    return f"{raw.video_id}.{raw.media.key.rpartition('.')[2]}"


def _file_name(address: str) -> str:
    name = _UNSAFE_IN_NAMES.sub("_", cleaned(unquote(urlsplit(address).path.rpartition("/")[2])))
    return name.encode(errors="ignore")[-SOURCE_NAME_BYTES:].decode(errors="ignore")


def words_json(clip: Clip, said: Transcript) -> str:
    """Every word of a clip, with its times in the clip and in the source (seconds), and how sure the model was."""
    told = {"clip_id": clip.clip_id, "language": said.language, "words": _words(clip, said)}
    return _text({**told, "translated_from": said.translated_from} if said.translated_from else told)


def _words(clip: Clip, said: Transcript) -> list[dict[str, Any]]:
    length_s = clip.end_s - clip.start_s
    return [
        {
            "word": cleaned(word.text),
            "start_s": round(min(length_s, max(0.0, word.start_s - clip.start_s)), DIGITS),
            "end_s": round(min(length_s, max(0.0, word.end_s - clip.start_s)), DIGITS),
            "source_start_s": round(word.start_s, DIGITS),
            "source_end_s": round(word.end_s, DIGITS),
            "probability": round(word.probability, DIGITS),
        }
        for word in words_inside(said.words, clip.start_s, clip.end_s)
    ]


def facts_json(
    clip: Clip,
    clips: Clips,
    *,
    candidate: ClipCandidate | None,
    said: Transcript | None,
    raw: RawVideo | None,
    made_by: Iterable[Provenance],
) -> str:
    """All that is known of a clip, and of what it was made: for archives and programs.

    Nothing of what the source says of itself is in it, but for its address without secrets.

    Args:
        clip: the clip.
        clips: the document that lists it.
        candidate: what it was cut by.
        said: what is said in the video.
        raw: the video.
        made_by: of each stage that it came of.
    """
    own = clip.model_dump(mode="json", exclude={"files", "start_s", "end_s"})
    chosen = candidate.model_dump(mode="json", exclude={"start_s", "end_s", "title", "reason"}) if candidate else {}
    facts = {
        **chosen,  # the quote, and whatever scores there are
        **own,  # a newer one has its crop path, and how it was cut
        "video_id": clips.video_id,
        "source": shown_source(raw.address) if raw else None,
        "in_s": clip.start_s,
        "out_s": clip.end_s,
        "provisional": clips.provisional,
        "language": said.language if said else None,
        "words": _words(clip, said) if said else None,
        "versions": {
            each.asset: {name: value for name in _OF_RECIPE if (value := getattr(each, name))} for each in made_by
        },
        "schema_version": clips.schema_version,
    }
    return _text(facts)


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def unique_stems(clips: Sequence[Clip]) -> dict[str, str]:
    """The stem of each clip by its ID; no two are one name, in whatever letters."""
    stems: dict[str, str] = {}
    for clip in clips:
        stem, taken = file_stem(clip), {each.casefold() for each in stems.values()}
        number = 2
        while stem.casefold() in taken:
            stem, number = f"{file_stem(clip)}-{number}", number + 1
        stems[clip.clip_id] = stem
    return stems
