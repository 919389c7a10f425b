"""Claims about downloads that were cut where nothing told their length, and what is counted of any."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Literal

import imageio_ffmpeg
import pytest

from madvision_assets.defs import reports
from madvision_assets.domain.failures import (
    CorruptMediaError,
    IncompleteDownloadError,
    RoomShortError,
    TransientFailure,
)
from madvision_assets.domain.quotas import Taken
from madvision_assets.domain.video import Video
from madvision_assets.tools.room import SPARE_BYTES, TIMES, UNKNOWN_BYTES, DiskRoom
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work.ingest import Ingest
from madvision_assets_tests.downloads import DOWNLOADER, MAX_BYTES, MAX_DURATION_S
from madvision_assets_tests.site import Page, Site

pytestmark = pytest.mark.whole

VIDEO = {"Content-Type": "video/mp4"}


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Four seconds, with its index at the end, without which nothing of it can be read."""
    path = tmp_path_factory.mktemp("talk") / "talk.mp4"
    source = ["-f", "lavfi", "-i", "testsrc=s=320x180:d=4:r=25", "-f", "lavfi", "-i", "sine=d=4"]
    h264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *source, *h264, str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path.read_bytes()


@pytest.fixture
def ingest(tmp_path: Path) -> Ingest:
    return Ingest(ObjectStore.from_url((tmp_path / "store").as_uri()), DOWNLOADER, MAX_DURATION_S, MAX_BYTES)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_was_cut_without_a_length_is_tried_again_and_gone_on_with(
    ingest: Ingest, talk: bytes, tmp_path: Path, ranges: bool
) -> None:
    with Site() as site:
        half = len(talk) // 2
        page = Page(talk, headers=VIDEO, framing="close", ranges=ranges, cut_after_bytes=half)
        video = Video(video_id="web-1", address=site.add("/talk.mp4", page))
        with pytest.raises(IncompleteDownloadError):
            ingest.take(video, tmp_path / "work", lambda *_: None)
        page.cut_after_bytes = None
        made = ingest.take(video, tmp_path / "work", lambda *_: None)
        (came,) = (tmp_path / "work" / "download").glob("video.*")
        assert came.read_bytes() == talk
        assert made.document.info.duration_s == pytest.approx(4.0, abs=0.1)
        assert (site.hits("/talk.mp4")[-1].range_start or 0) == half - 1024


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_ends_at_the_same_byte_twice_is_damaged_for_good(
    ingest: Ingest, talk: bytes, tmp_path: Path, ranges: bool
) -> None:
    with Site() as site:
        page = Page(talk[: len(talk) // 2], headers=VIDEO, framing="close", ranges=ranges)
        video = Video(video_id="web-1", address=site.add("/talk.mp4", page))
        with pytest.raises(IncompleteDownloadError):
            ingest.take(video, tmp_path / "work", lambda *_: None)
        with pytest.raises(CorruptMediaError):
            ingest.take(video, tmp_path / "work", lambda *_: None)


def test_a_damaged_file_whose_length_was_told_is_damaged_at_once(ingest: Ingest, talk: bytes, tmp_path: Path) -> None:
    with Site() as site:
        address = site.serve("/talk.mp4", talk[: len(talk) // 2], content_type="video/mp4")
        with pytest.raises(CorruptMediaError):
            ingest.take(Video(video_id="web-1", address=address), tmp_path / "work", lambda *_: None)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_site_that_overstates_the_length_is_asked_twice_and_then_taken_at_what_it_has(
    ingest: Ingest, talk: bytes, tmp_path: Path, ranges: bool
) -> None:
    with Site() as site:
        media = site.add("/talk.mp4", Page(talk, headers=VIDEO, ranges=ranges))
        told = {"@context": "https://schema.org", "@type": "VideoObject", "name": "A talk", "duration": "PT60S"}
        script = f'<script type="application/ld+json">{json.dumps({**told, "contentUrl": media})}</script>'
        video = Video(video_id="web-1", address=site.html("/page", head=script))
        with pytest.raises(IncompleteDownloadError, match=r"4\.0 s arrived of 60\.0 s"):
            ingest.take(video, tmp_path / "work", lambda *_: None)
        made = ingest.take(video, tmp_path / "work", lambda *_: None).document

    assert made.info.duration_s == pytest.approx(4.0, abs=0.1)
    assert "1:00.0 by the source" in reports.raw_video(made)["overstated"]


def test_what_came_is_counted_once_and_in_vain_too(ingest: Ingest, talk: bytes, tmp_path: Path) -> None:
    counted: list[Taken] = []
    ingest = replace(ingest, account=lambda _, taken: counted.append(taken))
    with Site() as site:
        cut = Page(talk, headers=VIDEO, framing="close", cut_after_bytes=len(talk) // 2)
        address = site.add("/cut.mp4", cut)
        with pytest.raises(IncompleteDownloadError):
            ingest.take(Video(video_id="web-1", address=address), tmp_path / "cut", lambda *_: None)
        in_vain, counted = sum(each.size_bytes for each in counted), []
        ingest = replace(ingest, account=lambda _, taken: counted.append(taken))

        whole = Video(video_id="web-2", address=site.serve("/talk.mp4", talk, content_type="video/mp4"))
        made = ingest.take(whole, tmp_path / "whole", lambda *_: None)

    assert in_vain > 0
    # The page is looked at first, which is broken off once it is seen to be the file.
    assert len(talk) <= sum(each.size_bytes for each in counted) <= 2 * len(talk) + 10_000
    assert [each.media_s for each in counted if each.media_s] == [made.document.info.duration_s]


def test_bytes_that_a_site_sends_again_and_again_are_counted_each_time(
    ingest: Ingest, talk: bytes, tmp_path: Path
) -> None:
    counted: list[Taken] = []
    ingest = replace(ingest, account=lambda _, taken: counted.append(taken))
    most = len(talk) * 9 // 10
    with Site() as site:
        address = site.add("/cut.mp4", Page(talk, headers=VIDEO, ranges=False, cut_after_bytes=most))
        with pytest.raises(TransientFailure):
            ingest.take(Video(video_id="web-1", address=address), tmp_path / "work", lambda *_: None)
        sent = sum(hit.sent_bytes for hit in site.hits("/cut.mp4"))

    assert sent > 3 * most
    assert sum(each.size_bytes for each in counted) > sent / 2


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_video_that_finds_no_room_beside_others_waits_and_goes_on_once_there_is_some(
    ingest: Ingest, talk: bytes, tmp_path: Path, framing: Literal["length", "chunked"]
) -> None:
    room = DiskRoom(tmp_path)
    ingest = replace(ingest, room=room, downloader=replace(DOWNLOADER, max_bytes=10 * UNKNOWN_BYTES))
    with Site() as site:
        video = Video(video_id="web-1", address=site.add("/talk.mp4", Page(talk, headers=VIDEO, framing=framing)))
        with room.promised(tmp_path / "other") as other:
            free = shutil.disk_usage(tmp_path).free - SPARE_BYTES
            if framing == "length":  # a gigabyte is free at first, and the length is too much
                other.need(int((free - UNKNOWN_BYTES * 1.2) / TIMES))
                site.add("/talk.mp4", Page(talk, headers=VIDEO, extra_bytes=2 * UNKNOWN_BYTES))
            else:
                other.need(int((free - UNKNOWN_BYTES * 0.5) / TIMES))
            with pytest.raises(RoomShortError):
                ingest.take(video, tmp_path / "work", lambda *_: None)
        site.add("/talk.mp4", Page(talk, headers=VIDEO, framing=framing))
        made = ingest.take(video, tmp_path / "work", lambda *_: None)

    assert made.document.info.duration_s == pytest.approx(4.0, abs=0.1)
