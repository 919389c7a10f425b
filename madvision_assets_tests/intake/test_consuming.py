"""Claims about the consumer: each message at least once in, and once in effect, whatever dies in between."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from madvision_assets.domain.failures import PrivateVideoError
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import PipelineStep
from madvision_assets.domain.video import Video
from madvision_assets.intake.consuming import Consumer
from madvision_assets.intake.services import Services, make_services
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.queue import Queue
from madvision_assets.tools.database.submissions import NewSubmission, Submissions, token_hash
from madvision_assets.tools.database.tables import submissions, videos
from madvision_assets_tests.databases import emptied, new_database, url_of
from madvision_assets_tests.inboxes import AWS, Broker, Posts, broker, open_inbox, skip_unless_installed
from madvision_assets_tests.intake.serving import settings_in
from madvision_assets_tests.intake.test_messages import notification
from madvision_assets_tests.real_servers import postgres_server
from madvision_assets_tests.waiting import wait_for

pytestmark = pytest.mark.whole

LIMIT_S = 90.0
SECRET = "not-a-token-but-a-callback-secret"
CONSUME = "from madvision_assets.command.inbox import consume; consume()"


class Pair(NamedTuple):
    """A kind of broker, and one of database."""

    broker: str
    database: str


# Neither knows of the other, so each is tried once.
PAIRS = (Pair("sqs", "postgresql"), Pair("rabbitmq", "sqlite"))
# Dies where a message is in the database, and its queue does not know.
DIE_UNACKNOWLEDGED = f"""
import os, signal
from madvision_assets.tools.inbox import rabbitmq, sqs
for inbox in (rabbitmq.RabbitInbox, sqs.SqsInbox):
    inbox.acknowledge = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
{CONSUME}
"""


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def pair(request: pytest.FixtureRequest) -> Pair:
    pair: Pair = request.param
    return pair


@pytest.fixture(scope="module")
def server(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    skip_unless_installed(pair.broker)
    with broker(pair.broker, tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(scope="module")
def installation(
    pair: Pair, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("services")
    with new_database(pair.database, request, folder) as database:
        database.migrate()
        made = make_services(settings_in(folder, database_url=url_of(database), upload_buckets="more, uploads"))
        yield made
        made.database.engine.dispose()


@pytest.fixture
def services(installation: Services) -> Services:
    """What a consumer works with, and nothing in the database."""
    emptied(installation.database)
    return installation


@contextmanager
def consuming(services: Services, posts: Posts) -> Iterator[None]:
    """A consumer in a thread, until the end of the block."""
    stop = threading.Event()
    consumer = Consumer(services, open_inbox(posts), stop, receive_s=1.0, refused_pause_s=0.2)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(consumer.run)
        try:
            yield
        finally:
            stop.set()
            running.result(LIMIT_S)


@pytest.fixture
def posts(server: Broker, services: Services) -> Iterator[Posts]:
    """A queue with a consumer."""
    queue = server.queue()
    with consuming(services, queue):
        yield queue


def asks(name: str, **more: Any) -> str:
    return json.dumps({"url": f"https://media.example.org/{name}.mp4", **more})


def kept(database: Database, name: str) -> list[dict[str, Any]]:
    """The submissions of the video with this name."""
    query = select(videos.c.address, submissions).join_from(submissions, videos)
    with database.reading() as connection:
        rows = connection.execute(query.where(videos.c.address.contains(name, autoescape=True))).mappings()
        return [dict(row) for row in rows]


def arrived(services: Services, name: str, times: int = 1) -> list[dict[str, Any]]:
    """The submissions of a video, once there are so many."""
    wait_for(lambda: len(kept(services.database, name)) >= times, LIMIT_S, f"{times} of {name}")
    return kept(services.database, name)


def settled(services: Services, posts: Posts, name: str) -> None:
    """Return when all that was sent before has been read."""
    posts.send(asks(f"after-{name}"))
    arrived(services, f"after-{name}")


# --- what a message does ---


def test_a_message_is_a_submission_that_no_token_opens(services: Services, posts: Posts) -> None:
    posts.send(asks("one", priority=7, callback_url="https://hooks.example.org/done", callback_secret=SECRET))

    (row,) = arrived(services, "one")

    queued = Queue(services.database).get(row["video_id"])
    assert queued is not None
    assert (queued.status, queued.priority) == (QueueStatus.QUEUED, 7)
    assert (row["callback_url"], row["callback_secret"]) == ("https://hooks.example.org/done", SECRET)
    assert row["token_hash"].startswith("message:")
    assert len(row["token_hash"]) == len(token_hash("any"))
    assert services.submissions.find(row["token_hash"]) is None


def test_the_same_message_again_disturbs_nothing_and_another_one_counts(services: Services, posts: Posts) -> None:
    posts.send(asks("again", id="order-1"))
    (row,) = arrived(services, "again")
    queue, video_id = Queue(services.database), row["video_id"]
    queue.begin(video_id, "run 1", None, PipelineStep.RAW_VIDEO)
    queue.fail(video_id, "run 1", None, PipelineStep.RAW_VIDEO, PrivateVideoError())
    failed = queue.get(video_id)

    posts.send(asks("again", id="order-1", priority=9))
    settled(services, posts, "the-same")

    assert queue.get(video_id) == failed
    assert len(kept(services.database, "again")) == 1
    posts.send(asks("again", id="order-2"))
    arrived(services, "again", 2)
    requeued = queue.get(video_id)
    assert requeued is not None
    assert requeued.status is QueueStatus.QUEUED


def test_an_upload_is_a_video_and_the_same_upload_told_twice_is_the_same_video(
    services: Services, posts: Posts
) -> None:
    for _ in range(2):
        posts.send(json.dumps(notification("told+twice.mp4")))
    posts.send(json.dumps(notification("told+twice.mp4", eTag="0" * 32)))

    settled(services, posts, "told-twice")

    ids = {row["address"]: row["video_id"] for row in kept(services.database, "told%20twice")}
    assert sorted(ids) == [
        f"s3://uploads/told%20twice.mp4?etag={etag}" for etag in ("0" * 32, "d41d8cd98f00b204e9800998ecf8427e")
    ]
    assert all(video_id.startswith("web-") for video_id in ids.values())
    assert len(set(ids.values())) == 2


BAD = {
    "text": "not JSON",
    "private": asks("x").replace("media.example.org", "10.0.0.1"),
    "callback": asks("bad-callback", callback_url="http://localhost/", callback_secret=SECRET),
    "upload": json.dumps({"url": "s3://uploads/bad-by-hand.mp4"}),
    "bucket": json.dumps(notification("bad-bucket.mp4")).replace('"uploads"', '"other"'),
}


def test_a_bad_message_ends_among_the_dead_letters_and_holds_no_good_one_up(services: Services, posts: Posts) -> None:
    for name, body in BAD.items():
        posts.send(body)
        posts.send(asks(f"good-{name}"))

    for name in BAD:
        arrived(services, f"good-{name}")
    dead: list[str] = []

    def all_dead() -> bool:
        dead.extend(posts.dead())
        return len(dead) >= len(BAD)

    wait_for(all_dead, LIMIT_S, "the dead letters")
    assert sorted(dead) == sorted(BAD.values())
    assert kept(services.database, "bad-") == []


def test_a_test_of_s3_is_done_with_at_once(services: Services, posts: Posts) -> None:
    posts.send(json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "uploads"}))

    settled(services, posts, "the-test-event")

    assert posts.dead() == []


# --- what dies in between ---


def environment(services: Services, posts: Posts) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "MADVISION_HOME": str(services.settings.home),
        "MADVISION_DATABASE_URL": url_of(services.database),
        "MADVISION_INBOX_URL": posts.url,
        "MADVISION_INBOX_MAX_RECEIVES": "3",
        "AWS_REGION": AWS.region or "",
        "AWS_ACCESS_KEY_ID": AWS.access_key_id or "",
        "AWS_SECRET_ACCESS_KEY": AWS.secret_access_key or "",
    }


@contextmanager
def process(program: str, services: Services, posts: Posts, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``madvision consume`` as a process; it is gone at the end."""
    with log.open("ab") as output:
        running = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program],
            env=environment(services, posts),
            stdout=output,
            stderr=output,
        )
    try:
        yield running
    finally:
        running.kill()
        running.wait(LIMIT_S)


