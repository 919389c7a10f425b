"""Claims about files on this machine, which a video's address names."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from madvision_assets.domain.failures import (
    Failure,
    FileChangedError,
    NotFoundError,
    NotMediaError,
    UnreadableFileError,
)
from madvision_assets.domain.video import Video, file_video_id
from madvision_assets.work.ingest import local_file

TALK = b"a talk"
NOBODY = 65534


def video_at(path: Path) -> Video:
    return Video(video_id=file_video_id(hashlib.sha256(TALK).hexdigest()), address=path.as_uri())


@contextmanager
def as_no_owner() -> Iterator[None]:
    """As an account that may read nothing of ours; root may read all there is."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def looped(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("name", "make", "leaf"),
    [
        ("talk.mp4", lambda _path: None, NotFoundError),
        ("talk.mp4", Path.mkdir, NotMediaError),
        ("talk.mp4", looped, UnreadableFileError),
        ("talk.mp4/inner.mp4", lambda path: path.parent.write_bytes(TALK), NotFoundError),
        ("x" * 300, lambda _path: None, UnreadableFileError),
        ("talk.mp4", lambda path: path.write_bytes(b"another"), FileChangedError),
    ],
)
def test_a_file_that_cannot_be_taken_fails_its_video_for_good_and_speaks_against_nothing_else(
    tmp_path: Path, name: str, make: Callable[[Path], None], leaf: type[Failure]
) -> None:
    path = tmp_path / name
    make(path)

    with pytest.raises(leaf) as refused:
        local_file(video_at(path))

    assert refused.value.resource is None
    assert str(tmp_path) not in str(refused.value)


def test_a_file_of_somebody_else_that_may_not_be_read_fails_its_video_for_good(tmp_path: Path) -> None:
    path = tmp_path / "talk.mp4"
    path.write_bytes(TALK)
    path.chmod(0o000)

    with pytest.raises(UnreadableFileError, match=r"talk\.mp4: Permission denied"), as_no_owner():
        local_file(video_at(path))


@pytest.mark.parametrize("name", ["talk.mp4", "x" * 252 + ".ts"])
def test_captions_beside_a_file_are_taken_where_they_can_be_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(TALK)
    beside = path.with_suffix(".vtt")
    if len(beside.name) < 255:
        beside.write_text("WEBVTT\n")

    assert local_file(video_at(path)).captions == (beside if len(beside.name) < 255 else None)
