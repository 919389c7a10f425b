"""Claims about breakers as runs meet them, callbacks, and a database that goes away; on SQLite and PostgreSQL alike."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, select, text

from madvision_assets.domain.failures import (
    AnalystUnavailableError,
    ApiKeyInvalidError,
    BotCheckError,
    ConnectionLostError,
    DatabaseUnavailableError,
    ExtractionFailedError,
    PrivateVideoError,
    StoreUnavailableError,
)
from madvision_assets.domain.queue import QueueStatus, RetryRules
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database, leases
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.database.tables import webhook_deliveries
from madvision_assets_tests.databases import (
    VIDEO,
    Clock,
    alter,
    get,
    history,
    made,
    new_database,
    run_all,
    shut_breakers,
    submit,
    url_of,
)

RAW, TRANSCRIPT, KIND, CANDIDATES, CLIPS = PipelineStep


def test_a_step_behind_an_open_breaker_is_not_begun_and_costs_no_retry(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit(database, 1, 2, at=clock.now)
    first, second = queue.claim_due(2)
    queue.begin(first.video_id, "r1", 1, KIND)
    queue.begin(second.video_id, "r2", 1, TRANSCRIPT)
    queue.fail(first.video_id, "r1", 1, KIND, ApiKeyInvalidError("revoked"))

    with pytest.raises(ApiKeyInvalidError, match="revoked"):
        queue.begin(second.video_id, "r2", 1, KIND)

    row = get(queue, second.video_id)
    assert (row.status, row.failure_cause, row.retry) == (QueueStatus.WAITING, "api_key_invalid", 0)
    assert row.next_attempt_at == shut_breakers(database)["analyst"].probe_at
    assert history(database, second.video_id)[0]["status"] == "waiting"


def test_one_that_was_refused_does_not_open_again_what_was_mended_meanwhile(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit(database, 1, 2, at=clock.now)
    queue.claim_due(2)
    queue.begin("web-1", "r1", 1, KIND)
    queue.fail("web-1", "r1", 1, KIND, ApiKeyInvalidError())
    with pytest.raises(ApiKeyInvalidError) as refusal:
        queue.begin("web-2", "r2", 1, KIND)
    run_all(queue, "by hand", None, KIND, video_id="web-1")
    assert shut_breakers(database) == {}

    assert queue.fail("web-2", "r2", 1, KIND, refusal.value) is None

    assert shut_breakers(database) == {}


def test_a_run_by_hand_is_let_through_and_its_success_closes_the_breaker(queue: Queue, claimed: QueueRow) -> None:
    queue.begin(VIDEO, "run", claimed.attempt, KIND)
    queue.fail(VIDEO, "run", claimed.attempt, KIND, ApiKeyInvalidError())

    run_all(queue, "by hand", None, KIND)

    assert shut_breakers(queue._database) == {}


def test_a_run_by_hand_that_fails_too_keeps_it_open_for_longer(queue: Queue, clock: Clock, claimed: QueueRow) -> None:
    queue.begin(VIDEO, "run", claimed.attempt, KIND)
    queue.fail(VIDEO, "run", claimed.attempt, KIND, ApiKeyInvalidError())
    queue.begin(VIDEO, "by hand", None, KIND)
    queue.fail(VIDEO, "by hand", None, KIND, ApiKeyInvalidError())

    assert shut_breakers(queue._database)["analyst"].probe_at == clock.now + timedelta(seconds=120)


def test_an_extractor_that_no_longer_reads_its_site_is_paused_and_its_videos_are_not_burnt(
    database: Database, queue: Queue, clock: Clock
) -> None:
    videos = [Video(video_id=f"youtube-{n}", address=f"https://{n}.example/") for n in range(7)]
    Submissions(database, lambda: clock.now).add([NewSubmission(each, 0) for each in videos])
    rows = queue.claim_due(5)
    for row in rows:
        queue.begin(row.video_id, row.video_id, row.attempt, RAW)
    for row in rows:
        queue.fail(row.video_id, row.video_id, row.attempt, RAW, ExtractionFailedError())

    assert set(shut_breakers(database)) == {"host:youtube"}
    assert queue.claim_due(5) == []


def test_a_host_that_is_gone_for_good_is_not_tried_for_ever(database: Database, queue: Queue, clock: Clock) -> None:
    submit(database, 1, at=clock.now)
    tries = 0
    while get(queue).status is not QueueStatus.FAILED and tries < 50:
        clock.move(3600)
        for row in queue.claim_due(1):
            tries += 1
            queue.begin(VIDEO, f"run {tries}", row.attempt, RAW)
            queue.fail(VIDEO, f"run {tries}", row.attempt, RAW, ConnectionLostError())

    assert (get(queue).status, get(queue).failure_cause) == (QueueStatus.FAILED, "connection_lost")
    assert tries == RetryRules().max_retries + 2  # the one that opened the breaker used none


def test_a_probe_is_given_up_by_whoever_ends_otherwise(database: Database, queue: Queue, clock: Clock) -> None:
    ends: list[Callable[[str, int], object]] = [
        queue.release,
        lambda video_id, attempt: queue.complete(video_id, attempt, made(video_id)),
        lambda video_id, attempt: queue.fail(video_id, "probe", attempt, RAW, PrivateVideoError()),
        lambda video_id, attempt: queue.fail(video_id, "probe", attempt, RAW, StoreUnavailableError()),
    ]
    for number, end in enumerate(ends):
        (video_id,) = submit(database, number, host=f"{number}.example", at=clock.now)
        (row,) = queue.claim_due(1)
        queue.begin(video_id, "opens", row.attempt, RAW)
        queue.fail(video_id, "opens", row.attempt, RAW, BotCheckError())
        clock.move(3600)
        (row,) = queue.claim_due(1)
        queue.begin(video_id, "probe", row.attempt, RAW)
        name = f"host:{number}.example"
        assert shut_breakers(database)[name].probe_video_id == video_id

        end(video_id, row.attempt)

        assert shut_breakers(database)[name].probe_video_id is None
        alter(database, video_id, priority=-100, next_attempt_at=clock.now + timedelta(days=1))


def test_a_probe_that_takes_long_keeps_its_lease_as_long_as_it_gives_signs_of_life(
    database: Database, queue: Queue, clock: Clock, claimed: QueueRow
) -> None:
    queue.begin(VIDEO, "run", claimed.attempt, RAW)
    queue.fail(VIDEO, "run", claimed.attempt, RAW, BotCheckError())
    clock.move(60)
    (row,) = queue.claim_due(1)
    lease = queue.begin(VIDEO, "probe", row.attempt, RAW)
    submit(database, 2, at=clock.now)
    for _ in range(10):
        clock.move(600)
        queue.beat(lease)
        assert queue.claim_due(2) == []

    clock.move(1000)

    assert [each.video_id for each in queue.claim_due(2)] == ["web-2"]


def test_failures_at_the_same_time_are_all_counted(database: Database, queue: Queue, clock: Clock) -> None:
    ids = submit(database, *range(4), at=clock.now)
    for row in queue.claim_due(4):
        queue.begin(row.video_id, row.video_id, row.attempt, RAW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: queue.fail(each, each, 1, RAW, ConnectionLostError()), ids))

    with database.reading() as connection:
        assert connection.execute(text("SELECT failures FROM breakers")).scalars().all() == [4]


# --- callbacks, and a database that goes away ---


def test_an_end_that_nobody_asked_to_hear_of_is_told_to_nobody(
    database: Database, queue: Queue, claimed: QueueRow
) -> None:
    run_all(queue, "run", claimed.attempt, CLIPS)

    with database.reading() as connection:
        assert connection.execute(select(webhook_deliveries)).all() == []


def test_a_postgresql_that_goes_away_is_a_leaf_and_leaves_nothing_half_written(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> None:
    with new_database("postgresql", request, tmp_path) as database:
        database.migrate()
        queue = Queue(database, now=clock)
        submit(database, 1, at=clock.now)
        kill = text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

        killer = create_engine(url_of(database), poolclass=NullPool)

        def kill_all() -> None:
            with killer.connect() as connection:
                assert connection.execute(kill).rowcount > 0

        (row,) = queue.claim_due(1)
        kill_all()  # between two calls: nobody notices
        lease = queue.begin(VIDEO, "run", row.attempt, RAW)
        before = get(queue), history(database, VIDEO)

        def write_half() -> None:
            with database.writing() as connection:
                leases.change(connection, VIDEO, message="half written")
                kill_all()
                leases.note(connection, row, pipeline_step="clips")

        with pytest.raises(DatabaseUnavailableError):
            write_half()

        assert (get(queue), history(database, VIDEO)) == before
        assert queue.beat(lease)


def test_a_video_that_fails_again_and_again_at_what_all_share_stops_nobody_else(
    database: Database, queue: Queue, clock: Clock
) -> None:
    submit(database, 1, 2, at=clock.now)
    for nth in range(1, 6):
        (bad,) = [row for row in queue.claim_due(2) if row.video_id == "web-1"]
        for row in queue.running():
            if row.video_id != bad.video_id:
                queue.release(row.video_id, row.attempt)
        queue.begin("web-1", f"r{nth}", bad.attempt, KIND)
        queue.fail("web-1", f"r{nth}", bad.attempt, KIND, AnalystUnavailableError("500"))
        assert shut_breakers(database) == {}
        clock.now = get(queue, "web-1").next_attempt_at

    second = next(row for row in queue.claim_due(2) if row.video_id == "web-2")
    queue.begin("web-2", "other", second.attempt, KIND)
    queue.fail("web-2", "other", second.attempt, KIND, AnalystUnavailableError("500"))

    assert set(shut_breakers(database)) == {"analyst"}  # it is not the one video's fault
