"""Claims about faults: each kind of a plan can be made, and those that break the machine itself break and mend it."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from madvision_assets_tests.chaos import faults, points
from madvision_assets_tests.chaos.plan import FAULT_KINDS, POINT, Fault
from madvision_assets_tests.chaos.victims import NotNowError, children, descendants
from madvision_assets_tests.chaos.world import small_folder
from madvision_assets_tests.waiting import wait_for

LIMIT_S = 20.0
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"


@pytest.fixture
def family() -> Iterator["subprocess.Popen[bytes]"]:
    """A process with a child, which ends with its child."""
    with subprocess.Popen([sys.executable, "-c", PARENT], start_new_session=True) as parent:
        wait_for(lambda: descendants(parent.pid), LIMIT_S, "its child")
        yield parent
        with suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)


def world(tmp_path: Path, **more: Any) -> Any:
    """As much of a world as these faults touch."""
    (tmp_path / "work").mkdir(exist_ok=True)
    home = SimpleNamespace(home=tmp_path)
    return SimpleNamespace(folder=tmp_path, inside=tmp_path, trial=home, scratch_is_small=False, **more)


def fault(kind: str, target: str) -> Fault:
    return Fault(1, kind, target, 0.0, 1.0)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_each_kind_of_a_plan_can_be_made() -> None:
    assert set(faults.KINDS) == {*FAULT_KINDS, POINT}
    assert faults.STOPS_SENSORS | faults.SEEKING | set(faults.HANDS) <= set(faults.KINDS)


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to mount a small file system")
def test_a_full_disk_is_full_and_then_is_not(tmp_path: Path) -> None:
    with small_folder(tmp_path / "work") as is_small:
        broken = world(tmp_path)
        broken.scratch_is_small = is_small
        file = tmp_path / "work" / "file"
        with faults.fill_disk(broken, fault("disk", "full")), pytest.raises(OSError, match="No space left"):
            file.write_bytes(b"x" * 1000)
        assert file.write_bytes(b"x" * 1000) == 1000
    assert not (tmp_path / "work").is_mount()


def test_without_a_small_disk_none_is_filled(tmp_path: Path) -> None:
    with pytest.raises(NotNowError, match="root"), faults.fill_disk(world(tmp_path), fault("disk", "full")):
        pass


def test_what_is_stopped_stands_still_with_its_children_and_goes_on(
    tmp_path: Path, family: "subprocess.Popen[bytes]"
) -> None:
    (child,) = descendants(family.pid)
    part = SimpleNamespace(name="daemon", popen=family)

    with faults.stop(world(tmp_path, system=SimpleNamespace(parts=[part])), fault("stop", "daemon")):
        wait_for(lambda: (state(family.pid), state(child)) == ("T", "T"), LIMIT_S, "both to stand still")
    wait_for(lambda: "T" not in (state(family.pid), state(child)), LIMIT_S, "both to go on")


@pytest.mark.parametrize("stood_still", [True, False])
def test_who_hangs_is_to_be_seen_to_in_the_time_in_which_anything_could_be_done(
    tmp_path: Path, family: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch, stood_still: bool
) -> None:
    moment_s = 0.5
    victim = SimpleNamespace(pid=family.pid)
    monkeypatch.setattr(faults, "find_victim", lambda *_: victim)
    monkeypatch.setattr(faults, "mark", lambda *_: None)
    stops = [[time.time(), math.inf]] if stood_still else []
    broken = world(tmp_path, stops=stops, rows=list)
    held_up = nullcontext() if stood_still else pytest.raises(faults.HeldUpError)
    seen_to = threading.Timer(moment_s, os.kill, (family.pid, signal.SIGKILL))

    with held_up, faults.hang_worker(broken, replace(fault("hang worker", "clips"), lasts_s=moment_s / 5)):
        seen_to.start()
    seen_to.join()


def test_the_child_of_a_part_is_killed_and_not_the_part(tmp_path: Path) -> None:
    start = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {!r}]); time.sleep(600)"
    code = start.format(start.format("import time; time.sleep(600)"))
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True) as parent:
        wait_for(lambda: len(descendants(parent.pid)) > 1, LIMIT_S, "its child, and the child's")
        (child,) = children(parent.pid)
        (grandchild,) = set(descendants(parent.pid)) - {child}
        part = SimpleNamespace(name="code-server", popen=parent)
        whole = world(tmp_path, system=SimpleNamespace(parts=[part]))
        with faults.kill_child(whole, fault("kill child", "code-server")) as struck:
            assert struck == f"processes [{child}]"
            wait_for(lambda: state(child) == "Z", LIMIT_S, "the child's end")
        assert parent.poll() is None
        assert state(grandchild) != "Z"
        os.killpg(parent.pid, signal.SIGKILL)


def test_a_death_that_nobody_comes_to_is_told_and_no_longer_armed(tmp_path: Path) -> None:
    (tmp_path / points.ARMED).mkdir()
    here = fault(POINT, "pointer.clips.after")

    with pytest.raises(NotNowError, match="nobody"), faults.die_at(world(tmp_path), here):
        pass
    assert list((tmp_path / points.ARMED).iterdir()) == []


def test_two_faults_of_one_kind_are_one_after_the_other(tmp_path: Path) -> None:
    from collections import defaultdict
    from threading import Lock

    both = world(tmp_path, hands=defaultdict(Lock))
    with faults.hands_on(both, "kill database"):
        assert both.hands["database"].locked()
    with faults.hands_on(both, "stop machine"):
        assert both.hands["database"].locked()
        assert both.hands["parts"].locked()
    with faults.hands_on(both, "kill worker"):
        assert not any(lock.locked() for lock in both.hands.values())
