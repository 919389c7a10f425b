"""Taking submissions out of the inbox: at least once in, once in effect.

A message becomes a submission that bears its name, in one transaction, and is acknowledged after that. Whatever
happens in between, it comes again, and the second time changes nothing.
"""

import logging
import signal
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from traceback import format_tb
from typing import Any

import structlog

from madvision_assets.connections import make_aws_access
from madvision_assets.domain import submitters
from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.failures import (
    Failure,
    InboxDeniedError,
    UnexpectedError,
    UnknownBucketError,
)
from madvision_assets.domain.redaction import without_secrets
from madvision_assets.domain.video import Upload, Video, web_video_id
from madvision_assets.intake.messages import MessageRequest, read_message
from madvision_assets.intake.problems import ProblemError
from madvision_assets.intake.server import log_as_json
from madvision_assets.intake.services import Services, make_services
from madvision_assets.intake.submitting import checked
from madvision_assets.settings import Settings
from madvision_assets.tools.database.figures import Figures
from madvision_assets.tools.database.queue import utc_now
from madvision_assets.tools.database.submissions import NewSubmission
from madvision_assets.tools.inbox import Inbox, Message, make_inbox
from madvision_assets.tools.store.uploads import bucket_names
from madvision_assets.work.alive import answering

CONSUMER = "consumer"  # its name among the heartbeats
# Also the longest that a signal waits for an idle consumer.
RECEIVE_S = 5.0
# Until a message that was refused comes again: somebody may have mended by then what was wrong with us.
REFUSED_PAUSE_S = 30.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
# A message takes seconds; a database or an inbox that falls silent is given up within a minute or two.
STUCK_S = 300.0


def consume(settings: Settings, host: str = "127.0.0.1", port: int | None = None) -> None:
    """Take submissions in until SIGINT or SIGTERM; the message under way is finished.

    Args:
        settings: what the environment says.
        host: where to answer whether it works.
        port: likewise; None is nowhere.

    Raises:
        InboxDeniedError: the queue is not there, or not for us.
        ValueError: an address in the settings cannot be one, or the inbox's is missing.
    """
    if settings.inbox_url is None:
        raise ValueError("MADVISION_INBOX_URL is not set: it names the queue that submissions are taken from.")
    inbox = make_inbox(
        settings.inbox_url.get_secret_value(), max_receives=settings.inbox_max_receives, aws=_aws(settings)
    )
    services = make_services(settings)
    stop = _stopped_by_signals()
    log_as_json()
    for vendor in ("pika", "botocore"):  # their failures leave as ours
        logging.getLogger(vendor).setLevel(logging.CRITICAL)
    consumer = Consumer(services, inbox, stop)
    with answering(consumer.complaint, host, port):
        consumer.run()


