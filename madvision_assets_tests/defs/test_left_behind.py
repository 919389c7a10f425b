"""Claims about what a video that is given up leaves behind."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import dagster as dg

from madvision_assets.defs.sensors import queue_reconciler
from madvision_assets.domain.failures import ConnectionLostError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests.quick import Factory, factory

RAW = PipelineStep.RAW_VIDEO


def reconcile(works: Factory) -> None:
    """One evaluation of the reconciling sensor."""
    given = works.resources()
    with dg.build_sensor_context(works.instance, resources={n: given[n] for n in ("reconciler", "runtime")}) as context:
        queue_reconciler(context)


def breaks_off(works: Factory) -> Callable[[], None]:
    """A download that stops half-way."""

    def act() -> None:
        (folder(works) / "video.mp4.part").write_text("half of it")
        raise ConnectionLostError

    return act


def folder(works: Factory) -> Path:
    return works.settings.work_folder / "web-a" / RAW


def test_half_a_download_is_kept_while_it_will_be_tried_again_and_removed_once_it_is_given_up(
    tmp_path: Path, media: Path
) -> None:
    with factory(tmp_path, media, max_retries=1) as works:
        works.submit()
        works.tools.plan(RAW, breaks_off(works), breaks_off(works))

        works.tick()
        reconcile(works)
        assert works.row().status is QueueStatus.WAITING
        assert (folder(works) / "video.mp4.part").exists()

        works.tick()
        reconcile(works)
        assert works.row().status is QueueStatus.FAILED
        assert list(works.settings.work_folder.iterdir()) == []


def test_a_folder_that_somebody_works_in_is_left_to_him(tmp_path: Path, media: Path) -> None:
    with factory(tmp_path, media, max_retries=0) as works:
        works.submit()
        works.tools.plan(RAW, breaks_off(works))
        works.tick()

        with (works.settings.work_folder / f"web-a.{RAW}.lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            reconcile(works)
            assert (folder(works) / "video.mp4.part").exists()

        reconcile(works)
        assert list(works.settings.work_folder.iterdir()) == []
