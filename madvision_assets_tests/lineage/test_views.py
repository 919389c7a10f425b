"""Claims about the views: the ten questions of docs/analysts.md, answered on both databases as its text says."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from madvision_assets.domain.video import Video
from madvision_assets.lineage.frames import view
from madvision_assets.tools.database import Database
from madvision_assets.tools.database.asking import asked
from madvision_assets.tools.database.forgetting import held
from madvision_assets.tools.database.submissions import NewSubmission, Submissions
from madvision_assets.tools.database.tables import videos
from madvision_assets.tools.database.withdrawing import Withdrawals
from madvision_assets_tests.databases import KINDS, new_database, url_of
from madvision_assets_tests.lineage.history import write_history

ANALYSTS = Path(__file__).parents[2] / "docs" / "analysts.md"
QUESTION = re.compile(r"^(\d+)\. (.+?)\n\n```sql\n(.+?)```\n\n```\n(.+?)```$", re.DOTALL | re.MULTILINE)
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d) \d\d:")  # of a time the day is compared: SQLite tells it as a text
SUBMITTED_AT = datetime(2026, 3, 4, tzinfo=UTC)
QUESTIONS = QUESTION.findall(ANALYSTS.read_text())


@pytest.fixture(params=KINDS, scope="module")
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with new_database(request.param, request, tmp_path_factory.mktemp("views")) as made:
        made.migrate()
        write_history(made)
        yield made


def answer(database: Database, sql: str) -> str:
    """As CSV, with times and truth values told alike."""
    with asked(database, sql) as found:
        lines = [",".join(found.columns), *(",".join(map(_told, row)) for row in found.rows)]
    return "\n".join(lines) + "\n"


def _told(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:g}"
    moment = MOMENT.match(str(value))
    return moment[1] if moment else str(value)


def test_there_are_ten_questions() -> None:
    assert [number for number, *_ in QUESTIONS] == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize(("question", "sql", "told"), [found[1:] for found in QUESTIONS])
def test_each_question_is_answered_in_one_step(database: Database, question: str, sql: str, told: str) -> None:
    assert answer(database, sql) == told, question


def test_what_counts_is_the_newest_of_each_video_however_versions_interleave(database: Database) -> None:
    found = answer(database, "SELECT video_id, asset, code_version FROM current_lineage ORDER BY id")

    assert sorted(found.splitlines()[1:]) == sorted(
        f"{video},{asset},{version}"
        for video in ("web-a", "web-b")
        for asset, version in [
            ("raw_video", 1),
            ("transcript", 1),
            ("content_type", 1),
            ("clip_candidates", 2),
            ("clips", 2),
        ]
    )


def test_a_submission_that_is_deleted_moves_no_time(database: Database) -> None:
    asks = "SELECT submitted_at FROM {} WHERE video_id = 'web-d'"
    video = Video(video_id="web-d", address="http://d.example/")
    first = Submissions(database, lambda: SUBMITTED_AT).add([NewSubmission(video)])[0]
    with database.writing() as connection:
        connection.execute(update(videos).where(videos.c.video_id == "web-d").values(created_at=SUBMITTED_AT))
    Submissions(database, lambda: SUBMITTED_AT + timedelta(days=4)).add([NewSubmission(video)])
    before = [answer(database, asks.format(view)) for view in ("timings", "v_videos")]

    withdrawal = Withdrawals(database).withdraw(first.token)

    assert withdrawal is not None
    assert not withdrawal.is_given_up
    assert [answer(database, asks.format(view)) for view in ("timings", "v_videos")] == before
    with held(database, ["web-d"]) as these:
        these.delete_rows(["web-d"])


def test_no_view_tells_an_address_or_a_secret(database: Database) -> None:
    views = ("v_videos", "clips", "moments", "materialisations", "current_lineage", "attempts", "costs", "timings")
    for name in views:
        told = answer(database, f"SELECT * FROM {name}")  # noqa: S608 - one of ours
        columns = told.partition("\n")[0].split(",")
        assert not {"address", "callback_url", "callback_secret", "token_hash"} & set(columns), name
        documented = re.search(rf"^\| `{name}` \|.*$", ANALYSTS.read_text(), re.MULTILINE)
        assert documented
        if name not in {"timings", "current_lineage"}:  # the one in short, the other by reference
            assert columns == re.findall(r"`(\w+)`", documented[0].split("|")[3]), name


def test_the_command_answers_as_json_csv_and_table(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from madvision_assets.command.main import main

    monkeypatch.setenv("MADVISION_HOME", str(tmp_path))
    monkeypatch.setenv("MADVISION_DATABASE_URL", url_of(database))
    sql = "SELECT video_id, title, cost_usd, submitted_at FROM v_videos ORDER BY video_id"

    told = CliRunner().invoke(main, ["query", sql, "--format", "json"])
    assert told.exit_code == 0, told.output
    assert [row["video_id"] for row in json.loads(told.output)] == ["web-a", "web-b", "web-c"]
    assert json.loads(told.output)[0]["submitted_at"].startswith("2026-03-02")
    assert (
        CliRunner().invoke(main, ["query", sql, "--format", "csv"]).output.splitlines()[0]
        == "video_id,title,cost_usd,submitted_at"
    )
    formulas = "SELECT '=HYPERLINK(1)' AS a, '-x' AS b, -1 AS c, '@' AS d, 'a=b' AS e"
    cells = CliRunner().invoke(main, ["query", formulas, "--format", "csv"]).output.splitlines()[1]
    assert cells == "'=HYPERLINK(1),'-x,-1,'@,a=b"
    assert "3 rows." in CliRunner().invoke(main, ["query", sql]).output
    assert CliRunner().invoke(main, ["query", "SELECT 1 AS x WHERE 1 = 0", "--format", "json"]).output == "[]\n"
    refused = CliRunner().invoke(main, ["query", "DELETE FROM videos"])
    assert refused.exit_code == 2
    assert "Only one statement that reads" in refused.output


def test_a_view_is_a_frame_with_times_and_truth_values(database: Database) -> None:
    made = view(database, "clips")

    assert list(made.video_id) == ["web-a", "web-b", "web-b", "web-a", "web-a"]
    assert str(made.made_at.dtype).endswith("UTC]")
    assert made.is_current.sum() == 2
    with pytest.raises(ValueError, match="not the name of a view"):
        view(database, "clips; DELETE FROM videos")
