"""Claims about Dagster's event log: what a video's run leaves there, and what it does not."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from madvision_assets.defs import tables
from madvision_assets.defs.resources import LEFT_OUT
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Options
from madvision_assets_tests.harness import Harness, open_harness

# With five stages and five checks it was 70.
MOST_EVENTS = 47
# With one clip, its picture on a sheet, and links it was 106 kB.
MOST_BYTES = 112_000
WORDS = "What one remembers of a talk is a sentence that surprises and that one can repeat to somebody else."
# What people look at in the UI, and what Dagster reads back to go on from a failed step.
WANTED = {
    "ASSET_MATERIALIZATION": 5, "ASSET_MATERIALIZATION_PLANNED": 5, "ASSET_CHECK_EVALUATION": 5, "STEP_START": 5,
    "STEP_OUTPUT": 10, "STEP_SUCCESS": 5, "PIPELINE_START": 1, "PIPELINE_SUCCESS": 1,
}  # fmt: skip


@pytest.fixture
def harness(tmp_path: Path, media: Path) -> Iterator[Harness]:
    with open_harness(tmp_path, media) as made:
        yield made


def entries(harness: Harness) -> list[dg.EventLogEntry]:
    [run_id] = harness.instance.get_run_ids()
    return list(harness.instance.all_logs(run_id))


def as_kept(harness: Harness) -> list[str]:
    """The events of the run as Dagster's database has them."""
    kept: list[Any] = entries(harness)
    return [entry.to_json() for entry in kept]


def test_a_run_writes_no_event_that_tells_what_another_tells(harness: Harness) -> None:
    harness.submit()
    harness.tick()

    kinds = Counter(e.dagster_event.event_type_value for e in entries(harness) if e.dagster_event is not None)

    assert kinds.keys().isdisjoint(LEFT_OUT)
    assert {kind: kinds[kind] for kind in WANTED} == WANTED
    assert len(entries(harness)) <= MOST_EVENTS


def test_what_a_run_writes_is_bounded_also_with_links(tmp_path: Path, media: Path) -> None:
    with open_harness(tmp_path, media, internal_url="https://operators.example.org") as harness:
        harness.tools.words = WORDS
        harness.submit(options=Options(min_clip_s=1, max_clip_s=5))
        harness.tick()

        assert len(entries(harness)) <= MOST_EVENTS
        assert sum(map(len, as_kept(harness))) <= MOST_BYTES


def test_what_belongs_to_an_asset_is_told_by_none_of_its_materialisations(harness: Harness) -> None:
    harness.submit()
    harness.tick()

    of_assets = {name for told in tables.OF_ASSETS.values() for name in told}
    assert of_assets == {"dagster/column_schema", "dagster/column_lineage"}
    for kept in as_kept(harness):
        assert not [name for name in of_assets if name in kept]


def test_what_is_plotted_over_time_is_a_number_of_each_materialisation(harness: Harness) -> None:
    harness.tools.words = WORDS
    harness.submit(options=Options(min_clip_s=1, max_clip_s=5))
    harness.tick()

    told = {}
    for step in PipelineStep:
        event = harness.instance.get_latest_materialization_event(dg.AssetKey(step.value))
        assert event is not None
        assert event.asset_materialization is not None
        told[step] = event.asset_materialization.metadata
    for metadata in told.values():
        for name in ("wall_s", "wall_s_per_video_minute", "cost_usd"):
            assert isinstance(metadata[name], dg.FloatMetadataValue)
    assert told[PipelineStep.CLIPS]["clips_per_hour"] == dg.FloatMetadataValue(600.0)
    assert isinstance(told[PipelineStep.TRANSCRIPT]["covered_s"], dg.FloatMetadataValue)


def test_where_a_document_was_put_is_told_by_its_materialisation(harness: Harness) -> None:
    harness.submit()
    harness.tick()

    for step in PipelineStep:
        event = harness.instance.get_latest_materialization_event(dg.AssetKey(step.value))
        assert event is not None
        assert event.asset_materialization is not None
        assert str(event.asset_materialization.metadata["uri"].value).startswith(f"file://{harness.settings.home}")


def test_what_another_process_does_with_the_same_instance_later_is_written_in_full(harness: Harness) -> None:
    harness.submit()
    harness.tick()

    @dg.asset
    def other() -> int:
        return 1

    result = dg.materialize([other], instance=harness.instance, resources={"io_manager": dg.mem_io_manager})

    kinds = {e.dagster_event.event_type_value for e in harness.instance.all_logs(result.run_id) if e.dagster_event}
    assert "HANDLED_OUTPUT" in kinds
