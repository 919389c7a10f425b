"""What parses foreign media does it in a child that holds nothing, and whatever becomes of the child is a leaf."""

import subprocess
import sys
from pathlib import Path

import pytest

from madvision_assets.domain.failures import CorruptMediaError, TooCostlyError
from madvision_assets.tools.media import apart, container, probe
from madvision_assets.tools.sandbox import policy
from madvision_assets.tools.sandbox.process import ChildProcess
from madvision_assets_tests import footage


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


def test_a_decoder_that_never_ends_is_refused_for_good(talking: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _child_is(monkeypatch, "while True: pass")
    monkeypatch.setattr(apart, "budget_s", lambda _: 3.0)
    monkeypatch.setattr("madvision_assets.tools.media.ffmpeg.BUSY_SHARE", 0.01)  # the machine may be busy
    with pytest.raises(TooCostlyError, match="longer than 3 s"):
        probe.probe(talking)


def _child_is(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Puts a program in the place of the child's."""

    def instead(command: list[str], **options: object) -> object:
        return ChildProcess([command[0], "-I", "-S", "-c", program], **options)  # type: ignore[arg-type]

    monkeypatch.setattr(apart, "ChildProcess", instead)


def test_memory_errors_of_the_decoder_are_too_costly() -> None:
    assert container.AV_FAILURES["MemoryError"] is TooCostlyError