class Consumer:
    """Turns messages into submissions.

    Args:
        services: what submissions are checked with and go to.
        inbox: where the messages are.
        stop: ends it, once set.
        receive_s: for so long an empty inbox is asked.
        refused_pause_s: until a message that was refused comes again.
    """

    def __init__(
        self,
        services: Services,
        inbox: Inbox,
        stop: threading.Event,
        *,
        receive_s: float = RECEIVE_S,
        refused_pause_s: float = REFUSED_PAUSE_S,
    ) -> None:
        self._services = services
        self._inbox = inbox
        self._stop = stop
        self._receive_s = receive_s
        self._refused_pause_s = refused_pause_s
        self._buckets = bucket_names(services.settings.upload_buckets)
        self._figures = Figures(services.database)
        self._told: str | None = None
        self._pause_s = FIRST_PAUSE_S
        self._came_round_at_s = time.monotonic()
        self._log: Any = structlog.get_logger("madvision.consumer")

    def run(self) -> None:
        """Go on until told to stop; while database or inbox is away, nothing is received.

        Raises:
            InboxDeniedError: the queue is not there, or not for us.
        """
        while not self._stop.is_set():
            try:
                self._begin()
                while not self._stop.is_set():
                    self._beat()
                    self._take(self._inbox.receive(self._receive_s))
            except InboxDeniedError:
                raise
            except Failure as failure:
                self._inbox.close()
                self._wait(failure)
        self._inbox.close()
        self._log.info("stopped")

    def _begin(self) -> None:
        """Return when database and inbox answer."""
        self._services.database.ensure_schema()
        self._beat()
        self._inbox.check()
        self._log.info("consuming", inbox=self._inbox.name)
        self._told, self._pause_s = None, FIRST_PAUSE_S

    def complaint(self) -> str | None:
        """What is the matter; None while it comes round, be it to find that it has to wait."""
        silent_s = time.monotonic() - self._came_round_at_s
        return f"does not work: it has not come round for {silent_s:.0f} s" if silent_s > STUCK_S else None

    def _beat(self) -> None:
        """Show a sign of life; what cannot be written down is not received either, and so not in vain."""
        self._came_round_at_s = time.monotonic()
        self._figures.beat(CONSUMER, utc_now())

    def _wait(self, failure: Failure) -> None:
        """Wait, each time longer; the reason is told once, and not at each try."""
        self._came_round_at_s = time.monotonic()
        if failure.code != self._told:
            self._log.warning("waiting", cause=failure.code, reason=str(failure))
        self._told = failure.code
        self._stop.wait(self._pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _take(self, messages: Sequence[Message]) -> None:
        """Take messages in, one after the other; those that are not reached go back.

        Raises:
            Failure: database or inbox is away.
        """
        left = deque(messages)
        try:
            while left and not self._stop.is_set():
                self._take_one(left[0])
                left.popleft()
        finally:
            for message in left:
                self._inbox.give_back(message, 0.0)

    def _take_one(self, message: Message) -> None:
        log = self._log.bind(message=message.transport_id, receives=message.receives)
        try:
            videos = self._submit(message)
        except (ProblemError, UnexpectedError) as refusal:
            self._refuse(message, log, str(refusal))
        except Failure:
            raise
        except Exception as error:  # noqa: BLE001 - the last resort: one message must not hold the others up
            # Without the frames' variables, which hold secrets.
            self._refuse(message, log, without_secrets(repr(error)), trace=format_tb(error.__traceback__))
        else:
            self._inbox.acknowledge(message)
            log.info("message_taken" if videos else "message_without_effect", videos=videos)

    def _submit(self, message: Message) -> list[str]:
        """The videos that were asked for; none where they were before, by this same message."""
        asked = read_message(message.body)
        wanted = [self._checked(each) for each in asked]
        own_id = next((f"id {each.id}" for each in asked if isinstance(each, MessageRequest) and each.id), None)
        rows = self._services.submissions.add_once(own_id or message.identity, wanted)
        return [row.video_id for row in rows]

    def _checked(self, asked: MessageRequest | Upload) -> NewSubmission:
        if isinstance(asked, MessageRequest):
            wanted = checked(self._services, asked)
            return replace(wanted, callback_secret=asked.callback_secret, submitter=submitters.INBOX)
        if asked.bucket not in self._buckets:
            raise ProblemError.of(UnknownBucketError(asked.bucket))
        try:
            address = asked.address
        except Failure as failure:
            raise ProblemError.of(failure) from failure
        return NewSubmission(Video(video_id=web_video_id(address), address=address), submitter=submitters.INBOX)

    def _refuse(self, message: Message, log: Any, reason: str, **more: Any) -> None:
        self._inbox.give_back(message, self._refused_pause_s)
        log.warning("message_refused", reason=reason, **more)


def _aws(settings: Settings) -> AwsAccess:
    """As for S3, but at the endpoint of all services."""
    return replace(make_aws_access(settings), endpoint_url=settings.aws_endpoint_url)


def _stopped_by_signals() -> threading.Event:
    """Set on SIGINT and SIGTERM, by a thread: a handler could find the event locked by whom it interrupts."""
    stop = threading.Event()
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)

    def wait() -> None:
        signal.sigwait(signals)
        stop.set()

    threading.Thread(target=wait, name="signals", daemon=True).start()
    return stop
