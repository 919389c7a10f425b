"""Downloads by the real yt-dlp in its real child process, from a real site on loopback."""

import contextlib
import os
import random
import socket
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from madvision_assets.domain import failures as f
from madvision_assets.tools.download import Downloader
from madvision_assets.tools.download.downloader import child_environment
from madvision_assets.tools.egress import EgressProxy, resolve_host
from madvision_assets.tools.sandbox.policy import Policy, python_paths
from madvision_assets.tools.sandbox.process import ChildProcess, OutOfTimeError
from madvision_assets_tests.downloads import DOWNLOADER, Fetch
from madvision_assets_tests.site import Site

pytestmark = pytest.mark.whole

PUBLIC_ADDRESS = "93.184.215.14"
PUBLIC_HOST = "site.example"


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two seconds of a test picture and a tone: ``talk.mp4``, ``talk.ts``, ``tone.mp3``, ``dash/``."""
    import imageio_ffmpeg

    folder = tmp_path_factory.mktemp("footage")
    (folder / "dash").mkdir()
    source = ["-f", "lavfi", "-i", "testsrc=s=320x180:d=2:r=25", "-f", "lavfi", "-i", "sine=d=2"]
    h264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    copy = ["-i", "talk.mp4", "-c", "copy"]
    for arguments in (
        [*source, *h264, "talk.mp4"],
        [*copy, "talk.ts"],
        [*copy, "-f", "dash", "-seg_duration", "1", "dash/talk.mpd"],
        [*source, "-map", "1", "tone.mp3"],
    ):
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *arguments]
        subprocess.run(command, check=True, timeout=60, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def mp4(footage: Path) -> bytes:
    return (footage / "talk.mp4").read_bytes()


def public() -> Downloader:
    """A downloader for which loopback, under the name ``site.example`` alone, is on the public internet."""

    def resolve(host: str, port: int) -> list[str]:
        return [PUBLIC_ADDRESS] if host == PUBLIC_HOST else resolve_host(host, port)

    def connect(address: str, port: int) -> socket.socket:
        assert address == PUBLIC_ADDRESS
        return socket.create_connection(("127.0.0.1", port), timeout=5)

    return replace(
        DOWNLOADER,
        allow_private=False,
        open_proxy=partial(EgressProxy, resolve=resolve, connect=connect),
    )


def public_url(site: Site, path: str) -> str:
    return f"http://{PUBLIC_HOST}:{site.port}{path}"


def processes_in(folder: Path) -> list[Path]:
    """Entries in /proc of the processes that run in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink() == folder:
                found.append(entry)
    return found


def assert_gone(folder: Path) -> None:
    """Every process that ran in the folder has ended; one that was killed may take a moment to be gone."""
    deadline_s = time.monotonic() + 5.0
    while processes_in(folder):
        assert time.monotonic() < deadline_s


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/talk", "video/mp4"),
        ("/get.php?id=3", "video/mp4"),
        ("/talk.mp4", "text/plain"),
        ("/download", "application/octet-stream"),
    ],
)
def test_a_direct_link_gives_the_file_whatever_its_name_and_type(
    site: Site, mp4: bytes, fetch: Fetch, path: str, content_type: str
) -> None:
    download = fetch(site.serve(path, mp4, content_type=content_type))
    assert download.path.read_bytes() == mp4
    assert download.engine_version


def test_what_is_no_video_is_fetched_for_the_probe_to_judge(site: Site, footage: Path, fetch: Fetch) -> None:
    assert fetch(site.serve("/notes.mp4", b"hello\n" * 50, content_type="video/mp4")).path.stat().st_size == 300
    tone = (footage / "tone.mp3").read_bytes()
    assert fetch(site.serve("/tone.mp3", tone, content_type="audio/mpeg")).path.read_bytes() == tone


