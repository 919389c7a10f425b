"""Each control of the sandbox by itself: with it the canary stays shut, without any the same program opens it."""

import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from madvision_assets.domain.failures import EmptyFileError, SandboxUnusableError, TooCostlyError
from madvision_assets.domain.video import SourceMetadata
from madvision_assets.tools.download import Download, downloader
from madvision_assets.tools.media import ffmpeg, probe
from madvision_assets.tools.sandbox import controls, landlock, left
from madvision_assets.tools.sandbox.policy import PACKAGE, Policy, python_paths
from madvision_assets.tools.sandbox.process import ChildProcess
from madvision_assets.tools.sandbox.watch import OutOfBoundsError
from madvision_assets_tests.downloads import DOWNLOADER

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
from madvision_assets.domain.failures import SandboxUnusableError
from madvision_assets.tools.media import ffmpeg, probe
from madvision_assets.tools.sandbox import controls
if sys.argv[2] == "hidden":
    controls.hide_this_process()
child = "import os; open(f'/proc/{os.getppid()}/environ', 'rb').read(); print('through', flush=True)"
subprocess.run([sys.executable, "-I", "-S", "-c", child])
"""
DATAGRAM = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM); print('through')"


@pytest.mark.skipif("landlock" not in controls.active(), reason="this kernel has no Landlock for us")
@pytest.mark.parametrize(
    ("version", "holds", "advice"),
    [
        (3, "landlock (files alone)", "Linux 6.7 or newer"),
        (5, "landlock (files and ports alone)", "Linux 6.12 or newer"),
        (6, "landlock,", ""),
    ],
)
def test_a_landlock_that_bounds_less_is_told_with_what_would_mend_it(
    version: int, holds: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: version)
    whole, told = controls.told(MB)
    assert holds in told
    assert advice in told
    assert whole is (version == 6 and controls.active() == controls.CONTROLS)
    assert ("Linux" in told) is bool(advice)


def test_all_controls_work_where_the_tests_run() -> None:
    assert set(controls.active()) <= set(controls.CONTROLS)
    assert controls.active() or os.environ.get("CI") is None, "no control works on the CI machine"


def test_a_look_that_had_no_answer_is_not_taken_for_a_machine_without_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    there, run = controls.active(), subprocess.run
    looks: list[tuple[Iterable[float], tuple[str, ...] | None]] = [
        ((0.0, 60.0), there),
        (itertools.repeat(0.0), None),
        ((60.0,), there),
    ]
    for limits_s, told in looks:
        left_s = iter(limits_s)

        def look(*args: object, left_s: Iterator[float] = left_s, **options: object) -> object:
            return run(*args, **{**options, "timeout": next(left_s)})  # type: ignore[call-overload]

        monkeypatch.setattr(subprocess, "run", look)
        controls.active.cache_clear()
        if told is None:
            with pytest.raises(SandboxUnusableError, match="TimeoutExpired"):
                controls.active()
        else:
            assert controls.active() == told


TRIED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from madvision_assets.tools.sandbox import launcher
def confine(*_):
    {}
launcher.confine = confine
launcher.main(["--try", "seccomp"])
"""


@pytest.mark.parametrize(
    ("what", "answers"),
    [
        ("raise OSError(os.errno.EPERM, 'no')", True),
        ("raise OSError(os.errno.EAGAIN, 'no processes left')", False),
        ("os.kill(os.getpid(), 9)", False),
    ],
)
def test_a_control_that_could_not_be_tried_is_no_control_that_is_not_there(what: str, *, answers: bool) -> None:
    program = TRIED.format(what.replace("os.errno", "__import__('errno')"))
    command = [sys.executable, "-I", "-S", "-c", program, str(PACKAGE.parent)]
    tried = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (tried.returncode == 0) is answers
    assert tried.stdout.strip() == ""


WITHOUT_A_CONTROL = """
import errno, sys
sys.path.insert(0, {!r})
from madvision_assets.tools.sandbox import launcher
def confine(*_):
    raise OSError(errno.ENOSPC, "no namespaces are left")
launcher.confine = confine
launcher.main(sys.argv[1:])
"""


