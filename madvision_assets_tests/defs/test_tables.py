"""Claims about the columns that assets tell of themselves in the Dagster UI."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pytest
from pydantic import BaseModel

from madvision_assets.definitions import build_defs
from madvision_assets.defs import tables
from madvision_assets.defs.assets import PIPELINE
from madvision_assets.domain import catalogue
from madvision_assets.domain.clips import Clip, ClipCandidate
from madvision_assets.domain.content_type import ContentType
from madvision_assets.domain.documents import ObjectRef
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.transcript import Segment
from madvision_assets.domain.video import MediaInfo, RawVideo, SourceMetadata
from madvision_assets.settings import Settings

RAW, HEARD, KIND, CHOSEN, CUT = PipelineStep
# What of a document is a row, and what is not said there by this name: made of two fields, or of two.
ROWS: Mapping[PipelineStep, tuple[set[type[BaseModel]], set[str]]] = {
    RAW: ({RawVideo, MediaInfo, SourceMetadata, ObjectRef}, set()),
    HEARD: ({Segment}, set()),
    KIND: ({ContentType}, set()),
    CHOSEN: ({ClipCandidate}, {"duration_s"}),
    CUT: ({Clip}, {"cut"}),
}


@pytest.fixture(scope="module")
def assets() -> dict[str, Mapping[str, Any]]:
    """What each asset tells before anything is made."""
    made = build_defs(Settings(_env_file=None, store_url="memory://"))
    return {spec.key.to_user_string(): spec.metadata for spec in made.resolve_all_asset_specs()}


@pytest.fixture(scope="module")
def told(assets: dict[str, Mapping[str, Any]]) -> dict[PipelineStep, Mapping[str, Any]]:
    """What those of the stages tell."""
    return {PipelineStep(name): assets[name] for name in (asset.key.to_user_string() for asset in PIPELINE)}


def columns(metadata: Mapping[str, Any]) -> dict[str, dg.TableColumn]:
    schema: dg.TableSchema = metadata["dagster/column_schema"]
    return {column.name: column for column in schema.columns}


@pytest.mark.parametrize("step", PipelineStep)
def test_every_stage_tells_its_columns_which_its_document_has(
    told: dict[PipelineStep, Mapping[str, Any]], step: PipelineStep
) -> None:
    rows, derived = ROWS[step]
    fields = set[str]().union(*(row.model_fields for row in rows))

    mine = columns(told[step])

    assert mine.keys() - fields == derived
    assert all(column.type and column.description for column in mine.values())


def test_columns_come_of_columns_of_what_the_stage_reads(told: dict[PipelineStep, Mapping[str, Any]]) -> None:
    for step in (KIND, CHOSEN, CUT):
        lineage: dg.TableColumnLineage = told[step]["dagster/column_lineage"]
        deps = [dep for each in lineage.deps_by_column.values() for dep in each]
        before = {PipelineStep(dep.asset_key.to_user_string()) for dep in deps}
        assert lineage.deps_by_column.keys() <= columns(told[step]).keys()
        assert before <= set(step.inputs)
        assert all(dep.column_name in columns(told[PipelineStep(dep.asset_key.to_user_string())]) for dep in deps), step


def test_of_a_clip_only_its_name_comes_of_nothing_before() -> None:
    assert {column.name for column in tables.CLIPS.columns} - tables.COMES_OF[CUT].keys() == {"clip_id"}


def test_the_catalogue_tells_the_columns_of_each_of_its_tables(assets: dict[str, Mapping[str, Any]]) -> None:
    schemas: dict[str, dg.TableSchema] = {
        name.removeprefix("columns/"): schema
        for name, schema in assets["catalogue"].items()
        if name.startswith("columns/")
    }

    assert {name: [column.name for column in schema.columns] for name, schema in schemas.items()} == {
        name: [column.name for column in columns] for name, columns in catalogue.TABLES.items()
    }
    types = {column.name: column.type for column in schemas["moments"].columns}
    assert (types["start_s"], types["is_chosen"], types["made_at"]) == ("float", "bool", "timestamp")
    assert types["criteria"] == "map<string, float>"
    described = {column.name: column.description for column in schemas["costs"].columns}
    assert (described["cost_usd"], described["model"]) == ("US dollars", None)


def test_every_asset_tells_columns(assets: dict[str, Mapping[str, Any]]) -> None:
    telling = {
        name
        for name, metadata in assets.items()
        if any(key == "dagster/column_schema" or key.startswith("columns/") for key in metadata)
    }

    assert telling == {*PipelineStep, "catalogue"}
