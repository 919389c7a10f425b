"""Every statement that we send, built with SQLAlchemy Core for SQLite and PostgreSQL alike."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Executable, Insert, case, func, null, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError

from madvision_assets.domain.documents import Json
from madvision_assets.domain.failures import CheckFailedError, QuotaSpentError, SupersededError, UnknownVideoError
from madvision_assets.domain.provenance import Provenance
from madvision_assets.domain.queue import QueueStatus
from madvision_assets.domain.stages import FIRST_STEP, resource_of
from madvision_assets.domain.urgency import CLIENT_TURN_S
from madvision_assets.domain.video import CUT_MARK, Options, RawVideo, Video
from madvision_assets.tools.database import tombstones
from madvision_assets.tools.database.running_code import Code
from madvision_assets.tools.database.tables import lineage, video_processing_queue, videos

# Of videos of the same bytes so many are looked at.
MAX_SAME = 20
# So many IDs are told in one statement; SQLite takes 32,766 values.
MAX_IDS = 1000


def upsert_video(video: Video, options: Options | None, *, sqlite: bool) -> Executable:
    """Make a video known; gives its row.

    One statement, so that any number of submitters at once leave one row; the update that changes nothing is there
    because only an updated row is returned. It leaves the key alone, or whoever writes a row that refers to it waits.
    """
    now = datetime.now(UTC)
    insert = sqlite_insert(videos) if sqlite else postgres_insert(videos)
    statement = insert.values(**video.model_dump(mode="json"), created_at=now, updated_at=now)
    change: dict[str, Any] = {"created_at": videos.c.created_at, **newest_address(statement.excluded)}
    if options:
        change |= {"options": statement.excluded.options, "updated_at": now}
    upsert = statement.on_conflict_do_update(index_elements=[videos.c.video_id], set_=change)
    return upsert.returning(videos.c.video_id, videos.c.address, videos.c.options)


def newest_address(told: Any) -> dict[str, Any]:
    """What an upsert of ``videos`` changes where another address is told: the newest counts until one has worked.

    That is as long as nothing was downloaded, and again when the download failed for good. Of a local file the newest
    place counts always.

    Args:
        told: the row that is told.
    """
    mine = lineage.c.video_id == videos.c.video_id
    worked = select(lineage.c.id).where(mine, lineage.c.asset == FIRST_STEP.value).correlate(videos).exists()
    queued = video_processing_queue.c
    failed = (
        select(queued.video_id)
        .where(
            queued.video_id == videos.c.video_id,
            queued.status == QueueStatus.FAILED.value,
            queued.pipeline_step == FIRST_STEP.value,
        )
        .correlate(videos)
        .exists()
    )
    counts = told.address.like("file:%") | ((told.address != videos.c.address) & (~worked | failed))
    return {name: case((counts, told[name]), else_=videos.c[name]) for name in ("address", "updated_at")}


def select_video(video_id: str) -> Executable:
    """The row of a video."""
    return select(videos.c.video_id, videos.c.address, videos.c.options).where(videos.c.video_id == video_id)


def note_content(document: RawVideo) -> Executable:
    """Which bytes a video is."""
    return videos.update().where(videos.c.video_id == document.video_id).values(content_sha256=document.media.sha256)


def select_by_content(sha256: str) -> Executable:
    """The IDs of videos of these bytes, oldest first."""
    same = videos.c.content_sha256 == sha256
    return select(videos.c.video_id).where(same).order_by(videos.c.created_at, videos.c.video_id).limit(MAX_SAME)


def select_cuts(uncut_id: str, most: int | None = MAX_SAME) -> Executable:
    """The IDs of a video's partitions, one for each way in which it is cut, oldest first; None: all of them."""
    column = videos.c.video_id
    cut = column.startswith(uncut_id + CUT_MARK, autoescape=True)
    return select(column).where((column == uncut_id) | cut).order_by(videos.c.created_at, column).limit(most)


def select_ids_at(address: str) -> Executable:
    """The IDs of the videos that were submitted with this address in its one spelling, oldest first."""
    column = videos.c.video_id
    return select(column).where(videos.c.address == address).order_by(videos.c.created_at, column).limit(MAX_SAME)


def select_at_same_addresses(video_ids: Collection[str]) -> Executable:
    """The IDs of all videos that have an address of the web in common with these, themselves among them.

    A local file's is no sign of it: other bytes may lie there now.
    """
    column = videos.c.address
    theirs = select(column).where(videos.c.video_id.in_(video_ids), column.startswith("http"))
    return select(videos.c.video_id).where(column.in_(theirs))


@dataclass(frozen=True)
class Told:
    """What the lineage is told of a materialisation; ``summary`` and ``made_by`` are None where nobody knows them."""

    video_id: str
    made: Provenance
    uri: str
    summary: Json | None = None
    made_by: Code | None = None


def insert_lineage(told: Told, *, sqlite: bool) -> Executable:
    """The row of a materialisation, where it is not there yet."""
    values = told.made.model_dump(mode="json", exclude={"created_at"})
    if told.made_by is not None:
        values |= {"package_version": told.made_by.version, "code_commit": told.made_by.commit}
    if told.summary is not None:
        values["summary"] = told.summary
    insert = sqlite_insert(lineage) if sqlite else postgres_insert(lineage)
    row = insert.values(**values, created_at=told.made.created_at, video_id=told.video_id, uri=told.uri)
    return row.on_conflict_do_nothing(index_elements=["run_id", "asset", "video_id", "data_version"])


def select_lineage(video_id: str) -> Executable:
    """The materialisations of a video, oldest first."""
    told = [column for column in lineage.c if column is not lineage.c.summary]
    return select(*told).where(lineage.c.video_id == video_id).order_by(lineage.c.created_at, lineage.c.id)


