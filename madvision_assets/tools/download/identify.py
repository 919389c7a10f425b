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
MAX_CHARS, MAX_PARAMETERS = 512, 30
# An address that names a playlist too goes to these; with ``noplaylist`` (see ``options``) they take its one video.
PLAYLIST_TOO = {"YoutubeTab": "Youtube", "YoutubeYtBe": "Youtube"}

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
        and _tells_fragment(source_id, parts.fragment)
        and _tells_query(extractor, source_id, parts)
    )


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
        carries_id = not extractor.suitable(without) or extractor.get_temp_id(without) != source_id
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
