"""Claims about what another version wrote beside the rest: one video holds up no other, one clip no page."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from madvision_assets.connections import make_database
from madvision_assets.domain.clips import Role
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.tables import lineage as lineage_table
from madvision_assets.tools.database.tables import video_processing_queue
from madvision_assets.tools.store.objects import ObjectStore
from madvision_assets.work import dispatch
from madvision_assets_tests.harness import Harness
from madvision_assets_tests.intake.serving import settings_in
from madvision_assets_tests.released import LeftBehind
from madvision_assets_tests.versions.later import of_newer_version, rewritten, run, served


def test_whatever_lies_under_one_video_the_others_are_launched(
    left: LeftBehind, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = dispatch.missing_steps

    def breaks(store: ObjectStore, video_id: str, from_step: PipelineStep | None) -> tuple[PipelineStep, ...]:
        if video_id == left.videos["talk"]:
            raise ZeroDivisionError
        return looked_up(store, video_id, from_step)

    monkeypatch.setattr(dispatch, "missing_steps", breaks)
    Operations(make_database(harness.settings)).requeue(video_ids=[left.videos["talk"], left.videos["queued"]])

    assert left.videos["queued"] in {request.partition_key for request in harness.ask()}
    row = harness.queue.get(left.videos["talk"])
    assert row is not None
    assert (row.status, row.failure_cause) == (QueueStatus.WAITING, "unexpected")


@pytest.mark.parametrize("column", ["pipeline_step", "from_step"])
def test_a_row_at_a_stage_that_only_a_newer_version_knows_is_shown_and_left_alone(
    left: LeftBehind, harness: Harness, column: str
) -> None:
    database = make_database(harness.settings)
    Operations(database).requeue(video_ids=[left.videos["talk"], left.videos["queued"]])
    mine = video_processing_queue.c.video_id == left.videos["talk"]
    with database.writing() as connection:
        connection.execute(video_processing_queue.update().where(mine).values({column: "speakers"}))

    assert {request.partition_key for request in harness.ask()} >= {left.videos["queued"]}
    row = harness.queue.get(left.videos["talk"])
    assert row is not None
    assert row.status is QueueStatus.QUEUED
    told = run(left, "status", left.videos["talk"])
    with served(left) as intake:
        assert intake.status(left.tokens["talk"])["status"] == "queued"

    assert told.exit_code == 0, told.output


@pytest.mark.parametrize("role", [role for role in Role if not role.is_rendition])
def test_a_clip_that_lacks_a_file_is_shown_without_it(left: LeftBehind, role: Role) -> None:
    def lacking(content: dict[str, Any]) -> None:
        for clip in content["clips"]:
            del clip["files"][role.value]

    rewritten(left, "clips", of_newer_version, lacking)
    listed = run(
        left, "process", json.loads(run(left, "status", left.videos["talk"], "--format", "json").stdout)["address"]
    )
    lineage = run(left, "lineage", f"{left.videos['talk']}.01")
    with served(left) as intake:
        clip = intake.status(left.tokens["talk"])["clips"][0]
        page = intake.client.get(f"/video/{left.tokens['talk']}")
        links = [clip[name] for name in ("url", "captions_url", "subtitles_url", "thumbnail_url") if clip[name]]
        answers = {intake.client.get(link).status_code for link in [*links, *clip["files"].values()]}

    assert (listed.exit_code, lineage.exit_code, page.status_code) == (0, 0, 200)
    assert role.value not in clip["files"]
    assert answers == {200}


def test_the_lineage_of_the_other_stages_is_told_where_one_cannot_be_read_at_all(left: LeftBehind) -> None:
    def elsewhere(content: dict[str, Any]) -> None:
        content["provenance"] = {"origin": "elsewhere"}

    path = rewritten(left, "transcript", of_newer_version, elsewhere)

    result = run(left, "lineage", left.videos["talk"])

    assert result.exit_code == 0, result.output
    assert path.name in result.output
    assert "clip_candidates" in result.output


def test_documents_of_a_stage_that_only_another_version_knows_are_forgotten_too(left: LeftBehind) -> None:
    foreign = left.home / "store" / "speakers" / left.videos["talk"] / "current.json"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("{}")

    assert run(left, "forget", left.videos["talk"], "--yes").exit_code == 0

    assert not foreign.exists()


def test_what_a_newer_version_measured_besides_does_not_disturb_the_estimate(left: LeftBehind) -> None:
    database = make_database(settings_in(left.home))
    database.migrate()
    with database.writing() as connection:
        made = (
            connection.execute(select(lineage_table).where(lineage_table.c.asset == "clips").limit(1)).mappings().one()
        )
        connection.execute(lineage_table.insert().values({**made, "id": None, "asset": "speakers"}))

    result = run(left, "cost", "estimate", "--hours-per-day", "24", "--measured", "--format", "json")

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["plan"]["measured"]["videos"] >= 1
