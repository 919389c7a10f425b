"""Claims about the keeper of a part, over real processes that serve, die, stand still, and leave children behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from madvision_assets.work.alive import Part, answering, complaint_of
from madvision_assets.work.keeping import Keeper, Patience
from madvision_assets_tests.real_servers import free_port
from madvision_assets_tests.waiting import wait_for

pytestmark = pytest.mark.whole

WAIT_S = 60.0
QUICK = Patience(
    look_every_s=0.05, start_look_every_s=0.05, start_looks=400, looks=2, end_s=0.5, stop_s=20.0, pauses_s=(0.05, 0.2)
)
# Answers whether it works, which a file says; writes its process ID and that of a child, which sleeps.
PART = """
import os, subprocess, sys, time
from pathlib import Path
from madvision_assets.work.alive import answering
port, folder = int(sys.argv[1]), Path(sys.argv[2])
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
def complaint():
    wrong = folder / "wrong"
    return wrong.read_text() if wrong.exists() else None
with answering(complaint, "127.0.0.1", port):
    with (folder / "lives").open("a") as lives:
        lives.write(f"{os.getpid()} {child.pid}\\n")
    if (folder / "ends").exists():
        sys.exit(3)
    time.sleep(600)
"""


@dataclass
class Kept:
    """A part that is kept.

    Attributes:
        told: what its keeper said.
        works: while its keeper finds it at work.
    """

    folder: Path
    port: int
    told: list[str] = field(default_factory=list)
    works: threading.Event = field(default_factory=threading.Event)

    def lives(self) -> list[tuple[int, int]]:
        """The process IDs of part and child, life by life."""
        path = self.folder / "lives"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [(int(line.split()[0]), int(line.split()[1])) for line in lines if line.endswith("\n")]

    def life(self, number: int) -> tuple[int, int]:
        """Wait for a life, the first being 1, in which it works."""
        wait_for(lambda: len(self.lives()) >= number, WAIT_S, f"life {number}")
        assert self.works.wait(WAIT_S)
        return self.lives()[number - 1]


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path, free_port())
    command = [sys.executable, "-c", PART, str(kept.port), str(tmp_path)]
    keeper = Keeper(
        lambda: subprocess.Popen(command, start_new_session=True),
        partial(complaint_of, Part.DAEMON, "127.0.0.1", kept.port),
        kept.told.append,
        mark=tmp_path / "at-work",
        patience=QUICK,
    )
    kept.works = keeper.works
    stop = threading.Event()
    thread = threading.Thread(target=keeper.run, args=(stop,))
    thread.start()
    yield kept
    stop.set()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert not [pid for life in kept.lives() for pid in life if is_there(pid)], "nothing of it is left"


def test_a_part_that_dies_is_started_again_and_what_it_started_goes_on(part: Kept) -> None:
    pid, child = part.life(1)

    os.kill(pid, signal.SIGKILL)

    second, _ = part.life(2)
    assert second != pid
    assert is_there(child)
    assert part.told == ["it ended with -9; it is started again in 0.05 s"]


def test_a_part_that_stands_still_is_killed_and_started_again(part: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("madvision_assets.work.alive.ANSWER_LIMIT_S", 0.3)
    pid, child = part.life(1)

    os.kill(pid, signal.SIGSTOP)

    part.life(2)
    assert not is_there(pid)
    assert is_there(child)
    assert part.told[0].startswith("it gives no answer (TimeoutError)")


def test_a_part_that_says_that_it_does_not_work_is_started_again(part: Kept) -> None:
    pid, _ = part.life(1)

    (part.folder / "wrong").write_text("no tick of queue_sensor")
    wait_for(lambda: part.told, WAIT_S, "a word")
    (part.folder / "wrong").unlink()

    part.life(2)
    assert not is_there(pid)
    assert "no tick of queue_sensor" in part.told[0]


def test_a_part_that_dies_again_and_again_is_started_ever_later(part: Kept) -> None:
    pid, _ = part.life(1)
    (part.folder / "ends").touch()
    os.kill(pid, signal.SIGKILL)

    wait_for(lambda: len(part.told) >= 4, WAIT_S, "four lives")

    assert [told.rpartition(" in ")[2] for told in part.told[:4]] == ["0.05 s", "0.1 s", "0.2 s", "0.2 s"]


def test_one_look_in_vain_does_not_start_a_part_again(part: Kept) -> None:
    looks: list[str | None] = [None, "is slow", None, "is slow", None, "is slow", "is slow"]
    stop = threading.Event()
    told: list[str] = []

    def look() -> str | None:
        if not looks:
            stop.set()
        return looks.pop(0) if looks else None

    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    Keeper(lambda: subprocess.Popen(command, start_new_session=True), look, told.append, patience=QUICK).run(stop)

    assert told == ["it is slow; it is started again in 0.05 s"]
    assert looks == []
    assert part.life(1)


def test_the_command_keeps_a_part_and_stops_all_that_it_started_when_told_to(tmp_path: Path) -> None:
    port = free_port()
    part = [sys.executable, "-c", PART, str(port), str(tmp_path)]
    keep = [sys.executable, "-m", "madvision_assets.command.main", "keep", "daemon", "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        keeper = subprocess.Popen([*keep, "--mark", str(tmp_path / "at-work"), "--", *part], stderr=log)
        try:
            wait_for((tmp_path / "at-work").exists, WAIT_S, "the mark")
            kept = Kept(tmp_path, port)
            pids = (keeper.pid, *kept.lives()[0])
        finally:
            keeper.send_signal(signal.SIGTERM)
            assert keeper.wait(WAIT_S) == 0
    assert len(kept.lives()) == 1
    assert (tmp_path / "log").read_bytes() == b""
    assert not [pid for pid in pids if is_there(pid)]


def test_a_part_that_answers_nobody_says_so_by_its_own_words() -> None:
    port = free_port()

    assert str(complaint_of(Part.INTAKE, "127.0.0.1", port)).startswith("gives no answer")
    assert str(complaint_of(Part.CODE_SERVER, "127.0.0.1", port)).startswith("gives no answer")
    with answering(lambda: "does not work: no tick", "127.0.0.1", port):
        assert complaint_of(Part.DAEMON, "127.0.0.1", port) == "answers 503: does not work: no tick"
    with answering(lambda: None, "127.0.0.1", port):
        assert complaint_of(Part.CONSUMER, "127.0.0.1", port) is None
