"""Webhooks: tell those who asked that a video ended, signed, again and again until they hear it.

Here belong the signature and the sending. What does not: whom to tell and when again (``tools.database.webhooks``).
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from madvision_assets.domain.clips import Clips, Outcome
from madvision_assets.domain.failure_records import failure_of, public_sentence
from madvision_assets.domain.failures import Failure
from madvision_assets.domain.redaction import without_secrets
from madvision_assets.domain.traces import Telling
from madvision_assets.tools.egress import EgressProxy

if TYPE_CHECKING:
    import httpx

    from madvision_assets.domain.networks import Network
    from madvision_assets.tools.database import Database
    from madvision_assets.tools.database.webhooks import Answer, Delivery

TIMEOUT_S = 10.0
# Older signatures are refused, so that a message that was overheard cannot be told again later.
TOLERANCE_S = 300.0
AT_ONCE = 16
# Longer than a delivery can take.
LEASE_S = 120.0
SIGNATURE = "MadVision-Signature"
DELIVERY = "MadVision-Delivery"
# Of Standard Webhooks (standardwebhooks.com), for whose libraries a receiver needs no code of ours.
STANDARD_ID, STANDARD_TIMESTAMP, STANDARD_SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
STANDARD_SECRET = "whsec_"  # noqa: S105 - the prefix of one
STATUS_PATH = "/public/video/status"
GONE = 410
BUDGET_S = 30.0


@dataclass(frozen=True)
class Delivered:
    """How many receivers took what they were told, and how many did not."""

    ok: int = 0
    failed: int = 0


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The signature header: ``t=<unix time>,v1=<hex HMAC-SHA256 of "<t>.<body>">``."""
    return f"t={timestamp},v1={_digest(secret, timestamp, body)}"


def verify(secret: str, header: str, body: bytes, now_s: float, tolerance_s: float = TOLERANCE_S) -> bool:
    """Whether a signature header is ours, of this body, and not older than the tolerance; what a receiver does.

    Args:
        secret: what the submitter was given with the token.
        header: the value of ``MadVision-Signature``.
        body: as it came, byte by byte.
        now_s: the time, in seconds since 1970.
        tolerance_s: between then and now, in either direction, seconds.
    """
    parts = dict(part.strip().partition("=")[::2] for part in header.split(","))
    timestamp, given = parts.get("t", ""), parts.get("v1", "")
    if not (timestamp.isascii() and timestamp.isdigit()) or not given.isascii():
        return False
    fresh = abs(now_s - int(timestamp)) <= tolerance_s
    return hmac.compare_digest(_digest(secret, int(timestamp), body), given) and fresh


def _digest(secret: str, timestamp: int, body: bytes) -> str:
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def standard_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks, over ``<id>.<timestamp>.<body>``.

    Args:
        secret: keys with what its Base64 says where it is ``whsec_<Base64>``, with its own bytes otherwise.
        message_id: the same whenever this message is sent, and never that of another one; without a dot.
        timestamp: of this sending, in seconds since 1970.
        body: as it is sent, byte by byte.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(_standard_key(secret), signed, hashlib.sha256).digest()
    return {
        STANDARD_ID: message_id,
        STANDARD_TIMESTAMP: str(timestamp),
        STANDARD_SIGNATURE: f"v1,{base64.b64encode(digest).decode()}",
    }


def _standard_key(secret: str) -> bytes:
    prefix, coded = secret[: len(STANDARD_SECRET)], secret[len(STANDARD_SECRET) :]
    if prefix == STANDARD_SECRET:
        try:
            return base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True) or secret.encode()
        except (binascii.Error, ValueError):  # a submitter's own, that only begins so
            pass
    return secret.encode()


