"""Claims about who is taken out of the queue, in which order, and how many; on SQLite and PostgreSQL alike."""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Select, text

from madvision_assets.domain.breakers import FORGOTTEN_AFTER_S
from madvision_assets.domain.failures import (
    ApiKeyInvalidError,
    BotCheckError,
    DiskFullError,
    Failure,
    IncompleteDownloadError,
    NotFoundError,
    StoreDeniedError,
)
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep, resource_of
from madvision_assets.domain.submitters import client_name
from madvision_assets.domain.urgency import Ageing
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database, claims
from madvision_assets.tools.database.operations import Operations
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.database.tables import video_processing_queue
from madvision_assets_tests.databases import Clock, alter, emptied, made, shut_breakers, submit, url_of

RAW, TRANSCRIPT, KIND, CANDIDATES, CLIPS = PipelineStep


def claim(queue: Queue, max_in_flight: int = 10) -> list[str]:
    return [row.video_id for row in queue.claim_due(max_in_flight)]


def fail(queue: Queue, video_id: str, step: PipelineStep, failure: Failure) -> None:
    row = queue.get(video_id)
    assert row is not None
    run_id = f"{video_id}:{row.attempt}"
    queue.begin(video_id, run_id, row.attempt, step)
    queue.fail(video_id, run_id, row.attempt, step, failure)


def finish(queue: Queue, video_id: str, step: PipelineStep = CLIPS) -> None:
    row = queue.get(video_id)
    assert row is not None
    run_id = f"{video_id}:{row.attempt}"
    queue.begin(video_id, run_id, row.attempt, step)
    queue.finish_step(video_id, run_id, step, ends=True, made=made(video_id) if step is CLIPS else None)


def place_at(database: Database, video_id: str, step: PipelineStep) -> None:
    """The video's next step is this one."""
    table = video_processing_queue
    values = {"pipeline_step": step.value, "resource": resource_of(step, "example.org")}
    with database.writing() as connection:
        connection.execute(table.update().where(table.c.video_id == video_id).values(**values))


ONE, TWO, THREE = (client_name(f"192.0.2.{n}", "salt") for n in range(1, 4))


def submit_as(database: Database, client: str | None, *numbers: int, at: datetime, priority: int = 0) -> None:
    """As somebody."""
    videos = [Video(video_id=f"web-{n:05}", address=f"http://example.org/{n}") for n in numbers]
    wanted = [NewSubmission(video, priority, submitter=client) for video in videos]
    Submissions(database, lambda: at).add(wanted)


# --- order and bound ---


def test_the_more_urgent_comes_first_and_then_the_older(database: Database, queue: Queue, clock: Clock) -> None:
    for number, priority in enumerate([0, 5, 0, -5, 5]):
        submit(database, number, priority=priority, at=clock.now)
        clock.move(1)

    assert [claim(queue, n + 1) for n in range(5)] == [["web-1"], ["web-4"], ["web-0"], ["web-2"], ["web-3"]]


def test_no_more_are_taken_than_may_be_in_flight(database: Database, queue: Queue, clock: Clock) -> None:
    submit(database, *range(9), at=clock.now)

    assert len(claim(queue, 3)) == 3
    assert claim(queue, 3) == []
    assert claim(queue, 0) == []
    finish(queue, "web-0")
    assert claim(queue, 3) == ["web-3"]
    assert len(claim(queue, 5)) == 2
    assert len(queue.running()) == 5


def test_what_is_done_failed_parked_or_running_is_not_taken(database: Database, queue: Queue, clock: Clock) -> None:
    submit(database, *range(4), at=clock.now)
    with database.writing() as connection:
        for number, status in enumerate(["running", "done", "failed", "parked"]):
            connection.execute(
                text(
                    "UPDATE video_processing_queue SET status = 'running', outcome = 'clips', failure_cause = 'x' "
                    "WHERE video_id = :id"
                ),
                {"id": f"web-{number}"},
            )
            connection.execute(
                text("UPDATE video_processing_queue SET status = :status WHERE video_id = :id"),
                {"id": f"web-{number}", "status": status},
            )

    assert claim(queue, 10) == []


