"""Claims about how the catalogue's rows lie in parts, and about the forms of its values."""

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madvision_assets.domain.catalogue import (
    BEGINNING,
    OF_VIDEOS,
    TABLES,
    Kind,
    cut_up,
    part_of,
    rows_of_moments,
    tombstone_part,
    value_of,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
TIMES = st.lists(st.integers(0, 30), max_size=60).map(sorted)


@given(TIMES, st.integers(1, 7))
def test_videos_are_divided_without_loss_and_those_of_one_moment_stay_together(seconds: list[int], size: int) -> None:
    known_since = [START + timedelta(seconds=each) for each in seconds]

    pieces = [known_since[piece] for piece in cut_up(known_since, size)]

    assert [each for piece in pieces for each in piece] == known_since
    assert not any(before[-1] == after[0] for before, after in pairwise(pieces))
    assert all(len(piece) >= size for piece in pieces[:-1])
    assert all(len(set(piece[size - 1 :])) <= 1 for piece in pieces)


@given(st.lists(st.text("0123456789abcdef", min_size=4, max_size=4), max_size=40, unique=True), st.integers(1, 3))
def test_a_tombstone_is_looked_for_in_the_part_that_it_was_put_into(keys: list[str], size: int) -> None:
    parts: dict[str, set[str]] = {}
    for key in keys:
        name = tombstone_part(parts, key)
        assert key.startswith(name)
        parts.setdefault(name, set()).add(key)
        while len(parts[name]) > size:
            for each in parts.pop(name):
                parts.setdefault(each[: len(name) + 1], set()).add(each)
            name = max(parts, key=lambda name: len(parts[name]))

    assert {tombstone_part(parts, key) for key in keys} == set(parts)
    assert all(key in parts[tombstone_part(parts, key)] for key in keys)
    assert not any(one != other and other.startswith(one) for one in parts for other in parts)


@given(TIMES.filter(bool), st.integers(1, 7))
def test_a_video_is_looked_for_in_the_part_that_it_was_put_into(seconds: list[int], size: int) -> None:
    known_since = [START + timedelta(seconds=each) for each in seconds]
    pieces = list(cut_up(known_since, size))
    bounds = [BEGINNING, *(known_since[piece.start] for piece in pieces[1:])]

    for bound, piece in zip(bounds, pieces, strict=True):
        assert {part_of(bounds, each) for each in known_since[piece]} == {bound}


@pytest.mark.parametrize(
    ("kind", "told", "value"),
    [
        (Kind.TIME, "2026-03-02 09:10:00.000000", datetime(2026, 3, 2, 9, 10, tzinfo=UTC)),
        (Kind.TIME, datetime(2026, 3, 2, 9, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 3, 2, 7, tzinfo=UTC)),
        (Kind.DAY, "2026-03-02", date(2026, 3, 2)),
        (Kind.JSON, '{"b": 1, "a": "é"}', '{"a": "é", "b": 1}'),
        (Kind.JSON, {"b": 1, "a": "é"}, '{"a": "é", "b": 1}'),
        (Kind.TRUTH, 1, True),
        (Kind.NUMBER, 5, 5.0),
        (Kind.WHOLE, None, None),
        (Kind.TEXT, "=1", "=1"),
    ],
)
def test_both_databases_tell_a_value_in_one_form(kind: Kind, told: Any, value: Any) -> None:
    found = value_of(kind, told)

    assert (found, type(found)) == (value, type(value))


def test_each_table_is_in_an_order_of_its_own_columns() -> None:
    for table, order in OF_VIDEOS.items():
        assert {"video_id", *order} <= {column.name for column in TABLES[table]}


def test_a_summary_of_an_older_version_gives_rows_without_what_it_does_not_tell() -> None:
    summary = '{"provisional": true, "moments": [{"title": "t", "rank": 1, "score": 0.5, "start_s": 1, "end_s": 4}]}'
    names = ("video_id", "data_version", "is_current", "engine", "model", "prompt_version", "prompt_hash")
    (row,) = rows_of_moments({**dict.fromkeys(names, "x"), "created_at": START, "summary": summary})

    assert row.keys() == {column.name for column in TABLES["moments"]}
    assert (row["is_chosen"], row["duration_s"], row["made_at"]) == (True, 3.0, START)
    assert (row["words"], row["criteria"], row["quote"]) == (None, None, None)
    assert list(rows_of_moments({**dict.fromkeys(names), "created_at": START, "summary": None})) == []