@pytest.mark.parametrize("broken", ["control", "launcher", "interpreter"])
@pytest.mark.parametrize("child", ["ffmpeg", "decoder", "downloader"])
def test_a_child_that_never_started_is_the_machines_fault_and_not_the_videos(
    child: str, broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "talk.mp4"
    file.write_bytes(b"whatever it is")
    work: Callable[[], object] = {
        "ffmpeg": lambda: ffmpeg.run(
            ffmpeg.target([ffmpeg.source(file)], tmp_path / "o.mp4"), timeout_s=60, what="reading"
        ),
        "decoder": lambda: probe.probe(file),
        "downloader": lambda: DOWNLOADER.fetch("http://127.0.0.1:9/a.mp4", tmp_path / "own", lambda *_: None),
    }[child]
    controls.active()
    if broken == "interpreter":
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    elif broken == "control":
        (tmp_path / "launcher.py").write_text(WITHOUT_A_CONTROL.format(str(PACKAGE.parent)))
        monkeypatch.setattr(controls, "LAUNCHER", tmp_path / "launcher.py")
    else:
        monkeypatch.setattr(controls, "LAUNCHER", tmp_path / "launcher.py")
    told = {"control": "no namespaces are left", "launcher": "status 2", "interpreter": "No such file"}[broken]
    with pytest.raises(SandboxUnusableError, match=told):
        work()


def test_no_child_can_say_that_it_was_never_started(tmp_path: Path) -> None:
    program = "import os\nfor fd in range(3, 64):\n  try: os.write(fd, b'x')\n  except OSError: pass\nos._exit(126)"
    read, listed = python_paths()
    command = [sys.executable, "-I", "-S", "-c", program]
    with ChildProcess(command, env={}, cwd=tmp_path, policy=Policy(read=read, listed=listed)) as child:
        child.give(b"")
        assert list(child.lines(time_limit_s=120.0, stall_limit_s=120.0, sign_of_life=lambda: 0)) == []
        assert child.wait() == 126


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


def test_no_file_is_cut_short_by_its_name(attack: Attack, tmp_path: Path) -> None:
    program = "import os, sys; os.truncate(sys.argv[1], 2); print('through')"
    (tmp_path / "outside").write_text(CANARY)
    for control in ("seccomp", "landlock"):
        assert "PermissionError" in attack(program, tmp_path / "outside", having=(control,))
    assert attack(program, tmp_path / "outside") == "through"


@pytest.mark.parametrize(
    ("make", "refused_by"),
    [
        ("os.symlink('/etc/passwd', 'made')", ("landlock", "seccomp")),
        ("open('own', 'w').close(); os.link('own', 'made')", ("seccomp",)),
        ("os.mkfifo('made')", ("landlock", "seccomp")),
        ("import stat; os.mknod('made', stat.S_IFSOCK | 0o600)", ("landlock", "seccomp")),
    ],
)
def test_no_child_makes_what_leads_its_parent_elsewhere(
    attack: Attack, tmp_path: Path, make: str, refused_by: tuple[str, ...]
) -> None:
    for having in ((), *((control,) for control in refused_by)):
        told = attack(f"import os; {make}; print('through')", having=having)
        assert "PermissionError" in told if having else told == "through", having
        (tmp_path / "own" / "made").unlink(missing_ok=True)


PLANTED: dict[str, Callable[[Path, Path], object]] = {
    "link": lambda path, secret: path.symlink_to(secret),
    "hard link": lambda path, secret: path.hardlink_to(secret),
    "pipe": lambda path, _: os.mkfifo(path),
    "folder": lambda path, _: (path / "more").mkdir(parents=True),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_what_a_child_left_in_the_place_of_a_file_leads_its_parent_nowhere(kind: str, tmp_path: Path) -> None:
    secret, planted, moved = tmp_path / "secret", tmp_path / "own" / "cut.txt", tmp_path / "own" / "moved"
    secret.write_text(CANARY)
    planted.parent.mkdir()
    PLANTED[kind](planted, secret)

    assert (left.size_bytes(planted), left.text(planted)) == (0, "")
    with pytest.raises(left.NotPlainError):
        left.move(planted, moved)
    left.write(planted, "ours")
    assert (left.text(planted), left.size_bytes(planted), secret.read_text()) == ("ours", 4, CANARY)
    PLANTED[kind](moved, secret)
    left.move(planted, moved)
    assert (left.text(moved), secret.read_text()) == ("ours", CANARY)


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "folder"])
def test_a_downloader_that_was_taken_over_has_its_parent_change_nothing_else(kind: str, tmp_path: Path) -> None:
    secret, folder = tmp_path / "secret", tmp_path / "download"
    secret.write_text(CANARY)
    folder.mkdir()
    fetched = Download(folder / "video.mp4", SourceMetadata(extractor="x"), "1", length_known=False, single=True)
    for again in (fetched.may_be_cut, lambda: not fetched.is_all_there_is(1.0)):
        for name in ("cut.txt", "short.txt", "video.mp4", "video.mp4.part"):
            left.remove(folder / name)
            PLANTED[kind](folder / name, secret)
        assert again()
        assert secret.read_text() == CANARY
        (folder / "video.mp4").write_bytes(bytes(5000))
        left.remove(folder / "cut.txt")
        assert again()
        assert (folder / "video.mp4.part").stat().st_size == 5000 - 1024


