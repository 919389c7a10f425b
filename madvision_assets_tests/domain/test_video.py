"""Claims about addresses and IDs."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madvision_assets.domain.failures import InvalidAddressError
from madvision_assets.domain.provenance import VIDEO_ID_PATTERN
from madvision_assets.domain.video import canonical_address, extractor_video_id, file_video_id, web_video_id


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


@given(st.text(), st.text())
def test_ids_are_valid_partition_keys_or_none(extractor: str, source_id: str) -> None:
    made = extractor_video_id(extractor, source_id)
    assert made is None or re.fullmatch(VIDEO_ID_PATTERN, made)


def test_ids_are_short_stable_and_valid() -> None:
    assert extractor_video_id("Youtube", "dQw4w9WgXcQ") == "youtube-dQw4w9WgXcQ"
    assert re.fullmatch(VIDEO_ID_PATTERN, web_video_id("http://example.com/"))
    assert file_video_id("ab" * 32) == "file-" + "ab" * 8
