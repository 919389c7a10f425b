"""Submissions: who asked for a video, by the hash of the token that they follow it with."""

import base64
import hashlib
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, func, select

from madvision_assets.domain.addresses import public_address
from madvision_assets.domain.breakers import Breaker
from madvision_assets.domain.stages import FIRST_STEP, resource_of
from madvision_assets.domain.submitters import is_client
from madvision_assets.domain.video import Video
from madvision_assets.tools.database import Database, admission, webhooks
from madvision_assets.tools.database.queue import utc_now
from madvision_assets.tools.database.rows import QueueRow, TrackedVideo
from madvision_assets.tools.database.tables import breakers, submissions, uploads, video_processing_queue, videos
from madvision_assets.tools.database.writer import KeptWriter, StatementWriter

TOKEN_BYTES = 32


@dataclass(frozen=True)
class NewSubmission:
    """What somebody asks for.

    Attributes:
        video: the video, in the partition that is cut as its options say.
        priority: a higher one is done earlier.
        callback_url: where to tell that it ended.
        callback_secret: key of the signature of callbacks; None has one made.
        submitter: who asks, as ``domain.submitters`` has it; None where that is not known.
    """

    video: Video
    priority: int = 0
    callback_url: str | None = None
    callback_secret: str | None = None
    submitter: str | None = None


@dataclass(frozen=True)
class Receipt:
    """What the submitter gets; neither secret is shown again.

    Attributes:
        token: 256 random bits in URL-safe characters; only its hash is kept.
        callback_secret: key of the signature of callbacks; None without a callback.
        row: the queue's row as it stands now.
    """

    token: str
    callback_secret: str | None
    row: QueueRow


@dataclass(frozen=True)
class _Keys:
    """What a submission is given: its token, and the key of its callbacks' signature."""

    token: str
    secret: str | None

    @classmethod
    def of(cls, wanted: NewSubmission) -> "_Keys":
        """New ones."""
        secret = wanted.callback_secret or (new_callback_secret() if wanted.callback_url else None)
        return cls(secrets.token_urlsafe(TOKEN_BYTES), secret)


# By their place in the order in which they were asked for.
Receipts = dict[int, Receipt]


def token_hash(token: str) -> str:
    """What is kept of a token: its sha256, hex. 256 random bits need no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_callback_secret() -> str:
    """256 random bits, as the libraries of Standard Webhooks take them: ``whsec_<Base64>``."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(TOKEN_BYTES)).decode()}"


def message_key(identity: str) -> str:
    """What stands in place of a token's hash where a message asked: as long as one, and never one, for its colon."""
    return "message:" + hashlib.sha224(identity.encode()).hexdigest()


