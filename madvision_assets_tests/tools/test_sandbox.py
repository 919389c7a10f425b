"""Each control of the sandbox by itself: with it the canary stays shut, without any the same program opens it."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from madvision_assets.tools.sandbox import controls
from madvision_assets.tools.sandbox.policy import PACKAGE, Policy, python_paths
from madvision_assets.tools.sandbox.process import ChildProcess
from madvision_assets.tools.sandbox.watch import OutOfBoundsError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the controls are Linux's")

CANARY = "canary-5f2c"
MB = 1_000_000
Attack = Callable[..., str]


@pytest.fixture
def attack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Attack:
    """Runs a program in a sandbox with the given controls alone, and says what it printed."""
    folder = tmp_path / "own"
    folder.mkdir()
    read, listed = python_paths()

    def run(program: str, *arguments: object, having: tuple[str, ...] = (), **allowed: object) -> str:
        if having and having[0] not in controls.active():
            pytest.skip(f"this kernel has no {having[0]} for us")
        policy = Policy(read=read, listed=listed, write=(folder,), **allowed)  # type: ignore[arg-type]
        command = [sys.executable, "-I", "-S", "-c", program, *map(str, arguments)]
        with monkeypatch.context() as patch:
            active = having
            patch.setattr(controls, "active", lambda: active)
            child = ChildProcess(command, env={}, cwd=folder, policy=policy, grace_s=0)
            with child:
                child.give(b"")
                lines = list(child.lines(time_limit_s=120.0, stall_limit_s=120.0, sign_of_life=lambda: 0))
                child.wait()
        return b"\n".join(lines).decode() or child.last_words

    return run


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server on loopback that lets anybody connect."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


READ = "import sys; print(open(sys.argv[1]).read())"
CONNECT = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5); print('through')"
LOCAL = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print('through')"
# Another process without capabilities, as where nobody is root: those of root would keep a child without them out.
BARE = """
from madvision_assets.tools.sandbox import libc
import time
libc.drop_capabilities()
print("ready", flush=True)
time.sleep(600)
"""
BARE_ENVIRONMENT = {"KEY": CANARY, "PYTHONPATH": str(PACKAGE.parent)}
# A worker without capabilities, and a child of it.
WORKER = """
import subprocess, sys
sys.path.insert(0, sys.argv[1])
from madvision_assets.tools.sandbox import controls
if sys.argv[2] == "hidden":
    controls.hide_this_process()
