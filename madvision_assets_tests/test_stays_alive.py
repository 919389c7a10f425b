"""Claims about `make up` and its parts: what dies or does not do its work is back by itself, whatever the clock says."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import httpx
import pytest
from dagster._core.definitions.run_request import InstigatorType
from parts import System, prepare
from system import ROOT, local_environment

from madvision_assets.domain.health import SENSORS
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.figures import Figures
from madvision_assets.tools.database.queue import Queue
from madvision_assets_tests.waiting import wait_for
from madvision_assets_tests.whole_system import processes_of, short_talk

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

PATIENCE_S = 180.0
BACK_WITHIN_S = 60.0
PAUSE_S = 40.0
HOUR_S = 3600.0
# Shifts the clock of a process by what a file says; Dagster's daemon looks at it in its loops.
SHIFTED = """
import os, time
from pathlib import Path
_real, _file = time.time, Path(os.environ["SHIFT_FILE"])
time.time = lambda: _real() + float(_file.read_text())
"""


@dataclass
class Up:
    """`make up` while it runs."""

    home: Path
    process: "subprocess.Popen[bytes]"

    @property
    def told(self) -> str:
        """What it printed."""
        return (self.home / "up.log").read_text()

    @property
    def database(self) -> Database:
        """Its tables."""
        return Database(f"sqlite:///{self.home / 'madvision.db'}")

    @property
    def intake(self) -> str:
        """Address of its intake."""
        return re.findall(r"Submit a video: (\S+)", self.told)[0]

    def pid(self, command: str) -> int:
        """The process of the part with this in its command line; 0 where there is none."""
        found = [pid for pid, words in processes_of(self.home).items() if command in words]
        return found[0] if len(found) == 1 else 0

    def has_ticked_since(self, moment: datetime) -> bool:
        """Whether every sensor has done its work since."""
        beats = Figures(self.database).beats()
        return all(sensor.name in beats and beats[sensor.name] > moment for sensor in SENSORS)

    def wait_for_ticks(self) -> None:
        """Wait until every sensor has done its work from now on."""
        wait_for(lambda now=datetime.now(UTC): self.has_ticked_since(now), PATIENCE_S, "ticks")  # type: ignore[misc]


COMMANDS = {
    "code-server": "dagster api grpc",
    "daemon": "main daemon",
    "intake": "main serve",
    "webserver": "dagster_webserver",
}


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """`make up`; when it has been told to stop, nothing of it is left."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        **os.environ,
        "MADVISION_HOME": str(home),
        "MADVISION_ANALYST": "offline",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    with (home / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "deployments" / "local" / "up.py")],
            env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        running = Up(home, process)
        try:
            wait_for(lambda: "Ctrl-C" in running.told, PATIENCE_S, "its start")
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
    assert processes_of(home) == {}


def test_what_dies_or_stands_still_is_back_within_a_minute_and_a_paused_machine_goes_on(up: Up, tmp_path: Path) -> None:
    up.wait_for_ticks()
    # One after the other: what is killed, then what stands still.
    for part, sign in [("code-server", signal.SIGKILL), ("daemon", signal.SIGKILL), ("code-server", signal.SIGSTOP)]:
        before = up.pid(COMMANDS[part])
        began_s = time.monotonic()
        os.kill(before, sign)
        wait_for(
            lambda before=before, part=part: (now := up.pid(COMMANDS[part])) not in {0, before} and now,  # type: ignore[misc]
            BACK_WITHIN_S,
            f"another {part}",
        )
        up.wait_for_ticks()
        print(f"{part}, {sign.name}: all sensors ticked again after {time.monotonic() - began_s:.0f} s")
    told = up.told
    pids = {part: up.pid(command) for part, command in COMMANDS.items()}
    assert 0 not in pids.values()

    everything = [up.process.pid, *processes_of(up.home)]
    for pid in everything:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(PAUSE_S)
    for pid in everything:
        os.kill(pid, signal.SIGCONT)
    up.wait_for_ticks()

    assert up.told == told, "nothing was started again"
    assert {part: up.pid(command) for part, command in COMMANDS.items()} == pids
    assert httpx.get(f"{up.intake}/readyz", timeout=30).json()["status"] == "ready"


