"""The catalogue: what analysts ask of all videos, as tables in files of the store, and which files those are.

Pure: the tables and their columns, how their rows lie in parts of bounded size, and the manifest that names the parts.
Rows of a video lie together, in the part of the time at which it was first known. A part is never changed but replaced,
so whoever has read a manifest has read a whole state.
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any

from pydantic import AwareDatetime

from madvision_assets.domain.provenance import Value

# Raised whenever a column is added, removed or filled otherwise: a catalogue of another one is made anew.
SCHEMA_VERSION = 1
# So many videos lie in one part; with ten versions each it is some megabytes.
VIDEOS_OF_A_PART = 500
CALLS_OF_A_PART = 4096
TOMBSTONES_OF_A_PART = 4096
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    WHOLE = "whole"
    NUMBER = "number"
    TRUTH = "truth"
    TIME = "time"  # UTC
    DAY = "day"  # likewise
    JSON = "json"  # as text
    CRITERIA = "criteria"  # numbers by name


@dataclass(frozen=True)
class Column:
    """A column: its name, which has its unit (``_s``, ``_usd``, ``_bytes``), what it holds, and what that means."""

    name: str
    kind: Kind
    means: str = ""


def _columns(told: str) -> tuple[Column, ...]:
    """Columns out of lines ``name kind what it means``."""
    split = (line.split(maxsplit=2) for line in told.strip().splitlines())
    return tuple(Column(name, Kind(kind), *means) for name, kind, *means in split)


# Column by column what the views say (docs/analysts.md), and what else is known.
TABLES: Mapping[str, tuple[Column, ...]] = {
    "videos": _columns("""
        video_id text
        host text or extractor
        title text
        duration_s number seconds
        language text ISO 639-1
        kind text of its content
        status text of the queue
        pipeline_step text where it is, or ended
        outcome text
        failure_cause text
        priority whole
        retry whole
        attempts whole
        submitter text who submitted it first, as of when it last changed
        submitted_at time first
        finished_at time last
        cost_usd number US dollars, of all it took
        wall_s number seconds, of all it took
        created_at time when it was first known
    """),
    "clips": _columns("""
        video_id text
        clip_id text
        data_version text
        is_current truth whether it counts
        made_at time
        rank whole
        title text
        reason text
        score number 0 to 1
        start_s number seconds from the start of the video
        end_s number seconds from the start of the video
        duration_s number seconds, of the file
        width whole pixels
        height whole pixels
        size_bytes number bytes
        provisional truth
        package_version text
        code_commit text
    """),
    "moments": _columns("""
        video_id text
        data_version text
        is_current truth whether it counts
        made_at time
        rank whole null: not chosen
        is_chosen truth
        rule text that rejected it
        title text
        reason text
        quote text words that it says
        score number 0 to 1
        criteria criteria what each criterion came to
        first_segment whole
        last_segment whole
        start_s number seconds from the start of the video
        end_s number seconds from the start of the video
        duration_s number seconds
        words whole said in it
        provisional truth
        engine text
        model text
        prompt_version text
        prompt_hash text
    """),
    "materialisations": _columns("""
        id whole grows
        video_id text
        asset text
        data_version text
        is_current truth whether it counts
        created_at time
        run_id text
        code_version text of the asset
        package_version text of the program
        code_commit text of the program
        engine text
        engine_version text
        model text
        prompt_version text
        prompt_hash text
        parameters json
        inputs json
        cost_usd number US dollars
        usage json
        wall_s number seconds
        taken_from text
        uri text
        summary json
    """),
    "attempts": _columns("""
        video_id text
        attempt whole
        host text or extractor
        run_id text
        started_at time
        ended_at time
        lasted_s number seconds
        pipeline_step text where it ended
        status text of the queue after it
        failure_cause text
        failure_details text
        is_refused truth by an open breaker
    """),
    "timings": _columns("""
        video_id text
        submitted_at time
        started_at time first attempt
        clips_at time the first clips
        duration_s number seconds, of the video
        raw_video_s number seconds, the first time
        transcript_s number seconds, the first time
        content_type_s number seconds, the first time
        clip_candidates_s number seconds, the first time
        clips_s number seconds, the first time
        waited_s number seconds from submission to the first attempt
        until_clips_s number seconds from submission to the first clips
    """),
    "costs": _columns("""
        id whole
        day day UTC
        created_at time
        video_id text null: forgotten since
        submitter text
        step text
        state text
        model text
        prompt_version text
        cost_usd number US dollars
        doubtful_usd number US dollars, at most besides
        input_tokens whole
        cached_tokens whole
        output_tokens whole
        is_estimated truth
        cause text of its failure
    """),
    "forgotten": _columns("""
        video_key text sha256 of the ID, hex
        forgotten_at time
        forgotten_by text
        documents whole that its stages had made
    """),
}
# Those whose rows go with a video, and the order of the rows within it.
OF_VIDEOS: Mapping[str, tuple[str, ...]] = {
    "videos": (),
    "clips": ("made_at", "data_version", "rank"),
    "moments": ("made_at", "data_version", "rank", "first_segment", "title"),
    "materialisations": ("id",),
    "attempts": ("attempt",),
    "timings": (),
}
COSTS, FORGOTTEN = "costs", "forgotten"
# What is no table of its own, but rows of one for which a column is true.
DERIVED: Mapping[str, tuple[str, str]] = {"current_lineage": ("materialisations", "is_current")}


class Part(Value):
    """A file of a table.

    Attributes:
        key: in the store.
        rows: in it.
        size_bytes: of it.
    """

    key: str
    rows: int
    size_bytes: int


class Manifest(Value):
    """One whole state of the catalogue.

    Attributes:
        number: counts the states.
        update: name of the update that made it.
        read_at: when the database was read, by the clock of whoever did.
        bounds: of the parts of videos: each begins with the videos that were first known then.
        parts: by table and name of the part.
        lineage_id: materialisations up to this one are in it, but for those that are named next.
        lineage_again: others that might still come, written at that moment.
        call_id: likewise of paid calls.
        calls_again: likewise, and those that were under way.
        erased: names of the notes on forgotten videos that are not in it any more.
        replaced: keys of the files that this state has no use for any more.
    """

    schema_version: int = SCHEMA_VERSION
    number: int = 0
    update: str = ""
    read_at: AwareDatetime = BEGINNING
    bounds: tuple[AwareDatetime, ...] = ()
    parts: Mapping[str, Mapping[str, Part]] = {}
    lineage_id: int = 0
    lineage_again: tuple[int, ...] = ()
    call_id: int = 0
    calls_again: tuple[int, ...] = ()
    erased: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()

    def keys(self) -> frozenset[str]:
        """Of all its files."""
        return frozenset(part.key for parts in self.parts.values() for part in parts.values())

    @property
    def size_bytes(self) -> int:
        """Of all its files."""
        return sum(part.size_bytes for parts in self.parts.values() for part in parts.values())

    def rows(self) -> dict[str, int]:
        """Of each table, so many."""
        return {table: sum(part.rows for part in self.parts.get(table, {}).values()) for table in TABLES}


def part_of(bounds: Sequence[datetime], known_since: datetime) -> datetime:
    """The bound of the part that has the videos which were first known then; there is one bound at least."""
    return bounds[max(0, bisect_right(bounds, known_since) - 1)]


def name_of(bound: datetime) -> str:
    """Name of a part of videos."""
    return bound.astimezone(UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")


def call_part(call_id: int) -> str:
    """Name of the part that has a paid call."""
    return f"{call_id // CALLS_OF_A_PART:08d}"


def tombstone_part(parts: Collection[str], video_key: str) -> str:
    """Name of the part that has a tombstone, or would have it: what all keys in it begin with.

    Args:
        parts: names of those that there are; none is the beginning of another one.
        video_key: hex.
    """
    names = [video_key[:length] for length in range(1, len(video_key) + 1)]
    there = next((name for name in names if name in parts), None)
    return there or next(name for name in names if not any(part.startswith(name) for part in parts))


def cut_up(known_since: Sequence[datetime], size: int = VIDEOS_OF_A_PART) -> Iterator[slice]:
    """Where videos, in the order in which they were first known, are divided into parts.

    Those of one moment stay together, or it could not be told which part has one of them.
    """
    edges = [0]
    while edges[-1] < len(known_since):
        end = min(edges[-1] + size, len(known_since))
        while end < len(known_since) and known_since[end] == known_since[end - 1]:
            end += 1
        edges.append(end)
    yield from (slice(*edge) for edge in pairwise(edges))


def value_of(kind: Kind, told: Any) -> Any:
    """A value as SQLite or PostgreSQL tells it, in the one form of its kind."""
    return None if told is None else _FORMS.get(kind, lambda each: each)(told)


def _time(told: Any) -> datetime:
    moment: datetime = datetime.fromisoformat(told) if isinstance(told, str) else told
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _json(told: Any) -> str:
    return json.dumps(json.loads(told) if isinstance(told, str) else told, sort_keys=True, ensure_ascii=False)


_FORMS: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.TIME: _time,
    Kind.DAY: lambda told: date.fromisoformat(told) if isinstance(told, str) else told,
    Kind.JSON: _json,
    Kind.TRUTH: bool,
    Kind.NUMBER: float,
    Kind.WHOLE: int,
}


def rows_of_moments(materialisation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The moments that one materialisation of ``clip_candidates`` proposed, as its summary tells them.

    Args:
        materialisation: a row of ``materialisations``, in the forms of its columns.
    """
    summary = json.loads(materialisation["summary"] or "{}") or {}
    origin = {
        name: materialisation[name]
        for name in ("video_id", "data_version", "is_current", "engine", "model", "prompt_version", "prompt_hash")
    }
    for moment in summary.get("moments") or ():
        start_s, end_s = moment.get("start_s"), moment.get("end_s")
        yield {
            **{column.name: value_of(column.kind, moment.get(column.name)) for column in TABLES["moments"]},
            **origin,
            "made_at": materialisation["created_at"],
            "is_chosen": moment.get("rank") is not None,
            "duration_s": None if start_s is None or end_s is None else end_s - start_s,
            "provisional": summary.get("provisional"),
        }
