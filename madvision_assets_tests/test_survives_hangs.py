"""Claims about a worker that hangs: its video and its place at the GPU go to others, and it is gone."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests.real_servers import postgres_server
from madvision_assets_tests.waiting import wait_for
from madvision_assets_tests.whole_system import PATIENCE_S, Trial, processes_of, short_talk, trial

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

ENDED_WELL = ("clips", "done", None)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[Trial]:
    """The whole system; when it has stopped, nothing of it is left."""
    home = tmp_path / "home"
    with postgres_server(tmp_path) as (url, _server), trial(home, url) as running:
        yield running
    assert processes_of(home) == {}


def test_a_worker_that_hangs_at_the_transcript_is_ended_and_the_gpu_goes_to_its_video_and_to_another(
    system: Trial, tmp_path: Path
) -> None:
    talk = short_talk(tmp_path)
    hung = system.submit("hung", talk)
    system.wait_at(hung, PipelineStep.TRANSCRIPT)
    worker = system.worker(hung)
    os.kill(worker, signal.SIGSTOP)
    other = system.submit("other", talk)

    system.wait_for_end(hung, other)

    assert system.attempts(hung) == [("transcript", "waiting", "worker_lost"), ENDED_WELL]
    assert system.attempts(other) == [ENDED_WELL]
    assert worker not in processes_of(system.home)
    for video_id in (hung, other):
        assert system.lineage(video_id) == dict.fromkeys(PipelineStep, 1)
        assert system.downloads(video_id) == 1
    wait_for(lambda: not system.taken_slots(), PATIENCE_S, f"free slots, not {system.taken_slots()}")
    work = system.home / "work"
    wait_for(lambda: not list(work.iterdir()), PATIENCE_S, f"an empty folder, not {list(work.iterdir())}")