def test_runs_outlive_a_code_server_that_dies_and_are_queued_again_when_all_is_stopped(up: Up, tmp_path: Path) -> None:
    queue = Queue(up.database)
    talk = tmp_path / "talk.mp4"
    talk.write_bytes(short_talk(tmp_path))
    submit = [sys.executable, "-m", "madvision_assets.command.main", "submit", str(talk)]
    environment = {**local_environment(up.home)}
    subprocess.run(submit, env=environment, check=True, capture_output=True)

    def is_at(step: PipelineStep) -> bool:
        rows = queue.running()
        return bool(rows) and rows[0].pipeline_step is step and rows[0].run_id is not None

    wait_for(lambda: is_at(PipelineStep.TRANSCRIPT), PATIENCE_S, "a transcript under way")
    [row] = queue.running()
    os.kill(up.pid(COMMANDS["code-server"]), signal.SIGKILL)

    def goes_on() -> bool:
        now = queue.get(row.video_id)
        assert now is not None
        return now.pipeline_step > PipelineStep.TRANSCRIPT or now.status is QueueStatus.DONE

    wait_for(goes_on, PATIENCE_S, "the next stage")
    ended = wait_for(lambda: (r := queue.get(row.video_id)) and r.status.is_final and r, PATIENCE_S, "its end")
    assert (ended.status, ended.attempt) == (QueueStatus.DONE, 1)
    wait_for(lambda: up.pid(COMMANDS["code-server"]), BACK_WITHIN_S, "another code server")

    requeue = [*submit[:3], "requeue", "--video", row.video_id, "--from", "transcript"]
    subprocess.run(requeue, env=environment, check=True, capture_output=True)
    wait_for(lambda: is_at(PipelineStep.TRANSCRIPT), PATIENCE_S, "a transcript under way")
    began_s = time.monotonic()
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(PATIENCE_S) == 0
    print(f"stopped after {time.monotonic() - began_s:.1f} s, with a run under way")
    stopped = queue.get(row.video_id)
    assert stopped is not None
    assert (stopped.status, stopped.pipeline_step) == (QueueStatus.QUEUED, PipelineStep.TRANSCRIPT)
    assert processes_of(up.home) == {}


@contextmanager
def parts_with_a_clock(home: Path, shift: Path) -> Iterator[System]:
    """Code server and daemon, whose clocks a file shifts."""
    folder = home / "shifted"
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(SHIFTED)
    shift.write_text("0")
    environment = {**local_environment(home), "MADVISION_ANALYST": "offline"}
    system = prepare(home, environment, with_ui=False)
    shifted = {"PYTHONPATH": str(folder), "SHIFT_FILE": str(shift)}
    system = System(home, {**environment, **shifted}, with_ui=False)
    try:
        yield system
    finally:
        system.stop()
    assert processes_of(home) == {}


def test_a_clock_that_went_an_hour_ahead_and_back_stops_no_sensor(tmp_path: Path) -> None:
    home, shift = tmp_path / "home", tmp_path / "shift"
    with parts_with_a_clock(home, shift) as system:
        up = Up(home, system.parts)  # type: ignore[arg-type]
        system.start("code-server", "daemon")
        up.wait_for_ticks()
        log = home / "logs" / "daemon.log"

        # While it runs: its loops wait by the clock.
        shift.write_text(str(HOUR_S))
        up.wait_for_ticks()
        shift.write_text("0")
        wait_for(lambda: "the clock was set back: the daemon begins anew" in log.read_text(), BACK_WITHIN_S, "a word")
        up.wait_for_ticks()

        # While it was away: what it left in the database.
        system.kill("daemon")
        with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
            for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
                data = state.instigator_data
                assert data is not None
                ahead = {"last_tick_timestamp": time.time() + HOUR_S, "last_tick_start_timestamp": time.time() + HOUR_S}
                instance.update_instigator_state(state.with_data(data._replace(**ahead)))  # type: ignore[arg-type, call-arg, union-attr]
        system.start("daemon")
        up.wait_for_ticks()
        assert "the last tick of queue_sensor lay in the future" in log.read_text()
