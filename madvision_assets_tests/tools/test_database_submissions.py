"""Claims about submissions: one row for a video however often it is submitted; on SQLite and PostgreSQL alike."""

import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Connection, func, select, text

from madvision_assets.domain.failures import BotCheckError, IncompleteDownloadError, PrivateVideoError, WorkerLostError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Options, Video
from madvision_assets.tools.database import Database, forgetting
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.submissions import NewSubmission, Receipt, Receipts, Submissions, token_hash
from madvision_assets.tools.database.tables import submissions as table
from madvision_assets.tools.database.tables import video_processing_queue, webhook_deliveries
from madvision_assets_tests import stores
from madvision_assets_tests.databases import Clock, made

RAW, *_, CLIPS = PipelineStep
VIDEO = Video(video_id="web-1", address="http://example.org/talk")
CALLBACK = "http://callback.example/"


@pytest.fixture
def submissions(database: Database, clock: Clock) -> Submissions:
    return Submissions(database, clock)


def add(submissions: Submissions, priority: int = 0, callback_url: str | None = None) -> Receipt:
    (receipt,) = submissions.add([NewSubmission(VIDEO, priority, callback_url)])
    return receipt


def start(queue: Queue) -> int:
    (row,) = queue.claim_due(1)
    queue.begin(VIDEO.video_id, f"run {row.attempt}", row.attempt, RAW)
    return row.attempt


def finish(queue: Queue, run_id: str, step: PipelineStep = CLIPS) -> None:
    clips = made(VIDEO.video_id) if step is CLIPS else None
    queue.finish_step(VIDEO.video_id, run_id, step, ends=True, made=clips)


def get(queue: Queue) -> QueueRow:
    row = queue.get(VIDEO.video_id)
    assert row is not None
    return row


def deliveries(database: Database) -> list[tuple[int, str]]:
    query = select(webhook_deliveries.c.attempt, webhook_deliveries.c.status).order_by(webhook_deliveries.c.id)
    with database.reading() as connection:
        return [(row.attempt, row.status) for row in connection.execute(query)]


def test_a_new_video_is_queued_at_its_first_step(submissions: Submissions, clock: Clock) -> None:
    row = add(submissions, priority=7).row

    assert (row.status, row.pipeline_step, row.priority) == (QueueStatus.QUEUED, RAW, 7)
    assert (row.attempt, row.retry, row.progress) == (0, 0, 0.0)
    assert (row.source, row.resource) == ("example.org", "host:example.org")
    assert row.created_at == row.next_attempt_at == clock.now


def test_a_token_is_long_and_kept_as_its_hash_only(database: Database, submissions: Submissions) -> None:
    receipt = add(submissions)

    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", receipt.token)
    assert receipt.callback_secret is None
    with database.reading() as connection:
        (row,) = connection.execute(select(table)).mappings()
    assert row["token_hash"] == token_hash(receipt.token)
    assert receipt.token not in str(dict(row))


