"""Claims about the one spelling of an address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madvision_assets.domain.addresses import public_address
from madvision_assets.domain.failures import InvalidAddressError
from madvision_assets.tools.download.addresses import canonical_address


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("HTTP://Example.COM:80", "http://example.com/"),
        ("https://example.com:443/a#part", "https://example.com/a"),
        ("https://example.com./a", "https://example.com/a"),
        ("http://example.com:8080/a b.mp4", "http://example.com:8080/a%20b.mp4"),
        ("https://example.com/v?utm_source=x&id=7", "https://example.com/v?id=7"),
        ("https://example.com/v?sig=a%2Fb&x=1", "https://example.com/v?sig=a%2Fb&x=1"),
        ("https://b\u00fccher.example/\u00e4", "https://xn--bcher-kva.example/%C3%A4"),
        ("  https://example.com/a  ", "https://example.com/a"),
        ("http://[::1]:81/a", "http://[::1]:81/a"),
        ("https://example.com/v?utm_source=x&sig=a%2Fb+c", "https://example.com/v?sig=a%2Fb+c"),
        ("example.com/v", "https://example.com/v"),
        ("//www.example.com:8080/v?a=b", "https://www.example.com:8080/v?a=b"),
        ("\u200bhttps://example.com/a\u200b\ufeff \u2060", "https://example.com/a"),
        ("https://stra\u00dfe.example/", "https://xn--strae-oqa.example/"),
        ("https://STRASSE.example/", "https://strasse.example/"),
        ("https://\u03b2\u03cc\u03bb\u03bf\u03c2.com/", "https://xn--nxasmm1c.com/"),
        ("https://\uff57\uff57\uff57\u3002example\u3002com/", "https://www.example.com/"),
        ("https://my_host.example/", "https://my_host.example/"),
    ],
)
def test_one_address_has_one_spelling(typed: str, canonical: str) -> None:
    assert canonical_address(typed) == canonical
    assert canonical_address(canonical) == canonical


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "talk.mp4",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "ftp://h/a",
        "http://",
        "http:///a",
        "http://h:99999/",
        "http://user:secret@h/",
        "http://h/\x00",
        "http://h/a\nb",
        "http://h/" + "a" * 10_000,
        "http://[::1",
        "data:text/html,x",
        "user:secret@example.com/a",
        "localhost/a",
        "folder/talk.mp4",
        "http://\u2764\ud83d.example/",
    ],
)
def test_what_is_no_address_of_a_video_is_refused(typed: str) -> None:
    with pytest.raises(InvalidAddressError):
        canonical_address(typed)


def test_a_refused_password_is_not_repeated() -> None:
    with pytest.raises(InvalidAddressError) as caught:
        canonical_address("http://user:secret@h/")
    assert "secret" not in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_canonical_or_refused(text: str) -> None:
    for typed in (text, "http://" + text, "https://example.com/" + text):
        try:
            once = canonical_address(typed)
        except InvalidAddressError:
            continue
        assert canonical_address(once) == once


YOUTUBE = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
INSTAGRAM = "https://www.instagram.com/p/aye83DjauH/"


@pytest.mark.parametrize(
    ("spelled", "video"),
    [
        *((spelled, YOUTUBE) for spelled in (
            "https://www.youtube.com/watch/dQw4w9WgXcQ",
            "https://youtube.com//watch?v=dQw4w9WgXcQ",
            "https://www.youtube.com/watch/?v=dQw4w9WgXcQ&t=42s&si=aBcDeFgH12345678",
            "https://www.youtube.com/attribution_link?a=8g8kPrPIi-ecwIsS&u=%2Fwatch%3Fv%3DdQw4w9WgXcQ%26feature%3Dshare",
            "https://m.youtube.com/attribution_link?u=/watch?v=dQw4w9WgXcQ&a=x",
            "https://music.youtube.com/watch?v=dQw4w9WgXcQ&list=RDAMVMdQw4w9WgXcQ",
            "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ?start=3",
            "https://www.youtube.com/shorts/dQw4w9WgXcQ?feature=share",
            "https://www.youtube.com/live/dQw4w9WgXcQ?si=x",
            "https://youtu.be/dQw4w9WgXcQ?si=aBcDeFgH12345678&t=5",
            "youtube.com/watch?v=dQw4w9WgXcQ",
            "youtu.be/dQw4w9WgXcQ\u200b",
        )),
        *((spelled, INSTAGRAM) for spelled in (
            "https://www.instagram.com/reel/aye83DjauH/?igsh=MTc4MmM1YmI2Ng==",
            "https://instagram.com/reels/aye83DjauH",
            "https://www.instagram.com/somebody/reel/aye83DjauH/?utm_source=ig_web_copy_link&img_index=2",
            "https://www.instagram.com/tv/aye83DjauH/",
        )),
        ("https://www.twitch.tv/videos/6528877?t=5m10s", "https://www.twitch.tv/videos/6528877"),
        ("https://twitter.com/u/status/643211948184596480?s=20&t=abc", "https://x.com/u/status/643211948184596480"),
        ("https://mobile.x.com/u/status/643211948184596480/video/1", "https://x.com/u/status/643211948184596480/video/1"),
        ("https://vimeo.com/76979871?share=copy&fl=sv&fe=ci", "https://vimeo.com/76979871"),
        ("https://drive.google.com/file/d/X/view?usp=sharing&resourcekey=0-k", "https://drive.google.com/file/d/X/view?resourcekey=0-k"),
        ("https://www.facebook.com/watch/?v=6475&mibextid=x", "https://www.facebook.com/watch/?v=6475"),
        ("https://dai.ly/x5kesuj", "https://www.dailymotion.com/video/x5kesuj"),
    ],
)  # fmt: skip
def test_a_video_of_a_site_has_one_spelling_whoever_shared_it(spelled: str, video: str) -> None:
    assert canonical_address(spelled) == video
    assert canonical_address(video) == video


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com/v?t=5&s=2&si=1&igshx=3",
        "https://www.youtube.com.example.com/watch/dQw4w9WgXcQ",
        "https://www.youtube.com:8443/watch/dQw4w9WgXcQ",
        "https://www.youtube.com/embed/videoseries?list=PLMC9KNkIncKtPzgY",
        "https://www.youtube.com/embed/live_stream?channel=UC1",
        "https://www.youtube.com/attribution_link?u=%2Fattribution_link%3Fu%3D%252Fwatch",
        "https://www.youtube.com/playlist?list=PLMC9KNkIncKtPzgY",
        "https://vimeo.com/76979871/1234abcd56",
    ],
)
def test_what_may_name_another_video_is_left_as_it_is(address: str) -> None:
    assert canonical_address(address) == address


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://clyp.it/ojz2wfah?token=b0078e077e15", "https://clyp.it/ojz2wfah?token=***"),
        ("https://example.com/v.mp4?X-Amz-Signature=abc&X-Amz-Credential=c", "https://example.com/v.mp4?X-Amz-Signature=***&X-Amz-Credential=***"),
        ("https://vimeo.com/76979871/1234abcd56", "https://vimeo.com/76979871/***"),
        ("https://player.vimeo.com/video/76979871?h=1234abcd56", "https://player.vimeo.com/video/76979871?h=***"),
        ("https://drive.google.com/file/d/0ByeS4/view?resourcekey=0-k", "https://drive.google.com/file/d/0ByeS4/view?resourcekey=***"),
        ("https://www.dropbox.com/scl/fi/a/b.mp4?rlkey=x1", "https://www.dropbox.com/scl/fi/a/b.mp4?rlkey=***"),
        ("https://soundcloud.com/a/b/s-8Pjrp", "https://soundcloud.com/a/b/***"),
        ("https://user:password@example.com/v#key", "https://example.com/v"),
        ("https://example.com/v?x=9f8e7d6c5b4a39281", "https://example.com/v?x=***"),
        (YOUTUBE, YOUTUBE),
        ("https://example.com/v?videoId=9f8e7d6c5b4a&page=2&q=season12", "https://example.com/v?videoId=9f8e7d6c5b4a&page=2&q=season12"),
    ],
)  # fmt: skip
def test_others_are_shown_an_address_without_what_lets_somebody_in(address: str, shown: str) -> None:
    assert public_address(address) == shown