class WebhookSender:
    """Sends what is due, through the same proxy as downloads, so that no callback reaches a private network.

    Args:
        database: where the deliveries are.
        allow_private: let callbacks reach private and loopback addresses.
        public_url: of the intake, for the link to the status; None leaves that out.
        now: the clock, timezone-aware.
        find_clips: the clips of a video; None leaves out what is told of them.
        refused: networks that callbacks never reach.
        told: is told of each that was sent, and keeps nobody waiting; None where nobody wants to know.
    """

    def __init__(
        self,
        database: "Database",
        allow_private: bool = False,
        public_url: str | None = None,
        now: Callable[[], datetime] | None = None,
        find_clips: Callable[[str], Clips] | None = None,
        refused: Sequence["Network"] = (),
        told: Callable[[Telling], None] | None = None,
    ) -> None:
        self._refused = refused
        self._told = told
        self._database = database
        self._allow_private = allow_private
        self._public_url = public_url
        self._now = now or (lambda: datetime.now(UTC))
        self._find_clips = find_clips

    def deliver_due(self, limit: int = 1000, budget_s: float = BUDGET_S) -> Delivered:
        """Send what is due, those that wait longest first.

        Args:
            limit: at most so many.
            budget_s: for all of them, seconds; each gets ten of them, and a third of the budget at most.

        Raises:
            DatabaseUnavailableError: and the like, as ``Database`` does; what was sent may be sent again then.
        """
        began_s = time.monotonic()
        patience_s = min(TIMEOUT_S, budget_s / 3)
        first = self._claim(min(limit, AT_ONCE))
        if not first:
            return Delivered()

        def connect(address: str, port: int) -> socket.socket:
            return socket.create_connection((address, port), timeout=patience_s / 2)

        with EgressProxy(self._allow_private, connect=connect, refused=self._refused) as proxy:
            session = _Session(proxy.url, patience_s, began_s + budget_s - patience_s)
            return asyncio.run(self._deliver(session, first, limit))

    async def _deliver(self, session: "_Session", due: list["Delivery"], limit: int) -> Delivered:
        counts: Counter[bool] = Counter()
        claimed = len(due)
        async with session.open() as client:
            under_way: set[asyncio.Task[Answer]] = set()
            while True:
                under_way |= {asyncio.create_task(self._tell(session, client, each)) for each in due}
                if not under_way:
                    return Delivered(counts[True], counts[False])
                done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                answers = [task.result() for task in done]
                counts.update(answer.error is None for answer in answers)
                # In threads: a database that makes us wait must not count as the silence of those who are being told.
                await asyncio.to_thread(self._settle, answers)
                room = min(limit - claimed, AT_ONCE - len(under_way))
                due = await asyncio.to_thread(self._claim, room) if room > 0 and session.may_start else []
                claimed += len(due)

    async def _tell(self, session: "_Session", client: "httpx.AsyncClient", delivery: "Delivery") -> "Answer":
        body = await asyncio.to_thread(self._body, delivery)
        timestamp = int(self._now().timestamp())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": _user_agent(),
            DELIVERY: str(delivery.id),
            SIGNATURE: sign(delivery.secret, timestamp, body),
            **standard_headers(delivery.secret, delivery.message_id, timestamp, body),
        }
        began_at = self._now()
        answer = await session.post(client, delivery, body, headers)
        if self._told is not None and answer.was_sent:
            place = (delivery.video_id, delivery.attempt, delivery.tries, delivery.url)
            self._told(Telling(*place, began_at, self._now(), answer.status_code, answer.error))
        return answer

    def _body(self, delivery: "Delivery") -> bytes:
        failure = failure_of(delivery.failure_cause, delivery.failure_details)
        message: dict[str, Any] = {
            "event": f"video.{delivery.status}",
            "video_id": delivery.video_id,
            "title": delivery.title or None,
            "uploader": delivery.uploader or None,
            "duration_s": delivery.duration_s,
            "status": delivery.status,
            "outcome": delivery.outcome,
            "outcome_reason": delivery.outcome_reason,
            "failure_cause": delivery.failure_cause,
            "failure_details": public_sentence(failure) if failure else None,
            "attempt": delivery.attempt,
            "finished_at": delivery.finished_at.isoformat(),
            **self._clips(delivery),
            "status_url": self._public_url.rstrip("/") + STATUS_PATH if self._public_url else None,
        }
        return json.dumps(message).encode()

    def _clips(self, delivery: "Delivery") -> dict[str, int | bool | None]:
        """How many clips there are, and whether they are provisional."""
        if delivery.outcome != Outcome.CLIPS:
            return {"clips": 0 if delivery.outcome or delivery.failure_cause else None, "provisional": None}
        try:
            made = self._find_clips(delivery.video_id) if self._find_clips else None
        except Failure:  # the store is away; that it is done can be told all the same
            made = None
        return (
            {"clips": len(made.clips), "provisional": made.provisional}
            if made
            else dict.fromkeys(("clips", "provisional"))
        )

    def _claim(self, limit: int) -> list["Delivery"]:
        from madvision_assets.tools.database import webhooks

        with self._database.writing() as connection:
            return webhooks.claim(connection, limit, self._now(), LEASE_S)

    def _settle(self, answers: list["Answer"]) -> None:
        from madvision_assets.tools.database import webhooks

        with self._database.writing() as connection:
            webhooks.settle(connection, answers, self._now())


@dataclass
class _Session:
    """One call's way out.

    Attributes:
        proxy_url: of the proxy that vets.
        patience_s: for one delivery, from the first byte to the answer.
        last_start_s: on the monotonic clock; none is started later.
        silent: receivers that did not answer in this call, and how; they are not asked again in it.
    """

    proxy_url: str
    patience_s: float
    last_start_s: float
    silent: dict[str, str] = field(default_factory=dict)

    @property
    def may_start(self) -> bool:
        """Whether there is time for another one."""
        return time.monotonic() < self.last_start_s

    def open(self) -> "httpx.AsyncClient":
        """The client, to be closed; it follows no redirect and reads no environment."""
        import httpx

        return httpx.AsyncClient(proxy=self.proxy_url, trust_env=False, follow_redirects=False, timeout=self.patience_s)

    async def post(
        self, client: "httpx.AsyncClient", delivery: "Delivery", body: bytes, headers: dict[str, str]
    ) -> "Answer":
        """Send one, unless its receiver has been silent already."""
        import httpx

        from madvision_assets.tools.database.webhooks import Answer

        receiver = delivery.url.partition("://")[2].partition("/")[0]
        if receiver in self.silent:
            return Answer(delivery, self.silent[receiver], was_sent=False)
        try:
            async with (
                asyncio.timeout(self.patience_s),
                client.stream("POST", delivery.url, content=body, headers=headers) as response,
            ):
                code = response.status_code
                if response.is_success:
                    return Answer(delivery, status_code=code)
                answer = _plain(f"it answered {code} {response.reason_phrase}")
                return Answer(delivery, answer, final=code == GONE, status_code=code)
        except TimeoutError:
            error = f"no answer within {self.patience_s:.0f} s"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as problem:
            error = _plain(f"{type(problem).__name__}: {problem}")
        self.silent[receiver] = error
        return Answer(delivery, error)


@cache
def _user_agent() -> str:
    return f"MadVision/{version('madvision-assets')}"


def _plain(text: str) -> str:
    """One printable line without secrets."""
    return without_secrets("".join(letter if letter.isprintable() else " " for letter in text).strip())
