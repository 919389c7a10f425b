"""Claims about how ffmpeg is run."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ffmpeg as ffmpeg_python
import pytest

from madvision_assets.domain.failures import (
    CorruptMediaError,
    DiskFullError,
    MediaToolError,
    MediaToolMissingError,
    NotMediaError,
    TooCostlyError,
)
from madvision_assets.tools.media import ffmpeg
from madvision_assets.tools.sandbox import controls
from madvision_assets_tests import footage


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("ffmpeg")
    footage.talking(made / "talking.mp4")
    return made


def endless(out: Path) -> Any:
    noise = ffmpeg_python.input("nullsrc=s=64x64:r=25", format="lavfi", re=None)
    return ffmpeg.target([noise], out, vcodec="rawvideo", format="avi")


def children_of(pid: int) -> set[int]:
    """PIDs whose parent is ``pid``, zombies left out."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == pid and state != "Z":
            found.add(int(stat.parent.name))
    return found


def taken_over(path: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shell's program in the place of ffmpeg; ``$out`` is the output that it is told."""
    path.write_text(f'#!/bin/sh\nfor each; do case $each in file:*) out="${{each#file:}}";; esac; done\n{program}\n')
    path.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(path))
    return path


def test_the_version_is_that_of_the_binary() -> None:
    assert ffmpeg.version()[0] in "n0123456789"


def test_work_over_its_time_is_killed_and_said_to_be(tmp_path: Path) -> None:
    before, began = children_of(os.getpid()), time.monotonic()

    with pytest.raises(MediaToolError, match="counting sheep took longer than 1 s"):
        ffmpeg.run(endless(tmp_path / "out.avi"), timeout_s=1.0, what="counting sheep")

    assert time.monotonic() - began < 10
    assert children_of(os.getpid()) <= before


def test_work_that_takes_too_much_of_the_processor_is_refused_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffmpeg, "cpu_limit_s", lambda _: 1)
    noise = ffmpeg_python.input("testsrc2=s=640x360", format="lavfi")
    with pytest.raises(TooCostlyError, match="over 1 s of the processor"):
        ffmpeg.run(ffmpeg.target([noise], tmp_path / "out.mp4"), timeout_s=120.0, what="counting sheep")


def test_an_interrupt_kills_ffmpeg_and_passes_on(tmp_path: Path) -> None:
    before = children_of(os.getpid())

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ffmpeg.run(endless(tmp_path / "out.avi"), timeout_s=30, what="work", progress=interrupted, duration_s=60)
    assert children_of(os.getpid()) <= before


def test_progress_rises_to_one(folder: Path) -> None:
    told: list[float] = []
    stream = ffmpeg.target([ffmpeg.source(folder / "talking.mp4", readrate=8)], folder / "copy.mp4", codec="copy")

    ffmpeg.run(stream, timeout_s=60, what="copying", progress=told.append, duration_s=6.0)

    assert told == sorted(told)
    assert told[-1] == 1.0
    assert all(0 <= share <= 1 for share in told)


@pytest.mark.parametrize(
    "make", [lambda out, _: footage.text(out), footage.playlist, footage.concat_list, footage.truncated_index]
)
def test_bad_input_has_a_leaf_without_paths(folder: Path, make: Callable[[Path, Path], Path]) -> None:
    bad = make(folder / "bad.mp4", folder / "talking.mp4")

    with pytest.raises((NotMediaError, CorruptMediaError)) as caught:
        ffmpeg.run(ffmpeg.target([ffmpeg.source(bad)], folder / "out.mp4"), timeout_s=60, what="reading")
    assert str(folder) not in caught.value.details


@pytest.mark.parametrize("demuxer", ["hls", "concat"])
def test_a_playlist_is_refused_even_where_its_demuxer_is_named(folder: Path, demuxer: str) -> None:
    make = {"hls": footage.playlist, "concat": footage.concat_list}[demuxer]
    bad = make(folder / "list.mp4", folder / "talking.mp4")

    with pytest.raises(NotMediaError, match="whitelist"):
        ffmpeg.run(ffmpeg.target([ffmpeg.source(bad, f=demuxer)], folder / "o.mp4"), timeout_s=60, what="reading")


