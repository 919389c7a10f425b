"""What ``/readyz`` tells while versions change, and where secrets are wrong."""

from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from madvision_assets.settings import Settings
from madvision_assets_tests.intake.serving import postgres_database, serving, settings_in
from madvision_assets_tests.real_servers import S3Server, over_tcp

WRONG = "open-sesame"


def readiness(settings: Settings, *, migrate: bool = True) -> tuple[int, str]:
    """Status and words of ``/readyz``."""
    with serving(settings, migrate=migrate) as intake:
        answer = intake.client.get("/readyz")
    return answer.status_code, answer.text


def test_while_a_newer_version_has_migrated_submissions_are_taken(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with serving(settings) as intake:
        with intake.services.database.writing() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '0099'"))
        answer = intake.client.get("/readyz")

        assert intake.submit()["status"] == "queued"
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert "of a newer version (0099)" in answer.text


def test_a_wrong_password_of_the_database_is_told_by_its_variable(tmp_path: Path, postgres_url: str) -> None:
    with postgres_database(postgres_url) as url:
        wrong = make_url(over_tcp(url)).set(password=WRONG).render_as_string(hide_password=False)
        status, told = readiness(settings_in(tmp_path, database_url=wrong), migrate=False)

    assert status == 503
    assert "password and database name in MADVISION_DATABASE_URL" in told
    assert WRONG not in told


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ({"AWS_REGION": "eu-central-1"}, "Set AWS_REGION to the bucket's own"),
        ({"AWS_SECRET_ACCESS_KEY": WRONG}, "AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY"),
        ({"MADVISION_STORE_URL": "s3://no-such-bucket/x"}, "Check the bucket in MADVISION_STORE_URL"),
    ],
)
def test_a_store_that_refuses_us_is_told_by_its_variable(
    tmp_path: Path, s3_server: S3Server, given: dict[str, str], advice: str
) -> None:
    named = {**s3_server.environment(), **given}
    aws = {name: value for name, value in named.items() if name.startswith("AWS_")}
    s3_server.create_bucket("madvision")

    status, told = readiness(settings_in(tmp_path, store_url=named["MADVISION_STORE_URL"], **aws))

    assert status == 503
    assert advice in told
    assert WRONG not in told