def upsert_queue(video: Video, priority: int, now: datetime, *, sqlite: bool) -> Executable:
    """Queue a video; gives its row. See ``queue_upsert``."""
    resource = resource_of(FIRST_STEP, video.source)
    return queue_upsert(video.video_id, video.source, resource, priority, now, sqlite=sqlite)


def queue_upsert(
    video_id: Any,
    source: Any,
    resource: Any,
    priority: Any,
    now: Any,
    *,
    sqlite: bool,
    client: Any = None,
    now_s: Any = None,
) -> Insert:
    """Queue a video; gives its row. Each argument is a value or a parameter to be bound.

    With a client, who may be NULL, the video waits for the next of his turns.

    One that is on its way only becomes more urgent; one that failed for good is tried again, since somebody asks for
    it; one that is done or parked stays as it is. One that waits for the quota of whoever submitted it before is due at
    once: somebody else may have some left.
    """
    table = video_processing_queue
    insert = sqlite_insert(table) if sqlite else postgres_insert(table)
    fresh: dict[str, Any] = {
        "status": QueueStatus.QUEUED.value,
        "priority": priority,
        "retry": 0,
        "lost_workers": 0,
        "failure_cause": None,
        "failure_details": None,
        "finished_at": None,
        "next_attempt_at": now,
        "updated_at": now,
    }
    statement = insert.values(
        video_id=video_id,
        pipeline_step=FIRST_STEP.value,
        progress=0.0,
        step_progress=0.0,
        message="",
        attempt=0,
        source=source,
        resource=resource,
        created_at=now,
        turn_of=client,
        turn_s=None if client is None else _next_turn_s(client, now_s),
        **fresh,
    )
    failed = table.c.status == QueueStatus.FAILED.value
    change: dict[str, Any] = {
        name: case((failed, getattr(statement.excluded, name)), else_=table.c[name]) for name in fresh
    }
    more_urgent = statement.excluded.priority > table.c.priority
    on_its_way = table.c.status.not_in([status.value for status in QueueStatus if status.is_final])
    change["priority"] = case(
        (failed | (on_its_way & more_urgent), statement.excluded.priority), else_=table.c.priority
    )
    # Of one that is being processed it tells when there was news of that.
    moves = failed | (on_its_way & (table.c.status != QueueStatus.RUNNING.value) & more_urgent)
    change["updated_at"] = case((moves, statement.excluded.updated_at), else_=table.c.updated_at)
    waits_for_quota = (table.c.status == QueueStatus.WAITING.value) & (table.c.failure_cause == QuotaSpentError.code)
    due_at = statement.excluded.next_attempt_at
    change["next_attempt_at"] = case((failed | waits_for_quota, due_at), else_=table.c.next_attempt_at)
    told_s, known_s = statement.excluded.turn_s, table.c.turn_s
    sooner = failed | (known_s.is_not(None) & (told_s.is_(None) | (told_s < known_s)))  # whoever's turn comes first
    change |= {name: case((sooner, statement.excluded[name]), else_=table.c[name]) for name in ("turn_of", "turn_s")}
    return statement.on_conflict_do_update(index_elements=[table.c.video_id], set_=change).returning(*table.c)


def _next_turn_s(client: Any, now_s: Any) -> Any:
    """When a client's next turn is: now, or so much after that of his last video that waits."""
    others = video_processing_queue.alias("others")
    mine = select(func.max(others.c.turn_s)).where(others.c.turn_of == client, others.c.turn_s.is_not(None))
    after_s = mine.scalar_subquery() + CLIENT_TURN_S
    return case((client.is_(None), null()), (after_s > now_s, after_s), else_=now_s)


def queue_known(connection: Connection, video_id: str, now: datetime) -> None:
    """Queue a video that somebody submitted.

    Raises:
        UnknownVideoError: nobody did, or it is forgotten just now.
    """
    video = require_video(connection, video_id)
    try:
        connection.execute(upsert_queue(video, 0, now, sqlite=connection.dialect.name == "sqlite"))
    except IntegrityError as error:  # the reference to `videos`
        raise UnknownVideoError(video_id) from error


def require_video(connection: Connection, video_id: str) -> Video:
    """The row of a video.

    Raises:
        UnknownVideoError: there is none; a ForgottenVideoError where there was one.
    """
    row = connection.execute(select_video(video_id)).mappings().one_or_none()
    if row is None:
        tombstone = tombstones.find(connection, video_id)
        raise tombstone.failure(video_id) if tombstone else UnknownVideoError(video_id)
    return Video.model_validate(row)


def require_lease(connection: Connection, video_id: str, run_id: str) -> None:
    """Return where a run may publish for a video: it holds the lease, or the video is known and was never queued.

    A run that has just ended the video may tell the same again, where it did not hear that it was told; also one whose
    document was turned down, which is still to be pointed to.

    Raises:
        SupersededError: a later attempt has taken it over.
        UnknownVideoError: nobody submitted it, or it was forgotten since.
    """
    table = video_processing_queue
    columns = table.c.status, table.c.run_id, table.c.attempt, table.c.failure_cause
    query = select(*columns).where(table.c.video_id == video_id)
    row = connection.execute(query.with_for_update(read=True)).one_or_none()
    if row is None:
        require_video(connection, video_id)
        return
    may = {QueueStatus.RUNNING.value, QueueStatus.DONE.value}
    turned_down = (row.status, row.failure_cause) == (QueueStatus.FAILED.value, CheckFailedError.code)
    if row.run_id != run_id or not (row.status in may or turned_down):
        raise SupersededError(f"attempt {row.attempt} is {row.status}")
