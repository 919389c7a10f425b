"""Claims about the points: what they name is there, and a process dies where it is told to, once."""

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from madvision_assets_tests.chaos import points
from madvision_assets_tests.chaos.world import INSIDE

pytestmark = pytest.mark.whole

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 120


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (points.ARMED, points.DEAD, points.WORKERS):
        (tmp_path / name).mkdir()
    return tmp_path


def run(folder: Path, code: str, *orig: str) -> "subprocess.CompletedProcess[str]":
    """A process under test."""
    variables = {"PYTHONPATH": os.pathsep.join((str(INSIDE), str(ROOT))), points.FOLDER: str(folder)}
    command = [sys.executable, "-c", code, *orig]
    return subprocess.run(
        command,
        env={**os.environ, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


STEPS_OF_A_RUN = """
from madvision_assets.tools.store import documents
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests.stores import raw_video
from madvision_assets_tests.chaos.points import _Now
store, document = ObjectStore.from_url("memory://"), raw_video()
_Now.video_id, _Now.step = document.video_id, str(document.asset)
documents.write_document(store, document)
print("written", flush=True)
documents.point_current(store, document)
print("pointed", flush=True)
"""


def test_everything_that_is_wrapped_is_there() -> None:
    for name, where, _ in points._WRAPS:
        found = importlib.import_module(name)
        for part in where.split("."):
            found = getattr(found, part)
        assert callable(found), f"{name}.{where}"


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ("document.raw_video.before", ""),
        ("document.raw_video.after", ""),
        ("pointer.raw_video.before", "written\n"),
        ("pointer.raw_video.after", "written\n"),
    ],
)
def test_a_process_dies_at_the_point_and_only_once(folder: Path, point: str, said: str) -> None:
    (folder / points.ARMED / point).touch()

    first, second = run(folder, STEPS_OF_A_RUN), run(folder, STEPS_OF_A_RUN)

    assert (first.returncode, first.stdout) == (-signal.SIGKILL, said)
    assert (second.returncode, second.stdout) == (0, "written\npointed\n")
    died = [line for line in (folder / points.LEDGER).read_text().splitlines() if json.loads(line)["what"] == "died"]
    assert len(died) == 1


def test_a_step_of_a_video_that_was_struck_once_is_spared(folder: Path) -> None:
    (folder / points.ARMED / "pointer.raw_video.before").touch()
    (folder / points.DEAD / "struck-1@web-0123456789abcdef.raw_video").touch()

    assert run(folder, STEPS_OF_A_RUN).returncode == 0


def test_without_a_campaign_nothing_is_wrapped(folder: Path) -> None:
    code = "import sys; print([f for f in sys.meta_path if 'chaos' in type(f).__module__])"
    variables = {name: value for name, value in os.environ.items() if name != points.FOLDER}
    told = subprocess.run(
        [sys.executable, "-c", code], env={**variables, "PYTHONPATH": os.pathsep.join((str(INSIDE), str(ROOT)))},
        capture_output=True, text=True, timeout=LIMIT_S, check=True,
    )  # fmt: skip

    assert told.stdout == "[]\n"
    assert "chaos" in run(folder, code).stdout


NAMES = "import socket; print(socket.getaddrinfo('talks.videos.test', 80)[0][4][0])"


def test_names_of_ours_lead_to_loopback_unless_names_are_away(folder: Path) -> None:
    assert run(folder, NAMES).stdout == "127.0.0.1\n"

    (folder / points.NO_NAMES).touch()
    assert "Temporary failure in name resolution" in run(folder, NAMES).stderr


CLOCK = "import time; from dagster._time import get_current_timestamp as now; print(round(now() - time.time(), -1))"


@pytest.mark.parametrize(("process", "wrong_s"), [(("dagster._daemon",), "3600.0\n"), ((), "0.0\n")])
def test_the_clock_is_wrong_in_the_daemon_alone(folder: Path, process: tuple[str, ...], wrong_s: str) -> None:
    (folder / points.CLOCK).write_text("3600")

    assert run(folder, CLOCK, *process).stdout.replace("-0.0", "0.0") == wrong_s
