"""Amazon SQS, and what speaks its protocol.

How often a message may be received in vain is the queue's own redrive policy; so is where dead letters go.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from madvision_assets.domain.aws import AwsAccess
from madvision_assets.domain.failures import Failure, InboxDeniedError, InboxUnavailableError
from madvision_assets.tools.inbox import Message

BATCH = 10  # the most that SQS gives at once
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30  # more than the longest poll, which is 20 s
SDK_ATTEMPTS = 3  # minutes and hours are the consumer's
LONGEST_DELAY_S = 12 * 3600
_REGION = re.compile(r"(?:^|\.)sqs\.([a-z0-9-]+)\.")
_SERVER_ERRORS = 500
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
_THROTTLING = {"RequestThrottled", "Throttling", "ThrottlingException", "OverLimit", "KmsThrottled", "RequestTimeout"}
# The message is not ours any more: we took too long, it comes again, and that does no harm.
_GONE = {"InvalidParameterValue", "MessageNotInflight", "ReceiptHandleIsInvalid"}


class SqsInbox:
    """A queue of SQS.

    Args:
        url: of the queue.
        aws: credentials and region, from boto3's own chain where they are None; ``endpoint_url`` in place of the URL's.
    """

    def __init__(self, url: str, aws: AwsAccess) -> None:
        self._url = url
        self._aws = aws
        self._open: Any = None

    @property
    def name(self) -> str:
        """The queue's URL, which holds no secret."""
        return self._url

    def check(self) -> None:
        """Ask for one of the queue's attributes."""
        with _failures():
            self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])

    def receive(self, wait_s: float) -> list[Message]:
        """Long poll, of whole seconds."""
        with _failures():
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=round(wait_s),
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        return [
            Message(
                body=each["Body"].encode(),
                receives=int(each["Attributes"]["ApproximateReceiveCount"]),
                transport_id=each["MessageId"],
                handle=each["ReceiptHandle"],
            )
            for each in answer.get("Messages", ())
        ]

    def acknowledge(self, message: Message) -> None:
        """Delete it."""
        with _failures(gone_is_fine=True):
            self._client.delete_message(QueueUrl=self._url, ReceiptHandle=message.handle)

    def give_back(self, message: Message, delay_s: float) -> None:
        """Have it seen again after the delay; the receive has been counted already."""
        with _failures(gone_is_fine=True):
            self._client.change_message_visibility(
                QueueUrl=self._url,
                ReceiptHandle=message.handle,
                VisibilityTimeout=min(round(delay_s), LONGEST_DELAY_S),
            )

    def close(self) -> None:
        """Let the connections go."""
        if self._open is not None:
            self._open.close()
        self._open = None

    @property
    def _client(self) -> Any:
        if self._open is None:
            import boto3  # type: ignore[import-untyped]
            from botocore.config import Config  # type: ignore[import-untyped]

            parts = urlsplit(self._url)
            of_host = _REGION.search(parts.hostname or "")
            self._open = boto3.client(
                "sqs",
                endpoint_url=self._aws.endpoint_url or f"{parts.scheme}://{parts.netloc}",
                region_name=of_host.group(1) if of_host else self._aws.region,
                aws_access_key_id=self._aws.access_key_id,
                aws_secret_access_key=self._aws.secret_access_key,
                aws_session_token=self._aws.session_token,
                config=Config(
                    connect_timeout=CONNECT_TIMEOUT_S,
                    read_timeout=READ_TIMEOUT_S,
                    retries={"mode": "standard", "total_max_attempts": SDK_ATTEMPTS},
                ),
            )
        return self._open


@contextmanager
def _failures(*, gone_is_fine: bool = False) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
    from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

    try:
        yield
    except (BotoCoreError, ClientError, ResponseParserError) as error:
        if not (gone_is_fine and _code(error).rpartition(".")[2] in _GONE):
            raise classify_sqs(error) from error


def classify_sqs(error: Exception) -> Failure:
    """The leaf for an exception of boto3.

    Args:
        error: any ``BotoCoreError``, ``ClientError`` or ``ResponseParserError``.
    """
    from botocore import exceptions as vendor  # type: ignore[import-untyped]
    from botocore.parsers import ResponseParserError

    if isinstance(error, vendor.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        away = status >= _SERVER_ERRORS or _code(error).rpartition(".")[2] in _THROTTLING
        words = f"{_code(error)}: {error.response.get('Error', {}).get('Message', '')}"
    else:
        on_the_way = (
            vendor.ConnectionError,
            vendor.CredentialRetrievalError,
            vendor.HTTPClientError,
            vendor.IncompleteReadError,
            vendor.TokenRetrievalError,
            ResponseParserError,  # a proxy's page in place of an answer
        )
        away = isinstance(error, on_the_way)
        words = str(error)
    return InboxUnavailableError(words) if away else InboxDeniedError(words)


def _code(error: Exception) -> str:
    """The service's own code, such as ``AccessDenied``; empty where the service was not reached."""
    response: dict[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))