def test_an_address_is_refused_as_an_input(tmp_path: Path) -> None:
    """The name becomes a file of that name, whatever protocol it spells."""
    with pytest.raises(MediaToolError, match="No such file"):
        ffmpeg.run(
            ffmpeg.target([ffmpeg.source(Path("http://127.0.0.1:9/a.mp4"))], tmp_path / "o.mp4"),
            timeout_s=60,
            what="reading",
        )


def test_a_full_disk_is_the_operators_matter(folder: Path, full_disk: Path) -> None:
    stream = ffmpeg.target([ffmpeg.source(folder / "talking.mp4")], full_disk / "o.ts", codec="copy", format="mpegts")

    with pytest.raises(DiskFullError):
        ffmpeg.run(stream, timeout_s=60, what="copying")


def test_an_encoder_without_the_memory_for_a_picture_is_the_files_matter() -> None:
    said = "[libx264 @ 0x1f] x264 [error]: malloc of size 73800258 failed"
    assert isinstance(ffmpeg._failure(["ffmpeg"], said, "writing an MP4", 187), TooCostlyError)


def test_a_file_that_says_so_fills_no_disk(folder: Path) -> None:
    said = folder / "No space left on device.mp4"
    said.write_bytes(b"[Errno 28] No space left on device")

    with pytest.raises(NotMediaError):
        ffmpeg.run(ffmpeg.target([ffmpeg.source(said)], folder / "o.mp4"), timeout_s=60, what="reading")


def test_a_binary_that_cannot_run_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(folder / "talking.mp4"))  # imageio-ffmpeg's own override
    stream = ffmpeg.target([ffmpeg.source(folder / "talking.mp4")], folder / "x.mp4")

    with pytest.raises(MediaToolMissingError):
        ffmpeg.run(stream, timeout_s=60, what="copying")


def test_names_with_spaces_quotes_and_percent_signs_are_just_names(folder: Path) -> None:
    odd_name = folder / '-it\'s 100%03d "très" 🎬:x.mp4'
    odd_name.write_bytes((folder / "talking.mp4").read_bytes())
    out = folder / "out 'quoted' %d.mp4"

    ffmpeg.run(ffmpeg.target([ffmpeg.source(odd_name)], out, codec="copy"), timeout_s=60, what="copying")

    assert out.stat().st_size > 1000


def test_ffmpeg_sees_none_of_our_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = folder / "x.mp4"
    spy = taken_over(folder / "spy", 'exec /usr/bin/env > "$out"', monkeypatch)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    ffmpeg.run(ffmpeg.target([ffmpeg.source(spy)], seen), timeout_s=60, what="spying")

    assert "sk-secret" not in seen.read_text()
    assert "proxy" not in seen.read_text()


@pytest.mark.skipif("landlock" not in controls.active(), reason="without Landlock it has the user's rights")
def test_an_ffmpeg_that_was_taken_over_changes_no_file_beside_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = tmp_path / "web-a.01.srt"
    beside.write_text("what was said")
    spy = taken_over(tmp_path / "spy", f"echo made > \"$out\"; echo another > '{beside}'; exit 0", monkeypatch)

    ffmpeg.run(ffmpeg.target([ffmpeg.source(spy)], tmp_path / "x.mp4"), timeout_s=60, what="spying")

    assert (beside.read_text(), (tmp_path / "x.mp4").read_text()) == ("what was said", "made\n")
    assert {path.name for path in tmp_path.iterdir()} == {"web-a.01.srt", "spy", "x.mp4"}


def test_a_link_in_the_place_of_an_output_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("the secret")
    spy = taken_over(tmp_path / "spy", f"exec ln -sf '{tmp_path / 'secret'}' \"$out\"", monkeypatch)
    there = controls.active()
    for active, leaf in ((there, MediaToolError if "seccomp" in there else CorruptMediaError), ((), CorruptMediaError)):
        monkeypatch.setattr(controls, "active", lambda active=active: active)
        with pytest.raises(leaf):
            ffmpeg.run(ffmpeg.target([ffmpeg.source(spy)], tmp_path / "x.mp4"), timeout_s=60, what="spying")
        assert not os.path.lexists(tmp_path / "x.mp4")