def test_progress_ends_at_one_and_never_falls(site: Site, footage: Path, tmp_path: Path) -> None:
    for file in (footage / "dash").iterdir():
        kind = "application/dash+xml" if file.suffix == ".mpd" else "video/iso.segment"
        site.serve(f"/dash/{file.name}", file.read_bytes(), content_type=kind)
    told: list[tuple[float, str]] = []
    download = DOWNLOADER.fetch(site.url("/dash/talk.mpd"), tmp_path, lambda *each: told.append(each))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert "0.1 of 0.1 MiB" in {text for _, text in told}
    assert download.path.suffix == ".mp4"  # picture and sound, which came apart, are together
    assert [path for path in tmp_path.iterdir() if path.is_file()] == [download.path]


def test_the_segments_of_a_playlist_become_one_file_with_its_duration(site: Site, footage: Path, fetch: Fetch) -> None:
    site.serve("/1.ts", (footage / "talk.ts").read_bytes())
    download = fetch(site.hls("/talk.m3u8", ["/1.ts", "/1.ts"]))
    assert (download.path.suffix, download.source.duration_s) == (".mp4", 4.0)


def test_a_page_with_one_video_is_that_video_and_its_title_names_no_file(
    site: Site, mp4: bytes, fetch: Fetch, tmp_path: Path
) -> None:
    title = "../../a\"b'c/d\\e 🎬 $(x)\u202e " + "x" * 480
    download = fetch(site.html("/page", title=title, videos=[site.serve("/talk.mp4", mp4, content_type="video/mp4")]))
    assert download.source.title == title[:500]
    assert download.source.webpage_url == site.url("/page")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == [download.path.name]
    assert download.path.name.startswith("video.")


def test_a_page_with_several_videos_is_a_playlist(site: Site, mp4: bytes, fetch: Fetch) -> None:
    videos = [site.serve(f"/{n}.mp4", mp4, content_type="video/mp4") for n in range(3)]
    with pytest.raises(f.PlaylistError):
        fetch(site.html("/page", videos=videos))


def test_a_page_without_a_video_is_unsupported(site: Site, fetch: Fetch) -> None:
    with pytest.raises(f.UnsupportedAddressError):
        fetch(site.html("/try-again-later-captcha", title="Private video"))


def test_a_failure_does_not_repeat_what_lets_somebody_in(site: Site, fetch: Fetch) -> None:
    with pytest.raises(f.NotFoundError) as caught:
        fetch(f"{site.html('/words')}?k=9f8e7d6c5b4a39281&page=2")

    assert "page=2" in str(caught.value)
    assert "9f8e7d6c5b4a39281" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (404, f.NotFoundError),
        (410, f.NotFoundError),
        (503, f.SourceServerError),
    ],
)
def test_the_status_of_the_site_decides_the_failure(
    site: Site, fetch: Fetch, status: int, failure: type[f.Failure]
) -> None:
    with pytest.raises(failure):
        fetch(site.fail("/talk.mp4", status))


def test_a_rate_limit_says_how_long_to_wait(site: Site, fetch: Fetch) -> None:
    with pytest.raises(f.SourceRateLimitedError) as caught:
        fetch(site.fail("/talk.mp4", 429, Retry_After="7"))
    assert caught.value.retry_after_s == 7.0


def test_an_empty_file_is_refused(site: Site, fetch: Fetch) -> None:
    with pytest.raises(f.EmptyFileError):
        fetch(site.serve("/talk.mp4", b"", content_type="video/mp4"))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_that_does_not_resolve_is_told_apart(fetch: Fetch, scheme: str) -> None:
    with pytest.raises(f.HostUnresolvedError):
        fetch(f"{scheme}://nonexistent.invalid/talk.mp4")


