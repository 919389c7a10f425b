"""Claims about what is read of the tables for traces: all of a small one, and no more than a bound of a large one."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table

from madvision_assets.domain.failures import PrivateVideoError
from madvision_assets.domain.traces import MOST_SUBMITS, History, Span
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.database.tables import lineage, paid_calls, processing_attempts
from madvision_assets.tools.database.traces import MOST_ATTEMPTS, MOST_MADE, MOST_PAID, EndedAttempts
from madvision_assets_tests.databases import KINDS, VIDEO, new_database

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with new_database(request.param, request, tmp_path) as made:
        made.migrate()
        yield made


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def submitted(database: Database, times: int, seconds: float) -> None:
    video = Video(video_id=VIDEO, address="https://example.org/v.mp4")
    Submissions(database, now=lambda: at(seconds)).add([NewSubmission(video)] * times)


def insert(database: Database, table: Table, *rows: dict[str, Any]) -> None:
    with database.writing() as connection:
        connection.execute(table.insert(), [{"video_id": VIDEO, **row} for row in rows])


def attempt(number: int, began_s: float, ended_s: float, status: str) -> dict[str, Any]:
    told = {"attempt": number, "run_id": f"run-{number}", "started_at": at(began_s), "ended_at": at(ended_s)}
    cause = None if status == "done" else PrivateVideoError.code
    return {**told, "pipeline_step": "clips", "status": status, "failure_cause": cause, "failure_details": ""}


def made(run: int, made_s: float) -> dict[str, Any]:
    told = {"asset": "clips", "run_id": f"run-{run}", "code_version": "1", "data_version": str(made_s)}
    recipe = {"uri": "u", "inputs": {}, "engine": "test", "engine_version": "1", "parameters": {}, "usage": {}}
    return {**told, **recipe, "cost_usd": 0.0, "wall_s": 1.0, "created_at": at(made_s)}


def paid(made_s: float) -> dict[str, Any]:
    told = {"step": "clips", "state": "settled", "model": "m", "prompt_version": "1", "estimated": False}
    numbers = dict.fromkeys(("reserved_usd", "cost_usd", "doubtful_usd"), 0.0)
    tokens = dict.fromkeys(("input_tokens", "cached_tokens", "output_tokens"), 1)
    return {**told, **numbers, **tokens, "created_at": at(made_s), "expires_at": at(made_s), "settled_at": at(made_s)}


def history(database: Database, *numbers: int) -> History:
    return EndedAttempts(database).histories({(VIDEO, number) for number in numbers})[VIDEO]


def names(spans: list[Span]) -> list[str]:
    return sorted(each.name for each in spans)


def test_of_each_attempt_its_own_is_read_and_no_more_than_a_bound(database: Database) -> None:
    submitted(database, MOST_SUBMITS + 20, 0)
    submitted(database, MOST_SUBMITS + 20, 50)
    submitted(database, 5, 500)  # of clips that are there
    insert(database, processing_attempts, attempt(1, 10, 20, "failed"), attempt(2, 60, 90, "done"))
    insert(
        database, lineage, *(made(1, 15 + n / 100) for n in range(MOST_MADE + 5)), *(made(2, 80 + n) for n in range(3))
    )
    insert(database, paid_calls, *[paid(15)] * (MOST_PAID + 5), *[paid(70)] * 4, *[paid(200)] * 3)

    both = history(database, 1, 2)
    assert len(both.submitted_at) == 2 * MOST_SUBMITS
    assert (len(both.made), len(both.paid)) == (MOST_MADE + 3, MOST_PAID + 4)
    second = history(database, 2)
    assert (len(second.submitted_at), len(second.made), len(second.paid)) == (MOST_SUBMITS, 3, 4)
    expected = ["attempt", *["chat m"] * 4, *["clips"] * 3, "queue", *["submit"] * MOST_SUBMITS, "video"]
    assert names(second.spans_of(2)) == names(both.spans_of(2)) == expected
    assert {each.began_at for each in second.spans_of(2) if each.name in {"submit", "video"}} == {at(50)}


def test_a_call_at_the_edge_of_two_attempts_is_told_once(database: Database) -> None:
    submitted(database, 1, 0)
    insert(database, processing_attempts, attempt(1, 10, 20, "waiting"), attempt(2, 20, 30, "done"))
    insert(database, paid_calls, paid(20))

    assert [each.created_at for each in history(database, 1, 2).paid] == [at(20)]


def test_of_very_many_attempts_the_newest_are_read(database: Database) -> None:
    submitted(database, 1, 0)
    insert(database, processing_attempts, *(attempt(n, 10 * n, 10 * n + 5, "waiting") for n in range(1, 701)))

    read = [each.attempt for each in history(database, 700).attempts]
    assert read == list(range(701 - MOST_ATTEMPTS, 701))


def test_what_was_forgotten_has_no_history(database: Database) -> None:
    submitted(database, 1, 0)
    insert(database, processing_attempts, attempt(1, 10, 20, "done"))

    assert EndedAttempts(database).histories({(VIDEO, 1), ("web-other", 1)}).keys() == {VIDEO}