def test_a_submission_that_is_written_again_since_nobody_heard_that_it_was_is_one(
    database: Database, submissions: Submissions, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = submissions._write

    def write_twice(wanted: Sequence[NewSubmission], work: Callable[[Connection], Receipts]) -> Receipts:
        write(wanted, work)
        return write(wanted, work)

    monkeypatch.setattr(submissions, "_write", write_twice)
    receipt = add(submissions)

    with database.reading() as connection:
        assert connection.execute(select(table.c.token_hash)).scalars().all() == [token_hash(receipt.token)]


def test_a_token_finds_its_video_and_nothing_else_does(submissions: Submissions) -> None:
    first, second = add(submissions), add(submissions)

    assert first.token != second.token
    for token in (first.token, second.token):
        found = submissions.find(token)
        assert found is not None
        assert (found.address, found.options, found.row) == (VIDEO.address, Options(), first.row)
    assert submissions.find("") is None
    assert submissions.find(token_hash(first.token)) is None


def test_receipts_come_in_the_order_of_what_was_asked_also_for_doubles(submissions: Submissions) -> None:
    ids = ["web-9", "web-1", "web-5", "web-1"]
    wanted = [NewSubmission(Video(video_id=each, address=f"http://x.example/{each}")) for each in ids]

    receipts = submissions.add(wanted)

    assert [receipt.row.video_id for receipt in receipts] == ids
    assert len({receipt.token for receipt in receipts}) == 4


def test_submissions_are_taken_all_or_none(database: Database, submissions: Submissions) -> None:
    wrong = NewSubmission(Video(video_id="web-2", address="http://x.example/"), priority=101)

    with pytest.raises(Exception, match="priority"):
        submissions.add([NewSubmission(VIDEO), wrong])

    with database.reading() as connection:
        for name in ("videos", "video_processing_queue", "submissions"):
            assert connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() == 0  # noqa: S608 - our names


# --- whose an address is ---

PLAIN = "https://player.example.org/video/1"
OTHER = "https://example.org/1/some-words"
SECRET = f"{OTHER}?key=9f8e7d6c5b4a39281"


def told(submissions: Submissions, address: str) -> str:
    """The token of a submission of the video by this address."""
    (receipt,) = submissions.add([NewSubmission(VIDEO.model_copy(update={"address": address}))])
    return receipt.token


def shown(submissions: Submissions, token: str) -> str:
    found = submissions.find(token)
    assert found is not None
    return found.address


def test_each_submitter_is_shown_his_own_address_and_no_other_one(submissions: Submissions) -> None:
    first, second = told(submissions, SECRET), told(submissions, PLAIN)

    assert shown(submissions, first) == SECRET
    assert shown(submissions, second) == PLAIN


def test_of_an_address_whose_submitter_is_not_known_nobody_is_shown_the_secret(
    database: Database, submissions: Submissions
) -> None:
    token = told(submissions, SECRET)
    with database.writing() as connection:
        connection.execute(table.update().values(address=None))  # as versions before left it

    assert shown(submissions, token) == f"{OTHER}?key=***"


def test_the_newest_address_counts_until_one_has_worked(
    database: Database, submissions: Submissions, queue: Queue
) -> None:
    told(submissions, OTHER)
    told(submissions, PLAIN)
    assert database.get_video(VIDEO.video_id).address == PLAIN

    attempt = start(queue)
    queue.fail(VIDEO.video_id, f"run {attempt}", attempt, RAW, PrivateVideoError())
    told(submissions, OTHER)
    assert database.get_video(VIDEO.video_id).address == OTHER

    start(queue)
    document = stores.raw_video()
    origin = document.origin.model_copy(update={"run_id": get(queue).run_id})
    document = document.model_copy(update={"video_id": VIDEO.video_id, "provenance": origin})
    database.add_lineage(document, "file:///raw_video.json")
    told(submissions, PLAIN)
    database.add_video(VIDEO.video_id, PLAIN)
    assert database.get_video(VIDEO.video_id).address == OTHER


def test_a_video_that_is_forgotten_takes_every_address_of_it_along(
    database: Database, submissions: Submissions
) -> None:
    told(submissions, SECRET)
    told(submissions, PLAIN)

    with forgetting.held(database, [VIDEO.video_id]) as held:
        held.delete_rows([VIDEO.video_id])

    with database.reading() as connection:
        for name in ("videos", "submissions"):
            assert connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() == 0  # noqa: S608 - our names


# --- the same video again ---


@pytest.mark.parametrize("state", ["queued", "waiting", "running"])
def test_on_its_way_a_video_only_becomes_more_urgent(
    submissions: Submissions, queue: Queue, clock: Clock, state: str
) -> None:
    add(submissions, priority=5)
    if state != "queued":
        start(queue)
    if state == "waiting":
        queue.fail(VIDEO.video_id, "run 1", 1, RAW, IncompleteDownloadError())
    before = get(queue)
    clock.move(100)

    assert add(submissions, priority=3).row == before
    moved = {} if state == "running" else {"updated_at": clock.now}
    assert add(submissions, priority=9).row == before.model_copy(update={"priority": 9, **moved})


def test_one_that_failed_for_good_is_tried_again_with_all_its_retries(
    submissions: Submissions, queue: Queue, clock: Clock
) -> None:
    add(submissions, priority=5)
    start(queue)
    queue.fail(VIDEO.video_id, "run 1", 1, RAW, PrivateVideoError())
    clock.move(100)

    row = add(submissions, priority=2).row

    assert (row.status, row.priority, row.attempt) == (QueueStatus.QUEUED, 2, 1)
    assert (row.retry, row.lost_workers, row.failure_cause, row.failure_details) == (0, 0, None, None)
    assert (row.next_attempt_at, row.finished_at) == (clock.now, None)
    assert start(queue) == 2


def test_one_that_is_done_or_parked_stays_as_it_is(submissions: Submissions, queue: Queue, clock: Clock) -> None:
    add(submissions)
    for nth in (1, 2, 3):
        queue.begin(VIDEO.video_id, f"run {nth}", None, RAW)
        queue.fail(VIDEO.video_id, f"run {nth}", None, RAW, WorkerLostError())
        clock.move(3600)
    parked = get(queue)
    assert parked.status is QueueStatus.PARKED
    assert add(submissions, priority=50).row == parked

    queue.begin(VIDEO.video_id, "run 4", None, RAW)
    finish(queue, "run 4")
    done = get(queue)
    assert done.status is QueueStatus.DONE
    assert add(submissions, priority=50).row == done


def test_a_hundred_submissions_at_once_are_one_row_and_a_hundred_tokens(
    database: Database, submissions: Submissions
) -> None:
    with ThreadPoolExecutor(10) as pool:
        receipts = list(pool.map(lambda n: add(submissions, priority=n), range(100)))

    assert len({receipt.token for receipt in receipts}) == 100
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 100
        rows = connection.execute(select(video_processing_queue)).mappings().all()
    assert [row["priority"] for row in rows] == [99]


def test_submitting_while_runs_begin_and_end_never_deadlocks(
    database: Database, submissions: Submissions, clock: Clock
) -> None:
    add(submissions)
    stopping = threading.Event()

    def run_by_hand(name: str) -> int:
        queue, n = Queue(database, now=clock), 0
        while not stopping.is_set():
            n += 1
            queue.begin(VIDEO.video_id, f"{name} {n}", None, RAW)
            queue.fail(VIDEO.video_id, f"{name} {n}", None, RAW, PrivateVideoError())
        return n

    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(run_by_hand, name) for name in "ab"]
        for _ in pool.map(lambda _: add(submissions, callback_url=CALLBACK), range(100)):
            pass
        stopping.set()
        assert all(run.result(30) > 0 for run in runs)


