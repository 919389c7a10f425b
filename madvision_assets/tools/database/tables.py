"""The tables, as SQLAlchemy Core sees them; the migrations make them, and a test compares the two."""

from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from madvision_assets.domain.breakers import BreakerState
from madvision_assets.domain.paying import CallState
from madvision_assets.domain.provenance import VIDEO_ID_PATTERN
from madvision_assets.domain.queue import MAX_PRIORITY, QueueStatus
from madvision_assets.domain.tombstones import ForgottenBy

VIDEO_ID_CHARS = 100
# SQLite has no regular expressions: the same set of strings as VIDEO_ID_PATTERN, in its own wildcards.
VIDEO_ID_CHECKS = {
    "postgresql": f"video_id ~ '{VIDEO_ID_PATTERN}'",
    "sqlite": (
        "video_id GLOB '[A-Za-z0-9]*' AND video_id NOT GLOB '*[^A-Za-z0-9_-]*' "
        f"AND length(video_id) <= {VIDEO_ID_CHARS}"
    ),
}
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """A timezone-aware point in time; kept in UTC, and given back in UTC by SQLite too, which forgets time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC.

        Raises:
            ValueError: a naive datetime, which names no point in time.
        """
        if value is None:
            return None
        moment = as_utc(value)
        return moment if dialect.name == "postgresql" else moment.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From UTC."""
        if value is None:
            return None
        return value.astimezone(UTC) if dialect.name == "postgresql" else value.replace(tzinfo=UTC)


class PlainText(TypeDecorator[str]):
    """Words of others, kept without what a database refuses in a text: NUL, and halves of characters."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        """Without them."""
        return None if value is None else value.replace("\0", "").encode(errors="replace").decode()


def as_utc(moment: datetime) -> datetime:
    """The same point in time, in UTC.

    Raises:
        ValueError: it is naive.
    """
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError(f"{moment!r} is naive: give it a time zone")
    return moment.astimezone(UTC)


def one_of(column: str, values: type[StrEnum]) -> str:
    """The condition that a column holds one of these, or nothing."""
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"


BIG_ID = BigInteger().with_variant(Integer(), "sqlite")  # only INTEGER counts up by itself there
JSON_DOCUMENT = JSON().with_variant(JSONB(), "postgresql")

metadata = MetaData(naming_convention=NAMING_CONVENTION)

videos = Table(
    "videos",
    metadata,
    Column("video_id", String(VIDEO_ID_CHARS), primary_key=True),
    Column("address", Text, nullable=False),
    Column("options", JSON_DOCUMENT, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("content_sha256", String(64)),  # of the media as they are kept, hex: videos of the same bytes share work
    *(CheckConstraint(text, name="video_id").ddl_if(dialect=name) for name, text in VIDEO_ID_CHECKS.items()),
    Index(None, "content_sha256"),
)

lineage = Table(
    "lineage",
    metadata,
    Column("id", BIG_ID, primary_key=True),
    Column("video_id", String(VIDEO_ID_CHARS), ForeignKey("videos.video_id"), nullable=False),
    Column("asset", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("code_version", Text, nullable=False),
    Column("data_version", Text, nullable=False),
    Column("uri", Text, nullable=False),
    Column("inputs", JSON_DOCUMENT, nullable=False),
    Column("engine", Text, nullable=False),
    Column("engine_version", Text, nullable=False),
    Column("model", Text),
    Column("prompt_version", Text),
    Column("prompt_hash", Text),
    Column("parameters", JSON_DOCUMENT, nullable=False),
    Column("cost_usd", Double, nullable=False),
    Column("usage", JSON_DOCUMENT, nullable=False),
    Column("wall_s", Double, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("taken_from", Text),  # key of the document of another video whose work it is
    Column("summary", JSON_DOCUMENT),  # see domain/summaries.py; None where an older version wrote the row
    Column("package_version", Text),  # of the program that made it; likewise
    Column("code_commit", Text),  # likewise, where it is known
    # Dagster runs a step at least once: the same materialisation told twice is one row.
    UniqueConstraint("run_id", "asset", "video_id", "data_version"),
    CheckConstraint("cost_usd >= 0", name="cost_usd"),
    CheckConstraint("wall_s >= 0", name="wall_s"),
    Index(None, "video_id", "created_at"),
    Index(None, "created_at"),
)

# Who may move from which state to which is kept by a trigger, made by migration 0002.
DUE_STATES = text("status IN ('queued', 'waiting')")
# Of these, the rows whose turn is when they are due; and those of clients, who take turns (``domain.urgency``).
# The states are named the other way round, or SQLite takes the index of all due rows for these.
IN_LINE = text("status IN ('waiting', 'queued') AND turn_s IS NULL")
TAKING_TURNS = text("status IN ('queued', 'waiting') AND turn_s IS NOT NULL")
video_processing_queue = Table(
    "video_processing_queue",
    metadata,
    Column("video_id", String(VIDEO_ID_CHARS), ForeignKey("videos.video_id"), primary_key=True),
    Column("status", Text, nullable=False),
    Column("pipeline_step", Text, nullable=False),  # the one under way, or the next one to be done
    Column("progress", Double, nullable=False),  # of the whole, 0 to 1
    Column("step_progress", Double, nullable=False),
    Column("message", PlainText, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("retry", Integer, nullable=False),
    Column("lost_workers", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),  # counts the attempts: the fencing token
    Column("failure_cause", Text),
    Column("failure_details", PlainText),
    Column("next_attempt_at", UtcDateTime, nullable=False),
    Column("heartbeat_at", UtcDateTime),
    Column("run_id", Text),
    Column("from_step", Text),  # asked for: do this step and all later ones again
    Column("source", Text, nullable=False),
    Column("resource", Text),  # name of the breaker that guards pipeline_step
    Column("outcome", Text),
    Column("outcome_reason", PlainText),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("turn_of", Text),  # the client who takes turns with others by it, until it is claimed first
    Column("turn_s", Double),  # when, seconds since 1970; each of a client's videos that are queued is an hour later
    CheckConstraint(one_of("status", QueueStatus), name="status"),
    CheckConstraint("progress >= 0 AND progress <= 1", name="progress"),
    CheckConstraint("step_progress >= 0 AND step_progress <= 1", name="step_progress"),
    CheckConstraint(f"priority BETWEEN -{MAX_PRIORITY} AND {MAX_PRIORITY}", name="priority"),
    CheckConstraint("retry >= 0 AND lost_workers >= 0 AND attempt >= 0", name="counts"),
    CheckConstraint("status <> 'done' OR outcome IS NOT NULL", name="outcome"),
    CheckConstraint("status NOT IN ('failed', 'parked') OR failure_cause IS NOT NULL", name="failure_cause"),
    # What the version before asks by; the sensor's questions are answered from the front of the two after it.
    Index(
        "ix_video_processing_queue_due",
        text("priority DESC"),
        "next_attempt_at",
        "video_id",
        sqlite_where=DUE_STATES,
        postgresql_where=DUE_STATES,
    ),
    Index(
        "ix_video_processing_queue_in_line",
        text("priority DESC"),
        "next_attempt_at",
        "video_id",
        sqlite_where=IN_LINE,
        postgresql_where=IN_LINE,
    ),
    Index(
        "ix_video_processing_queue_turn",
        text("priority DESC"),
        "turn_s",
        "video_id",
        sqlite_where=TAKING_TURNS,
        postgresql_where=TAKING_TURNS,
    ),
    Index(
        "ix_video_processing_queue_turn_of",
        "turn_of",
        "turn_s",
        sqlite_where=text("turn_s IS NOT NULL"),
        postgresql_where=text("turn_s IS NOT NULL"),
    ),
    Index(None, "status", "pipeline_step"),
    Index(None, "failure_cause"),
)

submissions = Table(
    "submissions",
    metadata,
    Column("token_hash", String(64), primary_key=True),  # sha256 of the token, hex; the token itself is kept nowhere
    Column("video_id", String(VIDEO_ID_CHARS), ForeignKey("videos.video_id"), nullable=False),
    Column("callback_url", Text),
    Column("callback_secret", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("address", Text),  # as this submitter gave it, secrets and all: shown to nobody else
    Column("submitter", Text),  # who (domain/submitters.py); None where an older version took it in
    Index(None, "video_id"),
)

processing_attempts = Table(
    "processing_attempts",
    metadata,
    Column("video_id", String(VIDEO_ID_CHARS), ForeignKey("videos.video_id"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("run_id", Text),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("pipeline_step", Text, nullable=False),  # where it ended, or is
    Column("status", Text, nullable=False),  # of the queue after it
    Column("failure_cause", Text),
    Column("failure_details", PlainText),
    Column("refused", Boolean),  # by an open breaker: it tried nothing, and is no news of what failed
    CheckConstraint(one_of("status", QueueStatus), name="status"),
    Index(None, "failure_cause"),
    Index(None, "ended_at"),
)

breakers = Table(
    "breakers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("cause", Text),
    Column("details", PlainText, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("trips", Integer, nullable=False),
    Column("opened_at", UtcDateTime),
    Column("probe_at", UtcDateTime),
    Column("probe_video_id", Text),
    Column("probe_expires_at", UtcDateTime),
    CheckConstraint(one_of("state", BreakerState), name="state"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", BIG_ID, primary_key=True),
    Column("token_hash", String(64), ForeignKey("submissions.token_hash"), nullable=False),
    Column("video_id", String(VIDEO_ID_CHARS), nullable=False),
    Column("attempt", Integer, nullable=False),  # of the queue: each end of processing is told once
    Column("status", Text, nullable=False),  # of the queue, when it ended
    Column("tries", Integer, nullable=False),
    Column("next_try_at", UtcDateTime),  # None: delivered, or given up
    Column("delivered_at", UtcDateTime),
    Column("last_error", PlainText),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("token_hash", "attempt"),
    Index(None, "next_try_at"),
)

# Files that are being sent to us, and those that were, for as long as anything of them is kept beside the video.
uploads = Table(
    "uploads",
    metadata,
    Column(
        "secret_hash", String(64), primary_key=True
    ),  # sha256 of the secret in the upload's address, which is kept nowhere
    Column("place", String(32), nullable=False),  # its folder in the store
    Column("client", Text, nullable=False),  # who sends it (domain/submitters.py)
    Column("name", PlainText, nullable=False),  # of the file
    Column("size_bytes", BigInteger, nullable=False),
    Column("offset_bytes", BigInteger, nullable=False),  # so many have come, and are kept
    Column("chain", Text, nullable=False),  # over the hashes of its whole blocks
    Column("writer", Integer, nullable=False),  # counts those who wrote: the fencing token
    Column("asked", JSON_DOCUMENT, nullable=False),  # of the video: options, priority, callback
    Column("video_id", String(VIDEO_ID_CHARS)),  # once it is whole, and became a submission
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("swept_at", UtcDateTime),  # since then nothing of it is in the store
    UniqueConstraint("place"),
    CheckConstraint("offset_bytes >= 0 AND offset_bytes <= size_bytes", name="offset_bytes"),
    Index(None, "expires_at"),
    Index(None, "video_id"),
)

# Signs of life of parts that have no row of their own, such as the sensors.
heartbeats = Table(
    "heartbeats",
    metadata,
    Column("name", Text, primary_key=True),
    Column("beat_at", UtcDateTime, nullable=False),
)

# What was taken in for whom, for as long as a day's quota asks.
intakes = Table(
    "intakes",
    metadata,
    Column("id", BIG_ID, primary_key=True),
    Column("submitter", Text, nullable=False),
    Column("video_id", String(VIDEO_ID_CHARS), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("media_s", Double, nullable=False),
    Column("taken_at", UtcDateTime, nullable=False),
    Index(None, "submitter", "taken_at"),
    Index(None, "video_id"),
)

# What is said in each video's newest transcript, a passage a row (domain/spoken.py). SQLite keeps an index of the words
# besides, in tables and by triggers that migration 0010 makes.
spoken_passages = Table(
    "spoken_passages",
    metadata,
    Column("id", BIG_ID, primary_key=True),
    Column("video_id", String(VIDEO_ID_CHARS), ForeignKey("videos.video_id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("data_version", Text, nullable=False),  # of the transcript, and of the rule: "3f2a…/2"
    Column("sentences", JSON_DOCUMENT, nullable=False),  # a list of [start_s, end_s, text]
    Column("words", TSVECTOR().with_variant(Text(), "sqlite"), nullable=False),
    UniqueConstraint("video_id", "number"),
    Index("ix_spoken_passages_words", "words", postgresql_using="gin", postgresql_with={"fastupdate": "off"}).ddl_if(
        dialect="postgresql"
    ),
)

# That videos were which are forgotten: nothing of what they were, of where they came from, or of who submitted them.
tombstones = Table(
    "tombstones",
    metadata,
    Column("video_key", String(64), primary_key=True),  # sha256 of the ID, which is kept nowhere
    Column("forgotten_at", UtcDateTime, nullable=False),
    Column("forgotten_by", Text, nullable=False),
    Column("documents", Integer, nullable=False),  # that its stages had made
    CheckConstraint(one_of("forgotten_by", ForgottenBy), name="forgotten_by"),
)

# Every call that is paid for, from before it is made: what it may cost at most counts until it is known what it did.
paid_calls = Table(
    "paid_calls",
    metadata,
    Column("id", BIG_ID, primary_key=True),
    Column("video_id", String(VIDEO_ID_CHARS)),  # None once the video is forgotten: what was paid stays paid
    Column("step", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("prompt_version", Text, nullable=False),
    Column("reserved_usd", Double, nullable=False),
    Column("cost_usd", Double, nullable=False),
    Column("doubtful_usd", Double, nullable=False),  # paid at most besides: nobody said what became of the call
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("estimated", Boolean, nullable=False),  # counted by us, since the API did not say
    Column("cause", Text),  # of its failure
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),  # whoever made it is dead then
    Column("settled_at", UtcDateTime),
    CheckConstraint(one_of("state", CallState), name="state"),
    CheckConstraint("reserved_usd >= 0 AND cost_usd >= 0 AND doubtful_usd >= 0", name="usd"),
    Index(None, "video_id"),
    Index(None, "created_at"),
)

# What one installation has of its own.
installation = Table(
    "installation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
