"""Claims about the inbox, by one suite for SQS and RabbitMQ: nothing is lost, nothing comes back that was done."""

import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pika.exceptions  # type: ignore[import-untyped]
import pytest
from botocore import exceptions as botocore_exceptions  # type: ignore[import-untyped]
from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

from madvision_assets.domain.failures import Failure, InboxDeniedError, InboxUnavailableError
from madvision_assets.tools.inbox import Inbox, Message, make_inbox
from madvision_assets.tools.inbox.rabbitmq import classify_amqp
from madvision_assets.tools.inbox.sqs import classify_sqs
from madvision_assets_tests.inboxes import (
    AWS,
    KINDS,
    MAX_RECEIVES,
    VISIBILITY_S,
    Broker,
    Posts,
    RabbitPosts,
    broker,
    open_inbox,
    skip_unless_installed,
)
from madvision_assets_tests.waiting import wait_for

pytestmark = pytest.mark.whole

LIMIT_S = 60.0


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    skip_unless_installed(request.param)
    with broker(request.param, tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def posts(server: Broker) -> Posts:
    return server.queue()


@pytest.fixture
def inbox(posts: Posts) -> Iterator[Inbox]:
    opened = open_inbox(posts)
    yield opened
    opened.close()


def next_message(inbox: Inbox) -> Message:
    (message,) = wait_for(lambda: inbox.receive(1), LIMIT_S, "a message")
    return message


def received_or_away(inbox: Inbox) -> list[Message]:
    """What there is; nothing where the broker is not back yet."""
    try:
        return inbox.receive(1)
    except InboxUnavailableError:
        inbox.close()
        return []


def test_a_message_is_received_once_and_gone_when_it_is_acknowledged(posts: Posts, inbox: Inbox) -> None:
    posts.send("grüße")

    message = next_message(inbox)
    inbox.acknowledge(message)

    assert (message.body.decode(), message.receives) == ("grüße", 1)
    inbox.close()
    assert inbox.receive(VISIBILITY_S + 1) == []
    assert posts.dead() == []


def test_what_is_given_back_comes_again_after_its_delay_as_the_same_message_and_is_counted(
    posts: Posts, inbox: Inbox
) -> None:
    posts.send("again")
    first = next_message(inbox)

    began_s = time.monotonic()
    inbox.give_back(first, 1.0)
    second = next_message(inbox)

    assert time.monotonic() - began_s >= 0.9
    assert (second.body, second.receives, second.identity) == (b"again", 2, first.identity)


def test_after_so_many_receives_it_is_a_dead_letter_and_holds_nobody_up(posts: Posts, inbox: Inbox) -> None:
    posts.send("bad")
    for n in range(MAX_RECEIVES):
        message = next_message(inbox)
        assert message.receives == n + 1
        inbox.give_back(message, 0.0)
    posts.send("good")

    good = next_message(inbox)

    assert good.body == b"good"
    inbox.acknowledge(good)
    assert wait_for(posts.dead, LIMIT_S, "the dead letter") == ["bad"]


def test_what_waits_to_come_again_holds_the_others_up_in_no_way(posts: Posts, inbox: Inbox) -> None:
    posts.send("later")
    inbox.give_back(next_message(inbox), 60.0)
    for n in range(25):
        posts.send(f"now {n}")

    seen: set[bytes] = set()
    while len(seen) < 25:
        for message in wait_for(lambda: inbox.receive(1), LIMIT_S, "the others"):
            seen.add(message.body)
            inbox.acknowledge(message)

    assert seen == {f"now {n}".encode() for n in range(25)}


def test_what_a_consumer_had_that_died_comes_again(posts: Posts, inbox: Inbox) -> None:
    posts.send("kept")
    next_message(inbox)
    inbox.close()

    with closing(open_inbox(posts)) as successor:
        assert next_message(successor).receives == 2


def test_an_empty_inbox_is_waited_for_as_long_as_was_asked(inbox: Inbox) -> None:
    began_s = time.monotonic()

    assert inbox.receive(1) == []
    assert 0.9 <= time.monotonic() - began_s < 4


def test_a_broker_that_is_away_is_told_and_when_it_is_back_nothing_is_lost(
    server: Broker, posts: Posts, inbox: Inbox
) -> None:
    posts.send("patient")
    inbox.check()

    server.stop()
    for _ in range(2):
        with pytest.raises(InboxUnavailableError):
            inbox.receive(1)
        inbox.close()
    server.start()

    (message,) = wait_for(lambda: received_or_away(inbox), LIMIT_S, "the message")
    assert message.body == b"patient"


def test_a_message_is_the_same_by_its_id_else_by_what_it_says() -> None:
    one, other = (Message(b"{}", 1, transport_id, None) for transport_id in ("a", "b"))

    assert one.identity != other.identity
    assert Message(b"{}", 1, "", "x").identity == Message(b"{}", 2, "", "y").identity != one.identity


# --- what is wrong is told, without secrets ---


def test_a_queue_that_is_not_there_or_not_for_us_is_the_operators_to_mend(posts: Posts) -> None:
    rabbit = isinstance(posts, RabbitPosts)
    wrong = posts.url.replace("guest:guest@", "guest:hunter2@") if rabbit else f"{posts.url}-no"

    with pytest.raises(InboxDeniedError) as refused:
        make_inbox(wrong, max_receives=MAX_RECEIVES, aws=AWS).check()

    assert "MADVISION_INBOX_URL" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_the_name_of_an_inbox_shows_no_secret(posts: Posts, inbox: Inbox) -> None:
    assert inbox.name == posts.url.replace("guest:guest@", "")


@pytest.mark.parametrize("server", ["rabbitmq"], indirect=True)  # queues of SQS are always somebody else's
def test_a_queue_of_rabbitmq_that_somebody_else_made_is_taken_as_it_is(posts: Posts) -> None:
    assert isinstance(posts, RabbitPosts)
    with posts.channel() as channel:
        channel.queue_declare("of-another", durable=True)
        channel.basic_publish("", "of-another", b"plain")
    inbox = make_inbox(posts.url.partition("?")[0] + "?queue=of-another", max_receives=MAX_RECEIVES, aws=AWS)

    inbox.acknowledge(next_message(inbox))
    inbox.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "the scheme '' is not known"),
        ("ftp://user:hunter2@host/", "the scheme 'ftp' is not known"),
        ("amqp://user:hunter2@host:5672/", "names no queue"),
        ("amqp://user:hunter2@host/?queue=a&queue=b", "names no queue"),
        ("amqp://user:hunter2@/?queue=a", "names no host"),
        ("amqp://user:hunter2@host:port/?queue=a", "not a URL"),
        ("amqp://user@host/?queue=a", "a user without a secret"),
        ("https://sqs.eu-central-1.amazonaws.com", "the whole URL"),
        ("https://user:hunter2@sqs.eu-central-1.amazonaws.com/1/q", "no credentials"),
    ],
)
def test_an_address_that_cannot_be_one_is_told_in_a_sentence(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match="MADVISION_INBOX_URL") as refused:
        make_inbox(url, max_receives=MAX_RECEIVES, aws=AWS)

    assert reason in str(refused.value)
    assert "hunter2" not in str(refused.value)


