"""What parses foreign media does it in a child that holds nothing, and whatever becomes of the child is a leaf."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from madvision_assets.domain.failures import CorruptMediaError, NotMediaError, TooCostlyError
from madvision_assets.tools.media import apart, container, probe
from madvision_assets.tools.sandbox import policy
from madvision_assets.tools.sandbox.process import ChildProcess
from madvision_assets_tests import footage

pytestmark = pytest.mark.whole


@pytest.fixture
def talking(tmp_path: Path) -> Path:
    """A video of a second."""
    return footage.talking(tmp_path / "talk.mp4", seconds=1.0)


def test_a_worker_never_loads_a_decoder_for_foreign_bytes(talking: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from madvision_assets.tools.media import audio, probe\n"
        "path = Path(sys.argv[1]); probe.probe(path); probe.verify_decodes(path.open('rb'))\n"
        "audio.extract_flac(path, path.with_suffix('.flac')); list(audio.read_windows(path.with_suffix('.flac')))\n"
        "print('av' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, talking], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_a_decoder_that_crashes_is_the_files_fault(talking: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashing = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    _child_is(monkeypatch, crashing)
    with pytest.raises(CorruptMediaError, match="crashed"):
        probe.probe(talking)


def test_a_decoder_that_takes_too_much_memory_is_refused_for_good(
    talking: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _child_is(monkeypatch, "x = bytearray(10**9)")
    monkeypatch.setattr(policy, "_memory_bytes", [300_000_000])
    with pytest.raises(TooCostlyError):
        probe.probe(talking)


def test_a_decoder_that_ends_without_a_word_where_its_memory_ended_is_refused_for_good(
    talking: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _child_is(monkeypatch, "x = b'x' * 310_000_000; import time; time.sleep(2); raise SystemExit('lost sys.stderr')")
    monkeypatch.setattr(policy, "_memory_bytes", [400_000_000])
    with pytest.raises(TooCostlyError, match="want of memory"):
        probe.probe(talking)


def test_a_decoder_that_never_ends_is_refused_for_good(talking: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _child_is(monkeypatch, "while True: pass")
    monkeypatch.setattr(apart, "budget_s", lambda _: 3.0)
    monkeypatch.setattr("madvision_assets.tools.media.ffmpeg.BUSY_SHARE", 0.01)  # the machine may be busy
    with pytest.raises(TooCostlyError, match="longer than 3 s"):
        probe.probe(talking)


def test_a_decoder_that_takes_too_much_of_the_processor_is_refused_for_good(
    talking: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _child_is(monkeypatch, "while True: pass")
    monkeypatch.setattr(apart, "cpu_limit_s", lambda _: 1)
    monkeypatch.setattr(apart, "JOBS_TIME", 1)
    with pytest.raises(TooCostlyError, match="processor"):
        probe.probe(talking)


def test_a_kept_child_without_processor_time_for_another_job_is_replaced(
    talking: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = _processes_started(monkeypatch)
    monkeypatch.setattr(apart, "JOBS_TIME", 1)
    with apart.one_child():
        assert probe.probe(talking) == probe.probe(talking)
    assert len(started) == 2


def _child_is(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Puts a program in the place of the child's."""

    def instead(command: list[str], **options: object) -> object:
        return ChildProcess([command[0], "-I", "-S", "-c", program], **options)  # type: ignore[arg-type]

    monkeypatch.setattr(apart, "ChildProcess", instead)


def test_memory_errors_of_the_decoder_are_too_costly() -> None:
    assert container.AV_FAILURES["MemoryError"] is TooCostlyError


def _processes_started(monkeypatch: pytest.MonkeyPatch) -> list[ChildProcess]:
    started: list[ChildProcess] = []

    def counted(command: list[str], **options: object) -> ChildProcess:
        started.append(ChildProcess(command, **options))  # type: ignore[arg-type]
        return started[-1]

    monkeypatch.setattr(apart, "ChildProcess", counted)
    return started


def test_one_child_does_all_jobs_of_a_stage_and_is_gone_afterwards(
    talking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = _processes_started(monkeypatch)
    text = footage.text(tmp_path / "text.mp4")
    with apart.one_child():
        probe.probe(talking)
        with pytest.raises(NotMediaError):  # told by the child, which goes on
            probe.probe(text)
        with talking.open("rb") as stream:
            probe.verify_decodes(stream)

    assert len(started) == 1
    assert not Path(f"/proc/{started[0].pid}").exists()
    probe.probe(talking)
    assert len(started) == 2


def test_a_child_that_is_lost_or_left_in_the_middle_is_replaced(
    talking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = _processes_started(monkeypatch)
    flac = tmp_path / "sound.flac"
    footage.ffmpeg("-f", "lavfi", "-i", "anoisesrc=r=16000:d=120", "-sample_fmt", "s16", flac)
    with apart.one_child():
        sound = apart.bytes_of("sound", flac)
        next(sound)
        assert probe.probe(talking).duration_s > 0  # while the other is busy
        assert len(started) == 2
        sound.close()  # type: ignore[attr-defined]
        probe.probe(talking)
        assert len(started) == 3
        os.kill(started[-1].pid, signal.SIGSEGV)
        with pytest.raises(CorruptMediaError, match="crashed"):
            probe.probe(talking)
        assert probe.probe(talking).duration_s > 0
        assert len(started) == 4