child = "import os; open(f'/proc/{os.getppid()}/environ', 'rb').read(); print('through', flush=True)"
subprocess.run([sys.executable, "-I", "-S", "-c", child])
"""
DATAGRAM = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM); print('through')"


def test_all_controls_work_where_the_tests_run() -> None:
    assert set(controls.active()) <= set(controls.CONTROLS)
    assert controls.active() or os.environ.get("CI") is None, "no control works on the CI machine"


def test_another_file_of_the_same_user_is_out_of_reach(attack: Attack, tmp_path: Path) -> None:
    secret = tmp_path / "secret.env"
    secret.write_text(CANARY)
    assert attack(READ, secret) == CANARY
    assert "PermissionError" in attack(READ, secret, having=("landlock",))


def test_another_file_cannot_be_written(attack: Attack, tmp_path: Path) -> None:
    program = "import sys; open(sys.argv[1], 'w').write('x'); print('through')"
    assert attack(program, tmp_path / "outside") == "through"
    assert "PermissionError" in attack(program, tmp_path / "another", having=("landlock",))
    assert attack(program, "inside", having=("landlock",)) == "through"


def test_the_environment_of_another_process_is_out_of_reach(attack: Attack) -> None:
    with subprocess.Popen([sys.executable, "-c", BARE], env=BARE_ENVIRONMENT, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout
            assert other.stdout.readline() == b"ready\n"
            assert CANARY in attack(READ, f"/proc/{other.pid}/environ")
            assert "PermissionError" in attack(READ, f"/proc/{other.pid}/environ", having=("landlock",))
        finally:
            other.kill()


def test_the_environment_of_the_worker_is_out_of_reach_without_any_control(attack: Attack) -> None:
    assert attack(WORKER, PACKAGE.parent, "open", may_fork=True) == "through"
    assert "PermissionError" in attack(WORKER, PACKAGE.parent, "hidden", may_fork=True)


def test_another_process_cannot_be_signalled(attack: Attack) -> None:
    program = "import os, sys; os.kill(int(sys.argv[1]), 0); print('through')"
    with subprocess.Popen(["/bin/sleep", "600"]) as other:
        try:
            assert attack(program, other.pid) == "through"
            assert "PermissionError" in attack(program, other.pid, having=("landlock",))
        finally:
            other.kill()


@pytest.mark.parametrize("control", ["namespaces", "seccomp", "landlock"])
def test_a_decoder_reaches_no_server(attack: Attack, listener: socket.socket, control: str) -> None:
    port = listener.getsockname()[1]
    assert attack(CONNECT, port) == "through"
    assert "Error" in attack(CONNECT, port, having=(control,))


def test_a_downloader_reaches_its_proxy_and_no_other_port(attack: Attack, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    everything = controls.active()
    assert attack(CONNECT, port, having=everything, proxy_port=port) == "through"
    assert "PermissionError" in attack(CONNECT, port, having=("landlock",), proxy_port=port - 1)


def test_a_downloader_has_neither_datagrams_nor_local_sockets(attack: Attack, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "own" / "s"))
        server.listen()
        path = tmp_path / "own" / "s"
        assert attack(LOCAL, path, proxy_port=1) == attack(DATAGRAM, proxy_port=1) == "through"
        assert "PermissionError" in attack(LOCAL, path, having=("seccomp",), proxy_port=1)
        assert "PermissionError" in attack(DATAGRAM, having=("seccomp",), proxy_port=1)


def test_nobody_leaves_the_group_that_is_killed(attack: Attack) -> None:
    program = "import os; os.fork() and os._exit(0); os.setsid(); print('through')"
    assert attack(program, may_fork=True) == "through"
    assert "PermissionError" in attack(program, may_fork=True, having=("seccomp",))


def test_a_decoder_starts_no_process_but_threads(attack: Attack) -> None:
    program = "import os; os.fork() and os._exit(0); print('through')"
    assert attack(program) == "through"
    assert "PermissionError" in attack(program, having=("seccomp",))
    threads = "import threading as t; a = t.Thread(target=print, args=('through',)); a.start(); a.join()"
    assert attack(threads, having=("seccomp",)) == "through"


def test_memory_of_one_process_is_bounded(attack: Attack) -> None:
    program = "x = bytearray(300_000_000); print('through')"
    assert attack(program) == "through"
    assert attack(program, memory_bytes=200 * MB) == "MemoryError"


def test_memory_of_all_processes_together_is_bounded(attack: Attack) -> None:
    program = "import os; os.fork(); os.fork(); x = b'x' * 90_000_000; import time; time.sleep(60)"
    with pytest.raises(OutOfBoundsError, match="200 MB of memory"):
        attack(program, memory_bytes=200 * MB, may_fork=True)


def test_the_number_of_processes_is_bounded(attack: Attack) -> None:
    program = "import os, time; [os.fork() for _ in range(4)]; time.sleep(60)"
    with pytest.raises(OutOfBoundsError, match="over 8 processes"):
        attack(program, processes=8, may_fork=True)


def test_the_size_of_a_file_is_bounded(attack: Attack) -> None:
    program = "f = open('big', 'wb'); f.write(bytes(2_000_000)); f.flush(); print('through')"
    assert attack(program) == "through"
    assert "File too large" in attack(program, file_bytes=MB)


def test_processor_time_is_bounded(attack: Attack) -> None:
    program = "import resource; print(resource.getrlimit(resource.RLIMIT_CPU)[0])"
    assert attack(program, cpu_s=7) == "7"


def test_a_child_has_no_capabilities_and_gains_none(attack: Attack) -> None:
    program = "print([l.split()[1] for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapBnd', 'NoNew'))])"
    assert attack(program) == "['0000000000000000', '0000000000000000', '1']"