class Submissions:
    """The table ``submissions``, as the intake uses it.

    Args:
        database: where the table is.
        now: the clock, timezone-aware.
    """

    def __init__(self, database: Database, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._now = now
        self._kept = KeptWriter(database)
        self._statements = StatementWriter(database)

    def add(self, wanted: Sequence[NewSubmission]) -> list[Receipt]:
        """Take submissions in, all or none; gives their receipts in the same order.

        The same video submitted twice is one row of the queue, with two tokens.
        """
        now = self._now()
        in_one_order = sorted(range(len(wanted)), key=lambda n: wanted[n].video.video_id)  # or two writers deadlock
        # Before the work, which may be done again after nobody heard that it was: with other tokens it would be twice.
        keys = [_Keys.of(each) for each in wanted]
        receipts = self._write(
            wanted, lambda connection: {n: self._add(connection, wanted[n], keys[n], now) for n in in_one_order}
        )
        return [receipts[n] for n in range(len(wanted))]

    def add_once(self, identity: str, wanted: Sequence[NewSubmission]) -> list[QueueRow]:
        """Take in what one message asks for, all or none; nobody holds a token for it.

        Args:
            identity: the same whenever this message comes again, and never that of another one.
            wanted: what it asks for, the same each time.

        Returns:
            The queue's rows; none where the message was taken in before, which then changes nothing.
        """
        now = self._now()
        keyed = sorted(enumerate(wanted), key=lambda each: each[1].video.video_id)  # or two writers deadlock

        def work(connection: Connection) -> list[QueueRow]:
            if not self._database.is_sqlite:  # which has one writer at a time
                connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(identity, 0))))
            keys = {n: message_key(f"{identity}#{n}") for n, _ in keyed}
            known = select(submissions.c.token_hash).where(submissions.c.token_hash.in_(keys.values()))
            if connection.execute(known).first():
                return []
            return [self._admit(connection, each, keys[n], each.callback_secret, now) for n, each in keyed]

        if self._database.is_sqlite:
            return self._kept.run(work)
        with self._database.writing() as connection:
            return work(connection)

    def add_upload(self, secret_hash: str, wanted: NewSubmission, token: str, lasts_s: float) -> QueueRow | None:
        """Take in a file that has come whole, once, however often it is asked.

        Args:
            secret_hash: of its upload.
            wanted: what is asked for, with its callback's secret.
            token: that the submitter follows it with.
            lasts_s: so many seconds from now the upload is known as it ended.

        Returns:
            The queue's row; None where the upload expired, or the video was forgotten since.
        """
        now = self._now()
        change = {"video_id": wanted.video.video_id, "expires_at": now + timedelta(seconds=lasts_s)}
        alive = (uploads.c.video_id.is_(None), uploads.c.swept_at.is_(None), uploads.c.expires_at > now)
        mine = uploads.update().where(uploads.c.secret_hash == secret_hash, *alive)
        with self._database.writing() as connection:
            if connection.execute(mine.values(change)).rowcount:
                return self._admit(connection, wanted, token_hash(token), wanted.callback_secret, now)
        tracked = self.find(token)
        return tracked.row if tracked else None

    def find(self, token: str) -> TrackedVideo | None:
        """The video of a token, and where it stands; None for a token that we never gave."""
        return self.find_all([token]).get(token)

    def find_all(self, tokens: Sequence[str]) -> dict[str, TrackedVideo]:
        """The videos of some tokens by token, in their order, without those that we never gave; one statement."""
        by_hash = {token_hash(token): token for token in tokens}
        own = [column.label(f"b_{column.name}") for column in breakers.c]
        query = (
            select(submissions.c.token_hash, videos.c.address, submissions.c.address.label("own_address"))
            .add_columns(videos.c.options, video_processing_queue, *own)
            .join_from(submissions, videos, submissions.c.video_id == videos.c.video_id)
            .join(video_processing_queue, video_processing_queue.c.video_id == videos.c.video_id)
            .outerjoin(breakers, breakers.c.name == video_processing_queue.c.resource)
            .where(submissions.c.token_hash.in_(by_hash))
        )
        with self._database.reading() as connection:
            found = {row["token_hash"]: _tracked(row) for row in connection.execute(query).mappings()}
        return {token: found[key] for key, token in by_hash.items() if key in found}

    def is_of_the_first(self, token: str) -> bool:
        """Whether a token is that of its video's first submission: whose clips they are.

        A network address does not tell that: it may be a whole office's.
        """
        mine = submissions.alias()
        query = (
            select(submissions.c.token_hash)
            .join(mine, mine.c.video_id == submissions.c.video_id)
            .where(mine.c.token_hash == token_hash(token))
            .order_by(submissions.c.created_at, submissions.c.token_hash)
            .limit(1)
        )
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one_or_none() == token_hash(token)

    def video_ids(self, tokens: Collection[str]) -> dict[str, str]:
        """The video of each of these tokens; without those that we never gave."""
        by_hash = {token_hash(token): token for token in tokens}
        query = select(submissions.c.token_hash, submissions.c.video_id).where(submissions.c.token_hash.in_(by_hash))
        with self._database.reading() as connection:
            return {by_hash[key]: video_id for key, video_id in connection.execute(query)}

    def _write(self, wanted: Sequence[NewSubmission], work: Callable[[Connection], Receipts]) -> Receipts:
        if self._database.is_sqlite:
            return self._kept.run(work)
        if len(wanted) == 1 and wanted[0].callback_url is None:
            return self._statements.run(work)
        with self._database.writing() as connection:
            return work(connection)

    def _add(self, connection: Connection, wanted: NewSubmission, keys: "_Keys", now: datetime) -> Receipt:
        row = self._admit(connection, wanted, token_hash(keys.token), keys.secret, now)
        return Receipt(keys.token, keys.secret, row)

    def _admit(
        self, connection: Connection, wanted: NewSubmission, key: str, secret: str | None, now: datetime
    ) -> QueueRow:
        video = wanted.video
        row = admission.admit(
            connection,
            {
                "p_video_id": video.video_id,
                "p_address": video.address,
                "p_options": video.options.model_dump(mode="json"),
                "p_source": video.source,
                "p_resource": resource_of(FIRST_STEP, video.source),
                "p_priority": wanted.priority,
                "p_token_hash": key,
                "p_callback_url": wanted.callback_url,
                "p_callback_secret": secret,
                "p_submitter": wanted.submitter,
                "p_client": wanted.submitter if is_client(wanted.submitter) else None,
                "p_now": now,
                "p_now_s": now.timestamp(),
            },
        )
        if wanted.callback_url and row.status.is_final:
            webhooks.enqueue(connection, row, now)
        return row


def _tracked(found: RowMapping) -> TrackedVideo:
    row = QueueRow.model_validate({name: found[name] for name in QueueRow.model_fields})
    breaker = None
    if found["b_name"] is not None:
        breaker = Breaker.model_validate({name: found[f"b_{name}"] for name in Breaker.model_fields})
    # Whose it is was not written down before: then it may be another one's.
    address = found["own_address"] or public_address(found["address"])
    return TrackedVideo(address=address, options=found["options"], row=row.behind(breaker))
