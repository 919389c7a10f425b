"""Claims about a soak's report: its arithmetic, and which promises it sees broken."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests.soak import report
from madvision_assets_tests.soak.plan import Planned, make_plan
from madvision_assets_tests.soak.records import Record, broken
from madvision_assets_tests.soak.usage import RUNS, Figures, Process, Size, slope_per_hour, usage_of

CAME = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONCE = Counter(list(PipelineStep))


def planned(fails_at: PipelineStep | None = None, times: int = 0) -> Planned:
    return Planned("web-1", "https://a.example.org/1.mp4", 0, 0.0, dict.fromkeys(PipelineStep, 1.0), fails_at, times)


def record(began_s: float | None = 1.0, ended_s: float | None = 9.0, priority: int = 0) -> Record:
    began, ended = (None if s is None else CAME + timedelta(seconds=s) for s in (began_s, ended_s))
    return Record("web-1", priority, QueueStatus.DONE, None, CAME, began, ended, [], ONCE)


FAILED = replace(
    record(),
    status=QueueStatus.FAILED,
    cause="no_audio_track",
    causes=["no_audio_track"],
    made=Counter([PipelineStep.RAW_VIDEO]),
)
RETRIED = replace(record(), causes=["media_tool_failed"])
PERMANENTLY, ONCE_AT_CLIPS = planned(PipelineStep.TRANSCRIPT), planned(PipelineStep.CLIPS, 1)


def causes() -> tuple[str, str]:
    from madvision_assets_tests.soak.pipeline import PERMANENT, TRANSIENT

    return PERMANENT[PipelineStep.TRANSCRIPT].code, TRANSIENT[PipelineStep.CLIPS].code


def as_told(each: Record) -> Record:
    """With the causes that the tools of a soak give."""
    permanent, transient = causes()
    names = {"no_audio_track": permanent, "media_tool_failed": transient}
    return replace(each, cause=names.get(each.cause or "", each.cause), causes=[names.get(c, c) for c in each.causes])


@pytest.mark.parametrize(
    ("video", "seen"),
    [
        (planned(), record()),
        (PERMANENTLY, FAILED),
        (ONCE_AT_CLIPS, RETRIED),
        (planned(), replace(record(), status=QueueStatus.RUNNING, made=Counter())),
        (planned(), replace(record(), causes=["run_not_launched"])),
    ],
)
def test_what_ended_as_planned_or_has_not_ended_breaks_nothing(video: Planned, seen: Record) -> None:
    assert broken([video], {"web-1": as_told(seen)}) == []


@pytest.mark.parametrize(
    ("video", "seen", "told"),
    [
        (planned(), FAILED, "was to end as done"),
        (PERMANENTLY, record(), "was to end as failed"),
        (ONCE_AT_CLIPS, record(), "was to by"),
        (planned(), replace(record(), causes=["worker_lost"]), "failed on its way by ['worker_lost']"),
        (planned(), replace(record(), made=ONCE + Counter([PipelineStep.CLIPS])), "was done again"),
        (planned(), replace(record(), made=Counter()), "has the stages []"),
    ],
)
def test_what_ended_otherwise_is_told(video: Planned, seen: Record, told: str) -> None:
    assert any(told in each for each in broken([video], {"web-1": as_told(seen)}))


def test_a_video_that_is_gone_is_told() -> None:
    assert broken([planned()], {}) == ["web-1 was taken in and is gone"]


def test_the_steady_rate_leaves_out_how_it_fills_and_empties() -> None:
    ends_s = [0.0, *(1000.0 + 2 * n for n in range(9)), 5000.0]

    assert report.steady_rate(ends_s) == pytest.approx(3600 / 2)
    assert report.steady_rate([1.0]) == 0.0


def test_waiting_is_told_by_priority_the_highest_first() -> None:
    records = [record(began_s=s, priority=p) for s, p in ((1, 0), (3, 0), (8, 0), (2, 5))] + [record(began_s=None)]

    found = report.waiting(records)

    assert list(found) == ["5", "0"]
    assert found["0"] == pytest.approx([3.0, 7.5, 3])
    assert found["5"] == [2.0, 2.0, 1]


def test_growth_is_told_per_video_and_per_hour() -> None:
    before = Figures(5.0, {"daemon": 1.0}, {"ours": 2}, {"ours": {"runs": Size(10, 1000)}}, {})
    tables = {"runs": Size(30, 5000), "event_logs": Size(800, 90_000), "kvs": Size(0, 0)}
    grown = Figures(9.0, {"daemon": 4.0}, {"ours": 8}, {"ours": tables}, {"STEP_START": Size(5, 50)}) - before
    samples = [report.Sample(s, 0, {"daemon": 100.0 + s / 60}) for s in (0.0, 60.0, 120.0)]

    assert (grown.busy_s, grown.cpu_s, grown.connections) == (4.0, {"daemon": 3.0}, {"ours": 6})
    assert report.per_video(grown.events, 5) == {"STEP_START": [1.0, 10]}
    assert report.per_video(grown.sizes["ours"], 20) == {"event_logs": [40.0, 4500], "runs": [1.0, 200]}
    assert report.memory(samples) == {"daemon": [100.0, 102.0, 60.0]}
    assert slope_per_hour([0.0], [1.0]) == 0.0


def test_the_cpu_of_runs_is_what_the_code_server_started_living_or_ended() -> None:
    known = {
        each.pid: each
        for each in (
            Process(1, 0, own_s=5.0, reaped_s=7.0, rss_mib=200.0),  # the code server; 7 s of runs that ended
            Process(2, 1, own_s=2.0, reaped_s=0.5, rss_mib=90.0),  # a run
            Process(3, 2, own_s=1.0, reaped_s=0.0, rss_mib=10.0),  # its ffmpeg
            Process(4, 0, own_s=3.0, reaped_s=0.25, rss_mib=150.0),  # the daemon
        )
    }

    used = usage_of({"code-server": 1, "daemon": 4}, "code-server", known)

    assert used.cpu_s == {RUNS: 10.5, "code-server": 5.0, "daemon": 3.25}
    assert used.rss_mib == {"code-server": 200.0, "daemon": 150.0}


def test_a_seed_is_a_plan_of_the_shares_that_were_asked_for() -> None:
    plan = make_plan(3, 2000, 40.0)

    assert plan == make_plan(3, 2000, 40.0)
    assert plan != make_plan(4, 2000, 40.0)
    lost = sum(video.is_lost for video in plan.videos)
    retried = sum(video.fails_at is not None for video in plan.videos) - lost
    assert (lost / 2000, retried / 2000) == pytest.approx((0.02, 0.10), abs=0.015)
    gpu_s = sum(video.work_s[PipelineStep.TRANSCRIPT] for video in plan.videos)
    assert gpu_s == pytest.approx(0.6 * 40 * 60, rel=0.01)
    assert [video.at_s for video in plan.videos] == sorted(video.at_s for video in plan.videos)
    assert max(video.at_s for video in plan.videos) == pytest.approx(20 * 60)
