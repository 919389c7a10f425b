"""Which video an address means, told without the network."""

from collections import Counter
from functools import lru_cache
from typing import Any

from madvision_assets.domain.video import canonical_address, extractor_video_id, web_video_id
from madvision_assets.tools.download.literals import AnyOf, required_texts

# Share of an extractor's own examples in which the address carries the video's ID. Short of it the address carries a
# slug, which two channels of one site may share: the hash of the address is safer than a partition of two videos.
MIN_SHARE_OF_EXAMPLES = 0.9
# An address that names a playlist too goes to these; with ``noplaylist`` (see ``options``) they take its one video.
PLAYLIST_TOO = {"YoutubeTab": "Youtube", "YoutubeYtBe": "Youtube"}
EVERYWHERE: AnyOf = frozenset({""})
PIECE_CHARS = 4


def identify(address: str) -> str:
    """ID of the video at an address: ``<extractor>-<id>`` where yt-dlp can tell, else ``web-<hash of the address>``.

    Raises:
        InvalidAddressError: not an address that we take.
    """
    canonical = canonical_address(address)
    return _known_video_id(canonical) or web_video_id(canonical)


def _known_video_id(address: str) -> str | None:
    extractor = next((each for each in candidates(address) if each.suitable(address)), None)
    if extractor is not None and extractor.ie_key() in PLAYLIST_TOO:
        extractor = next(each for each in extractors() if each.ie_key() == PLAYLIST_TOO[extractor.ie_key()])
    # Channels, playlists and searches return more than one video; a mixed extractor cannot tell by the address.
    if extractor is None or extractor._RETURN_TYPE != "video":  # noqa: SLF001 - yt-dlp has no public name for it
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


def candidates(address: str) -> list[Any]:
    """The extractors that may be suitable, in their order; to try each of 1,800 expressions takes milliseconds."""
    if not address.isascii():
        return list(extractors())
    text = address.lower()
    index = _index()
    found = {n for piece in _pieces(text) & index.keys() for n, required in index[piece] if required in text}
    return [extractors()[n] for n in sorted(found | _always_asked())]


@lru_cache(maxsize=1)
def _index() -> dict[str, list[tuple[int, str]]]:
    """By its rarest piece, each text that makes it worth while to ask an extractor, with the extractor's number."""
    wanted = [(n, text) for n, texts in enumerate(_required_texts()) for text in texts if len(text) >= PIECE_CHARS]
    occurrences = Counter(piece for _, text in wanted for piece in _pieces(text))
    index: dict[str, list[tuple[int, str]]] = {}
    for n, text in wanted:
        index.setdefault(min(_pieces(text), key=lambda piece: (occurrences[piece], piece)), []).append((n, text))
    return index


def _pieces(text: str) -> set[str]:
    return {text[at : at + PIECE_CHARS] for at in range(len(text) - PIECE_CHARS + 1)}


@lru_cache(maxsize=1)
def _always_asked() -> frozenset[int]:
    """The numbers of those of whose addresses no text is sure, or too short a one."""
    shortest = [min(map(len, texts), default=PIECE_CHARS) for texts in _required_texts()]
    return frozenset(n for n, chars in enumerate(shortest) if chars < PIECE_CHARS)


@lru_cache(maxsize=1)
def _required_texts() -> tuple[AnyOf, ...]:
    """For each extractor texts of which one is in every address that suits it; none where no address ever does."""
    from yt_dlp.utils import variadic

    found = []
    for extractor in extractors():
        patterns = variadic(extractor._VALID_URL or ())  # noqa: SLF001
        texts = [required_texts(pattern) or EVERYWHERE for pattern in patterns]
        found.append(frozenset[str]().union(*texts) if _keeps_to_its_pattern(extractor) else EVERYWHERE)
    return tuple(found)


def _keeps_to_its_pattern(extractor: Any) -> bool:
    """Whether its rule, where it has one of its own, can only narrow what its expressions match."""
    names = extractor.suitable.__func__.__code__.co_names
    return "_match_valid_url" in names or "super" in names


@lru_cache(maxsize=256)
def _tells_id(extractor: Any) -> bool:
    """Whether, in an extractor's own examples, the ID in the address is the ID of the video."""
    examples = [
        example["info_dict"]["id"] == extractor.get_temp_id(example["url"])
        for example in getattr(extractor, "real_class", extractor).get_testcases()
        if "playlist" not in example and "id" in example.get("info_dict", {})
    ]
    return bool(examples) and sum(examples) >= MIN_SHARE_OF_EXAMPLES * len(examples)
