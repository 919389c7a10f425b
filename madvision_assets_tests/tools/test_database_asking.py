"""Claims about questions in SQL: answered on both databases, and nothing can be changed by asking."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from madvision_assets.tools.database import Database
from madvision_assets.tools.database.asking import QuestionRefusedError, asked
from madvision_assets_tests.databases import KINDS, new_database, submit
from madvision_assets_tests.stores import MADE_AT


@pytest.fixture(params=KINDS, scope="module")
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with new_database(request.param, request, tmp_path_factory.mktemp("asking")) as made:
        made.migrate()
        submit(made, *range(1, 2501), at=MADE_AT)
        yield made


def rows_of(database: Database, sql: str) -> list[tuple[object, ...]]:
    with asked(database, sql) as answer:
        return list(answer.rows)


def count(database: Database) -> object:
    with database.reading() as connection:
        return connection.execute(text("SELECT count(*) FROM videos")).scalar_one()


def test_all_rows_come_in_their_order(database: Database) -> None:
    with asked(
        database, "SELECT video_id AS id, 7 AS seven FROM videos ORDER BY length(video_id), video_id;"
    ) as answer:
        assert answer.columns == ("id", "seven")
        assert list(answer.rows) == [(f"web-{number}", 7) for number in range(1, 2501)]


def test_percent_signs_colons_and_quotes_are_the_askers_own(database: Database) -> None:
    found = rows_of(
        database, "SELECT count(*) FROM videos WHERE video_id LIKE 'web-1%' AND ':x' <> '%s' AND 'it''s' <> ''"
    )

    assert found == [(1111,)]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM videos",
        "SELECT 1; DELETE FROM videos",
        "SELECT 1; COMMIT; DELETE FROM videos; SELECT 1",
        "COMMIT",
        "WITH gone AS (DELETE FROM videos RETURNING video_id) SELECT * FROM gone",
        "UPDATE videos SET address = '' RETURNING video_id",
        "DROP TABLE videos",
        "CREATE TABLE mine (x int)",
        "CREATE TEMP TABLE mine AS SELECT 1 AS x",
        "PRAGMA query_only = 0",
        "ATTACH DATABASE 'other.db' AS other",
        "SET TRANSACTION READ WRITE",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT load_extension('x')",
        "VACUUM",
        "SELEC 1",
        "SELECT nothing FROM videos",
        "",
        "-- nothing",
        "\0",
    ],
)
def test_what_does_more_than_read_is_refused_with_a_sentence(database: Database, sql: str) -> None:
    before = count(database)

    with pytest.raises(QuestionRefusedError, match=r"\.$"):
        rows_of(database, sql)

    assert count(database) == before
    with database.writing() as connection:  # nothing of the question stays behind
        connection.execute(text("UPDATE videos SET updated_at = created_at WHERE video_id = 'web-1'"))


def test_an_error_in_the_middle_of_the_answer_is_a_sentence_too(database: Database) -> None:
    broken = (
        "SELECT abs(-9223372036854775807 - (video_id = 'web-2400')) FROM videos ORDER BY length(video_id), video_id"
        if database.is_sqlite
        else "SELECT 1 / (length(video_id) - 8) FROM videos ORDER BY length(video_id), video_id"
    )

    with pytest.raises(QuestionRefusedError), asked(database, broken) as answer:
        list(answer.rows)


def test_the_index_of_the_search_is_told_apart_from_what_can_be_asked(database: Database) -> None:
    wanted = "Ask spoken_passages" if database.is_sqlite else "does not exist"

    with pytest.raises(QuestionRefusedError, match=wanted), asked(database, "SELECT * FROM spoken_words"):
        pass
    with asked(database, "SELECT count(*) FROM spoken_passages") as answer:
        assert list(answer.rows) == [(0,)]
