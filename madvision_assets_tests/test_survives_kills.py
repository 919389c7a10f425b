"""Claims about SIGKILL: whatever dies, whenever, every video ends well, and no finished stage is done again."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from madvision_assets.domain.clips import Role
from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests.openai_faults import slow
from madvision_assets_tests.real_servers import Server, postgres_server
from madvision_assets_tests.waiting import wait_for
from madvision_assets_tests.whole_system import PATIENCE_S, Trial, processes_of, short_talk, trial

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

STEPS = tuple(PipelineStep)
ANALYST_STEPS = (PipelineStep.CONTENT_TYPE, PipelineStep.CLIP_CANDIDATES)
ONCE = dict.fromkeys(STEPS, 1)
ENDED_WELL = ("clips", "done", None)
# Long enough to be hit in the middle of.
DOWNLOAD_S = 6.0
ANSWER_S = 4.0
LONGER_S = 75.0  # several clips: cutting them takes longer than a database takes to come back


@pytest.fixture
def database(tmp_path: Path) -> Iterator[tuple[str, Server]]:
    """A PostgreSQL of the test's own, to be killed."""
    with postgres_server(tmp_path) as server:
        yield server


@pytest.fixture
def system(tmp_path: Path, database: tuple[str, Server]) -> Iterator[Trial]:
    """The whole system; when it has stopped, nothing of it is left."""
    home = tmp_path / "home"
    with trial(home, database[0]) as running:
        running.openai.always(slow(ANSWER_S))
        yield running
    assert processes_of(home) == {}


@pytest.fixture
def talk(tmp_path: Path) -> bytes:
    return short_talk(tmp_path)


def assert_made_once(system: Trial, video_id: str) -> None:
    """Every stage of the video was finished once, has one version, and the clips are there."""
    row = system.row(video_id)
    assert (row.status, row.outcome) == ("done", "clips"), (row.failure_cause, row.failure_details)
    assert system.lineage(video_id) == ONCE
    assert system.versions(video_id) == ONCE
    assert all(system.store.exists(clip.files[Role.SOURCE].key) for clip in system.clips(video_id).clips)


def assert_nothing_lingers(system: Trial) -> None:
    """No slot of a pool is taken, no breaker is open, and nobody works any more."""
    wait_for(lambda: not system.taken_slots(), PATIENCE_S, f"free slots, not {system.taken_slots()}")
    assert system.shut_breakers() == {}
    wait_for(lambda: not system.workers(), PATIENCE_S, f"the end of the workers among {system.processes()}")


def test_a_run_worker_killed_in_the_middle_of_a_stage_costs_that_stage_and_nothing_else(
    system: Trial, talk: bytes
) -> None:
    victims = {system.submit(f"killed-at-{step}", talk, seconds=DOWNLOAD_S): step for step in STEPS}
    left = dict(victims)

    def kill_those_at_their_step() -> bool:
        for video_id, step in list(left.items()):
            if system.is_at(video_id, step):
                system.kill_worker(video_id)
                del left[video_id]
        return not left

    wait_for(kill_those_at_their_step, 2 * PATIENCE_S, "five workers, each at its stage")
    system.wait_for_end(*victims)

    for video_id, step in victims.items():
        assert system.attempts(video_id) == [(step, "waiting", "worker_lost"), ENDED_WELL]
        assert_made_once(system, video_id)
        assert system.downloads(video_id) == 1
        asked = {each: system.asked(video_id, each) for each in ANALYST_STEPS}
        assert asked == {each: 1 + (each is step) for each in ANALYST_STEPS}
    assert_nothing_lingers(system)


def test_daemon_intake_and_database_killed_in_the_middle_of_every_stage_cost_nothing(
    system: Trial, tmp_path: Path, database: tuple[str, Server]
) -> None:
    talk = short_talk(tmp_path, LONGER_S)
    video_id = system.submit("one", talk, seconds=DOWNLOAD_S)
    for step in STEPS:
        system.wait_at(video_id, step)
        system.system.kill("daemon")
        system.system.kill("intake")
        database[1].kill()
        database[1].start()
        assert system.is_at(video_id, step), "they were killed in the middle of it"
        system.system.start("intake", "daemon")
    system.wait_for_end(video_id)

    assert system.attempts(video_id) == [ENDED_WELL]
    assert_made_once(system, video_id)
    assert [system.asked(video_id, step) for step in ANALYST_STEPS] == [1, 1]
    assert system.status(video_id)["status"] == "done"
    assert_nothing_lingers(system)


def test_a_code_server_killed_with_all_its_runs_costs_the_stages_under_way(system: Trial, talk: bytes) -> None:
    video_id = system.submit("one", talk)
    system.wait_at(video_id, PipelineStep.TRANSCRIPT)
    worker = system.worker(video_id)
    system.system.kill("code-server")
    if worker in processes_of(system.home):
        os.kill(worker, signal.SIGKILL)
    system.system.start("code-server")
    system.wait_for_end(video_id)

    assert system.attempts(video_id) == [("transcript", "waiting", "worker_lost"), ENDED_WELL]
    assert_made_once(system, video_id)
    assert_nothing_lingers(system)


def test_after_a_power_failure_everything_goes_on_where_it_stopped(
    system: Trial, talk: bytes, database: tuple[str, Server]
) -> None:
    first = system.submit("first", talk)
    others = [system.submit(f"other-{n}", talk, seconds=2 * DOWNLOAD_S) for n in range(4)]
    # Four at a time: the last one has not begun. A run without a process yet is Dagster's, which gives it two minutes.
    system.wait_at(others[2], PipelineStep.RAW_VIDEO)
    wait_for(lambda: system.lineage(first)[PipelineStep.RAW_VIDEO] == 1, PATIENCE_S, "the first one's download")
    for pid in processes_of(system.home):
        os.kill(pid, signal.SIGKILL)
    database[1].kill()
    database[1].start()
    system.system.kill()
    system.system.start()
    system.wait_for_end(first, *others)

    for video_id in (first, *others):
        assert_made_once(system, video_id)
        assert {cause for *_, cause in system.attempts(video_id)} <= {"worker_lost", "run_not_launched", None}
    assert_nothing_lingers(system)
