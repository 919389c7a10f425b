"""Claims about what a failed check does to its video; the checks themselves are in ``test_checks.py``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from madvision_assets.connections import make_database
from madvision_assets.defs import checks
from madvision_assets.domain.failures import StoreUnavailableError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import RawVideo
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.media import probe
from madvision_assets.tools.store.documents import current_envelope, read_current
from madvision_assets.work import publish
from madvision_assets_tests.harness import Harness, open_harness

pytestmark = pytest.mark.whole

RAW, HEARD, KIND, CHOSEN, CUT = PipelineStep


@pytest.fixture
def harness(tmp_path: Path, media: Path) -> Iterator[Harness]:
    with open_harness(tmp_path, media) as made:
        made.submit()
        yield made


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing that is stored lasts as long as it says, until undone."""
    refuse(monkeypatch, "media_decodes")
    return monkeypatch


def refuse(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    result = dg.AssetCheckResult(passed=False, check_name=name, description="not as it should be")
    monkeypatch.setattr(checks, name, lambda *_: result)


def attempted(harness: Harness) -> list[PipelineStep]:
    return [step for step in PipelineStep if harness.tools.calls[step]]


@pytest.mark.parametrize(
    ("step", "name"),
    [(RAW, "media_decodes"), (HEARD, "transcript_in_order"), (CHOSEN, "candidates_fit_transcript")],
)
def test_a_blocking_check_that_fails_ends_the_video_at_its_stage(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, step: PipelineStep, name: str
) -> None:
    refuse(monkeypatch, name)

    [result] = harness.tick()

    row = harness.row()
    assert not result.success
    assert (row.status, row.failure_cause, row.pipeline_step) == (QueueStatus.FAILED, "check_failed", step)
    assert row.failure_details == f"{step}/{name}: not as it should be"
    run = harness.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags["madvision/cause"] == "check_failed"
    assert attempted(harness) == [s for s in PipelineStep if s not in step.onwards()] + [step]
    assert harness.ask() == []


@pytest.mark.usefixtures("refused")
@pytest.mark.timeout(30)  # Dagster's own retries would take longer
def test_what_a_check_turned_down_is_there_to_be_looked_at_with_its_verdict(harness: Harness) -> None:
    [result] = harness.tick()

    [evaluation] = result.get_asset_check_evaluations()
    [made] = result.asset_materializations_for_node("raw_video")
    assert (evaluation.check_name, evaluation.partition, evaluation.passed) == ("media_decodes", "web-a", False)
    assert made.metadata["uri"].value == harness.tools.store.uri(
        read_current(harness.tools.store, RawVideo, "web-a").key
    )
    assert made.metadata["refused"].value == harness.row().failure_details


def test_what_a_check_turned_down_is_made_again_when_somebody_asks_again(
    harness: Harness, refused: pytest.MonkeyPatch
) -> None:
    harness.tick()
    refused.undo()

    harness.submit()
    harness.tick()

    assert harness.row().status is QueueStatus.DONE
    assert harness.tools.calls[RAW] == 2


@pytest.mark.usefixtures("refused")
def test_an_operator_who_knows_better_runs_the_later_stages_by_hand(harness: Harness) -> None:
    harness.tick()

    harness.by_hand("a", *HEARD.onwards())

    assert harness.row().status is QueueStatus.DONE
    assert harness.tools.calls[RAW] == 1


@pytest.mark.usefixtures("refused")
def test_a_stage_by_hand_that_its_check_turns_down_does_not_go_on(harness: Harness) -> None:
    harness.by_hand("a", RAW)

    assert (harness.row().status, harness.row().failure_cause) == (QueueStatus.FAILED, "check_failed")
    assert harness.row().from_step is RAW
    assert harness.ask() == []


@pytest.mark.usefixtures("refused")
def test_a_worker_lost_while_it_publishes_what_was_turned_down_leaves_no_stage_that_counts_as_done(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(publish, "point_current", dies)
    harness.tick()

    assert current_envelope(harness.tools.store, RAW, "web-a") is None
    assert (harness.row().failure_cause, harness.row().from_step) == ("check_failed", RAW)


def test_what_was_made_before_counts_where_a_check_turns_down_what_was_made_anew(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.tick()
    before = [current_envelope(harness.tools.store, step, "web-a") for step in PipelineStep]
    refuse(monkeypatch, "transcript_in_order")
    Operations(make_database(harness.settings)).requeue(video_ids=["web-a"], from_step=HEARD)

    [result] = harness.tick()

    assert not result.success
    assert harness.tools.calls[HEARD] == 2
    assert (harness.row().status, harness.row().from_step) == (QueueStatus.DONE, None)
    assert [current_envelope(harness.tools.store, step, "web-a") for step in PipelineStep] == before


def test_a_store_that_is_away_while_a_check_reads_is_no_failed_check(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise StoreUnavailableError("connection refused")

    with monkeypatch.context() as outage:
        outage.setattr(probe, "verify_decodes", away)
        [result] = harness.tick()

    row = harness.row()
    assert (row.status, row.failure_cause, row.from_step) == (QueueStatus.WAITING, "store_unavailable", None)
    assert result.get_asset_check_evaluations() == []
    harness.tick()
    assert harness.row().status is QueueStatus.DONE


@pytest.mark.parametrize("name", ["transcript_covers_speech", "clips_match_plan"])
def test_a_check_that_does_not_block_is_shown_and_the_video_goes_on(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    refuse(monkeypatch, name)

    [result] = harness.tick()

    assert result.success
    assert [e.check_name for e in result.get_asset_check_evaluations() if not e.passed] == [name]
    assert harness.row().status is QueueStatus.DONE
