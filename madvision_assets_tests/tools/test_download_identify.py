"""Claims about telling a video's ID cheaply: the short cut changes no answer."""

import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from madvision_assets.tools.download import identify
from madvision_assets.tools.download.identify import candidates, extractors
from madvision_assets.tools.download.literals import required_texts

EVERY_NTH = 4  # of yt-dlp's own 6,000 addresses; all of them take 10 s, in the long run


def _own_addresses() -> list[str]:
    examples = (each.real_class.get_testcases(include_onlymatching=True) for each in extractors())
    return sorted({example["url"] for each in examples for example in each})


def _disagreements(addresses: list[str]) -> list[str]:
    """The addresses for which the short cut finds another extractor than asking each one in turn."""
    return [
        address
        for address in addresses
        if next((each for each in candidates(address) if each.suitable(address)), None)
        is not next((each for each in extractors() if each.suitable(address)), None)
    ]


def test_the_short_cut_finds_the_extractor_that_asking_each_one_finds() -> None:
    addresses = _own_addresses()

    assert len(addresses) > 5000
    assert _disagreements(addresses[::EVERY_NTH]) == []


@pytest.mark.long
def test_the_short_cut_finds_it_for_every_address_of_yt_dlp_in_other_letters_too() -> None:
    addresses = _own_addresses()

    assert _disagreements([*addresses, *(address.upper() for address in addresses)]) == []


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/\u017f",
        "https://www.YOUTUBE.com/watch?v=aqz-KE-bpKQ",
        "https://v\u0131meo.com/1",
        "http://a/",
        "x",
        "",
    ],
)
def test_unusual_addresses_are_no_exception(address: str) -> None:
    assert _disagreements([address]) == []


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        (r"https?://(?:www\.)?example\.org/watch/(\d+)", {"example.org/watch/"}),
        (r"(?x) https?:// (?:a\.example | b\.example) /", {"a.example", "b.example"}),
        (r"(?i)https?://EXAMPLE\.tv/\d", {"://example.tv/"}),
        (r"(?:example\.org)?/\d+x?", {"/"}),
        (r"(?P<id>\d+)", set()),
        (r"a(?:bc){2,}d|efg", {"bc", "efg"}),
        (r"(?!nothere)ab(?=c)cd", {"abcd"}),
    ],
)
def test_what_every_match_contains_is_found(pattern: str, texts: set[str]) -> None:
    assert required_texts(pattern) == texts


@settings(max_examples=300)
@given(
    st.sampled_from([r"(?i)(?:ab|c{2,3}d)e*f(gh)?i", r"x(?:y(?:z|w)){1,2}?v", r"(?>ab)(?:c|d|)e", r"k(l)(?(1)m|n)o"]),
    st.data(),
)
def test_no_match_lacks_what_is_required(pattern: str, data: st.DataObject) -> None:
    matching = data.draw(st.from_regex(pattern, fullmatch=True, alphabet=st.characters(max_codepoint=127)))
    texts = required_texts(pattern)

    assert re.fullmatch(pattern, matching)
    assert not texts or any(text in matching.lower() for text in texts)


def test_an_unknown_host_costs_a_small_part_of_asking_every_extractor() -> None:
    address = "https://media.example.org/talks/2026/keynote.mp4"
    identify(address)
    any(each.suitable(address) for each in extractors())

    short, whole = (
        _fastest_s(lambda: identify(address)),
        _fastest_s(lambda: any(each.suitable(address) for each in extractors())),
    )

    assert short < whole / 4


def _fastest_s(work: Callable[[], object]) -> float:
    times = []
    for _ in range(15):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)