def test_a_consumer_that_dies_between_commit_and_acknowledgement_did_its_work_once(
    server: Broker, services: Services, tmp_path: Path
) -> None:
    posts = server.queue()
    posts.send(asks("dying"))

    with process(DIE_UNACKNOWLEDGED, services, posts, tmp_path / "log") as dying:
        assert dying.wait(LIMIT_S) == -signal.SIGKILL
    assert len(kept(services.database, "dying")) == 1
    with capture_logs() as logs, consuming(services, posts):
        wait_for(lambda: any(line["event"] == "message_without_effect" for line in logs), LIMIT_S, "the message again")

    assert len(kept(services.database, "dying")) == 1
    assert posts.dead() == []


def test_hundreds_of_messages_some_sent_twice_and_a_consumer_killed_are_each_once_in_effect(
    server: Broker, services: Services, tmp_path: Path
) -> None:
    posts = server.queue()
    dice = random.Random(4)  # noqa: S311 - any
    bodies = [asks(f"many-{n % 150}", id=f"order-{n}") for n in range(200)]
    sent = [*bodies, *dice.sample(bodies, 100)]
    dice.shuffle(sent)
    log = tmp_path / "log"

    with process(CONSUME, services, posts, log) as first, process(CONSUME, services, posts, log) as second:
        for body in sent:
            posts.send(body)
        wait_for(lambda: len(kept(services.database, "many")) >= 20, LIMIT_S, "the first messages")
        first.kill()
        wait_for(lambda: len(kept(services.database, "many")) >= 200, 2 * LIMIT_S, "all messages")
        second.send_signal(signal.SIGTERM)
        assert second.wait(LIMIT_S) == 0

    rows = kept(services.database, "many")
    assert (len(rows), len({row["video_id"] for row in rows})) == (200, 150)
    assert posts.dead() == []
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines[-1]["event"] == "stopped"
    assert not [line for line in lines if line["level"] != "info"]