# --- callbacks ---


def test_each_callback_is_told_once_of_each_end_and_a_failure_to_come_is_no_end(
    database: Database, submissions: Submissions, queue: Queue, clock: Clock
) -> None:
    secrets = {add(submissions, callback_url=CALLBACK).callback_secret for _ in range(2)}
    assert len(secrets) == 2
    assert None not in secrets
    add(submissions)
    start(queue)
    queue.fail(VIDEO.video_id, "run 1", 1, RAW, IncompleteDownloadError())
    assert deliveries(database) == []
    clock.move(3600)

    start(queue)
    finish(queue, "run 2")
    finish(queue, "run 2")
    assert deliveries(database) == [(2, "done")] * 2

    queue.begin(VIDEO.video_id, "by hand", None, RAW)
    queue.fail(VIDEO.video_id, "by hand", None, RAW, PrivateVideoError())
    assert deliveries(database) == [(2, "done")] * 2, "it is done as it was"


def test_who_asks_for_a_video_that_is_done_is_told_at_once_and_nobody_else_again(
    database: Database, submissions: Submissions, queue: Queue
) -> None:
    add(submissions, callback_url=CALLBACK)
    start(queue)
    finish(queue, "run 1")

    add(submissions, callback_url=CALLBACK)
    add(submissions)

    assert deliveries(database) == [(1, "done")] * 2


def test_who_submits_while_the_video_ends_is_told_whichever_comes_first(
    database: Database, submissions: Submissions, queue: Queue
) -> None:
    add(submissions)
    start(queue)

    with ThreadPoolExecutor(5) as pool:
        asking = [pool.submit(add, submissions, 0, CALLBACK) for _ in range(20)]
        pool.submit(finish, queue, "run 1").result(30)
        for each in asking:
            each.result(30)

    assert deliveries(database) == [(1, "done")] * 20


def test_a_video_behind_an_open_breaker_is_seen_to_wait_with_the_reason(
    submissions: Submissions, queue: Queue, clock: Clock
) -> None:
    add(submissions)
    start(queue)
    queue.fail(VIDEO.video_id, "run 1", 1, RAW, BotCheckError("captcha"))
    other = Video(video_id="web-2", address="http://example.org/other")
    (receipt,) = submissions.add([NewSubmission(other)])

    found = submissions.find(receipt.token)

    assert found is not None
    assert (found.row.status, found.row.failure_cause) == (QueueStatus.WAITING, "source_bot_check")
    assert found.row.next_attempt_at == clock.now + timedelta(seconds=60)
