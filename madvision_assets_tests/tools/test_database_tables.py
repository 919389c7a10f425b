"""The database's contract: the same claims on SQLite and on a real PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import ValidationError
from sqlalchemy import create_engine, func, inspect, select
from sqlalchemy.exc import IntegrityError, StatementError

from madvision_assets.domain.failures import SchemaOutdatedError, UnknownVideoError
from madvision_assets.domain.provenance import Provenance
from madvision_assets.domain.video import Options, Video
from madvision_assets.tools.database import Database, schema
from madvision_assets.tools.database.tables import lineage, metadata, videos
from madvision_assets_tests.databases import KINDS, new_database, url_of
from madvision_assets_tests.stores import (
    MADE_AT,
    VIDEO_ID,
    clip_candidates,
    content_type,
    raw_video,
    transcript,
)

ADDRESS = "http://example.org/talk.mp4"


# What the table knows of a materialisation beside its provenance block.
ROW_ALONE = {"id", "video_id", "uri", "package_version", "code_commit"}


@pytest.fixture(params=KINDS)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables."""
    with new_database(request.param, request, tmp_path) as database:
        yield database


@pytest.fixture
def database(empty: Database) -> Database:
    empty.migrate()
    return empty


# --- schema ---


def test_migrations_go_up_down_and_up_again(empty: Database) -> None:
    assert empty.schema_state().current is None
    empty.migrate()
    assert empty.schema_state().is_usable
    schema.downgrade(empty.engine, "base")
    assert set(inspect(empty.engine).get_table_names()) <= {"alembic_version"}
    empty.migrate()
    empty.migrate()
    assert empty.schema_state().is_usable
    empty.check()


# SQLite cannot tell what expression an index is over.
OVER_EXPRESSIONS = {f"ix_video_processing_queue_{name}" for name in ("due", "in_line", "turn")}
# What FTS5 makes for itself, and the index that PostgreSQL has in place of it.
OF_FTS5 = {f"spoken_words{part}" for part in ("", "_config", "_data", "_idx")} | {"ix_spoken_passages_words"}


def test_the_migrated_schema_is_the_one_that_the_statements_are_written_for(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_object": lambda _, name, *__: name not in OVER_EXPRESSIONS | OF_FTS5,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_constraints_of_the_migration_and_the_tables_bear_the_same_names(database: Database, tmp_path: Path) -> None:
    if database.engine.dialect.name == "postgresql":
        database.migrate()
        migrated = {c["name"] for t in ("videos", "lineage") for c in inspect(database.engine).get_check_constraints(t)}
        assert migrated == {"ck_videos_video_id", "ck_lineage_cost_usd", "ck_lineage_wall_s"}
    else:
        plain = create_engine(f"sqlite:///{tmp_path / 'plain.db'}")
        metadata.create_all(plain)
        for table in ("videos", "lineage"):
            checks = [
                {(c["name"], c["sqltext"]) for c in inspect(engine).get_check_constraints(table)}
                for engine in (plain, database.engine)
            ]
            assert checks[0] == checks[1]
        plain.dispose()


def test_an_empty_database_is_outdated_until_it_is_migrated(empty: Database) -> None:
    with pytest.raises(SchemaOutdatedError, match="revision none"):
        empty.check()
    with pytest.raises(SchemaOutdatedError):
        empty.get_video(VIDEO_ID)


def test_sqlite_migrates_itself_and_postgresql_asks_to_be_migrated(empty: Database) -> None:
    if empty.engine.dialect.name == "sqlite":
        empty.ensure_schema()
    else:
        with pytest.raises(SchemaOutdatedError, match="madvision migrate"):
            empty.ensure_schema()
        empty.migrate()
    empty.ensure_schema()
    empty.check()

    assert empty.schema_state().is_usable


def test_several_that_migrate_at_once_all_end_well(empty: Database) -> None:
    others = [Database(url_of(empty)) for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(other.migrate) for other in others]:
            done.result(60)
    for other in others:
        other.engine.dispose()

    state = empty.schema_state()
    assert state.current == state.head
    assert set(inspect(empty.engine).get_table_names()) >= set(metadata.tables)


# --- videos ---


def test_a_video_is_known_once_it_was_added(database: Database) -> None:
    with pytest.raises(UnknownVideoError, match=VIDEO_ID):
        database.get_video(VIDEO_ID)

    added = database.add_video(VIDEO_ID, ADDRESS, Options(max_clips=3))

    assert added == database.get_video(VIDEO_ID)
    assert added == Video(video_id=VIDEO_ID, address=ADDRESS, options=Options(max_clips=3))


def test_adding_a_video_again_keeps_the_address_that_has_worked(database: Database) -> None:
    database.add_video(VIDEO_ID, ADDRESS)
    database.add_lineage(raw_video(), "memory://a")

    again = database.add_video(VIDEO_ID, "http://other.example/", None)

    assert again.address == ADDRESS


def test_options_change_only_when_some_are_given(database: Database) -> None:
    database.add_video(VIDEO_ID, ADDRESS, Options(max_clips=3))

    assert database.add_video(VIDEO_ID, ADDRESS).options.max_clips == 3
    assert database.add_video(VIDEO_ID, ADDRESS, Options(max_clips=5)).options.max_clips == 5
    assert database.get_video(VIDEO_ID).options.max_clips == 5


def test_a_row_says_when_it_was_made_and_when_it_changed(database: Database) -> None:
    before = datetime.now(UTC)
    database.add_video(VIDEO_ID, ADDRESS)
    database.add_video(VIDEO_ID, ADDRESS, Options(max_clips=5))

    with database.engine.connect() as connection:
        row = connection.execute(select(videos.c.created_at, videos.c.updated_at)).one()

    assert before <= row.created_at < row.updated_at <= datetime.now(UTC)
    assert row.created_at.utcoffset() == timedelta(0)


def test_eight_threads_that_add_one_video_leave_one_row(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda n: database.add_video(VIDEO_ID, f"http://example.org/{n}"), range(8)))

    assert database.get_video(VIDEO_ID).address in {video.address for video in added}
    with database.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(videos)).scalar_one() == 1