SAYS_ALL_CAME = """
import json, os
for name in ("video.mp4", "captions.vtt"):
    os.symlink({!r}, name) if name == {!r} else open(name, "w").write("x")
print(json.dumps({{"kind": "success", "name": "video.mp4", "info": {{}}, "engine_version": "1", "captions": name}}))
"""


@pytest.mark.parametrize("linked", ["video.mp4", "captions.vtt", ""])
def test_a_link_in_the_place_of_a_download_is_not_taken(
    linked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text(CANARY)
    program = SAYS_ALL_CAME.format(str(tmp_path / "secret"), linked)
    monkeypatch.setattr(downloader, "PYTHON", (sys.executable, "-c", program))
    monkeypatch.setattr(controls, "active", lambda: ())
    if linked == "video.mp4":
        with pytest.raises(EmptyFileError):
            DOWNLOADER.fetch("http://127.0.0.1:9/a.mp4", tmp_path / "own", lambda *_: None)
    else:
        fetched = DOWNLOADER.fetch("http://127.0.0.1:9/a.mp4", tmp_path / "own", lambda *_: None)
        assert (fetched.captions is None) is bool(linked)


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


def test_one_that_says_that_it_was_short_of_memory_is_believed_though_nobody_saw_it_grow(tmp_path: Path) -> None:
    for words, short in (("MemoryError", True), ("OSError: [Errno 12] Cannot allocate memory", True), ("Bye", False)):
        command = [sys.executable, "-I", "-S", "-c", f"raise SystemExit({words!r})"]
        with ChildProcess(command, env={}, cwd=tmp_path, policy=Policy(*python_paths()), grace_s=0) as child:
            child.give(b"")
            list(child.lines(time_limit_s=60.0, stall_limit_s=60.0, sign_of_life=lambda: 0))
            child.wait()
            assert child.was_short_of_memory is short, words


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


@pytest.mark.parametrize(
    ("catches", "ended"),
    [("", -signal.SIGXCPU), ("import os, signal; signal.signal(signal.SIGXCPU, lambda *_: os._exit(255))\n", 255)],
)
def test_processor_time_is_bounded(catches: str, ended: int, tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", f"{catches}while True: pass"]
    with ChildProcess(command, env={}, cwd=tmp_path, policy=Policy(*python_paths(), cpu_s=1), grace_s=0) as child:
        child.give(b"")
        list(child.lines(time_limit_s=120.0, stall_limit_s=120.0, sign_of_life=lambda: 0))
        assert (child.wait(), child.was_short_of_processor_time) == (ended, True)


def test_a_download_that_takes_too_much_of_the_processor_is_refused_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloader, "PYTHON", (sys.executable, "-c", "while True: pass"))
    monkeypatch.setattr(downloader, "cpu_limit_s", lambda _: 1)
    with pytest.raises(TooCostlyError, match="processor"):
        DOWNLOADER.fetch("http://127.0.0.1:9/a.mp4", tmp_path / "own", lambda *_: None)


def test_a_child_has_no_capabilities_and_gains_none(attack: Attack) -> None:
    program = "print([l.split()[1] for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapBnd', 'NoNew'))])"
    assert attack(program) == "['0000000000000000', '0000000000000000', '1']"
