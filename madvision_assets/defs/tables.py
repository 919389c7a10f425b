"""The tables of Dagster's UI: the columns of what each asset makes, which column comes of which, and rows to look at.

Columns belong to the assets, once; a materialisation has of them what its own rows show.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from madvision_assets.domain import catalogue
from madvision_assets.domain.catalogue import Kind
from madvision_assets.domain.stages import PipelineStep

RAW, HEARD, KIND = PipelineStep.RAW_VIDEO, PipelineStep.TRANSCRIPT, PipelineStep.CONTENT_TYPE
CHOSEN, CUT = PipelineStep.CLIP_CANDIDATES, PipelineStep.CLIPS


def _columns(**columns: tuple[str, str]) -> dg.TableSchema:
    """Columns by name, each with its type and with what it is."""
    return dg.TableSchema([dg.TableColumn(name, kind, description=told) for name, (kind, told) in columns.items()])


VIDEO = _columns(
    address=("string", "where it came from"),
    title=("string", "as its source has it"),
    uploader=("string", "whose it is, as its source has it"),
    duration_s=("float", "of the file, seconds"),
    width=("int", "of the picture, pixels"),
    height=("int", "of the picture, pixels"),
    fps=("float", "frames a second"),
    video_codec=("string", "of the picture"),
    audio_codec=("string", "of the sound"),
    language=("string", "as its source has it, ISO 639-1"),
    size_bytes=("int", "of the file"),
    sha256=("string", "of the file, hex"),
)
SEGMENTS = _columns(
    id=("int", "counts from 0, in time order"),
    start_s=("float", "where it begins, seconds from the start of the video"),
    end_s=("float", "where it ends"),
    text=("string", "what is said, about a sentence"),
    speaker=("string", "where somebody has told it"),
    language=("string", "where it is another than that of the transcript, ISO 639-1"),
    estimated=("bool", "whether its words' times are laid over its own"),
)
KINDS = _columns(
    kind=("string", "of video, out of a closed set"),
    confidence=("string", "low, medium or high"),
    reason=("string", "for a person"),
    topics=("array<string>", "most important first"),
    provisional=("bool", "whether rules stood in for a language model"),
)
CANDIDATES = _columns(
    rank=("int", "1 is the best"),
    start_s=("float", "where it begins, seconds from the start of the video"),
    end_s=("float", "where it ends"),
    duration_s=("float", "its length, seconds"),
    score=("float", "0 to 1, comparable within one video"),
    title=("string", "for a person"),
    reason=("string", "why it stands on its own"),
    quote=("string", "words from it, verbatim"),
    words=("int", "said in it"),
    criteria=("string", "what each came to"),
)
NOT_TAKEN = _columns(
    rule=("string", "that rejected it"),
    first_segment=("int", "of the transcript, inclusive"),
    last_segment=("int", "of the transcript, inclusive"),
    score=("float", "0 to 1, comparable within one video"),
    title=("string", "for a person"),
    details=("string", "what is special to it"),
    start_s=("float", "of its first segment, seconds from the start of the video"),
    end_s=("float", "of its last segment"),
    words=("int", "said in them"),
    criteria=("string", "what each came to"),
)
CLIPS = _columns(
    clip_id=("string", "of the clip, everywhere"),
    rank=("int", "1 is the best"),
    title=("string", "for a person"),
    start_s=("float", "first frame, seconds from the start of the video"),
    end_s=("float", "after the last frame"),
    duration_s=("float", "its length, seconds"),
    score=("float", "0 to 1, comparable within one video"),
    cut=("string", "copied or coded anew, and why"),
)
FAILED = _columns(
    rank=("int", "of the moment"),
    title=("string", "of the moment, and which of its pictures where that alone is missing"),
    cause=("string", "code of the failure"),
    details=("string", "what is special to it"),
)
# Of a transcript a materialisation shows these of the first segments; the document has all.
SHOWN = ("id", "start_s", "end_s", "text")
PREVIEW = dg.TableSchema([column for column in SEGMENTS.columns if column.name in SHOWN])

# By stage and column what it is made of: the stage before, and its columns.
COMES_OF: Mapping[PipelineStep, Mapping[str, Sequence[tuple[PipelineStep, str]]]] = {
    KIND: {name: [(HEARD, "text"), (RAW, "title")] for name in ("kind", "confidence", "reason", "topics")},
    CHOSEN: {
        "start_s": [(HEARD, "start_s")],
        "end_s": [(HEARD, "end_s")],
        "duration_s": [(HEARD, "start_s"), (HEARD, "end_s")],
        "quote": [(HEARD, "text")],
        "words": [(HEARD, "text")],
        **{name: [(HEARD, "text"), (KIND, "kind")] for name in ("rank", "score", "title", "reason", "criteria")},
    },
    CUT: {
        **{name: [(CHOSEN, name)] for name in ("rank", "title", "start_s", "end_s", "duration_s", "score")},
        "cut": [(RAW, "video_codec"), (RAW, "audio_codec")],
    },
}


def _of_asset(step: PipelineStep, columns: dg.TableSchema) -> dict[str, Any]:
    told: dict[str, Any] = {"dagster/column_schema": columns}
    if comes_of := COMES_OF.get(step):
        deps = {
            name: [dg.TableColumnDep(before.value, column) for before, column in made_of]
            for name, made_of in comes_of.items()
        }
        told["dagster/column_lineage"] = dg.TableColumnLineage(deps)
    return told


# What the assets say of themselves before anything is made.
OF_ASSETS: Mapping[PipelineStep, Mapping[str, Any]] = {
    step: _of_asset(step, columns)
    for step, columns in {RAW: VIDEO, HEARD: SEGMENTS, KIND: KINDS, CHOSEN: CANDIDATES, CUT: CLIPS}.items()
}

TYPES: Mapping[Kind, str] = {
    Kind.TEXT: "string",
    Kind.WHOLE: "int",
    Kind.NUMBER: "float",
    Kind.TRUTH: "bool",
    Kind.TIME: "timestamp",
    Kind.DAY: "date",
    Kind.JSON: "string",
    Kind.CRITERIA: "map<string, float>",
}
# The catalogue has several tables, and Dagster one place for the columns of an asset: each is an entry of its own.
OF_CATALOGUE: Mapping[str, Any] = {
    f"columns/{name}": dg.TableSchema(
        [dg.TableColumn(column.name, TYPES[column.kind], description=column.means or None) for column in columns]
    )
    for name, columns in catalogue.TABLES.items()
}


def table(schema: dg.TableSchema, rows: Sequence[tuple[str | int | float | None, ...]]) -> dg.TableMetadataValue:
    """Rows as the UI shows them, in a window of their own: foreign words are nothing but words there."""
    names = [column.name for column in schema.columns]
    records = [dg.TableRecord(dict(zip(names, row, strict=True))) for row in rows]
    return dg.MetadataValue.table(records, schema=schema)