def test_sensors_that_claim_at_once_share_the_rows_and_keep_the_bound(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit(database, *range(40), at=clock.now)

    with ThreadPoolExecutor(8) as pool:
        shares = list(pool.map(lambda _: claim(queue, 20), range(8)))

    taken = [video_id for share in shares for video_id in share]
    assert len(taken) == len(set(taken)) == 20
    assert {row.attempt for row in queue.running()} == {1}


def test_who_counts_what_is_in_flight_is_waited_for(database: Database, queue: Queue, clock: Clock) -> None:
    submit(database, 1, 2, at=clock.now)

    with ThreadPoolExecutor(1) as pool:
        with database.writing() as connection:
            assert claims.room_for(connection, 1) == 1
            second = pool.submit(claim, queue, 1)
            with pytest.raises(TimeoutError):
                second.result(0.3)
            connection.execute(
                text("UPDATE video_processing_queue SET status = 'running', attempt = 1 WHERE video_id = 'web-1'")
            )
        assert second.result(30) == []


def _claim_elsewhere(url: str) -> list[str]:
    return claim(Queue(Database(url)), 20)


@pytest.mark.whole
def test_sensors_in_processes_of_their_own_do_too(database: Database, queue: Queue) -> None:
    submit(database, *range(40), at=queue._now())

    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        taken = [video_id for share in pool.map(_claim_elsewhere, [url_of(database)] * 3) for video_id in share]

    assert len(taken) == len(set(taken)) == 20


def test_a_claim_does_not_wait_for_a_row_that_somebody_holds(database: Database, queue: Queue, clock: Clock) -> None:
    if database.is_sqlite:
        return  # one writes at a time there
    submit(database, 1, 2, at=clock.now)

    with ThreadPoolExecutor(1) as pool, database.writing() as connection:
        connection.execute(text("SELECT * FROM video_processing_queue WHERE video_id = 'web-1' FOR UPDATE"))
        assert pool.submit(claim, queue, 2).result(10) == ["web-2"]


# --- ageing ---


def test_of_two_that_are_due_the_less_urgent_comes_first_once_it_has_aged_a_step_more(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit(database, 0, priority=0, at=clock.now)
    submit(database, 3, priority=3, at=clock.now + timedelta(seconds=3 * 3600 - 1))
    submit(database, 5, priority=5, at=clock.now + timedelta(seconds=5 * 3600 + 1))
    clock.move(5 * 3600 + 1)

    assert [claim(queue, n + 1) for n in range(3)] == [["web-3"], ["web-0"], ["web-5"]]


def test_several_that_are_claimed_at_once_are_those_whose_turn_it_is_of_whatever_priority(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit(database, 0, 1, priority=0, at=clock.now)
    submit(database, 5, 6, priority=1, at=clock.now + timedelta(hours=2))
    submit(database, 7, priority=3, at=clock.now + timedelta(hours=2))
    clock.move(2 * 3600)

    assert claim(queue, 4) == ["web-7", "web-0", "web-1", "web-5"]


def overloaded(database: Database, queue: Queue, clock: Clock, *, steps: int) -> list[str]:
    """What is claimed while urgent videos come faster than they are served: one in each minute, and two come."""
    submit(database, 0, priority=0, at=clock.now)
    served = []
    for minute in range(steps):
        submit(database, 100 + 2 * minute, 101 + 2 * minute, priority=1, at=clock.now)
        served += claim(queue, 1)
        for video_id in served[-1:]:
            alter(database, video_id, status="failed", failure_cause="x")
        clock.move(60)
    return served


def test_a_steady_overload_of_more_urgent_videos_starves_nobody(database: Database, clock: Clock) -> None:
    """With two coming for each that is served, those served when it is 2 n minutes old are n minutes old."""
    queue = Queue(database, now=clock, ageing=Ageing(step_s=600))

    served = overloaded(database, queue, clock, steps=30)

    # It goes before all that came more than ten minutes after it: before them came twenty others.
    assert served.index("web-0") in {20, 21, 22}
    assert served[:20] == [f"web-{n}" for n in range(100, 120)]


def test_without_ageing_priority_alone_decides(database: Database, clock: Clock) -> None:
    queue = Queue(database, now=clock, ageing=Ageing(step_s=0))

    assert "web-0" not in overloaded(database, queue, clock, steps=40)


def test_what_a_clock_that_went_back_has_dated_ahead_comes_before_nobody(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit(database, 0, priority=0, at=clock.now + timedelta(days=2))
    submit(database, 1, priority=0, at=clock.now)
    submit(database, 2, priority=1, at=clock.now + timedelta(days=2))

    assert [claim(queue, n + 1) for n in range(3)] == [["web-1"], ["web-2"], ["web-0"]]


@pytest.mark.parametrize("step_s", [0, 60, 3600])
def test_what_is_listed_as_next_is_what_is_claimed_next(database: Database, clock: Clock, step_s: float) -> None:
    queue = Queue(database, now=clock, spread=lambda: 1.0, ageing=Ageing(step_s))
    operations = Operations(database, now=clock, ageing=Ageing(step_s))
    for number in range(24):
        host = "away.example" if number in {5, 6} else "example.org"
        submit(database, number, priority=number * 7 % 5 - 2, host=host, at=clock.now)
        clock.move(23)
        if number % 3 == 0:
            submit_as(database, (ONE, TWO, THREE)[number % 2], 200 + number, priority=-number % 2, at=clock.now)
        clock.move(24)
    submit(database, 90, priority=1, at=clock.now + timedelta(days=1))  # by a clock that was ahead
    for number in (8, 9, 10):
        for status in ("running", "waiting"):
            alter(database, f"web-{number}", status=status)
    alter(database, "web-9", next_attempt_at=clock.now + timedelta(hours=2))
    alter(database, "web-10", next_attempt_at=clock.now + timedelta(hours=1))
    queue.begin("web-5", "by hand", None, RAW)
    queue.fail("web-5", "by hand", None, RAW, BotCheckError(retry_after_s=7200))

    listed = [row.video_id for row in operations.rows()]
    claimed = [row.video_id for n in range(len(listed)) for row in queue.claim_due(n + 1)]

    assert listed == [*claimed, *listed[len(claimed) :]]
    assert set(listed[len(claimed) :]) == {"web-5", "web-6", "web-9", "web-10"}
    assert listed.index("web-10") < listed.index("web-9")


# --- the clock ---


def test_a_clock_that_goes_back_stalls_nothing(database: Database, queue: Queue, clock: Clock) -> None:
    submit(database, 1, 2, 3, 4, at=clock.now)
    claim(queue, 3)
    fail(queue, "web-1", RAW, IncompleteDownloadError())
    fail(queue, "web-2", RAW, IncompleteDownloadError(retry_after_s=80_000))
    place_at(database, "web-3", KIND)
    fail(queue, "web-3", KIND, ApiKeyInvalidError())

    clock.move(-7 * 86_400)

    assert set(claim(queue)) == {"web-1", "web-2", "web-3", "web-4"}


def test_a_clock_a_little_behind_leaves_waiting_who_waits(database: Database, queue: Queue, clock: Clock) -> None:
    submit(database, 1, at=clock.now)
    claim(queue)
    fail(queue, "web-1", RAW, IncompleteDownloadError())

    clock.move(-30)

    assert claim(queue) == []


def test_what_failed_at_a_worker_whose_clock_is_ahead_has_its_pause_all_the_same(
    database: Database, queue: Queue, clock: Clock
) -> None:
    ahead = Queue(database, now=lambda: clock.now + timedelta(minutes=5), spread=lambda: 1.0)
    submit(database, 1, at=clock.now)
    (row,) = queue.claim_due(1)
    ahead.begin("web-1", "run", row.attempt, RAW)
    ahead.fail("web-1", "run", row.attempt, RAW, IncompleteDownloadError())

    assert claim(queue) == []
    clock.move(5 * 60 + 30)
    assert claim(queue) == ["web-1"]


# --- breakers ---


def test_a_host_that_turns_us_away_stops_its_own_videos_only(database: Database, queue: Queue, clock: Clock) -> None:
    submit(database, 1, 2, host="a.example", at=clock.now)
    submit(database, 3, host="b.example", at=clock.now)
    assert claim(queue, 1) == ["web-1"]
    fail(queue, "web-1", RAW, BotCheckError())

    assert claim(queue) == ["web-3"]


def test_an_analyst_that_is_away_stops_only_whose_next_step_needs_it(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit(database, *range(6), at=clock.now)
    assert claim(queue, 1) == ["web-0"]
    for number, step in enumerate(PipelineStep, start=1):
        place_at(database, f"web-{number}", step)
    fail(queue, "web-0", KIND, ApiKeyInvalidError())

    assert claim(queue) == ["web-1", "web-2", "web-5"]


def test_one_probe_is_let_through_when_it_is_due_and_the_rest_when_it_succeeded(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit(database, *range(5), host="a.example", at=clock.now)
    assert claim(queue, 1) == ["web-0"]
    fail(queue, "web-0", RAW, BotCheckError(retry_after_s=300))

    clock.move(299)
    assert claim(queue) == []
    clock.move(1)
    assert claim(queue) == ["web-1"]
    assert claim(queue) == []
    fail(queue, "web-1", RAW, BotCheckError())
    assert claim(queue) == []
    clock.move(120)
    assert claim(queue) == ["web-2"]
    finish(queue, "web-2", RAW)
    assert shut_breakers(database) == {}
    assert len(claim(queue)) == 5


def test_a_success_of_one_that_was_under_way_does_not_cut_short_what_a_host_asked_for(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit(database, 1, 2, 3, host="a.example", at=clock.now)
    claim(queue, 2)
    queue.begin("web-2", "web-2:1", 1, RAW)
    fail(queue, "web-1", RAW, BotCheckError(retry_after_s=300))

    queue.finish_step("web-2", "web-2:1", RAW, ends=True, made=None)

    clock.move(299)
    assert claim(queue) == ["web-2"]  # its next step needs no host


def test_a_dead_link_does_not_probe_again_while_a_good_one_waits(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit(database, 1, host="a.example", priority=5, at=clock.now)
    submit(database, 2, 3, host="a.example", at=clock.now)
    claim(queue, 1)
    fail(queue, "web-1", RAW, BotCheckError())
    clock.move(60)

    probes = []
    for _ in range(3):
        (probing,) = claim(queue)
        fail(queue, probing, RAW, IncompleteDownloadError())
        probes.append(probing)
        clock.move(7200)

    assert sorted(probes[:2]) == ["web-2", "web-3"], "web-1 had its try, and is the most urgent"
    assert probes[2] == "web-1", "where all have failed the one that failed least comes next"


def test_a_dead_link_does_not_probe_what_all_use_again_while_a_good_one_waits(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit(database, 1, priority=5, at=clock.now)
    submit(database, 2, 3, host="b.example", at=clock.now)
    claim(queue, 1)
    fail(queue, "web-1", RAW, StoreDeniedError())
    clock.move(7200)

    assert claim(queue) == ["web-2"]


def test_a_probe_that_ends_for_good_is_no_news_of_its_host_and_the_next_one_tries_at_once(
    database: Database, queue: Queue, clock: Clock
) -> None:
    """A host that turns us away may say so by "not found": only what succeeded shows that it serves us."""
    submit(database, *range(4), host="a.example", at=clock.now)
    claim(queue, 1)
    fail(queue, "web-0", RAW, BotCheckError())
    clock.move(60)

    assert claim(queue) == ["web-1"]
    before = shut_breakers(database)["host:a.example"]
    fail(queue, "web-1", RAW, NotFoundError())
    after = shut_breakers(database)["host:a.example"]

    assert (after.state, after.probe_at, after.trips) == ("open", before.probe_at, before.trips)
    assert claim(queue) == ["web-2"], "one, and not all that wait"


def test_probes_take_their_turn_by_urgency_with_all_others(database: Database, queue: Queue, clock: Clock) -> None:
    submit(database, 1, host="a.example", at=clock.now)
    claim(queue)
    fail(queue, "web-1", RAW, BotCheckError())
    clock.move(60)
    submit(database, *range(10, 20), at=clock.now + timedelta(seconds=1))

    assert claim(queue, 1) == ["web-1"]


@pytest.mark.parametrize("failure", [StoreDeniedError(), DiskFullError()])
def test_while_what_all_use_is_away_nothing_starts_but_one_probe(
    database: Database, queue: Queue, clock: Clock, failure: Failure
) -> None:
    submit(database, *range(4), at=clock.now)
    place_at(database, "web-3", CLIPS)
    assert claim(queue, 1) == ["web-0"]
    fail(queue, "web-0", RAW, failure)

    assert claim(queue) == []
    clock.move(60)
    assert claim(queue) == ["web-1"]
    assert claim(queue) == []
    finish(queue, "web-1", RAW)
    assert len(claim(queue)) == 4


def test_one_video_probes_all_that_is_away_at_once(database: Database, queue: Queue, clock: Clock) -> None:
    ids = submit(database, 1, 2, 3, host="a.example", at=clock.now)
    claim(queue)
    for video_id, failure in zip(ids, (StoreDeniedError(), DiskFullError(), BotCheckError()), strict=True):
        queue.fail(video_id, "run", 1, RAW, failure)
    assert set(shut_breakers(database)) == {"host:a.example", "store", "worker"}

    clock.move(60)

    (probing,) = claim(queue)
    assert {each.probe_video_id for each in shut_breakers(database).values()} == {probing}
    finish(queue, probing, RAW)
    assert shut_breakers(database) == {}


def test_a_breaker_that_no_video_needs_is_forgotten_in_time(database: Database, queue: Queue, clock: Clock) -> None:
    submit(database, 1, 2, host="a.example", at=clock.now)
    claim(queue, 1)
    fail(queue, "web-1", RAW, BotCheckError())
    with database.writing() as connection:
        connection.execute(text("UPDATE video_processing_queue SET status = 'running' WHERE status = 'waiting'"))
        connection.execute(text("UPDATE video_processing_queue SET status = 'running' WHERE status = 'queued'"))

    clock.move(FORGOTTEN_AFTER_S)
    claim(queue)
    assert set(shut_breakers(database)) == {"host:a.example"}
    clock.move(60)
    claim(queue)
    assert shut_breakers(database) == {}


# --- speed ---


MANY_VIDEOS = """
INSERT INTO videos (video_id, address, options, created_at, updated_at)
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :rows)
SELECT 'web-' || n, 'http://x/', '{}', :now, :now FROM series
"""
# Of ten priorities, half of them waiting for later.
MANY_ROWS = """
INSERT INTO video_processing_queue (
  video_id, status, pipeline_step, progress, step_progress, message, priority, retry, lost_workers, attempt,
  next_attempt_at, source, created_at, updated_at
)
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :rows)
SELECT
  'web-' || n, CASE n % 4 WHEN 0 THEN 'waiting' WHEN 1 THEN 'waiting' ELSE 'queued' END, 'raw_video', 0, 0, '',
  n % 10, 0, 0, 0, CASE n % 4 WHEN 0 THEN :later WHEN 1 THEN :later ELSE :now END, 'x', :now, :now
FROM series
"""


@pytest.mark.whole
@pytest.mark.no_cover
def test_among_a_hundred_thousand_rows_the_most_urgent_is_found_through_an_index(
    database: Database, queue: Queue, clock: Clock
) -> None:
    took_ms = {}
    for rows in (1_000, 100_000):
        emptied(database)
        with database.writing() as connection:
            moments = {"now": clock.now.replace(tzinfo=None), "later": clock.now.replace(tzinfo=None, year=2027)}
            for sql in (MANY_VIDEOS, MANY_ROWS):
                connection.execute(text(sql), {"rows": rows, **moments})
            connection.execute(text("ANALYZE"))
        began = time.perf_counter()
        for n in range(1, 21):
            (row,) = queue.claim_due(n)
            assert (row.priority, row.status) == (9, QueueStatus.RUNNING)
        took_ms[rows] = (time.perf_counter() - began) / 20 * 1000
    print("claim of one video, ms, by rows in the queue:", {rows: round(ms, 2) for rows, ms in took_ms.items()})  # noqa: T201

    in_line, at = claims.IN_LINE_ROWS, clock.now
    for asked in (
        claims.priority_levels(in_line),
        claims._oldest(in_line, at, 9, 1, ()),
        claims._most_urgent(at, 1, ()),
    ):
        assert_uses(database, asked, "ix_video_processing_queue_in_line", "ix_video_processing_queue_due")


def assert_uses(database: Database, asked: Select[Any], *indexes: str) -> None:
    """A question is answered from one of these indexes, and nothing is sorted."""
    query = asked.compile(database.engine, compile_kwargs={"literal_binds": True})
    with database.reading() as connection:
        plan = connection.execute(text(f"EXPLAIN {'QUERY PLAN ' if database.is_sqlite else ''}{query}")).all()
    assert any(index in str(plan) for index in indexes), plan
    assert "Seq Scan on video" not in str(plan)
    assert "sort" not in str(plan).lower()
    assert "b-tree" not in str(plan).lower()
