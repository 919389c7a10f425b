"""The forms in which real sites give their videos: each arrives, with the same bytes."""

import gzip
import random
import socket
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from madvision_assets.domain import failures as f
from madvision_assets.tools.download import Wheels
from madvision_assets.tools.download.readiness import Readiness
from madvision_assets_tests.downloads import DOWNLOADER, Fetch
from madvision_assets_tests.site import Page, Site
from madvision_assets_tests.tools.challenge import extractor_wheel, player, wheel

pytestmark = pytest.mark.whole

BODY = random.Random(3).randbytes(1_500_000)  # noqa: S311 - any bytes will do
BROKEN = """
from yt_dlp.extractor.common import InfoExtractor
class BrokenIE(InfoExtractor):
    _VALID_URL = r"http://[^/]+/broken"
    def _real_extract(self, url):
        {line}
"""
VIDEO = {"Content-Type": "video/mp4"}


@pytest.fixture(scope="module")
def segment(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two seconds of noise of 3 MB, as MPEG-TS."""
    import imageio_ffmpeg

    path = tmp_path_factory.mktemp("segment") / "1.ts"
    noise = "color=gray:s=640x360:r=25:d=2,noise=alls=60:allf=t"
    encode = ["-c:v", "mpeg2video", "-b:v", "12M", "-minrate", "12M", "-maxrate", "12M", "-bufsize", "1M"]
    sound = ["-f", "lavfi", "-i", "sine=d=2", "-c:a", "aac"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", noise, *sound, *encode, str(path)]
    subprocess.run(command, check=True, timeout=60)
    assert 2_500_000 < path.stat().st_size < 4_000_000
    return path.read_bytes()


def encrypted(data: bytes, key: bytes, number: int) -> bytes:
    """A segment as AES-128 HLS has it: CBC, padded, its number as the first block (RFC 8216, 5.2)."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    padding = 16 - len(data) % 16
    encryptor = Cipher(algorithms.AES(key), modes.CBC(number.to_bytes(16, "big"))).encryptor()
    return encryptor.update(data + bytes([padding]) * padding) + encryptor.finalize()


def serve_encrypted(site: Site, segment: bytes, count: int) -> str:
    key = bytes(range(16))
    paths = [f"/secret/{n}.ts" for n in range(count)]
    for number, path in enumerate(paths):
        site.serve(path, encrypted(segment, key, number))
    return site.hls("/secret.m3u8", paths, key=site.serve("/key", key))


@pytest.mark.parametrize(
    "page",
    [
        Page(BODY, headers=VIDEO, framing="chunked"),
        Page(BODY, headers=VIDEO, framing="close"),
        Page(BODY, headers=VIDEO, ranges=False),
        Page(BODY, headers=VIDEO, ranges=False, framing="chunked", cut_after_bytes=500_000, cuts=2),
        Page(BODY, headers=VIDEO, cut_after_bytes=500_000, cuts=2),
        Page(gzip.compress(BODY), headers=VIDEO | {"Content-Encoding": "gzip"}, ranges=False),
        Page(gzip.compress(BODY), headers=VIDEO | {"Content-Encoding": "gzip"}, ranges=False, framing="chunked"),
    ],
    ids=["chunked", "no length", "no range", "cut, chunked and no range", "cut", "gzip", "gzip, chunked"],
)
def test_a_file_arrives_with_the_same_bytes_in_whatever_form_it_is_sent(site: Site, fetch: Fetch, page: Page) -> None:
    assert fetch(site.add("/talk.mp4", replace(page))).path.read_bytes() == BODY


def test_a_file_that_is_shorter_than_it_says_is_tried_again(site: Site, fetch: Fetch) -> None:
    address = site.add("/talk.mp4", Page(BODY, headers=VIDEO, extra_bytes=1000))
    with pytest.raises(f.TransientFailure):
        fetch(address)
    site.add("/talk.mp4", Page(BODY, headers=VIDEO))
    assert fetch(address).path.read_bytes() == BODY


def test_an_address_that_expires_is_asked_for_again_and_the_rest_fetched(site: Site, fetch: Fetch) -> None:
    def page(signature: int, answers: int | None) -> str:
        cut = None if answers is None else 500_000
        media = Page(BODY, headers=VIDEO, answers=answers, cut_after_bytes=cut)
        return site.html("/page", videos=[site.add(f"/talk.mp4?sig={signature}", media)])

    with pytest.raises(f.IncompleteDownloadError):
        fetch(page(1, 2))
    assert fetch(page(2, None)).path.read_bytes() == BODY
    assert (site.hits("/talk.mp4?sig=2")[-1].range_start or 0) >= 500_000


def test_encrypted_segments_of_25_mb_arrive_in_time_and_as_if_they_were_not(
    site: Site, segment: bytes, tmp_path: Path
) -> None:
    site.serve("/1.ts", segment)
    plain = DOWNLOADER.fetch(site.hls("/plain.m3u8", ["/1.ts"] * 8), tmp_path / "plain", lambda *_: None)
    arrived = DOWNLOADER.fetch(serve_encrypted(site, segment, 8), tmp_path / "secret", lambda *_: None)
    assert arrived.path.stat().st_size > 20_000_000
    assert arrived.path.read_bytes() == plain.path.read_bytes()


def test_encrypted_segments_that_came_are_not_fetched_again(site: Site, segment: bytes, fetch: Fetch) -> None:
    address = serve_encrypted(site, segment, 12)
    site.fail_first(30, 503, path="/secret/11.ts")
    with pytest.raises(f.TransientFailure):
        fetch(address)
    site.fail_first(0, 503, path="/secret/11.ts")
    assert fetch(address).path.stat().st_size > 30_000_000
    assert [len(site.hits(f"/secret/{n}.ts")) for n in range(3)] == [1, 1, 1]


def test_a_player_that_must_be_run_is_run_and_sees_neither_files_nor_environment_nor_network(
    site: Site, fetch: Fetch, tmp_path: Path
) -> None:
    extractor_wheel(tmp_path / "wheels")
    (tmp_path / "canary").write_text("secret")
    inside = socket.create_server(("127.0.0.1", 0))
    script = player(inside.getsockname()[1], tmp_path / "canary")
    site.serve("/player.js", script, content_type="text/javascript")
    site.serve("/media?n=edcba", BODY, content_type="video/mp4")
    head = f'<i data-player="{site.url("/player.js")}" data-media="{site.url("/media?n=")}" data-n="abcde">'
    address = site.html("/watch-challenge/one", head=head)
    download = fetch(address, replace(DOWNLOADER, wheels=Wheels(tmp_path / "wheels")))
    assert (download.source.title, download.path.read_bytes()) == ("solved", BODY)
    inside.setblocking(False)  # noqa: FBT003 - the socket's own way
    with inside, pytest.raises(BlockingIOError):
        inside.accept()


def test_a_plugin_is_taken_out_of_the_pinned_folder_alone(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    extractor_wheel(tmp_path / "folder" / "yt-dlp-plugins")
    with pytest.raises(f.UnsupportedAddressError):
        fetch(site.html("/watch-challenge/one"))


@pytest.mark.parametrize(
    "line",
    ['{}["premium"]', 'None["login"]', "None.copyright", 'int("captcha")', 'self._html_search_regex("x", "", "login")'],
)
def test_an_extractor_that_breaks_over_a_page_is_at_fault_and_not_the_video(
    site: Site, fetch: Fetch, tmp_path: Path, line: str
) -> None:
    wheel(tmp_path / "wheels", "broken", {"yt_dlp_plugins/extractor/broken.py": BROKEN.format(line=line)})
    with pytest.raises(f.ExtractionFailedError):
        fetch(site.html("/broken"), replace(DOWNLOADER, wheels=Wheels(tmp_path / "wheels")))


def test_a_newer_yt_dlp_out_of_the_folder_is_used_and_told(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    newer = "__version__ = '2031.01.02'"
    package = "raise SystemExit('the yt-dlp of the folder')"
    wheel(tmp_path / "wheels", "yt_dlp", {"yt_dlp/__init__.py": package, "yt_dlp/version.py": newer})
    with pytest.raises(f.WorkerLostError, match="the yt-dlp of the folder"):
        fetch(site.serve("/talk.mp4", BODY), replace(DOWNLOADER, wheels=Wheels(tmp_path / "wheels")))


def test_wheels_that_are_not_as_pinned_are_refused_before_anything_is_fetched(
    site: Site, fetch: Fetch, tmp_path: Path
) -> None:
    folder = tmp_path / "wheels"
    path = extractor_wheel(folder)
    downloader = replace(DOWNLOADER, wheels=Wheels(folder))
    listed = (folder / "SHA256SUMS").read_text()
    address = site.serve("/talk.mp4", BODY)
    path.write_bytes(path.read_bytes() + b"x")
    for sums, told in ((listed, "another file"), ("", "not listed"), (listed + "0 b-1-py3-none-any.whl", "not in")):
        (folder / "SHA256SUMS").write_text(sums)
        with pytest.raises(f.DownloaderUnusableError, match=told):
            fetch(address, downloader)
    assert site.hits("/talk.mp4") == []


def test_the_doctor_finds_all_that_is_pinned_and_tells_what_is_missing_and_what_is_old() -> None:
    _, told = DOWNLOADER.check(10_000)
    assert "deno 2" in told
    assert "without" not in told
    found = Readiness(version="2026.10.26", released=date(2026, 10, 26), missing=("Cryptodome",))
    ready, told = found.told(date(2026, 11, 1), 8)
    assert (ready, "without pycryptodomex: no encrypted HLS" in told) == (False, True)
    old = found.model_copy(update={"missing": ()})
    assert old.told(date(2026, 12, 21), 8)[0]
    assert old.told(date(2026, 12, 28), 8) == (
        False,
        "yt-dlp 2026.10.26; 9 weeks old, and sites change: put a newer one into MADVISION_YTDLP_FOLDER",
    )
