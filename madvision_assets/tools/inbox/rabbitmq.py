"""RabbitMQ, over AMQP 0-9-1.

Messages are pulled and not pushed: what a broker pushes ahead would be received in vain whenever the database is away.
"""

import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from madvision_assets.domain.failures import Failure, InboxDeniedError, InboxUnavailableError
from madvision_assets.tools.inbox import Message

BATCH = 10
POLL_S = 0.5
SOCKET_TIMEOUT_S = 5
CONNECT_TIMEOUT_S = 15
BLOCKED_TIMEOUT_S = 30
HEARTBEAT_S = 60
# https://www.rabbitmq.com/docs/specification#reply-codes: those that only an operator can mend.
_ACCESS_REFUSED, _NOT_FOUND, _PRECONDITION_FAILED, _NOT_ALLOWED = 403, 404, 406, 530
_DENYING = {_ACCESS_REFUSED, _NOT_FOUND, _PRECONDITION_FAILED, _NOT_ALLOWED}
_REPLY_CODE = re.compile(r"ClosedByBroker: \((\d{3})\)")
_NODE_AWAY = "inaccessible"  # a queue whose node is down is "not found" too


class RabbitInbox:
    """A queue of RabbitMQ; one that is not there is made, with a queue ``<name>.dead`` for its dead letters.

    Args:
        url: ``amqp(s)://user:secret@host:port/vhost``.
        queue: its name.
        max_receives: a message received so often in vain is a dead letter, where the queue is made here.
    """

    def __init__(self, url: str, queue: str, max_receives: int) -> None:
        self._url = url
        self._queue = queue
        self._max_receives = max_receives
        self._connection: Any = None
        self._open: Any = None
        self._held: list[tuple[float, int]] = []

    @property
    def name(self) -> str:
        """The queue, and where."""
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}?queue={self._queue}"

    def check(self) -> None:
        """Ask for the queue."""
        with _failures():
            self._channel.queue_declare(self._queue, passive=True)

    def receive(self, wait_s: float) -> list[Message]:
        """What there is, up to ten; looked for twice a second."""
        deadline_s = time.monotonic() + wait_s
        with _failures():
            self._return_held()
            while not (found := self._pull()) and time.monotonic() < deadline_s:
                self._connection.sleep(POLL_S)
                self._return_held()
        return found

    def acknowledge(self, message: Message) -> None:
        """Have it deleted."""
        with _failures():
            self._channel.basic_ack(message.handle)

    def give_back(self, message: Message, delay_s: float) -> None:
        """Hold it until its time has come, since AMQP knows no delay; the broker counts what is returned."""
        self._held.append((time.monotonic() + delay_s, message.handle))

    def close(self) -> None:
        """Disconnect; the broker returns to the queue what was not acknowledged."""
        connection, self._connection, self._open = self._connection, None, None
        self._held.clear()
        if connection is not None:
            with suppress(InboxUnavailableError, InboxDeniedError), _failures():
                connection.close()

    def _pull(self) -> list[Message]:
        found: list[Message] = []
        while len(found) < BATCH:
            method, properties, body = self._channel.basic_get(self._queue)
            if method is None:
                break
            receives = int((properties.headers or {}).get("x-delivery-count", 0)) + 1
            found.append(Message(body, receives, properties.message_id or "", method.delivery_tag))
        return found

    def _return_held(self) -> None:
        now_s = time.monotonic()
        for due_s, tag in self._held:
            if due_s <= now_s:
                self._channel.basic_nack(tag, requeue=True)
        self._held = [each for each in self._held if each[0] > now_s]

    @property
    def _channel(self) -> Any:
        if self._open is None:
            import pika  # type: ignore[import-untyped]

            parameters = pika.URLParameters(self._url)
            parameters.heartbeat = HEARTBEAT_S
            parameters.socket_timeout = SOCKET_TIMEOUT_S
            parameters.stack_timeout = CONNECT_TIMEOUT_S
            parameters.blocked_connection_timeout = BLOCKED_TIMEOUT_S
            self._connection = pika.BlockingConnection(parameters)
            self._open = self._channel_with_queue()
        return self._open

    def _channel_with_queue(self) -> Any:
        from pika.exceptions import ChannelClosedByBroker  # type: ignore[import-untyped]

        channel = self._connection.channel()
        try:
            channel.queue_declare(self._queue, passive=True)  # whoever made it may have had his own ideas
        except ChannelClosedByBroker as error:
            if error.reply_code != _NOT_FOUND or _NODE_AWAY in error.reply_text:
                raise
        else:
            return channel
        channel = self._connection.channel()  # the broker closes one over which it was asked amiss
        kept = {"x-queue-type": "quorum", "x-overflow": "reject-publish"}
        dead = f"{self._queue}.dead"
        channel.queue_declare(dead, durable=True, arguments=kept)
        letters = {
            "x-delivery-limit": self._max_receives - 1,  # so often it comes again
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": dead,
            "x-dead-letter-strategy": "at-least-once",
        }
        channel.queue_declare(self._queue, durable=True, arguments=kept | letters)
        return channel


@contextmanager
def _failures() -> Iterator[None]:
    from pika.adapters.utils.connection_workflow import AMQPConnectorException  # type: ignore[import-untyped]
    from pika.exceptions import AMQPError, ChannelError, ReentrancyError

    try:
        yield
    except (AMQPError, AMQPConnectorException, ChannelError, ReentrancyError, OSError) as error:
        raise classify_amqp(error) from error


def classify_amqp(error: Exception) -> Failure:
    """The leaf for an exception of pika, or of the connection below it."""
    from pika import exceptions as vendor

    words = f"{type(error).__name__}{error.args}"
    # What closes a handshake is told as a guess, with the broker's own words inside.
    told = _REPLY_CODE.search(words)
    code = getattr(error, "reply_code", None) or (int(told.group(1)) if told else 0)
    hopeless = (vendor.AuthenticationError, vendor.ProtocolVersionMismatch, ssl.SSLCertVerificationError)
    denied = isinstance(error, hopeless) or (code in _DENYING and _NODE_AWAY not in words)
    return InboxDeniedError(words) if denied else InboxUnavailableError(words)