def test_a_refused_connection_is_a_lost_one(fetch: Fetch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(f.ConnectionLostError):
        fetch(f"http://127.0.0.1:{port}/talk.mp4")


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ytsearch:cats", "http://user:secret@127.0.0.1/a.mp4"])
def test_an_address_that_is_not_of_the_web_starts_nothing(fetch: Fetch, tmp_path: Path, address: str) -> None:
    with pytest.raises(f.InvalidAddressError):
        fetch(address)
    assert list(tmp_path.iterdir()) == []


def test_a_live_stream_is_refused(site: Site, footage: Path, fetch: Fetch) -> None:
    site.serve("/1.ts", (footage / "talk.ts").read_bytes())
    with pytest.raises(f.LiveStreamError):
        fetch(site.hls("/live.m3u8", ["/1.ts"], ended=False))
    assert site.hits("/1.ts") == []


def test_a_video_that_is_too_long_is_refused_before_it_is_fetched(site: Site, footage: Path, fetch: Fetch) -> None:
    site.serve("/1.ts", (footage / "talk.ts").read_bytes())
    with pytest.raises(f.TooLongError):
        fetch(site.hls("/talk.m3u8", ["/1.ts", "/1.ts"]), replace(DOWNLOADER, max_duration_s=3.0))
    assert site.hits("/1.ts") == []


def test_a_file_that_is_announced_too_large_is_refused(site: Site, mp4: bytes, fetch: Fetch) -> None:
    with pytest.raises(f.TooLargeError):
        fetch(site.serve("/talk.mp4", mp4, content_type="video/mp4"), replace(DOWNLOADER, max_bytes=len(mp4) - 1))


def test_segments_that_grow_too_large_are_refused_on_the_way(site: Site, footage: Path, fetch: Fetch) -> None:
    segment = (footage / "talk.ts").read_bytes()
    paths = [f"/{n}.ts" for n in range(40)]
    for path in paths:
        site.serve(path, segment)
    with pytest.raises(f.TooLargeError):
        fetch(site.hls("/talk.m3u8", paths), replace(DOWNLOADER, max_bytes=2 * len(segment)))
    assert sum(bool(site.hits(path)) for path in paths) < len(paths)


def test_a_missing_segment_is_not_passed_over(site: Site, footage: Path, fetch: Fetch) -> None:
    site.serve("/1.ts", (footage / "talk.ts").read_bytes())
    with pytest.raises(f.IncompleteDownloadError):
        fetch(site.hls("/talk.m3u8", ["/1.ts", "/gone.ts"]))


def test_a_public_site_is_fetched_where_private_addresses_are_refused(site: Site, mp4: bytes, fetch: Fetch) -> None:
    site.serve("/talk.mp4", mp4, content_type="video/mp4")
    assert fetch(public_url(site, "/talk.mp4"), public()).path.read_bytes() == mp4


def test_a_private_address_is_refused(site: Site, mp4: bytes, fetch: Fetch) -> None:
    with pytest.raises(f.RefusedAddressError):
        fetch(site.serve("/talk.mp4", mp4), replace(DOWNLOADER, allow_private=False))
    assert site.hits("/talk.mp4") == []


def test_a_broken_download_goes_on_where_it_stopped(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    body = random.Random(1).randbytes(2_000_000)  # noqa: S311 - any bytes will do
    # One answer for the look at the file, four for the download's own tries: each is cut.
    address = site.serve("/talk.mp4", body, content_type="video/mp4", cut_after_bytes=300_000, cuts=5)
    with pytest.raises(f.ConnectionLostError):
        fetch(address)
    came = next((tmp_path / "folder").glob("*.part")).stat().st_size
    assert 2 * 300_000 < came <= 4 * 300_000
    assert fetch(address).path.read_bytes() == body
    fetched = [hit for hit in site.hits("/talk.mp4") if hit.range_start is not None][-1]
    assert (fetched.range_start, fetched.sent_bytes) == (came, len(body) - came)


def test_an_interrupted_parent_leaves_no_process_and_the_rest_is_fetched_later(
    site: Site, fetch: Fetch, tmp_path: Path
) -> None:
    body = random.Random(2).randbytes(1_500_000)  # noqa: S311 - any bytes will do
    address = site.serve("/talk.mp4", body, content_type="video/mp4", bytes_per_s=1_000_000)
    running: list[bytes] = []

    def interrupt(fraction: float, _: str) -> None:
        if fraction > 0.2:
            running.extend((entry / "environ").read_bytes() for entry in processes_in(tmp_path / "folder"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        DOWNLOADER.fetch(address, tmp_path / "folder", interrupt)
    assert len(running) == 1
    assert_gone(tmp_path / "folder")
    assert fetch(address).path.read_bytes() == body
    assert (site.hits("/talk.mp4")[-1].range_start or 0) > 0


def test_the_child_sees_none_of_our_variables(
    site: Site, mp4: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalr-very-secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    seen: dict[bytes, bytes] = {}

    def look(*_: object) -> None:
        for entry in processes_in(tmp_path):
            pairs = (entry / "environ").read_bytes().split(b"\0")
            seen.update({name: value for name, _, value in (pair.partition(b"=") for pair in pairs if pair)})

    DOWNLOADER.fetch(site.serve("/talk.mp4", mp4 * 40, bytes_per_s=4_000_000), tmp_path, look)
    proxies = {name for name in seen if name.lower().endswith(b"_proxy")}
    assert set(seen) - proxies == {b"PATH", b"PYTHONPATH", b"HOME", b"TMPDIR", b"LANG", b"TZ"}
    assert proxies == {b"http_proxy", b"https_proxy", b"all_proxy", b"HTTP_PROXY", b"HTTPS_PROXY", b"ALL_PROXY"}
    assert seen[b"HOME"] == os.fsencode(tmp_path)


def python(folder: Path) -> Policy:
    """What a program of these tests may have."""
    read, listed = python_paths()
    return Policy(read=read, listed=listed, write=(folder,), proxy_port=1, may_fork=True)


def test_a_connection_past_the_proxy_is_refused_in_the_child(site: Site, tmp_path: Path) -> None:
    program = (
        "import socket, sys\n"
        "from madvision_assets.tools.download.child import only_through\n"
        "only_through('http://127.0.0.1:1')\n"
        "socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5)\n"
    )
    command = [sys.executable, "-c", program, str(site.port)]
    with ChildProcess(
        command, env=child_environment(tmp_path, "http://127.0.0.1:1"), cwd=tmp_path, policy=python(tmp_path)
    ) as child:
        assert list(child.lines(time_limit_s=20.0, stall_limit_s=20.0, sign_of_life=lambda: 0)) == []
        assert (child.wait(), "past the proxy" in child.last_words) == (1, True)


@pytest.mark.whole
def test_a_download_over_its_time_limit_is_ended_and_leaves_no_process(
    site: Site, fetch: Fetch, tmp_path: Path
) -> None:
    address = site.serve("/talk.mp4", b"x" * 1_000_000, content_type="video/mp4", bytes_per_s=50_000)
    with pytest.raises(f.DownloadTimeoutError):
        fetch(address, replace(DOWNLOADER, time_limit_s=8.0))
    assert_gone(tmp_path / "folder")
    assert list((tmp_path / "folder").glob("*.part"))


@pytest.mark.whole
def test_a_site_that_sends_too_slowly_is_left_with_what_came_and_a_slow_one_is_not(site: Site, tmp_path: Path) -> None:
    body = random.Random(3).randbytes(1_500_000)  # noqa: S311 - any bytes will do
    patient = replace(DOWNLOADER, min_bytes_per_s=40_000, pace_window_s=3.0)
    trickle = site.serve("/trickle.mp4", body, content_type="video/mp4", bytes_per_s=2_000)
    with pytest.raises(f.DownloadTimeoutError, match="kB a second; at least 40 are asked for"):
        patient.fetch(trickle, tmp_path / "trickle", lambda *_: None)
    assert any((tmp_path / "trickle").iterdir())
    slow = site.serve("/slow.mp4", body, content_type="video/mp4", bytes_per_s=200_000)
    assert patient.fetch(slow, tmp_path / "slow", lambda *_: None).path.read_bytes() == body


def test_a_child_that_ignores_the_polite_signal_is_killed_with_its_own_children(tmp_path: Path) -> None:
    program = (
        "import signal, subprocess, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
        "signal.pause()\n"
    )
    with ChildProcess([sys.executable, "-c", program], env={}, cwd=tmp_path, policy=python(tmp_path)) as child:
        lines = child.lines(time_limit_s=20.0, stall_limit_s=0.5, sign_of_life=lambda: 0)
        assert next(lines).strip().isdigit()
        with pytest.raises(OutOfTimeError, match="nothing happened"):
            list(lines)
    assert child.pid
    assert_gone(tmp_path)


@pytest.mark.no_cover
@pytest.mark.parametrize(("program", "busy"), [("while True: pass", True), ("import time; time.sleep(60)", False)])
def test_a_child_that_stalls_says_whether_it_was_busy(tmp_path: Path, program: str, busy: bool) -> None:
    with (
        ChildProcess(
            [sys.executable, "-c", program], env={}, cwd=tmp_path, policy=python(tmp_path), grace_s=0
        ) as child,
        pytest.raises(OutOfTimeError, match="nothing happened") as caught,
    ):
        list(child.lines(time_limit_s=60.0, stall_limit_s=3.0, sign_of_life=lambda: 0))
    assert (caught.value.share > 0.1) == busy  # the machine may be busy, too


def test_a_page_that_keeps_the_downloader_busy_is_refused_for_good(
    site: Site, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("madvision_assets.tools.download.downloader.BUSY_SHARE", 0.05)  # the machine may be busy
    page = "<!doctype html><title>a</title>" + "<meta \t\t\t" * 100_000
    with pytest.raises(f.TooCostlyError, match="nothing happened"):
        fetch(site.serve("/page.html", page.encode(), content_type="text/html"), replace(DOWNLOADER, stall_limit_s=6.0))


def test_a_child_that_grows_its_files_is_not_taken_for_stalled(tmp_path: Path) -> None:
    signs = iter(range(1000))
    program = "import time; time.sleep(2.5); print('done')"
    with ChildProcess([sys.executable, "-c", program], env={}, cwd=tmp_path, policy=python(tmp_path)) as child:
        lines = child.lines(time_limit_s=20.0, stall_limit_s=1.5, sign_of_life=lambda: next(signs))
        assert list(lines) == [b"done"]


def test_a_child_that_dies_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with ChildProcess(
        [sys.executable, "-c", "raise SystemExit('no memory')"], env={}, cwd=tmp_path, policy=python(tmp_path)
    ) as child:
        assert list(child.lines(time_limit_s=20.0, stall_limit_s=20.0, sign_of_life=lambda: 0)) == []
        assert (child.wait(), child.last_words) == (1, "no memory")


@pytest.mark.parametrize("words", ["No space left on device", "ffmpeg not found", "[Errno 28] No space left on device"])
def test_a_site_that_says_so_fills_no_disk_and_takes_no_ffmpeg_away(site: Site, fetch: Fetch, words: str) -> None:
    with pytest.raises(f.Failure) as caught:
        fetch(site.fail("/talk.mp4", 418, reason=words))

    assert caught.value.resource in {None, f.Resource.HOST}
    assert words in caught.value.details  # what it said is told, and counts for nothing


def test_a_disk_that_is_full_is_the_operators_matter(site: Site, mp4: bytes, full_disk: Path) -> None:

    with pytest.raises(f.DiskFullError):
        DOWNLOADER.fetch(site.serve("/talk.mp4", mp4), full_disk / "folder", lambda *_: None)
