"""Claims about whose videos open a breaker, and who is kept waiting by it; on SQLite and PostgreSQL alike."""

from collections.abc import Callable

import pytest

from madvision_assets.domain.breakers import BreakerRules
from madvision_assets.domain.failures import (
    AnalystUnavailableError,
    ApiKeyInvalidError,
    BotCheckError,
    DiskFullError,
    Failure,
    SourceRateLimitedError,
)
from madvision_assets.domain.queue import QueueStatus, RetryRules
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.submitters import COMMAND_LINE, INBOX, client_name
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database, forgetting, leases
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.database.submitters import Submitters
from madvision_assets.tools.database.tables import submissions
from madvision_assets_tests.databases import Clock, get, shut_breakers

RAW, TRANSCRIPT, KIND, *_ = PipelineStep
ATTACKER, VICTIM = client_name("192.0.2.1", "salt"), client_name("192.0.2.2", "salt")
HOST = "host:site.example"

Add = Callable[..., None]


@pytest.fixture
def add(database: Database, clock: Clock) -> Add:
    """Submits videos of one site as somebody."""

    def submit(submitter: str | None, *names: str) -> None:
        videos = (Video(video_id=f"web-{name}", address=f"https://site.example/{name}") for name in names)
        Submissions(database, clock).add([NewSubmission(each, submitter=submitter) for each in videos])

    return submit


def claim(queue: Queue) -> list[str]:
    return sorted(row.video_id.removeprefix("web-") for row in queue.claim_due(100))


def fail(queue: Queue, name: str, failure: Failure, step: PipelineStep = RAW) -> QueueStatus:
    """A claimed video fails at a step."""
    video_id = f"web-{name}"
    attempt = get(queue, video_id).attempt
    queue.begin(video_id, f"{video_id}:{attempt}", attempt, step)
    status = queue.fail(video_id, f"{video_id}:{attempt}", attempt, step, failure)
    assert status is not None
    return status


def finish(queue: Queue, name: str, step: PipelineStep = RAW) -> None:
    """A claimed video does a step."""
    video_id = f"web-{name}"
    attempt = get(queue, video_id).attempt
    queue.begin(video_id, f"{video_id}:{attempt}", attempt, step)
    queue.finish_step(video_id, f"{video_id}:{attempt}", step, ends=True, made=None)


@pytest.mark.parametrize("failure", [BotCheckError("as its title says"), SourceRateLimitedError(retry_after_s=86_400)])
def test_what_a_site_says_of_one_clients_videos_holds_up_no_other_client(
    queue: Queue, database: Database, add: Add, failure: Failure
) -> None:
    names = [f"bad-{n}" for n in range(7)]
    add(ATTACKER, *names)
    add(VICTIM, "good")
    claim(queue)
    for name in names:
        fail(queue, name, failure)
    queue.release("web-good", 1)

    assert shut_breakers(database) == {}
    assert claim(queue) == ["good"]


def test_it_is_held_against_his_videos_and_they_are_not_tried_for_ever(
    queue: Queue, clock: Clock, database: Database, add: Add
) -> None:
    add(VICTIM, "good")
    add(ATTACKER, "bad")
    queue.begin("web-good", "by hand", None, RAW)
    tries = 0
    while get(queue, "web-bad").status is not QueueStatus.FAILED and tries < 50:
        tries += len(claim(queue))
        fail(queue, "bad", BotCheckError())
        clock.now = get(queue, "web-bad").next_attempt_at

    assert tries == RetryRules().max_retries + 1
    assert shut_breakers(database) == {}


def test_a_second_clients_video_opens_it(queue: Queue, database: Database, add: Add) -> None:
    add(ATTACKER, "a", "b")
    add(VICTIM, "c", "d")
    claim(queue)
    fail(queue, "a", BotCheckError())
    assert shut_breakers(database) == {}

    fail(queue, "c", BotCheckError())

    assert set(shut_breakers(database)) == {HOST}


@pytest.mark.parametrize("submitter", [VICTIM, COMMAND_LINE, INBOX, None], ids=["one client", "cli", "inbox", "old"])
def test_where_nobody_else_waits_one_word_of_a_site_is_enough(
    queue: Queue, database: Database, add: Add, submitter: str | None
) -> None:
    add(submitter, "a", "b")
    claim(queue)

    fail(queue, "a", BotCheckError())

    assert set(shut_breakers(database)) == {HOST}
    assert get(queue, "web-a").retry == 0


@pytest.mark.parametrize("submitter", [COMMAND_LINE, INBOX, None], ids=["cli", "inbox", "old"])
def test_the_operators_own_are_believed_also_where_others_wait(
    queue: Queue, database: Database, add: Add, submitter: str | None
) -> None:
    add(VICTIM, "waits")
    add(submitter, "a", "b", "c")
    claim(queue)
    for name in "abc":
        fail(queue, name, AnalystUnavailableError(), KIND)

    assert set(shut_breakers(database)) == {"analyst"}


def test_an_analyst_that_is_away_is_left_alone_on_a_server_with_one_client(
    queue: Queue, database: Database, add: Add
) -> None:
    add(VICTIM, "a", "b", "c")
    claim(queue)
    for name in "abc":
        fail(queue, name, AnalystUnavailableError(), KIND)

    assert set(shut_breakers(database)) == {"analyst"}