def test_a_database_that_was_away_cost_no_message_and_hardly_a_receive(server: Broker, tmp_path: Path) -> None:
    posts = server.queue()
    with postgres_server(tmp_path) as (url, database):
        services = make_services(settings_in(tmp_path, database_url=url))
        services.database.migrate()
        with capture_logs() as logs, consuming(services, posts):
            posts.send(asks("before"))
            arrived(services, "before")
            database.kill()
            wait_for(lambda: [line for line in logs if line["event"] == "waiting"], LIMIT_S, "the outage")
            for n in range(20):
                posts.send(asks(f"during-{n}"))
            database.start()
            arrived(services, "during", 20)
        services.database.engine.dispose()

    assert [line["cause"] for line in logs if line["event"] == "waiting"] == ["database_unavailable"]
    assert max(line["receives"] for line in logs if line["event"] == "message_taken") <= 2
    assert posts.dead() == []


def test_a_broker_that_was_away_is_told_once_and_waited_for(server: Broker, services: Services) -> None:
    posts = server.queue()
    with capture_logs() as logs, consuming(services, posts):
        wait_for(lambda: [line for line in logs if line["event"] == "consuming"], LIMIT_S, "the start")
        server.stop()
        wait_for(lambda: [line for line in logs if line["event"] == "waiting"], LIMIT_S, "the outage")
        server.start()
        posts.send(asks("patient"))
        arrived(services, "patient")

    assert [line["cause"] for line in logs if line["event"] == "waiting"] == ["inbox_unavailable"]


def test_many_consumers_that_have_the_same_message_at_once_take_it_in_once(services: Services) -> None:
    wanted = [NewSubmission(Video(video_id=f"web-{n}", address=f"https://x.example/at-once-{n}")) for n in range(3)]
    at_once = threading.Barrier(10)

    def take(_: int) -> int:
        at_once.wait(LIMIT_S)
        return len(Submissions(services.database).add_once("message at-once", wanted))

    with ThreadPoolExecutor(10) as pool:
        taken = sorted(pool.map(take, range(10)))

    assert taken == [0] * 9 + [3]
    assert len(kept(services.database, "at-once")) == 3


# --- what is hopeless ---


@pytest.mark.parametrize(
    ("inbox_url", "status", "told"),
    [
        ("", 2, "MADVISION_INBOX_URL is not set"),
        ("amqp://user:hunter2@host/", 2, "names no queue"),
        ("{}-no", 1, "inbox_denied"),
    ],
)
def test_what_waiting_cannot_mend_is_told_and_ends_the_command(
    tmp_path: Path, inbox_url: str, status: int, told: str
) -> None:
    with broker("sqs", tmp_path) as server:
        settings = settings_in(tmp_path, database_url=f"sqlite:///{tmp_path / 'madvision.db'}")
        services = make_services(settings)
        given = {
            **environment(services, server.queue()),
            "MADVISION_INBOX_URL": inbox_url.format(server.queue().url),
        }
        ended = subprocess.run(
            [sys.executable, "-c", CONSUME], env=given, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )

    assert ended.returncode == status, ended.stderr
    assert told in ended.stderr
    assert "hunter2" not in ended.stderr
    assert "Traceback" not in ended.stderr
