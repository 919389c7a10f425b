"""Claims about room on the disk that downloads are promised: no two get the same, and the dead give theirs back."""

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from madvision_assets.domain.failures import RoomShortError
from madvision_assets.domain.queue import QueueStatus, RetryRules, judge
from madvision_assets.tools.room import FOLDER, SPARE_BYTES, TIMES, DiskRoom
from madvision_assets_tests.stores import MADE_AT

HOLDS = """
import sys
from pathlib import Path
from madvision_assets.tools.room import DiskRoom
root = Path(sys.argv[1])
with DiskRoom(root).promised(root / "other") as promise:
    promise.need(int(sys.argv[2]))
    print("promised", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def room(tmp_path: Path) -> DiskRoom:
    return DiskRoom(tmp_path)


def share(room: DiskRoom, fraction: float) -> int:
    """The size of a video that takes this fraction of what is free now."""
    return int((shutil.disk_usage(room.root).free - SPARE_BYTES) * fraction / TIMES)


@contextmanager
def held_by_another(room: DiskRoom, size_bytes: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDS, str(room.root), str(size_bytes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "promised\n"
        yield other
        other.kill()


def test_what_another_process_was_promised_is_nobody_elses_until_it_dies(room: DiskRoom) -> None:
    with held_by_another(room, share(room, 0.6)) as other, room.promised(room.root / "mine") as promise:
        with pytest.raises(RoomShortError, match="beside other downloads"):
            promise.need(share(room, 0.6))
        promise.need(share(room, 0.2))
        other.kill()
        other.wait(30)

        promise.need(share(room, 0.6))


def test_four_at_once_are_not_promised_the_same(room: DiskRoom) -> None:
    size_bytes, granted = share(room, 0.4), []
    barrier = threading.Barrier(4)

    def ask(number: int, stack: ExitStack) -> None:
        promise = stack.enter_context(room.promised(room.root / str(number)))
        barrier.wait(30)
        try:
            promise.need(size_bytes)
        except RoomShortError:
            return
        granted.append(number)

    with ExitStack() as stack:
        threads = [threading.Thread(target=ask, args=(number, stack)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    assert len(granted) == 2


def test_what_has_come_of_a_promise_is_not_counted_twice(room: DiskRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(room.root)
    free = SPARE_BYTES + 10_000_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free))
    first, second = room.root / "first", room.root / "second"
    with room.promised(first) as one, room.promised(second) as other:
        one.need(int(8_000_000 / TIMES))
        with pytest.raises(RoomShortError):
            other.need(int(4_000_000 / TIMES))
        first.mkdir()
        (first / "video.mp4").write_bytes(bytes(3_000_000))
        free -= 3_000_000
        other.need(int(1_900_000 / TIMES))
        with pytest.raises(RoomShortError):
            other.need(int(2_100_000 / TIMES))


def test_a_video_of_unknown_size_waits_for_other_downloads_alone(
    room: DiskRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(room.root)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=SPARE_BYTES + 1000))
    with room.promised(room.root / "mine") as mine:
        mine.need(0)
        with room.promised(room.root / "other") as other, pytest.raises(RoomShortError):
            other.need(0)


def test_who_is_alone_is_not_kept_waiting_for_room_that_nobody_will_make(
    room: DiskRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would wait for ever; tried, it fits, or the disk is found full."""
    usage = shutil.disk_usage(room.root)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(total=96_000_000, free=96_000_000))
    with room.promised(room.root / "mine") as mine:
        mine.need(80_000_000)
        with room.promised(room.root / "other") as other, pytest.raises(RoomShortError):
            other.need(0)


def test_nothing_is_left_of_a_promise(room: DiskRoom) -> None:
    with room.promised(room.root / "mine") as promise:
        promise.need(1000)

    assert list(room.root.iterdir()) == []


def test_what_a_process_that_died_has_left_is_swept_and_no_other_ones(room: DiskRoom) -> None:
    with held_by_another(room, 1000) as other:
        room.sweep()
        assert len(list(room.root.glob("*/*"))) == 1
        other.kill()
        other.wait(30)

        room.sweep()

    assert list(room.root.iterdir()) == []


def test_who_waits_for_room_is_not_held_responsible() -> None:
    failure = RoomShortError(retry_after_s=120.0)
    verdict = judge(failure, retry=8, lost_workers=0, now=MADE_AT, spread=1.0, rules=RetryRules(max_retries=8))

    assert (verdict.status, verdict.retry) == (QueueStatus.WAITING, 8)


def test_one_that_hangs_while_it_promises_holds_up_nobody_for_ever(
    room: DiskRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = HOLDS.replace("promise.need(int(sys.argv[2]))", "alone = promise.room.alone(); alone.__enter__()")
    monkeypatch.setattr(f"{__name__}.HOLDS", alone)
    with room.promised(room.root / "mine"), held_by_another(room, 0) as other:
        other.send_signal(signal.SIGSTOP)

        room.sweep()
        with pytest.raises(RoomShortError, match="stands still"), room.alone(0.2):
            pass
    room.sweep()
    assert not (room.root / FOLDER).exists()
