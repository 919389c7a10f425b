"""Claims about the processes that runs are forked into, and the one that they are forked from; each a real one."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest

from madvision_assets.defs import code_server
from madvision_assets.defs.code_server import Forked, ForkedRun
from madvision_assets.defs.runtime.processes import Process
from madvision_assets_tests.waiting import wait_for

pytestmark = pytest.mark.whole

LIMIT_S = 30.0
NAP_S = 600.0
# What a fork would leave half-alive in a run: threads, connections; and what torch makes of a GPU.
LOOK = """
import os, sys, threading
import madvision_assets.defs.preloaded
opened = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
sockets = [fd for fd in opened if os.path.exists(fd) and "socket" in os.readlink(fd)]
print(threading.active_count(), len(os.listdir("/proc/self/task")), sockets, "torch" in sys.modules)
"""


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    """Each test has a server of its own, and leaves none."""
    code_server.kill_server()
    yield
    code_server.kill_server()


@pytest.fixture
def run() -> Iterator[ForkedRun]:
    """A run that is at work."""
    process = napping()
    yield process
    end(process)


def napping() -> ForkedRun:
    """The process of a run, under way."""
    process: ForkedRun = Forked().Process(target=time.sleep, args=(NAP_S,))
    process.start()
    return process


def end(process: ForkedRun) -> None:
    """Kill it, and wait until it is gone."""
    with suppress(ProcessLookupError):
        os.kill(int(process.pid or 0), signal.SIGKILL)
    wait_for(lambda: not process.is_alive(), LIMIT_S, "its end")


def parent(pid: int) -> int:
    """The process that another one descends from."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_what_is_loaded_for_all_runs_starts_no_thread_opens_no_connection_and_touches_no_gpu() -> None:
    told = subprocess.run([sys.executable, "-c", LOOK], check=True, capture_output=True, text=True, timeout=60)
    assert told.stdout.split(maxsplit=3) == ["1", "1", "[]", "False\n"]


def test_each_run_is_a_process_of_its_own_forked_from_one_that_lasts(run: ForkedRun) -> None:
    other = napping()
    assert len({run.pid, other.pid, code_server.server_pid(), os.getpid()}) == 4
    assert {parent(int(run.pid or 0)), parent(int(other.pid or 0))} == {code_server.server_pid()}
    end(other)
    assert run.is_alive()


def test_a_run_whose_process_was_killed_is_no_longer_alive_and_says_by_what(run: ForkedRun) -> None:
    os.kill(int(run.pid or 0), signal.SIGKILL)
    wait_for(lambda: not run.is_alive(), LIMIT_S, "its end")
    assert run.exitcode == -signal.SIGKILL


def test_runs_outlive_the_process_that_they_were_forked_from_and_the_next_ones_get_another(run: ForkedRun) -> None:
    before = code_server.server_pid()
    code_server.kill_server()
    wait_for(lambda: parent(int(run.pid or 0)) != before, LIMIT_S, "the server's end")
    assert run.is_alive()
    end(napping())
    assert code_server.server_pid() != before
    assert run.is_alive()
    end(run)


# A code server that has begun the process that runs are forked from, until it is ended.
SERVER = """
import sys, time
from madvision_assets.defs import code_server
def serve(arguments, processes):
    process = processes.Process(target=time.sleep, args=(0,))
    process.start()
    process.join()
    print("serves", flush=True)
    sys.stdin.read()
code_server.dagster_inside.run_code_server = serve
code_server.run([])
"""


@contextmanager
def serving(temporary: Path) -> Iterator[subprocess.Popen[str]]:
    """Such a code server, at work, with its temporary files there."""
    command, environment = [sys.executable, "-c", SERVER], {**os.environ, "TMPDIR": str(temporary)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "serves\n"
        yield server


def test_a_server_that_is_slow_and_works_is_waited_for(run: ForkedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_server, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(code_server, "LOOKS", 3)
    ticks = count()
    monkeypatch.setattr(Process, "cpu_ticks", property(lambda _: next(ticks)))
    before = int(code_server.server_pid() or 0)
    os.kill(before, signal.SIGSTOP)
    threading.Timer(1.0, os.kill, (before, signal.SIGCONT)).start()
    end(napping())
    assert code_server.server_pid() == before
    assert run.is_alive()


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder of temporary files whose name is short."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_a_code_server_that_was_killed_leaves_a_folder_that_the_next_one_removes_and_no_other(temporary: Path) -> None:
    with serving(temporary) as killed:
        [of_killed] = temporary.iterdir()
        with serving(temporary):
            assert len(list(temporary.iterdir())) == 2
            assert of_killed.is_dir()
            killed.kill()
            killed.wait(LIMIT_S)
            assert of_killed.is_dir()
    with serving(temporary):
        assert len(list(temporary.iterdir())) == 1
        assert not of_killed.exists()
    assert list(temporary.iterdir()) == []


def test_the_name_of_the_folder_of_temporary_files_may_be_longer_than_that_of_a_socket(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    with serving(long):
        assert list(long.iterdir()) == []


def test_a_server_that_does_not_fork_is_killed_and_another_one_begun(
    run: ForkedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_server, "LOOK_EVERY_S", 0.1)
    before = int(code_server.server_pid() or 0)
    os.kill(before, signal.SIGSTOP)
    end(napping())
    assert code_server.server_pid() != before
    assert run.is_alive()
