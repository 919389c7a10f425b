"""Claims about a stage that stands still while its process lives on, and about how long runs may take."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest
import yaml  # type: ignore[import-untyped]

from madvision_assets.defs.runtime import lease
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests.harness import Harness, open_harness
from madvision_assets_tests.waiting import wait_for

pytestmark = pytest.mark.whole

ROOT = Path(__file__).resolve().parents[2]
INSTANCES = ("dagster.yaml", "deployments/compose/dagster.yaml", "deployments/kubernetes/base/dagster.yaml")
HEARD = PipelineStep.TRANSCRIPT
LIMIT_S = 60.0
MANY = 3


@pytest.fixture
def harness(tmp_path: Path, media: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    monkeypatch.setattr(lease, "REPORT_INTERVAL_S", 0.01)
    monkeypatch.setattr(lease, "BEAT_INTERVAL_S", 0.01)
    with open_harness(tmp_path, media) as made:
        yield made


def heartbeats(harness: Harness) -> set[datetime | None]:
    """The signs of life of a second, or some of them."""
    seen: set[datetime | None] = set()

    def sees_many() -> bool:
        seen.add(harness.row().heartbeat_at)
        return len(seen) > MANY

    with suppress(TimeoutError):
        wait_for(sees_many, 1.0)
    return seen


def test_a_stage_that_makes_no_progress_gives_no_sign_of_life_until_it_does(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, int] = {}

    def stand_still() -> None:
        told["at first"] = len(heartbeats(harness))
        monkeypatch.setattr(lease, "STANDS_STILL_S", 0.0)
        wait_for(lambda: len(heartbeats(harness)) == 1, LIMIT_S, "silence")
        monkeypatch.setattr(lease, "STANDS_STILL_S", LIMIT_S)
        told["again"] = len(heartbeats(harness))

    harness.submit()
    harness.tools.plan(HEARD, stand_still)
    harness.tick()

    assert harness.row().status is QueueStatus.DONE
    assert min(told.values()) > 1


def test_a_run_that_waits_between_its_stages_gives_signs_of_life_however_long(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "STANDS_STILL_S", LIMIT_S)
    between: list[int] = []
    publish = harness.queue.finish_step

    def publish_slowly(_queue: object, video_id: str, run_id: str, step: PipelineStep, **told: object) -> None:
        if step is HEARD:
            monkeypatch.setattr(lease, "STANDS_STILL_S", 0.0)
            between.append(len(heartbeats(harness)))
            monkeypatch.setattr(lease, "STANDS_STILL_S", LIMIT_S)
        publish(video_id, run_id, step, **told)  # type: ignore[arg-type]

    monkeypatch.setattr("madvision_assets.tools.database.queue.Queue.finish_step", publish_slowly)
    harness.submit()
    harness.tick()

    assert harness.row().status is QueueStatus.DONE
    assert between[0] > 1


@pytest.mark.parametrize("file", INSTANCES)
def test_a_clock_that_goes_ahead_ends_no_run(file: str) -> None:
    """Dagster counts the seconds of a run by the clock, and cancels it for good."""
    monitoring = yaml.safe_load((ROOT / file).read_text())["run_monitoring"]
    with dg.instance_for_test(overrides={"run_monitoring": monitoring}) as instance:
        assert instance.run_monitoring_enabled
        assert not instance.run_monitoring_max_runtime_seconds
