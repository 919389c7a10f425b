"""The test site breaks in the ways that it promises."""

import http.client
import urllib.request

import pytest

from madvision_assets_tests.site import Site


def get(url: str, **headers: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        body = answer.read()
        assert isinstance(body, bytes)
        return body


def test_a_range_gives_the_rest_and_is_counted() -> None:
    with Site() as site:
        assert get(site.serve("/a", [b"0123", b"4567"]), Range="bytes=3-") == b"34567"
        hit = site.hits("/a")[0]
        assert (hit.range_start, hit.sent_bytes) == (3, 5)


def test_a_connection_is_cut_as_often_as_was_said() -> None:
    with Site() as site:
        url = site.serve("/a", b"0123456789", cut_after_bytes=4, cuts=1)
        with pytest.raises(http.client.IncompleteRead) as caught:
            get(url)
        assert caught.value.partial == b"0123"
        assert get(url) == b"0123456789"


def test_closing_ends_a_slow_answer() -> None:
    with Site() as site:
        url = site.serve("/a", b"x" * 1000, bytes_per_s=20)
        answer = urllib.request.urlopen(url, timeout=10)
        assert answer.read(1) == b"x"
    with answer, pytest.raises(http.client.IncompleteRead):
        answer.read()
