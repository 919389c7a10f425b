"""The statements that take a submission in, compiled once.

SQLAlchemy caches no upsert, and to compile one takes a millisecond. On PostgreSQL they are one statement, and so one
way there and back.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from sqlalchemy import Compiled, Connection, Dialect, Executable, Row, bindparam, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from madvision_assets.tools.database.rows import QueueRow
from madvision_assets.tools.database.statements import newest_address, queue_upsert
from madvision_assets.tools.database.tables import submissions, video_processing_queue, videos


def admit(connection: Connection, parameters: Mapping[str, Any]) -> QueueRow:
    """Make the video known, queue it, and write the submission down; gives the queue's row.

    Args:
        connection: of a transaction that writes.
        parameters: a value for each ``p_*`` below.
    """
    found: list[Row[Any]] = []
    for statement in _compiled(connection.dialect):
        result = connection.execute(cast("Executable", statement), parameters)
        found += result.all() if result.returns_rows else []
    (row,) = found
    return QueueRow.model_validate(row._asdict())


@cache
def _compiled(dialect: Dialect) -> tuple[Compiled, ...]:
    sqlite = dialect.name == "sqlite"
    queueing = queue_upsert(
        _parameter("video_id", video_processing_queue.c.video_id),
        _parameter("source", video_processing_queue.c.source),
        _parameter("resource", video_processing_queue.c.resource),
        _parameter("priority", video_processing_queue.c.priority),
        _parameter("now", video_processing_queue.c.created_at),
        sqlite=sqlite,
        client=_parameter("client", video_processing_queue.c.turn_of),
        now_s=_parameter("now_s", video_processing_queue.c.turn_s),
    )
    if sqlite:
        inserts = (_upsert_video(sqlite=True), queueing, _insert(sqlite=True))
        return tuple(each.compile(dialect=dialect) for each in inserts)
    queued = queueing.cte("queued")
    others = _upsert_video(sqlite=False).cte("known"), _insert(sqlite=False).cte("submitted")
    return (select(queued).add_cte(*others).compile(dialect=dialect),)


def _upsert_video(*, sqlite: bool) -> Any:
    """The address as ``newest_address`` says; the first options told are kept."""
    insert = sqlite_insert(videos) if sqlite else postgres_insert(videos)
    now = _parameter("now", videos.c.created_at)
    row = insert.values(
        video_id=_parameter("video_id", videos.c.video_id),
        address=_parameter("address", videos.c.address),
        options=_parameter("options", videos.c.options),
        created_at=now,
        updated_at=now,
    )
    return row.on_conflict_do_update(index_elements=[videos.c.video_id], set_=newest_address(row.excluded))


def _insert(*, sqlite: bool) -> Any:
    """Once, however often it is tried: the token is made before."""
    insert = sqlite_insert(submissions) if sqlite else postgres_insert(submissions)
    row = insert.values(
        token_hash=_parameter("token_hash", submissions.c.token_hash),
        video_id=_parameter("video_id", submissions.c.video_id),
        callback_url=_parameter("callback_url", submissions.c.callback_url),
        callback_secret=_parameter("callback_secret", submissions.c.callback_secret),
        created_at=_parameter("now", submissions.c.created_at),
        address=_parameter("address", submissions.c.address),
        submitter=_parameter("submitter", submissions.c.submitter),
    )
    return row.on_conflict_do_nothing(index_elements=[submissions.c.token_hash])


def _parameter(name: str, column: Any) -> Any:
    return bindparam(f"p_{name}", type_=column.type)
