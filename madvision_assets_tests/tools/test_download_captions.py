"""Captions that people made come with a video, within bounds, and never instead of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from madvision_assets.tools.download.captions import MAX_BYTES, chosen, fetch
from madvision_assets_tests import footage
from madvision_assets_tests.downloads import DOWNLOADER
from madvision_assets_tests.site import Page, Site

VTT = b"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nHello.\n"
ADDRESS = "https://site.example/{}.vtt"


def offered(*languages: str, spoken: str | None = None, form: str = "vtt") -> Mapping[str, Any]:
    subtitles = {each: [{"ext": form, "url": ADDRESS.format(each)}] for each in languages}
    return {"subtitles": subtitles, "language": spoken, "automatic_captions": {"en": subtitles.get("en")}}


@pytest.mark.parametrize(
    ("info", "language"),
    [
        (offered("de", "en", spoken="de-DE"), "de"),
        (offered("en-GB", "en", "fr"), "en"),
        (offered("nl"), "nl"),
        (offered("de", "fr", spoken="en"), None),
        (offered("live_chat"), None),
        (offered("en", form="json3"), None),
        ({"automatic_captions": {"en": [{"ext": "vtt", "url": ADDRESS}]}}, None),
        ({"subtitles": "nonsense"}, None),
        ({"subtitles": {"en": [{"ext": "vtt", "url": ADDRESS, "protocol": "m3u8_native"}]}}, None),
        ({"subtitles": {"en": [{"ext": "vtt", "url": "file:///etc/passwd"}]}}, None),
    ],
)
def test_captions_of_the_language_that_is_spoken_are_chosen_and_none_that_a_machine_made(
    info: Mapping[str, Any], language: str | None
) -> None:
    found = chosen(info)

    assert (found and found[0]) == language


class Answer:
    """An answer of so many bytes."""

    def __init__(self, size_bytes: int) -> None:
        """Of so many."""
        self.left_bytes = size_bytes

    def read(self, amt: int) -> bytes:
        """Some of them."""
        taken = min(amt, self.left_bytes)
        self.left_bytes -= taken
        return b"x" * taken


def test_captions_that_are_too_large_or_cannot_be_had_are_none(tmp_path: Path) -> None:
    def away(_address: str) -> Answer:
        raise OSError

    assert fetch(offered("en"), lambda _address: Answer(MAX_BYTES), tmp_path) == ("captions.vtt", "en")
    assert fetch(offered("en"), lambda _address: Answer(MAX_BYTES + 1), tmp_path) == ("", "")
    assert fetch(offered("en"), away, tmp_path) == ("", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [200, 404])
def test_a_page_with_captions_gives_them_beside_its_video(tmp_path: Path, status: int) -> None:
    media = footage.silence(tmp_path / "talk.mp4").read_bytes()
    with Site() as site:
        video = site.serve("/talk.mp4", media, content_type="video/mp4")
        track = site.add("/talk.vtt", Page(VTT, status, {"Content-Type": "text/vtt"}))
        page = (
            f'<!doctype html><title>A talk</title><video src="{video}">'
            f'<track kind="subtitles" srclang="en" src="{track}"></video>'
        )
        address = site.serve("/page", page.encode(), content_type="text/html")
        found = DOWNLOADER.fetch(address, tmp_path / "download", lambda _fraction, _text: None)

    assert found.path.read_bytes() == media
    if status == 200:
        assert found.captions is not None
        assert (found.captions.read_bytes(), found.captions_language) == (VTT, "en")
    else:
        assert found.captions is None
