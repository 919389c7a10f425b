"""Which video an address means, told without the network."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from madvision_assets.domain.video import canonical_address, extractor_video_id, web_video_id

# Share of an extractor's own examples in which the address carries the video's ID. Short of it the address carries a
# slug, which two channels of one site may share: the hash of the address is safer than a partition of two videos.
MIN_SHARE_OF_EXAMPLES = 0.9
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
    """The ID that yt-dlp can tell; None where it cannot.

    To ask each of 1,800 extractors takes milliseconds, so their expressions are tried first: whatever else an extractor
    asks of an address, its expression must fit.
    """
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
        for example in getattr(extractor, "real_class", extractor).get_testcases()
        if "playlist" not in example and "id" in example.get("info_dict", {})
    ]
    return bool(examples) and sum(examples) >= MIN_SHARE_OF_EXAMPLES * len(examples)
