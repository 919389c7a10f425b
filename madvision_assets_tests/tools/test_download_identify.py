"""Claims about telling a video's ID cheaply: the short cut changes no answer."""

import time
from collections.abc import Callable

import pytest

from madvision_assets.tools.download import identify
from madvision_assets.tools.download.identify import extractors, id_by, known_video_id

EVERY_NTH = 4  # of yt-dlp's own 6,000 addresses; all of them are asked in the long run


def _own_addresses() -> list[str]:
    examples = (each.real_class.get_testcases(include_onlymatching=True) for each in extractors())
    return sorted({example["url"] for each in examples for example in each})


def _asked_in_turn(address: str) -> str | None:
    """The ID, where each extractor is asked in turn, as yt-dlp does."""
    return id_by(next((each for each in extractors() if each.suitable(address)), None), address)


def _disagreements(addresses: list[str]) -> list[str]:
    """The addresses for which the short cut tells another ID than asking each extractor in turn."""
    return [address for address in addresses if known_video_id(address) != _asked_in_turn(address)]


@pytest.mark.no_cover  # it is yt-dlp's code that runs for seconds
def test_the_short_cut_tells_the_id_that_asking_each_extractor_tells() -> None:
    addresses = _own_addresses()[::EVERY_NTH]

    assert len(addresses) > 1200
    assert sum(known_video_id(address) is not None for address in addresses) > len(addresses) / 3
    assert _disagreements(addresses) == []


@pytest.mark.long
def test_the_short_cut_tells_it_for_every_address_of_yt_dlp_in_other_letters_too() -> None:
    addresses = _own_addresses()

    assert _disagreements([*addresses, *(address.upper() for address in addresses)]) == []


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/\u017f",
        "https://www.YOUTUBE.com/watch?v=aqz-KE-bpKQ",
        "https://www.youtube.com/watch?v=aqz-KE-bpKQ&list=PLMC9KNkIncKtPzgY-5rmhvj7fax8fdxoj",
        "https://youtu.be/aqz-KE-bpKQ?list=PLMC9KNkIncKtPzgY-5rmhvj7fax8fdxoj",
        "https://www.youtube.com/playlist?list=PLMC9KNkIncKtPzgY-5rmhvj7fax8fdxoj",
        "https://v\u0131meo.com/1",
        "http://a/",
        "x",
        "",
    ],
)
def test_unusual_addresses_are_no_exception(address: str) -> None:
    assert _disagreements([address]) == []


@pytest.mark.no_cover
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
