"""Claims about `make up`: what dies or does not do its work is back by itself, whatever the clock says."""

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

from madvision_assets.domain.health import HOUSEKEEPING, SENSORS
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.figures import Figures
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets_tests.waiting import wait_for
from madvision_assets_tests.whole_system import processes_of, short_talk, workers_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

PATIENCE_S = 180.0
BACK_WITHIN_S = 60.0
PAUSE_S = 40.0
HOUR_S = 3600.0
STOPPED_WITHIN_S = 40.0
LONG_TALK_S = 70.0
TRANSCRIPT = PipelineStep.TRANSCRIPT
# Shifts the clock of a process by what a file says; Dagster's daemon looks at it in its loops.
SHIFTED = """
import os, time
from pathlib import Path
_real, _file = time.time, Path(os.environ["SHIFT_FILE"])
time.time = lambda: _real() + float(_file.read_text())
"""

COMMANDS = {
    "code-server": "main code-server",
    "daemon": "main daemon",
    "intake": "main serve",
    "webserver": "dagster_webserver",
}


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
        return str(re.findall(r"Submit a video: (\S+)", self.told)[0])

    @property
    def queue(self) -> Queue:
        """Its queue."""
        return Queue(self.database)

    def command(self, *words: str) -> None:
        """Run a command of ours on it."""
        command = [sys.executable, "-m", "madvision_assets.command.main", *words]
        subprocess.run(command, env=local_environment(self.home), check=True, capture_output=True, timeout=PATIENCE_S)

    def wait_for_a_transcript(self) -> QueueRow:
        """Wait until a worker hears a video; the video's row."""

        def at_work() -> list[QueueRow]:
            return [row for row in self.queue.running() if row.pipeline_step is TRANSCRIPT and "hear" in row.message]

        return wait_for(at_work, PATIENCE_S, "a transcript under way")[0]

    def pid(self, part: str) -> int:
        """The process of a part; 0 where there is none, or more than one."""
        found = [pid for pid, words in processes_of(self.home).items() if COMMANDS[part] in words]
        return found[0] if len(found) == 1 else 0

    def wait_for_another(self, part: str, before: int) -> None:
        """Wait until another process is the part."""
        wait_for(lambda: self.pid(part) not in {0, before}, BACK_WITHIN_S, f"another {part}")

    def has_ticked_since(self, moment: datetime) -> bool:
        """Whether every sensor has done its work since, but for the one that only comes round once a minute."""
        beats = Figures(self.database).beats()
        often = [sensor.name for sensor in SENSORS if sensor is not HOUSEKEEPING]
        return all(name in beats and beats[name] > moment for name in often)

    def wait_for_ticks(self) -> None:
        """Wait until every sensor has done its work from now on."""
        now = datetime.now(UTC)
        wait_for(lambda: self.has_ticked_since(now), PATIENCE_S, "ticks")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """`make up`, for all: to start it takes long; when it has been told to stop, nothing of it is left."""
    home = tmp_path_factory.mktemp("up") / "home"
    home.mkdir()
    environment = {**os.environ, "MADVISION_HOME": str(home), "MADVISION_ANALYST": "offline"}
    with (home / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "deployments" / "local" / "up.py")],
            env={**environment, "OMP_WAIT_POLICY": "PASSIVE"}, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        running = Up(home, process)
        try:
            wait_for(lambda: "Ctrl-C" in running.told, PATIENCE_S, "its start")
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
    assert processes_of(home) == {}


def test_a_code_server_that_dies_is_back_within_a_minute_and_its_runs_outlive_it(up: Up, tmp_path: Path) -> None:
    talk = tmp_path / "talk.mp4"
    talk.write_bytes(short_talk(tmp_path))
    up.command("submit", str(talk))
    row = up.wait_for_a_transcript()
    before = up.pid("code-server")
    [run] = [words for words in workers_of(up.home) if "multiprocessing" in words]
    assert "multiprocessing.forkserver" in run

    os.kill(before, signal.SIGKILL)

    up.wait_for_another("code-server", before)
    up.wait_for_ticks()
    wait_for(lambda: not up.queue.running(), PATIENCE_S, "its end")
    ended = up.queue.get(row.video_id)
    assert ended is not None
    assert (ended.status, ended.attempt, ended.failure_cause) == (QueueStatus.DONE, 1, None)
    assert "code-server: it ended with -9" in up.told


def test_a_code_server_that_stands_still_is_back_within_a_minute(up: Up) -> None:
    before = up.pid("code-server")

    os.kill(before, signal.SIGSTOP)

    up.wait_for_another("code-server", before)
    up.wait_for_ticks()
    assert "code-server: it gives no answer" in up.told


def test_a_machine_that_was_paused_goes_on_by_itself(up: Up) -> None:
    up.wait_for_ticks()
    told, parts = up.told, {part: up.pid(part) for part in COMMANDS}
    assert 0 not in parts.values()
    everything = [up.process.pid, *processes_of(up.home)]

    for pid in everything:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(PAUSE_S)
    for pid in everything:
        os.kill(pid, signal.SIGCONT)

    up.wait_for_ticks()
    assert up.told == told, "nothing was started again"
    assert {part: up.pid(part) for part in COMMANDS} == parts
    assert httpx.get(f"{up.intake}/readyz", timeout=30).json()["status"] == "ready"


def test_what_was_under_way_when_all_is_stopped_is_queued_again_and_nothing_waits_for_it(
    up: Up, tmp_path: Path
) -> None:
    talk = tmp_path / "another.mp4"
    talk.write_bytes(short_talk(tmp_path, LONG_TALK_S))
    up.command("submit", str(talk))
    row = up.wait_for_a_transcript()

    up.process.send_signal(signal.SIGTERM)

    assert up.process.wait(STOPPED_WITHIN_S) == 0
    stopped = up.queue.get(row.video_id)
    assert stopped is not None
    assert (stopped.status, stopped.pipeline_step, stopped.failure_cause) == (
        QueueStatus.QUEUED,
        row.pipeline_step,
        None,
    )
    assert processes_of(up.home) == {}


def set_clock(shift: Path, seconds: float) -> None:
    """Shift the clocks at once: who reads a file that is half written has none."""
    whole = shift.with_suffix(".new")
    whole.write_text(str(seconds))
    whole.rename(shift)


@contextmanager
def parts_with_a_clock(home: Path, shift: Path) -> Iterator[System]:
    """Code server and daemon, whose clocks a file shifts."""
    folder = home / "shifted"
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(SHIFTED)
    set_clock(shift, 0)
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
        set_clock(shift, HOUR_S)
        up.wait_for_ticks()
        set_clock(shift, 0)
        wait_for(lambda: "the clock was set back: the daemon begins anew" in log.read_text(), BACK_WITHIN_S, "a word")
        up.wait_for_ticks()

        # While it was away: what it left in the database.
        system.kill("daemon")
        with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
            for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
                data = state.instigator_data
                assert data is not None
                ahead = {"last_tick_timestamp": time.time() + HOUR_S, "last_tick_start_timestamp": time.time() + HOUR_S}
                instance.update_instigator_state(state.with_data(data._replace(**ahead)))  # type: ignore[arg-type]
        system.start("daemon")
        up.wait_for_ticks()
        assert "the last tick of queue_sensor lay in the future" in log.read_text()
