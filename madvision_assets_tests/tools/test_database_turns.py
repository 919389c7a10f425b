"""Claims about clients, who take turns: one who submitted a thousand videos holds nobody's single one up."""

import time

import pytest
from sqlalchemy import literal, select, text

from madvision_assets.domain.failures import IncompleteDownloadError
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.tools.database import Database, claims, statements
from madvision_assets.tools.database.queue import Queue
from madvision_assets_tests.databases import Clock
from madvision_assets_tests.tools.test_database_claims import (
    MANY_ROWS,
    MANY_VIDEOS,
    ONE,
    TWO,
    assert_uses,
    claim,
    fail,
    submit_as,
)

RAW = PipelineStep.RAW_VIDEO


def test_one_video_goes_before_all_but_the_first_of_whoever_submitted_a_thousand(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit_as(database, ONE, *range(1000), at=clock.now)
    assert claim(queue, 2) == ["web-00000", "web-00001"], "alone, he has all the workers"
    clock.move(60)
    submit_as(database, TWO, 5000, at=clock.now)
    submit_as(database, None, 6000, at=clock.now)

    assert set(claim(queue, 4)) == {"web-05000", "web-06000"}
    assert claim(queue, 5) == ["web-00002"]


def test_two_with_many_videos_each_take_turns_also_over_many_submissions(
    database: Database, queue: Queue, clock: Clock
) -> None:
    for n in range(10):
        submit_as(database, ONE, n, at=clock.now)
    clock.move(60)
    submit_as(database, TWO, *range(5000, 5010), at=clock.now)

    claimed = [claim(queue, n + 1)[0] for n in range(20)]

    assert [each < "web-05000" for each in claimed] == [True, False] * 10


def test_priority_counts_before_turns(database: Database, queue: Queue, clock: Clock) -> None:
    submit_as(database, ONE, *range(5), at=clock.now)
    submit_as(database, TWO, 10, priority=-1, at=clock.now)
    submit_as(database, None, 11, priority=-1, at=clock.now)

    assert claim(queue, 5) == [f"web-{n:05}" for n in range(5)]


def test_a_video_that_somebody_else_wants_too_has_the_earlier_turn(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit_as(database, ONE, *range(5), at=clock.now)
    clock.move(1)
    submit_as(database, TWO, 4, at=clock.now)

    assert [claim(queue, n + 1) for n in range(3)] == [["web-00000"], ["web-00004"], ["web-00001"]]


def test_who_has_nothing_waiting_begins_at_once_whatever_he_had_before(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit_as(database, ONE, *range(50), at=clock.now)
    claim(queue, 50)
    clock.move(60)
    submit_as(database, ONE, 100, at=clock.now)
    clock.move(60)
    submit_as(database, TWO, 101, at=clock.now)

    assert claim(queue, 51) == ["web-00100"]


def test_what_failed_is_tried_again_as_soon_as_it_is_due_and_no_later_than_others(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit_as(database, ONE, *range(3), at=clock.now)
    claim(queue, 1)
    fail(queue, "web-00000", RAW, IncompleteDownloadError())
    clock.move(120)

    assert claim(queue, 1) == ["web-00000"]


@pytest.mark.whole
@pytest.mark.no_cover
def test_among_a_hundred_thousand_of_clients_the_next_turn_is_found_through_an_index(
    database: Database, queue: Queue, clock: Clock
) -> None:
    with database.writing() as connection:
        moments = {"now": clock.now.replace(tzinfo=None), "later": clock.now.replace(tzinfo=None)}
        for sql in (MANY_VIDEOS, MANY_ROWS):
            connection.execute(text(sql), {"rows": 100_000, **moments})
        turns = {"who": ONE, "first_s": clock.now.timestamp()}
        connection.execute(text("UPDATE video_processing_queue SET status = 'running' WHERE status = 'waiting'"))
        connection.execute(text("UPDATE video_processing_queue SET status = 'queued' WHERE status = 'running'"))
        connection.execute(text("UPDATE video_processing_queue SET turn_of = :who, turn_s = :first_s"), turns)
        connection.execute(text("ANALYZE"))
    took_ms = {}
    began = time.perf_counter()
    for n in range(1, 21):
        assert len(queue.claim_due(n)) == 1
    took_ms["claim"] = (time.perf_counter() - began) / 20 * 1000
    began = time.perf_counter()
    for n in range(20):
        submit_as(database, ONE, 90_000_000 + n, at=clock.now)
    took_ms["submission"] = (time.perf_counter() - began) / 20 * 1000
    print("one of 100,000 videos of a client, ms:", took_ms)  # noqa: T201

    turns_line, at = claims.TURNS_ROWS, clock.now
    for asked in (claims.priority_levels(turns_line), claims._oldest(turns_line, at, 9, 1, ())):
        assert_uses(database, asked, "ix_video_processing_queue_turn")
    # Those of others are found without walking over the clients'.
    assert_uses(database, claims.priority_levels(claims.IN_LINE_ROWS), "ix_video_processing_queue_in_line")
    next_turn = select(statements._next_turn_s(literal(ONE), literal(0.0)))
    assert_uses(database, next_turn, "ix_video_processing_queue_turn_of")
