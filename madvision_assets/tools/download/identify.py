"""Which video an address means, told without the network.

The ID that an extractor tells counts only where it stands for the whole address: for the host, and for everything in
it that says which video is meant, or lets somebody in. Else two videos, or two who may see different ones, would share
a partition; the hash of the address is kept from that.
"""

import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from madvision_assets.domain.addresses import (
    DEFAULT_PORTS,
    SHOWING,
    is_secret,
    looks_random,
    parameters,
    secrets_in_path,
    site_of,
)
from madvision_assets.domain.video import extractor_video_id, web_video_id
from madvision_assets.tools.download.addresses import canonical_address

# Share of an extractor's own examples in which the address carries the video's ID. Short of it the address carries a
# slug, which two channels of one site may share: the hash of the address is safer than a partition of two videos.
MIN_SHARE_OF_EXAMPLES = 0.9
# Longer ones cost yt-dlp's expressions, of which some look at every two places, more than any video is known by.
MAX_CHARS, MAX_PARAMETERS, MAX_SEGMENTS = 512, 30, 12
# An address that names a playlist too goes to these; with ``noplaylist`` (see ``options``) they take its one video.
PLAYLIST_TOO = {"YoutubeTab": "Youtube", "YoutubeYtBe": "Youtube"}

# What an expression names beside the ID and does not tell one video from another; a country is that of a shop.
_DECORATION = frozenset({"id", "slug", "display_id", "title", "name", "country"})
_LANGUAGE_NAMES = frozenset({"lang", "language", "locale"})
# IDs that a site counts over all its users and kinds: so long a number, or one of 128 random bits.
_COUNTED = re.compile(r"[0-9]{15,}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
# IDs that no second video of a site has by chance, in whatever folder.
_NUMBER = re.compile(r"[A-Za-z]{0,8}[-_]?[0-9]{6,}", re.ASCII)
_ANOTHER = "zzz"
# ISO 639-1, of those that sites have in their paths; id is a folder more often than Indonesian.
_LANGUAGE = re.compile(
    r"(?i)(?:ar|bg|bn|ca|cs|da|de|el|en|es|et|fa|fi|fr|gl|he|hi|hr|hu|is|it|ja|ko|lt"
    r"|lv|ms|nb|nl|nn|no|pl|pt|ro|ru|sk|sl|sr|sv|ta|th|tr|uk|ur|vi|zh)(?:[-_][a-z0-9]{2,4})?"
)
_OTHER_LANGUAGES = ("en", "de", "fr")

Fits = Callable[[str], object]


def identify(address: str) -> str:
    """ID of the video at an address: ``<extractor>-<id>`` where yt-dlp can tell, else ``web-<hash of the address>``.

    Raises:
        InvalidAddressError: not an address that we take.
    """
    canonical = canonical_address(address)
    return known_video_id(canonical) or web_video_id(canonical)


def known_video_id(address: str) -> str | None:
    """The ID that yt-dlp can tell; None where it cannot, or where the address is too long to ask.

    To ask each of 1,800 extractors takes milliseconds, so their expressions are tried first: whatever else an extractor
    asks of an address, its expression must fit.
    """
    if len(address) > MAX_CHARS or address.count("&") >= MAX_PARAMETERS:
        return None
    if not any(fits(address) for fits in _expressions_for_a_video()):
        return None
    found = next((each for each, fits in _expressions() if fits(address) and each.suitable(address)), None)
    return id_by(found, address)


def id_by(extractor: Any | None, address: str) -> str | None:
    """The ID that an extractor, the first that is suitable, tells of an address without the network; else None."""
    if extractor is not None and extractor.ie_key() in PLAYLIST_TOO:
        extractor = next(each for each in extractors() if each.ie_key() == PLAYLIST_TOO[extractor.ie_key()])
    if extractor is None or not _returns_a_video(extractor):
        return None
    source_id = extractor.get_temp_id(address)
    if not source_id or not _tells_id(extractor):
        return None
    if not _tells_address(extractor, source_id, address):
        return None
    return extractor_video_id(extractor.ie_key(), source_id)


@lru_cache(maxsize=1)
def extractors() -> tuple[Any, ...]:
    """yt-dlp's extractors but for the generic one, in their order; lazy stand-ins that match addresses only."""
    from yt_dlp.extractor import gen_extractor_classes

    return tuple(each for each in gen_extractor_classes() if each.ie_key() != "Generic")


@lru_cache(maxsize=1)
def _expressions() -> tuple[tuple[Any, Fits], ...]:
    """Each extractor with what tells whether its expression fits, in their order; some have several, a few none."""
    from yt_dlp.utils import variadic

    # The name that yt-dlp's guide for developers gives it.
    with_patterns = ((each, variadic(each._VALID_URL or ())) for each in extractors())  # noqa: SLF001
    return tuple((each, re.compile(pattern).match) for each, patterns in with_patterns for pattern in patterns)


@lru_cache(maxsize=1)
def _expressions_for_a_video() -> tuple[Fits, ...]:
    return tuple(fits for extractor, fits in _expressions() if _returns_a_video(extractor))


def _returns_a_video(extractor: Any) -> bool:
    """Whether it returns a single video; channels and searches return more, and a mixed one tells only by the page."""
    return bool(extractor._RETURN_TYPE == "video")  # noqa: SLF001 - yt-dlp has no public name for it


@lru_cache(maxsize=256)
def _tells_id(extractor: Any) -> bool:
    """Whether, in an extractor's own examples, the ID in the address is the ID of the video."""
    examples = [
        example["info_dict"]["id"] == extractor.get_temp_id(example["url"])
        for example in _examples(extractor)
        if "playlist" not in example and "id" in example.get("info_dict", {})
    ]
    return bool(examples) and sum(examples) >= MIN_SHARE_OF_EXAMPLES * len(examples)


def _tells_address(extractor: Any, source_id: str, address: str) -> bool:
    """Whether the address could be made again of the ID: nothing else in it tells a video, or lets somebody in."""
    parts = urlsplit(address)
    if site_of(parts.netloc) != _home(extractor) or secrets_in_path(parts.netloc, parts.path):
        return False
    other_parts = (each.replace(source_id, "") for each in parts.path.split("/"))
    return (
        not any(map(looks_random, other_parts))
        and _names_nothing_else(extractor, address)
        and _tells_place(extractor, source_id, parts)
        and _tells_fragment(source_id, parts.fragment)
        and _tells_query(extractor, source_id, parts)
    )


def _names_nothing_else(extractor: Any, address: str) -> bool:
    """Whether an extractor reads nothing of an address but its ID, and what tells no video from another.

    What lies in the host was looked at, and what encloses the ID is looked at piece by piece.
    """
    found = extractor._match_valid_url(address)  # noqa: SLF001 - what tells the ID goes by it
    if found is None:
        return False
    host_ends = len(address) - len(address.partition("://")[2].partition("/")[2])
    named = {name: found.span(name) for name, text in found.groupdict().items() if text}
    begins, ends = named.get("id", (0, 0))
    counted = _COUNTED.fullmatch(address[begins:ends]) is not None
    return all(
        name.rstrip("_0123456789") in _DECORATION
        or last <= host_ends
        or first <= begins < ends <= last
        or (counted and name.rstrip("_0123456789") not in _LANGUAGE_NAMES)
        for name, (first, last) in named.items()
    )


def _tells_place(extractor: Any, source_id: str, parts: SplitResult) -> bool:
    """Whether no other folder of the site, nor another language, has another video of this ID."""
    alone = _NUMBER.fullmatch(source_id) or _COUNTED.fullmatch(source_id) or looks_random(source_id)
    path, mark, fragment = parts.path, "#" if parts.fragment else "", parts.fragment
    segments = f"{path}{mark}{fragment}".split("/")
    # What follows the ID is a title.
    before = max(
        (n for n, each in enumerate(segments) if source_id in each), default=len(segments) - (not segments[-1])
    )
    if before > MAX_SEGMENTS:
        return False
    for n, segment in enumerate(segments[:before]):
        for other in _others(segment, alone=bool(alone)) if n and "#" not in segment else ():
            path, _, fragment = "/".join([*segments[:n], other, *segments[n + 1 :]]).partition("#")
            if _temp_id(extractor, urlunsplit(parts._replace(path=path, fragment=fragment))) == source_id:
                return False
    return True


def _others(segment: str, *, alone: bool) -> list[str]:
    """What a part of a path could be instead, and mean another video."""
    others = [each for each in _OTHER_LANGUAGES if each != segment] if _LANGUAGE.fullmatch(segment) else []
    return others if alone else [_ANOTHER, *others]


def _temp_id(extractor: Any, address: str) -> str | None:
    found: str | None = extractor.get_temp_id(address) if extractor.suitable(address) else None
    return found


def _tells_fragment(source_id: str, fragment: str) -> bool:
    """Whether a fragment, where one is left, carries the ID, and nothing that lets somebody in."""
    secret = any(
        is_secret(name, value.replace(source_id, "")) for name, value, _ in parameters(fragment.partition("?")[2])
    )
    return not fragment or (source_id in fragment and not secret)


def _tells_query(extractor: Any, source_id: str, parts: SplitResult) -> bool:
    """Whether each parameter only carries the ID, or says how to show the video."""
    given = parameters(parts.query)
    for n, (name, value, _) in enumerate(given):
        others = "&".join(spelled for m, (_, _, spelled) in enumerate(given) if m != n)
        without = urlunsplit(parts._replace(query=others))
        carries_id = _temp_id(extractor, without) != source_id
        if is_secret(name, value.replace(source_id, "") if carries_id else value):
            return False
        if not carries_id and not SHOWING.fullmatch(name):
            return False
    return True


@lru_cache(maxsize=256)
def _home(extractor: Any) -> str:
    """The one site whose videos an extractor's IDs are of: that of most of its own examples.

    Many extractors know a player that any host may run, or several hosts that count for themselves.
    """
    addresses = [urlsplit(example["url"]) for example in _examples(extractor)]
    sites = Counter(site_of(each.netloc) for each in addresses if each.scheme in DEFAULT_PORTS)
    return min(sites, key=lambda site: (-sites[site], site), default="")


def _examples(extractor: Any) -> list[Any]:
    """An extractor's own examples."""
    return list(getattr(extractor, "real_class", extractor).get_testcases())
