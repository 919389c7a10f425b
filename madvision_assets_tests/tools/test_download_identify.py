"""Claims about telling a video's ID cheaply: the short cut changes no answer."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from madvision_assets.domain.addresses import looks_random, public_address, secrets_in
from madvision_assets.domain.failures import InvalidAddressError
from madvision_assets.tools.download import identify
from madvision_assets.tools.download.addresses import canonical_address
from madvision_assets.tools.download.identify import extractors, id_by, known_video_id

LANGUAGES = {"de", "en", "es", "fr", "it", "ja", "pt"}
LANGUAGE_NAMES = ("lang", "language", "locale", "hl")
EVERY_NTH = 8  # of yt-dlp's own 6,000 addresses; all of them are asked in the long run


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

    assert len(addresses) > 600
    assert sum(known_video_id(address) is not None for address in addresses) > len(addresses) / 6
    assert _disagreements(addresses) == []


@pytest.mark.long
def test_the_short_cut_tells_it_for_every_address_of_yt_dlp_in_other_letters_too() -> None:
    addresses = _own_addresses()

    assert _disagreements([*addresses, *(address.upper() for address in addresses[::EVERY_NTH])]) == []


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
        min(_took_s(lambda: identify(address)) for _ in range(15)),
        min(_took_s(lambda: any(each.suitable(address) for each in extractors())) for _ in range(15)),
    )

    assert short < whole / 4


PLAIN, LONGEST = "https://media.example.org/", 4096
DEAR_AT_MOST = 25  # times a plain address of the same length; those that were dear took from 150 times on


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("begins", "repeats", "ends"),
    [
        (f"{PLAIN}?q=&", "amp;", ""),
        (f"{PLAIN}?q=", "&amp;", ""),
        (f"{PLAIN}?q=&", "amp%3B", ""),
        (f"{PLAIN}?q=&amp%", "25", ""),
        ("https://vk.com/video-1_2?", "t&", ""),
        (f"{PLAIN}?q=", "&fbclid.", ""),
        (f"{PLAIN}#", "/", ""),
        (f"{PLAIN}#!/", "/", "x"),
        (f"{PLAIN}#", "?v=/", "x"),
        (f"{PLAIN}?", "x-amz-", "%0A=1"),
        (PLAIN, "%", ""),
        (PLAIN, "%%32%35", ""),
        (PLAIN, "a/../", ""),
        (PLAIN, "\u200c", "a"),
        (PLAIN, ").", ""),
        ("https://", "a.", "com/"),
        ("https://", "\u00e4.", "com/"),
        ("", "a.", "com/ x"),
        ("x ", "(", "https://a.example/"),
        ("", "x ", "https://a.example/"),
        ("x https://a.example/", " a:", ""),
        ("x https://a.example/ ", "a.", "com"),
        ("", "https://a.example/ ", ""),
        ("", "](", "https://a.example/"),
        ("https://vimeo.com/channels/staffpicks/123456789?", "app&", ""),
        ("https://vimeo.com/1", "/", ""),
        ("https://www.gaia.com/video/", "-", ""),
        ("https://www.youtube.com/watch?", "v=a&", ""),
        ("https://www.youtube.com", "/attribution_link?u=///", ""),
        ("https://player.bilibili.com/player.html?", "p&", ""),
    ],
)
def test_no_address_costs_much_more_than_a_plain_one_of_its_length(begins: str, repeats: str, ends: str) -> None:
    def work(address: str) -> None:
        with suppress(InvalidAddressError):
            identify(address)
        public_address(address)
        secrets_in(address)

    dear = begins + repeats * ((LONGEST - len(begins + ends)) // len(repeats)) + ends
    plain = PLAIN + "a" * (LONGEST - len(PLAIN))
    work(plain)

    # In turn, since a machine that others use is now fast and now slow.
    pairs = [(_took_s(lambda: work(dear)), _took_s(lambda: work(plain))) for _ in range(15)]
    assert min(dear_s / plain_s for dear_s, plain_s in pairs) < DEAR_AT_MOST


# --- an ID stands for the whole address ---


@pytest.mark.parametrize(
    ("address", "video_id"),
    [
        ("https://clyp.it/ojz2wfah", "clyp-ojz2wfah"),
        ("https://vimeo.com/76979871", "vimeo-76979871"),
        ("https://player.vimeo.com/video/76979871", "vimeo-76979871"),
        ("https://vimeo.com/76979871?autoplay=1&loop=1", "vimeo-76979871"),
        ("https://youtu.be/dQw4w9WgXcQ", "youtube-dQw4w9WgXcQ"),
        ("https://www.dailymotion.com/video/x5kesuj_office-christmas-party-review", "dailymotion-x5kesuj"),
        ("https://www.pornhub.com/view_video.php?viewkey=ph601dc30bae19a", "pornhub-ph601dc30bae19a"),
        ("https://www.tiktok.com/@somebody/video/6748451240264420610?is_from_webapp=1", "tiktok-6748451240264420610"),
        ("https://podcasts.apple.com/us/podcast/a-title/id1135137367?i=1000482637777", "applepodcasts-1000482637777"),
        ("https://streamable.com/dnd1", "streamable-dnd1"),
        (
            "https://vkplay.live/zitsmann/record/f5e6e3b5-dc52-4d14-965d-0680dd2882da",
            "vkplay-f5e6e3b5-dc52-4d14-965d-0680dd2882da",
        ),
    ],
)
def test_an_address_that_only_names_the_video_keeps_the_id_that_it_had(address: str, video_id: str) -> None:
    assert identify(address) == video_id


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://clyp.it/ojz2wfah", "https://clyp.it/ojz2wfah?token=b0078e077e15835845c528a44417719d"),
        ("https://clyp.it/ojz2wfah?token=one", "https://clyp.it/ojz2wfah?token=other"),
        ("https://vimeo.com/76979871", "https://vimeo.com/76979871/1234abcd56"),
        ("https://vimeo.com/76979871/1234abcd56", "https://vimeo.com/76979871/9603038895"),
        ("https://player.vimeo.com/video/76979871", "https://player.vimeo.com/video/76979871?h=1234abcd56"),
        ("https://drive.google.com/file/d/0ByeS4oOUV-49Zzh4/view", "https://drive.google.com/file/d/0ByeS4oOUV-49Zzh4/view?resourcekey=0-k"),
        ("https://www.viddler.com/v/890c0985", "https://www.viddler.com/v/890c0985?secret=34051570"),
        ("https://mediasite.uib.no/Mediasite/Play/2db6c271681e4f199af3c60d1f82869b1d", "https://evil.example/Mediasite/Play/2db6c271681e4f199af3c60d1f82869b1d"),
        ("https://videos.sproutvideo.com/embed/4c9dddb01910e3c9c4/0fc24387c4f24ee3", "https://videos.sproutvideo.com/embed/4c9dddb01910e3c9c4/1fc24387c4f24ee4"),
        ("https://clyp.it/ojz2wfah?anything=1", "https://clyp.it/ojz2wfah?anything=2"),
        ("https://music.163.com/#/song?id=550136151", "https://music.163.com/#/song?id=32102397"),
        ("https://ladigitale.dev/digiview/#/v/67a8e50aee2ec", "https://ladigitale.dev/digiview/#/v/67a8e51d0dd58"),
        ("https://example.com/app#!/videos/7", "https://example.com/app#!/videos/8"),
        ("https://clyp.it/ojz2wfah", "https://clyp.it/ojz2wfah#/another/1"),
        ("https://vk.com/video-1_2", "https://vkvideo.ru/video-1_2?list=cca524a0f0d5557e16"),
        ("https://soundcloud.com/a/b", "https://soundcloud.com/a/b?secret_token=s-8Pjrp"),
        ("https://x.com/u/status/643211948184596480/video/1", "https://x.com/u/status/643211948184596480/video/2"),
        ("https://www.bilibili.com/video/BV13x41117TL", "https://www.bilibili.com/video/BV13x41117TL?p=2"),
        ("http://www.mdr.de/kultur/radio/operation-mindfuck-robert-wilson100.html", "https://www.mdr.de/sachsen/video-einbruch-100.html"),
        ("https://www.mdr.de/a100/x/klimawandel100.html", "https://www.mdr.de/b100/x/video-einbruch-100.html"),
        ("http://www.rtl2.de/sendung/grip/folge/folge-203-0", "http://www.rtl2.de/sendung/die-geissens/folge/folge-203-0"),
        ("https://fptplay.vn/xem-video/nhan-621a123016f369ebbde55945/tap-1", "https://fptplay.vn/xem-video/nhan-621a123016f369ebbde55945/tap-2"),
        ("https://omny.fm/shows/sleep-hub/trailer", "https://omny.fm/shows/other-show/trailer"),
        ("https://sound.orf.at/podcast/oe3/bei-mir/trailer", "https://sound.orf.at/podcast/fm4/other/trailer"),
        ("https://www.epicon.in/tv-shows/one/season-1/vardaan", "https://www.epicon.in/tv-shows/other/season-2/vardaan"),
        ("https://app.itpro.tv/course/guided-tour/overview", "https://app.itpro.tv/course/beginners-it/overview"),
        ("http://feed.theplatform.com/f/7wvmTC/msnbc?byGuid=n_5biden_140207", "http://feed.theplatform.com/f/EVIL/feed?byGuid=n_5biden_140207"),
        ("https://d.tube/#!/v/broncnutz/x380jtr1", "https://d.tube/#!/v/evil/x380jtr1"),
        ("https://www.arte.tv/de/videos/088501-000-A/x/", "https://www.arte.tv/fr/videos/088501-000-A/x/"),
        ("https://animationdigitalnetwork.com/video/558-a/9841-b", "https://animationdigitalnetwork.com/de/video/558-a/9841-b"),
        ("https://vimeo.com/user26785108/newspiritualguide", "https://vimeo.com/user26785108/another"),
        *((f"https://clyp.it/ojz2wfah?{name}=de", f"https://clyp.it/ojz2wfah?{name}=fr") for name in LANGUAGE_NAMES),
    ],
)  # fmt: skip
def test_two_who_may_see_different_videos_never_share_a_partition(one: str, other: str) -> None:
    assert identify(one) != identify(other)


@pytest.mark.no_cover
def test_whatever_the_extractor_another_host_is_another_video() -> None:
    shared = []
    for address in _own_addresses()[::EVERY_NTH]:
        parts = urlsplit(address)
        known = known_video_id(address)
        if known is None or not parts.hostname:
            continue
        elsewhere = (
            f"{parts.hostname}.evil.example",
            f"evil.{parts.hostname}",
            "evil.example",
            f"{parts.hostname}:8443",
        )
        shared += [
            (address, host) for host in elsewhere if known_video_id(parts._replace(netloc=host).geturl()) == known
        ]

    assert shared == []


def _is_one_of_its_kind(video_id: str) -> bool:
    """By a number, by a UUID, or by letters and digits in turn."""
    source_id = video_id.partition("-")[2]
    return re.search(r"\d{6}", source_id) is not None or looks_random(source_id)


def _shared_with_another(address: str) -> list[str]:
    """Addresses with another folder before the ID, or in another language, that would share a partition with it."""
    try:
        parts = urlsplit(canonical_address(address))
    except InvalidAddressError:
        return []
    known = known_video_id(parts.geturl())
    if known is None:
        return []
    segments, source_id = parts.path.split("/"), known.partition("-")[2]
    ends = max((n for n, each in enumerate(segments) if source_id in each), default=0)
    elsewhere = [] if _is_one_of_its_kind(known) else [(n, "zzz") for n in range(1, ends)]
    languages = [(n, "de" if each != "de" else "fr") for n, each in enumerate(segments[:ends]) if each in LANGUAGES]
    others = [
        parts._replace(path="/".join([*segments[:n], other, *segments[n + 1 :]])).geturl()
        for n, other in [*elsewhere, *languages]
    ]
    others.append(parts._replace(query=f"{parts.query}&lang=de".lstrip("&")).geturl())
    return [
        f"{known} {address} {other}"
        for other in others
        if canonical_address(other) != parts.geturl() and identify(other) == known
    ]


@pytest.mark.no_cover
def test_whatever_the_extractor_another_folder_or_language_is_another_video() -> None:
    addresses = _own_addresses()[:: 4 * EVERY_NTH]

    assert [each for address in addresses for each in _shared_with_another(address)] == []


@pytest.mark.long
def test_of_no_address_of_yt_dlp_another_folder_or_language_is_the_same_video() -> None:
    assert [each for address in _own_addresses() for each in _shared_with_another(address)] == []


def _took_s(work: Callable[[], object]) -> float:
    started_s = time.process_time()
    work()
    return time.process_time() - started_s
