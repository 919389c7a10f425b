"""The inbox: submissions as messages of a queue, SQS or RabbitMQ, behind one face.

Here belongs everything that knows boto3's SQS or AMQP. What does not: what a message says, and what becomes of it
(``intake``). Vendor errors leave as ``InboxUnavailableError`` (wait) or ``InboxDeniedError`` (somebody must mend it).
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.redaction import without_secrets

__all__ = ["Inbox", "Message", "make_inbox"]

EXAMPLES = "https://sqs.eu-central-1.amazonaws.com/123456789012/name or amqp://user:secret@host:5672/vhost?queue=name"


@dataclass(frozen=True)
class Message:
    """A message that was received, and is ours until it is acknowledged or given back.

    Attributes:
        body: as it was sent.
        receives: how often it was received, this time included.
        transport_id: what the queue or its sender calls it; empty where neither does.
        handle: what the adapter answers for it with.
    """

    body: bytes
    receives: int
    transport_id: str
    handle: Any = field(repr=False)

    @property
    def identity(self) -> str:
        """The same whenever the message comes again: its ID, else a hash of what it says."""
        if self.transport_id:
            return f"message {self.transport_id}"
        return f"body {hashlib.sha256(self.body).hexdigest()}"


class Inbox(Protocol):
    """A queue of messages, each received at least once. Not thread-safe.

    Every method but ``close`` raises ``InboxUnavailableError`` or ``InboxDeniedError``.
    """

    @property
    def name(self) -> str:
        """Its address, without secrets."""

    def check(self) -> None:
        """Return when the queue is there and answers."""

    def receive(self, wait_s: float) -> list[Message]:
        """The next messages; none when none came for so long, seconds."""

    def acknowledge(self, message: Message) -> None:
        """It is done, and never comes again."""

    def give_back(self, message: Message, delay_s: float) -> None:
        """It comes again after so many seconds, and counts as received in vain; too often, and it is a dead letter."""

    def close(self) -> None:
        """Let the connection go, and with it what was received; the next call makes another."""


def make_inbox(url: str, *, max_receives: int, aws: AwsAccess) -> Inbox:
    """The inbox at an address.

    Args:
        url: of an SQS queue, or ``amqp(s)://user:secret@host:port/vhost?queue=name``.
        max_receives: a message received so often in vain is a dead letter; SQS queues have a redrive policy for that.
        aws: credentials, region and endpoint of SQS.

    Raises:
        ValueError: the address can be of neither; the message names MADVISION_INBOX_URL and shows no secret.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise _malformed("it is not a URL") from None
    if parts.scheme not in {"http", "https", "amqp", "amqps"}:
        raise _malformed(f"the scheme {parts.scheme!r} is not known")
    if not host:
        raise _malformed("it names no host")
    if parts.scheme.startswith("http"):
        from madvision_assets.tools.inbox.sqs import SqsInbox

        if not parts.path.strip("/") or parts.username is not None:
            raise _malformed("of an SQS queue it takes the whole URL, and no credentials")
        return SqsInbox(url, aws)
    from madvision_assets.tools.inbox.rabbitmq import RabbitInbox

    queue = parse_qs(parts.query).get("queue", [])
    if len(queue) != 1 or not queue[0]:
        raise _malformed("it names no queue")
    if parts.username is not None and parts.password is None:
        raise _malformed("it names a user without a secret")
    return RabbitInbox(parts._replace(query="", fragment="").geturl(), queue[0], max_receives)


def _malformed(reason: str) -> ValueError:
    return ValueError(f"MADVISION_INBOX_URL: {without_secrets(reason)}. Write for example {EXAMPLES}.")