def test_transcripts_of_one_client_that_upset_the_analyst_hold_up_no_other_client(
    queue: Queue, database: Database, add: Add
) -> None:
    names = [f"bad-{n}" for n in range(5)]
    add(ATTACKER, *names)
    add(VICTIM, "good")
    claim(queue)
    for name in names:
        fail(queue, name, AnalystUnavailableError("500"), KIND)

    assert shut_breakers(database) == {}
    fail(queue, "good", AnalystUnavailableError("503"), KIND)
    assert set(shut_breakers(database)) == {"analyst"}


@pytest.mark.parametrize(("failure", "name"), [(DiskFullError(), "worker"), (ApiKeyInvalidError(), "analyst")])
def test_what_we_find_ourselves_counts_at_once_whose_ever_video_meets_it(
    queue: Queue, database: Database, add: Add, failure: Failure, name: str
) -> None:
    add(ATTACKER, "a")
    add(VICTIM, "waits")
    claim(queue)

    fail(queue, "a", failure, KIND)

    assert set(shut_breakers(database)) == {name}


def test_a_host_that_one_clients_videos_closed_is_tried_at_once_by_anybody_elses(
    queue: Queue, database: Database, add: Add
) -> None:
    add(ATTACKER, "bad", "bad-2")
    claim(queue)
    fail(queue, "bad", BotCheckError())
    assert set(shut_breakers(database)) == {HOST}
    queue.release("web-bad-2", 1)

    add(VICTIM, "good", "good-2")
    assert claim(queue) == ["good"]
    assert claim(queue) == []
    finish(queue, "good")

    assert shut_breakers(database) == {}
    assert "good-2" in claim(queue)


def test_however_long_its_site_asks_to_wait_nobody_else_does(queue: Queue, clock: Clock, add: Add) -> None:
    add(ATTACKER, "bad")
    claim(queue)
    fail(queue, "bad", SourceRateLimitedError(retry_after_s=86_400))
    clock.move(5 * 3600)

    add(VICTIM, "good")
    assert claim(queue) == ["good"]


def test_nobody_waits_for_that_clients_own_probe_either(
    queue: Queue, clock: Clock, database: Database, add: Add
) -> None:
    add(ATTACKER, "bad")
    claim(queue)
    fail(queue, "bad", BotCheckError())
    clock.move(BreakerRules().pause_s + 1)
    assert claim(queue) == ["bad"]
    queue.begin("web-bad", "slow", 2, RAW)

    add(VICTIM, "good")
    assert claim(queue) == ["good"]

    queue.fail("web-bad", "slow", 2, RAW, BotCheckError())
    assert shut_breakers(database)[HOST].probe_video_id == "web-good"


def test_one_that_is_under_way_is_let_through_too(queue: Queue, add: Add) -> None:
    add(ATTACKER, "bad")
    claim(queue)
    fail(queue, "bad", BotCheckError())
    add(VICTIM, "good")
    assert claim(queue) == ["good"]

    queue.begin("web-good", "run", 1, RAW)

    assert get(queue, "web-good").status is QueueStatus.RUNNING


def test_the_probe_is_anothers_video_rather_than_the_next_of_who_failed(queue: Queue, clock: Clock, add: Add) -> None:
    add(ATTACKER, "a")
    add(INBOX, "i")
    claim(queue)
    fail(queue, "a", BotCheckError())
    fail(queue, "i", BotCheckError())
    add(ATTACKER, "a-new")
    add(VICTIM, "z-good")
    assert claim(queue) == []
    clock.move(BreakerRules().pause_s + 1)

    assert claim(queue) == ["z-good"]


def test_who_was_refused_by_a_breaker_has_accused_nobody(queue: Queue, database: Database, add: Add) -> None:
    add(ATTACKER, "bad")
    claim(queue)
    fail(queue, "bad", BotCheckError())
    add(VICTIM, "first", "second")
    assert claim(queue) == ["first"]
    with database.writing() as connection:
        leases.open_attempt(connection, get(queue, "web-second"), None, queue._now())
    with pytest.raises(BotCheckError):
        queue.begin("web-second", "run", 1, RAW)
    queue.release("web-first", 1)

    add(client_name("192.0.2.3", "salt"), "third")

    assert {"first", "third"} & set(claim(queue))  # it is still the first client's videos alone that failed


# --- who submitted ---


def test_who_submitted_is_kept_by_a_name_that_no_other_installation_gives_him(database: Database) -> None:
    name = Submitters(database).name("192.0.2.1")

    assert "192.0.2.1" not in name
    assert Submitters(database).name("192.0.2.1") == name
    assert Submitters(database).name(name) == name
    assert Submitters(database).name("192.0.2.2") != name
    assert client_name("192.0.2.1", "another installation's") != name


def test_it_is_forgotten_with_the_submission(database: Database, add: Add) -> None:
    add(VICTIM, "a")

    with forgetting.held(database, ["web-a"]) as held:
        held.delete_rows(["web-a"])

    with database.reading() as connection:
        assert connection.execute(submissions.select()).all() == []
