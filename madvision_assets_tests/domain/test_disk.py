"""Claims about what the operating system says of a disk."""

import errno
import os
from pathlib import Path

import pytest

from madvision_assets.domain import disk
from madvision_assets.domain.failures import DiskFullError, HomeUnusableError


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_known_by_its_number(number: int) -> None:
    assert disk.is_full(number)


@pytest.mark.parametrize("number", [None, 0, errno.EIO])
def test_nothing_else_is_taken_for_a_full_disk(number: int | None) -> None:
    assert not disk.is_full(number)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_no_fault_of_the_home(number: int) -> None:
    failure = disk.home_failure(OSError(number, "whatever", "/secret/home/scratch"))

    assert type(failure) is DiskFullError
    assert failure.details == os.strerror(number)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST])
def test_a_home_that_cannot_be_used_is_told_by_the_name_of_the_file_alone(number: int) -> None:
    failure = disk.home_failure(OSError(number, "whatever", "/secret/home/scratch"))

    assert type(failure) is HomeUnusableError
    assert failure.details == f"scratch: {os.strerror(number)}"
    assert str(disk.home_failure(OSError(number, "whatever"))).endswith(f"({os.strerror(number)})")


@pytest.mark.parametrize(
    ("named", "is_ours"),
    [
        ("/home/m/work/v/raw_video", True),
        ("/home/m/work", True),
        (b"/home/m", True),  # without which the folder cannot be made
        ("/home/m/work-of-others", False),
        ("/home/somebody/talk.mp4", False),
        (None, False),
        (7, False),
    ],
)
def test_only_what_is_said_of_our_own_folder_speaks_against_the_home(named: object, *, is_ours: bool) -> None:
    failure = disk.home_failure(OSError(errno.EACCES, "whatever", named), Path("/home/m/work"))

    assert (type(failure) is HomeUnusableError) is is_ours


@pytest.mark.parametrize("number", [errno.EIO, errno.EISDIR, None])
def test_what_speaks_neither_of_room_nor_of_access_is_no_failure_of_the_home(number: int | None) -> None:
    assert disk.home_failure(OSError(number, "whatever")) is None
