"""Queues for tests to post to, of each kind: SQS as moto serves it over HTTP, and a real RabbitMQ."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import boto3  # type: ignore[import-untyped]
import pika  # type: ignore[import-untyped]
import pytest
from moto.server import ThreadedMotoServer

from madvision_assets.domain.aws import AwsAccess
from madvision_assets.tools.inbox import Inbox, make_inbox
from madvision_assets_tests.rabbitmq import HOST, RabbitMQ, rabbitmq, rabbitmq_program
from madvision_assets_tests.real_servers import free_port

KINDS = ("sqs", "rabbitmq")
MAX_RECEIVES = 3
VISIBILITY_S = 2  # so long SQS waits for who received a message and was not heard of since
AWS = AwsAccess(region="us-east-1", access_key_id="testing", secret_access_key="testing")


class Posts(Protocol):
    """A queue with nothing in it, as its senders and its operator see it."""

    @property
    def url(self) -> str:
        """What MADVISION_INBOX_URL would be."""

    def send(self, body: str, message_id: str | None = None) -> None:
        """Send a message; SQS makes its ID itself."""

    def dead(self) -> list[str]:
        """The dead letters, which are taken out."""


class Broker(Protocol):
    """A server of queues."""

    def queue(self) -> Posts:
        """A new queue."""

    def stop(self) -> None:
        """Go away."""

    def start(self) -> None:
        """Come back, with what was in the queues."""


@contextmanager
def broker(kind: str, folder: Path) -> Iterator[Broker]:
    """A running server of this kind."""
    if kind == "sqs":
        sqs = SqsBroker()
        sqs.start()
        yield sqs
        sqs.stop()
        return
    with rabbitmq(folder) as server:
        yield RabbitBroker(server)


def skip_unless_installed(kind: str) -> None:
    """Skip the test that asks for a server which this machine does not have."""
    if kind == "rabbitmq" and rabbitmq_program() is None:
        pytest.skip("RabbitMQ is not installed; as root, .ci/servers installs it")


def open_inbox(posts: Posts, max_receives: int = MAX_RECEIVES) -> Inbox:
    """The inbox at a queue, as its consumer has it."""
    return make_inbox(posts.url, max_receives=max_receives, aws=AWS)


class SqsBroker:
    """Moto's SQS; its queues outlast the server, since they are this process's."""

    def __init__(self) -> None:
        self._port = free_port()
        self._client = boto3.client(
            "sqs",
            endpoint_url=f"http://{HOST}:{self._port}",
            region_name=AWS.region,
            aws_access_key_id=AWS.access_key_id,
            aws_secret_access_key=AWS.secret_access_key,
        )

    def start(self) -> None:
        """Serve."""
        self._server = ThreadedMotoServer(ip_address=HOST, port=self._port, verbose=False)
        self._server.start()

    def stop(self) -> None:
        """Serve no more."""
        self._server.stop()
        self._client.close()

    def queue(self) -> Posts:
        """A queue that sends its dead letters to another one."""
        name = f"q-{secrets.token_hex(4)}"
        dead_url = self._client.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        asked = self._client.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["QueueArn"])
        policy = {"deadLetterTargetArn": asked["Attributes"]["QueueArn"], "maxReceiveCount": MAX_RECEIVES}
        attributes = {"RedrivePolicy": json.dumps(policy), "VisibilityTimeout": str(VISIBILITY_S)}
        url = self._client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return SqsPosts(self._client, url, dead_url)


class SqsPosts:
    """A queue of SQS."""

    def __init__(self, client: Any, url: str, dead_url: str) -> None:
        self._client = client
        self.url = url
        self._dead_url = dead_url

    def send(self, body: str, message_id: str | None = None) -> None:  # noqa: ARG002 - SQS makes its own
        """Send a message."""
        self._client.send_message(QueueUrl=self.url, MessageBody=body)

    def dead(self) -> list[str]:
        """Empty the dead letters."""
        # SQS moves a letter when it would be received once more.
        self._client.receive_message(QueueUrl=self.url, VisibilityTimeout=0)
        found = self._client.receive_message(QueueUrl=self._dead_url, MaxNumberOfMessages=10).get("Messages", [])
        for each in found:
            self._client.delete_message(QueueUrl=self._dead_url, ReceiptHandle=each["ReceiptHandle"])
        return [each["Body"] for each in found]


class RabbitBroker:
    """A real RabbitMQ."""

    def __init__(self, server: RabbitMQ) -> None:
        self._server = server

    def start(self) -> None:
        """Start it again."""
        self._server.server.start()

    def stop(self) -> None:
        """Stop it; killed within half a second of a queue's making, it would never find that queue again."""
        self._server.server.stop()

    def queue(self) -> Posts:
        """A queue, as the consumer makes it."""
        posts = RabbitPosts(self._server.url, f"q-{secrets.token_hex(4)}")
        inbox = open_inbox(posts)
        inbox.check()
        inbox.close()
        return posts


class RabbitPosts:
    """A queue of RabbitMQ; each call has a connection of its own, so that the server may come and go."""

    def __init__(self, server_url: str, name: str) -> None:
        self._server_url = server_url
        self._name = name
        self.url = f"{server_url}?queue={name}"

    def send(self, body: str, message_id: str | None = None) -> None:
        """Send a message, and wait until the broker has it."""
        with self.channel() as channel:
            channel.confirm_delivery()
            properties = pika.BasicProperties(message_id=message_id, delivery_mode=2)
            channel.basic_publish("", self._name, body.encode(), properties, mandatory=True)

    def dead(self) -> list[str]:
        """Empty the dead letters."""
        found = []
        with self.channel() as channel:
            while (letter := channel.basic_get(f"{self._name}.dead", auto_ack=True))[0] is not None:
                found.append(letter[2].decode())
        return found

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """A channel of a new connection."""
        connection = pika.BlockingConnection(pika.URLParameters(self._server_url))
        try:
            yield connection.channel()
        finally:
            connection.close()
