"""Claims about what surrounds every stage: failures in Dagster's form, and scratch folders."""

import errno
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from madvision_assets.defs.partitions import videos
from madvision_assets.defs.runtime.failing import STEP, of_dagster_failure, told_metadata
from madvision_assets.defs.runtime.stage_context import StageRuntime
from madvision_assets.domain.failures import (
    AnalystRateLimitedError,
    ConnectionLostError,
    NotMediaError,
    UnexpectedError,
)
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.store.objects import ObjectStore

Reports = list[tuple[str, PipelineStep, float, str]]


@pytest.fixture
def reports() -> Reports:
    return []


@pytest.fixture
def runtime(tmp_path: Path, reports: Reports) -> StageRuntime:
    return StageRuntime(ObjectStore.from_url("memory://"), tmp_path, lambda *report: reports.append(report))


def work(runtime: StageRuntime, step: str, do: Callable[[Path], None], partition: str = "v") -> None:
    """Run ``do`` as the work of a stage; it gets the scratch folder."""

    @dg.asset(name=step, partitions_def=videos)
    def stage(context: dg.AssetExecutionContext) -> None:
        with runtime.stage(context) as under_way:
            do(under_way.folder)

    stage(dg.build_asset_context(partition_key=partition))


def fails_with(error: Exception) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        (folder / "video.mp4.part").write_text("half of it")
        raise error

    return do


def test_a_failure_of_the_taxonomy_leaves_with_cause_class_and_sentence_and_is_not_retried_by_dagster(
    runtime: StageRuntime,
) -> None:
    with pytest.raises(dg.Failure) as caught:
        work(runtime, "content_type", fails_with(AnalystRateLimitedError("slow down", retry_after_s=7)))

    metadata = {name: entry.value for name, entry in caught.value.metadata.items()}
    assert caught.value.allow_retries is False
    assert metadata["failure_cause"] == "analyst_rate_limited"
    assert metadata["failure_class"] == "transient"
    assert metadata["pipeline_step"] == "content_type"
    assert metadata["retry_after_s"] == 7
    assert caught.value.description == str(caught.value.__cause__)


def test_a_fault_of_ours_is_an_unexpected_failure_with_its_origin(runtime: StageRuntime) -> None:
    with pytest.raises(dg.Failure) as caught:
        work(runtime, "clips", fails_with(ZeroDivisionError("division by zero")))

    assert caught.value.metadata["failure_cause"].value == "unexpected"
    assert isinstance(caught.value.__cause__, UnexpectedError)
    assert isinstance(caught.value.__cause__.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("step", "error", "kept"),
    [
        ("raw_video", ConnectionLostError(), True),
        ("raw_video", NotMediaError(), False),
        ("clips", ConnectionLostError(), False),
    ],
)
def test_only_a_download_that_can_go_on_keeps_its_scratch_folder(
    runtime: StageRuntime, tmp_path: Path, step: str, error: Exception, *, kept: bool
) -> None:
    with pytest.raises(dg.Failure):
        work(runtime, step, fails_with(error))

    assert (tmp_path / "v" / step / "video.mp4.part").exists() is kept
    assert (tmp_path / "v").exists() is kept


def test_nothing_is_left_after_success(runtime: StageRuntime, tmp_path: Path) -> None:
    work(runtime, "raw_video", lambda folder: folder.joinpath("x").touch())

    assert list(tmp_path.iterdir()) == []


def test_a_stage_is_done_when_its_work_is_and_never_before(runtime: StageRuntime, reports: Reports) -> None:
    work(runtime, "clips", lambda _folder: None)
    with pytest.raises(dg.Failure):
        work(runtime, "clips", fails_with(NotMediaError()))

    assert [fraction for _, _, fraction, _ in reports] == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("partition", ["../precious", "..", ".", "/", "a/b", "a b|c", "x" * 300, "-x", "v\n"])
def test_a_partition_key_that_is_no_video_id_touches_nothing(
    runtime: StageRuntime, tmp_path: Path, partition: str
) -> None:
    inner = StageRuntime(runtime.store, tmp_path / "work")
    precious = tmp_path / "precious" / "raw_video"
    precious.mkdir(parents=True)

    with pytest.raises(dg.Failure) as caught:
        work(inner, "raw_video", lambda folder: folder.joinpath("x").touch(), partition)

    assert caught.value.metadata["failure_cause"].value == "unknown_video"
    assert precious.is_dir()
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("number", "named", "cause"),
    [
        (errno.ENOSPC, None, "disk_full"),
        (errno.EROFS, "v/clips", "home_unusable"),
        (errno.EIO, "v/clips", "unexpected"),
        (errno.EACCES, "/home/somebody/talk.mp4", "unexpected"),
    ],
)
def test_what_the_disk_says_of_the_scratch_folder_has_its_cause(
    runtime: StageRuntime, tmp_path: Path, number: int, named: str | None, cause: str
) -> None:
    said = OSError(number, os.strerror(number), *([str(tmp_path / named)] if named else []))
    with pytest.raises(dg.Failure) as caught:
        work(runtime, "clips", fails_with(said))

    assert caught.value.metadata["failure_cause"].value == cause


def test_two_processes_at_the_same_stage_of_a_video_do_not_share_its_scratch_folder(
    runtime: StageRuntime, tmp_path: Path
) -> None:
    order: list[str] = []
    second = threading.Thread(target=work, args=(runtime, "clips", lambda _folder: order.append("second")))

    def first(folder: Path) -> None:
        second.start()
        with pytest.raises(BlockingIOError), (tmp_path / "v.clips.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert folder.is_dir()
        order.append("first")

    work(runtime, "clips", first)
    second.join(30)

    assert order == ["first", "second"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", [None, "", "a_stage_of_a_later_version"])
def test_what_failed_at_no_stage_that_is_known_here_is_no_failure_of_a_video(step: str | None) -> None:
    told = told_metadata(ConnectionLostError("at 3 s"), PipelineStep.CLIPS)
    known = of_dagster_failure(told)
    assert known is not None
    assert (known[0], known[1].code, known[1].details) == (PipelineStep.CLIPS, "connection_lost", "at 3 s")

    other = {**told, STEP: step} if step is not None else {name: told[name] for name in told if name != STEP}

    assert of_dagster_failure(other) is None