IDS = {
    "a": True,
    "youtube-dQw4_w9": True,
    "a" * 100: True,
    "a" * 101: False,
    "": False,
    "-a": False,
    "a.b": False,
    "ä": False,
}


@pytest.mark.parametrize(("video_id", "fine"), IDS.items())
def test_an_id_that_is_none_is_refused_by_us_and_by_the_database(
    database: Database, video_id: str, *, fine: bool
) -> None:
    row = {"video_id": video_id, "address": ADDRESS, "options": {}, "created_at": MADE_AT, "updated_at": MADE_AT}
    if fine:
        assert database.add_video(video_id, ADDRESS).video_id == video_id
        return
    with pytest.raises(ValidationError):
        database.add_video(video_id, ADDRESS)
    with pytest.raises((IntegrityError, StatementError)), database.engine.begin() as connection:
        connection.execute(videos.insert().values(row))


def test_an_address_is_kept_to_the_letter(database: Database) -> None:
    address = 'file:///tmp/It\'s "quoted" 🎬; DROP TABLE videos; --%s?a=:b'

    database.add_video(VIDEO_ID, address)

    assert database.get_video(VIDEO_ID).address == address


# --- lineage ---


def test_a_materialisation_comes_back_with_all_of_its_provenance(database: Database) -> None:
    raw = raw_video()
    spoken = transcript(raw, "one")
    document = clip_candidates(
        raw, spoken, content_type(raw, spoken), parameters={"seed": 1, "vad": True, "t": None}, usage={"in": 5}
    )
    database.add_video(VIDEO_ID, ADDRESS)

    database.add_lineage(document, "s3://bucket/key")
    (row,) = database.lineage_of(VIDEO_ID)

    assert Provenance(**row.model_dump(exclude=ROW_ALONE)) == document.origin
    assert (row.video_id, row.uri) == (VIDEO_ID, "s3://bucket/key")
    assert [i.asset for i in row.inputs] == ["raw_video", "transcript", "content_type"]


def test_the_same_materialisation_told_twice_is_one_row(database: Database) -> None:
    document = raw_video()
    database.add_video(VIDEO_ID, ADDRESS)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: database.add_lineage(document, "memory://a"), range(8)))

    assert len(database.lineage_of(VIDEO_ID)) == 1


def test_another_run_is_another_row_and_rows_come_oldest_first(database: Database) -> None:
    raw = raw_video()
    database.add_video(VIDEO_ID, ADDRESS)
    for run_id in ("b", "a", "c"):
        database.add_lineage(transcript(raw, "one", run_id=run_id), "memory://a")

    assert [row.run_id for row in database.lineage_of(VIDEO_ID)] == ["b", "a", "c"]
    assert database.lineage_of("another") == []


def test_a_materialisation_of_a_video_that_nobody_submitted_is_refused(database: Database) -> None:
    with pytest.raises(UnknownVideoError, match=VIDEO_ID):
        database.add_lineage(raw_video(), "memory://a")


def test_the_database_refuses_a_negative_cost(database: Database) -> None:
    database.add_video(VIDEO_ID, ADDRESS)
    database.add_lineage(raw_video(), "memory://a")

    with pytest.raises(IntegrityError), database.engine.begin() as connection:
        connection.execute(lineage.update().values(cost_usd=-0.01))


def test_a_naive_moment_is_refused(database: Database) -> None:
    naive = MADE_AT.replace(tzinfo=None)
    with pytest.raises(StatementError, match="naive"), database.engine.begin() as connection:
        connection.execute(videos.update().values(updated_at=naive))
