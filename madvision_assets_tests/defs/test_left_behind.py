"""Claims about what a video that is given up leaves behind."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import dagster as dg

from madvision_assets.defs.sensors import queue_reconciler
from madvision_assets.domain.failures import ConnectionLostError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests.harness import Harness, open_harness

RAW = PipelineStep.RAW_VIDEO


def reconcile(harness: Harness) -> None:
    """One evaluation of the reconciling sensor."""
    given = harness.resources()
    with dg.build_sensor_context(
        harness.instance, resources={n: given[n] for n in ("reconciler", "runtime", "database")}
    ) as context:
        queue_reconciler(context)


def breaks_off(harness: Harness) -> Callable[[], None]:
    """A download that stops half-way."""

    def act() -> None:
        (folder(harness) / "video.mp4.part").write_text("half of it")
        raise ConnectionLostError

    return act


def folder(harness: Harness) -> Path:
    return harness.settings.work_folder / "web-a" / RAW


def test_half_a_download_is_kept_while_it_will_be_tried_again_and_removed_once_it_is_given_up(
    tmp_path: Path, media: Path
) -> None:
    with open_harness(tmp_path, media, max_retries=1) as harness:
        harness.submit()
        harness.tools.plan(RAW, breaks_off(harness), breaks_off(harness))

        harness.tick()
        reconcile(harness)
        assert harness.row().status is QueueStatus.WAITING
        assert (folder(harness) / "video.mp4.part").exists()

        harness.tick()
        reconcile(harness)
        assert harness.row().status is QueueStatus.FAILED
        assert list(harness.settings.work_folder.iterdir()) == []


def test_a_folder_that_somebody_works_in_is_left_to_him(tmp_path: Path, media: Path) -> None:
    with open_harness(tmp_path, media, max_retries=0) as harness:
        harness.submit()
        harness.tools.plan(RAW, breaks_off(harness))
        harness.tick()

        with (harness.settings.work_folder / f"web-a.{RAW}.lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            reconcile(harness)
            assert (folder(harness) / "video.mp4.part").exists()

        reconcile(harness)
        assert list(harness.settings.work_folder.iterdir()) == []