# --- every exception of the vendors has its leaf ---

# All others of botocore are about configuration: somebody must mend it.
ON_THE_WAY = {
    "ConnectTimeoutError", "ConnectionClosedError", "ConnectionError", "CredentialRetrievalError",
    "EndpointConnectionError", "HTTPClientError", "IncompleteReadError", "ProxyConnectionError", "ReadTimeoutError",
    "ResponseStreamingError", "SSLError", "TokenRetrievalError",
}  # fmt: skip


def vendor_errors(module: Any, *bases: type[Exception]) -> dict[str, type[Exception]]:
    return {n: kind for n, kind in vars(module).items() if isinstance(kind, type) and issubclass(kind, bases)}


def test_an_exception_of_botocore_is_somebody_s_to_mend_unless_it_happened_on_the_way() -> None:
    found = vendor_errors(botocore_exceptions, botocore_exceptions.BotoCoreError)
    away = {n for n, kind in found.items() if isinstance(classify_sqs(kind.__new__(kind)), InboxUnavailableError)}

    assert len(found) > 70
    assert away == ON_THE_WAY
    assert isinstance(classify_sqs(ResponseParserError("a page")), InboxUnavailableError)


@pytest.mark.parametrize(
    ("status", "code", "leaf"),
    [
        (400, "AWS.SimpleQueueService.NonExistentQueue", InboxDeniedError),
        (400, "QueueDoesNotExist", InboxDeniedError),
        (403, "AccessDenied", InboxDeniedError),
        (403, "InvalidClientTokenId", InboxDeniedError),
        (400, "RequestThrottled", InboxUnavailableError),
        (500, "InternalError", InboxUnavailableError),
        (503, "ServiceUnavailable", InboxUnavailableError),
    ],
)
def test_an_answer_of_sqs_has_its_leaf(status: int, code: str, leaf: type[Failure]) -> None:
    answer = {"Error": {"Code": code, "Message": "words"}, "ResponseMetadata": {"HTTPStatusCode": status}}

    assert type(classify_sqs(botocore_exceptions.ClientError(answer, "ReceiveMessage"))) is leaf


def test_an_exception_of_pika_is_waited_out_unless_it_cannot_mend_itself() -> None:
    bases = (pika.exceptions.AMQPError, pika.exceptions.ChannelError, pika.exceptions.ReentrancyError)
    found = vendor_errors(pika.exceptions, *bases)
    closed = (pika.exceptions.ConnectionClosed, pika.exceptions.ChannelClosed)
    told = {
        n: classify_amqp(kind(320, "forced") if issubclass(kind, closed) else kind([])) for n, kind in found.items()
    }
    denied = {n for n, failure in told.items() if isinstance(failure, InboxDeniedError)}

    assert len(found) > 30
    assert denied == {"AuthenticationError", "ProtocolVersionMismatch"}


@pytest.mark.parametrize(
    ("error", "leaf"),
    [
        (pika.exceptions.ConnectionClosedByBroker(320, "CONNECTION_FORCED"), InboxUnavailableError),
        (pika.exceptions.ConnectionClosedByBroker(530, "NOT_ALLOWED"), InboxDeniedError),
        (pika.exceptions.ChannelClosedByBroker(403, "ACCESS_REFUSED"), InboxDeniedError),
        (pika.exceptions.ChannelClosedByBroker(406, "PRECONDITION_FAILED"), InboxDeniedError),
        (pika.exceptions.ChannelClosedByBroker(404, "home node is down or inaccessible"), InboxUnavailableError),
        (pika.exceptions.ProbableAuthenticationError("StreamLostError: gone"), InboxUnavailableError),
        (ConnectionRefusedError(111, "refused"), InboxUnavailableError),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), InboxDeniedError),
    ],
)
def test_the_brokers_reason_decides_where_the_kind_does_not(error: Exception, leaf: type[Failure]) -> None:
    assert type(classify_amqp(error)) is leaf
