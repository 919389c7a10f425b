"""What a real PostgreSQL says to those it turns away, and what a person is told of it."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import URL, NullPool, create_engine, make_url, text

from madvision_assets.domain.failures import DatabaseDeniedError, DatabaseUnavailableError, Failure
from madvision_assets.tools.database import Database
from madvision_assets_tests.real_servers import over_tcp, postgres

WRONG_PASSWORD = "open-sesame"
STRANGER = "stranger"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """A server that asks for a password, and knows a stranger who may log in and nothing else."""
    with postgres(tmp_path_factory.mktemp("postgres")) as url:
        with create_engine(url, poolclass=NullPool).begin() as connection:
            connection.execute(text(f"CREATE ROLE {STRANGER} LOGIN PASSWORD '{STRANGER}'"))
        yield make_url(over_tcp(url))


def failure_of(address: URL) -> Failure:
    """What ``madvision migrate`` ends with there."""
    database = Database(address.render_as_string(hide_password=False))
    try:
        with pytest.raises(Failure) as told:
            database.migrate()
    finally:
        database.engine.dispose()
    return told.value


@pytest.mark.parametrize(
    ("wrong", "details"),
    [
        (lambda right: right.set(password=WRONG_PASSWORD), 'password authentication failed for user "postgres"'),
        (lambda right: right._replace(password=None), "no password supplied"),
        (lambda right: right.set(username="nobody-here", password=WRONG_PASSWORD), "nobody-here"),
        (lambda right: right.set(database="nowhere"), 'database "nowhere" does not exist'),
        (lambda right: right.set(username=STRANGER, password=STRANGER), "permission denied for schema public"),
    ],
)
def test_who_is_turned_away_is_told_which_variable_to_look_at(
    address: URL, wrong: Callable[[URL], URL], details: str
) -> None:
    failure = failure_of(wrong(address))

    assert type(failure) is DatabaseDeniedError
    assert "MADVISION_DATABASE_URL" in failure.sentence
    assert details in failure.details
    assert WRONG_PASSWORD not in str(failure)


@pytest.mark.parametrize(
    ("wrong", "details"),
    [
        (lambda right: right.set(port=9), "Connection refused"),
        (lambda right: right.set(host="nosuch.invalid"), "nosuch.invalid"),
    ],
)
def test_a_server_that_is_not_there_is_told_apart(address: URL, wrong: Callable[[URL], URL], details: str) -> None:
    failure = failure_of(wrong(address))

    assert type(failure) is DatabaseUnavailableError
    assert "MADVISION_DATABASE_URL" in failure.sentence
    assert details in failure.details


def test_a_port_that_is_no_number_is_refused_without_showing_the_password() -> None:
    with pytest.raises(ValueError, match="MADVISION_DATABASE_URL") as refused:
        Database(f"postgresql://someone:{WRONG_PASSWORD}@db.example:port/madvision")

    assert WRONG_PASSWORD not in str(refused.value)
