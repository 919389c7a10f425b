"""The tables, as SQLAlchemy Core sees them; the migrations make them, and a test compares the two."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
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
)
from sqlalchemy.dialects.postgresql import JSONB

from madvision_assets.domain.provenance import VIDEO_ID_PATTERN

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


def as_utc(moment: datetime) -> datetime:
    """The same point in time, in UTC.

    Raises:
        ValueError: it is naive.
    """
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError(f"{moment!r} is naive: give it a time zone")
    return moment.astimezone(UTC)


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
    *(CheckConstraint(text, name="video_id").ddl_if(dialect=name) for name, text in VIDEO_ID_CHECKS.items()),
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
    # Dagster runs a step at least once: the same materialisation told twice is one row.
    UniqueConstraint("run_id", "asset", "video_id", "data_version"),
    CheckConstraint("cost_usd >= 0", name="cost_usd"),
    CheckConstraint("wall_s >= 0", name="wall_s"),
    Index(None, "video_id", "created_at"),
    Index(None, "created_at"),
)
