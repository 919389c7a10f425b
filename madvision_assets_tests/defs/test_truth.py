"""Claims about what Dagster calls a failure: what is ours to mend, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from madvision_assets.domain.failures import (
    AnalystUnavailableError,
    ApiKeyInvalidError,
    BudgetExhaustedError,
    Failure,
    NotFoundError,
    SourceRateLimitedError,
    UnexpectedError,
)
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests.harness import Harness, open_harness

pytestmark = pytest.mark.whole

RAW, HEARD, KIND, CHOSEN, CUT = PipelineStep


@pytest.fixture
def harness(tmp_path: Path, media: Path) -> Iterator[Harness]:
    with open_harness(tmp_path, media) as made:
        yield made


def kinds(harness: Harness, run_id: str) -> dict[str, list[str]]:
    """The steps of a run, by the kinds of their events."""
    told: dict[str, list[str]] = {}
    for entry in harness.instance.all_logs(run_id):
        event = entry.get_dagster_event() if entry.is_dagster_event else None
        if event is not None:
            told.setdefault(event.event_type.value, []).append(event.step_key or "")
    return told


@pytest.mark.parametrize(
    ("step", "failure", "outcome"),
    [
        (RAW, NotFoundError("404"), QueueStatus.FAILED),
        (RAW, SourceRateLimitedError("429"), QueueStatus.WAITING),
        (KIND, AnalystUnavailableError("503"), QueueStatus.WAITING),
        (CHOSEN, BudgetExhaustedError("today"), QueueStatus.WAITING),
    ],
    ids=lambda value: getattr(value, "code", None),
)
def test_what_is_the_sources_fault_or_waits_is_no_failed_run_and_says_what_it_is(
    harness: Harness, step: PipelineStep, failure: Failure, outcome: QueueStatus
) -> None:
    harness.submit()
    harness.tools.plan(step, failure)

    [result] = harness.tick()

    run = harness.instance.get_run_by_id(result.run_id)
    told = kinds(harness, result.run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert (run.tags["madvision/cause"], run.tags["madvision/outcome"]) == (failure.code, outcome.value)
    assert not {kind for kind in told if "FAIL" in kind}
    assert told.get("ASSET_CHECK_EVALUATION", []).count(step.value) == 0, "nothing was checked"
    assert told.get("STEP_SKIPPED", []) == [
        later.value for later in tuple(PipelineStep)[tuple(PipelineStep).index(step) + 1 :]
    ]
    assert (harness.row().status, harness.row().failure_cause) == (outcome, failure.code)
    [observed] = harness.instance.fetch_observations(dg.AssetKey(step.value), limit=9).records
    observation = observed.asset_observation
    assert observation is not None
    assert observation.partition == "web-a"
    assert observation.description == str(failure)
    assert observation.metadata["failure_cause"].value == failure.code


@pytest.mark.parametrize("failure", [ApiKeyInvalidError("sk"), UnexpectedError("KeyError")], ids=lambda f: f.code)
def test_what_is_ours_to_mend_is_a_failed_run_that_says_why(harness: Harness, failure: Failure) -> None:
    harness.submit()
    harness.tools.plan(KIND, failure)

    [result] = harness.tick()

    run = harness.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert run.tags["madvision/cause"] == failure.code
    assert kinds(harness, result.run_id)["STEP_FAILURE"] == [KIND.value]


def test_a_retry_after_an_outage_makes_what_was_left_and_nothing_was_ever_red(harness: Harness) -> None:
    harness.submit()
    harness.tools.plan(KIND, AnalystUnavailableError("503"))

    first, second = harness.tick(), harness.tick()

    runs = [harness.instance.get_run_by_id(result.run_id) for result in (*first, *second)]
    assert [run and run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS] * 2
    assert harness.row().status is QueueStatus.DONE
    assert harness.tools.calls == {RAW: 1, HEARD: 1, KIND: 2, CHOSEN: 1, CUT: 1}


def test_a_file_that_does_not_decode_is_its_submitters_and_neither_red_nor_taken_up_again(
    harness: Harness, media: Path, tmp_path: Path
) -> None:
    harness.submit()
    harness.tools.media = tmp_path / "damaged.mp4"
    harness.tools.media.write_bytes(media.read_bytes()[:2000])

    [result] = harness.tick()

    assert result.success
    assert result.get_asset_check_evaluations() == []
    row = harness.row()
    assert (row.status, row.failure_cause) == (QueueStatus.FAILED, "corrupt_media")

    harness.tools.media = media
    harness.submit()
    harness.tick()

    assert harness.row().status is QueueStatus.DONE
    assert harness.tools.calls[RAW] == 2
