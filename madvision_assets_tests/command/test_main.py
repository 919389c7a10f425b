"""Claims about the ``madvision`` command (``process`` has its own: defs/test_process.py, defs/test_bad_input.py)."""

import json
from pathlib import Path

import pytest

from madvision_assets.defs.runtime.stage_context import no_progress
from madvision_assets.domain.stages import PipelineStep
from madvision_assets_tests.fakes import FakeOpenAI
from madvision_assets_tests.real_servers import S3Server
from madvision_assets_tests.sample import SAMPLE
from madvision_assets_tests.workshop import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "home")


def test_help_names_every_command(workshop: Workshop) -> None:
    told = workshop.run("--help").output

    commands = ["process", "submit", "status", "requeue", "forget", "lineage", "doctor", "migrate", "serve"]
    assert [command for command in commands if command not in told] == []


def test_a_moved_file_is_the_same_video_at_its_new_place(workshop: Workshop, tmp_path: Path) -> None:
    old, new = tmp_path / "old.mp4", tmp_path / "new.mp4"
    old.write_bytes(b"the same bytes")
    video_id = workshop.run("submit", str(old)).output.split()[0]
    old.rename(new)

    assert workshop.run("submit", str(new)).output.split()[0] == video_id
    assert workshop.workplace().database.get_video(video_id).address == new.as_uri()


def test_doctor_finds_a_workplace_ready(workshop: Workshop) -> None:
    result = workshop.run("doctor")

    assert result.exit_code == 0, result.output
    assert "Ready." in result.output
    for part in ("Python packages", "ffmpeg", "Whisper model", "analyst", "database", "store"):
        assert part in result.output


@pytest.mark.parametrize(
    ("variables", "part", "advice"),
    [
        ({"MADVISION_WHISPER_MODEL": "no/such.pt"}, "Whisper model", "MADVISION_WHISPER_MODEL"),
        ({"OPENAI_API_KEY": "sk-wrong"}, "analyst", "OPENAI_API_KEY"),
        ({"MADVISION_DATABASE_URL": "postgresql://nobody:hunter2@127.0.0.1:9/x"}, "database", "database"),
        ({"MADVISION_DATABASE_URL": "sqlite:////proc/nowhere/x.db"}, "database", "database"),
        ({"MADVISION_STORE_URL": "file:///proc/nowhere"}, "store", "store"),
    ],
)
def test_doctor_says_what_to_do_about_a_part_that_is_missing(
    tmp_path: Path, variables: dict[str, str], part: str, advice: str
) -> None:
    with FakeOpenAI() as openai:
        result = Workshop(tmp_path, {"OPENAI_BASE_URL": openai.base_url, **variables}).run("doctor")

    assert result.exit_code == 1
    assert f"Not ready: {part}." in result.output
    assert advice in result.output
    assert "hunter2" not in result.output
    assert "Traceback" not in result.output


def test_doctor_sees_a_real_store_and_a_real_analyst(tmp_path: Path, s3_server: S3Server) -> None:
    s3_server.create_bucket("doctor")
    with FakeOpenAI() as openai:
        keys = {"OPENAI_API_KEY": openai.key, "OPENAI_BASE_URL": openai.base_url}
        workshop = Workshop(tmp_path, {**s3_server.environment(), "MADVISION_STORE_URL": "s3://doctor/x", **keys})
        result = workshop.run("doctor")

    assert result.exit_code == 0, result.output
    assert "s3://doctor/x" in result.output
    assert "gpt-4o" in result.output
    assert s3_server.secret_access_key not in result.output


def test_migrate_brings_the_tables_of_postgresql(tmp_path: Path, postgres_url: str) -> None:
    workshop = Workshop(tmp_path, {"MADVISION_DATABASE_URL": postgres_url})

    for _ in range(2):
        result = workshop.run("migrate")
        assert result.exit_code == 0, result.output
    assert workshop.run("submit", str(SAMPLE)).exit_code == 0


def test_a_setting_that_cannot_be_used_is_a_usage_error_with_its_name(tmp_path: Path) -> None:
    result = Workshop(tmp_path, {"MADVISION_STORE_URL": "gopher://x"}).run("process", str(SAMPLE))

    assert result.exit_code == 2
    assert "MADVISION_STORE_URL" in result.output


@pytest.mark.parametrize("command", [("doctor",), ("process", str(SAMPLE))])
@pytest.mark.parametrize(
    ("variable", "known"), [("MADVISION_WHISPER_ENGINE", "openai-whisper"), ("MADVISION_ANALYST", "offline")]
)
def test_an_engine_or_analyst_that_there_is_none_of_is_a_usage_error_that_lists_those_that_there_are(
    tmp_path: Path, command: tuple[str, ...], variable: str, known: str
) -> None:
    result = Workshop(tmp_path, {variable: "siri"}).run(*command)

    assert result.exit_code == 2
    assert f"{variable}: there is no 'siri', but" in result.output
    assert known in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("identity", ["nobody", "nobody.01", "../../etc", ""])
def test_lineage_of_an_unknown_video_is_a_sentence(workshop: Workshop, identity: str) -> None:
    result = workshop.run("lineage", identity)

    assert result.exit_code == 1
    assert "unknown_video" in result.output


def test_lineage_of_a_video_that_was_only_submitted_has_no_stages(workshop: Workshop) -> None:
    video_id = workshop.run("submit", str(SAMPLE)).output.split()[0]

    assert json.loads(workshop.run("lineage", video_id, "--format", "json").output)["stages"] == []


def test_foreign_words_that_look_like_markup_are_shown_as_they_are(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path / "ho me [/x]")

    assert "[/bold]" in workshop.run("lineage", "[/bold]").output
    assert "[/x]" in workshop.run("doctor").output
    assert workshop.run("doctor").exit_code == 0


@pytest.mark.parametrize("source", ["x" * 5000, "~nosuchuser/x.mp4", "a\0b", ".", "/dev/null"])
def test_what_cannot_be_read_is_a_usage_error(workshop: Workshop, source: str) -> None:
    result = workshop.run("submit", source)

    assert result.exit_code == 2
    assert "neither a file" in result.output


def test_a_file_that_changed_since_it_was_submitted_is_not_taken_for_the_first(
    workshop: Workshop, tmp_path: Path
) -> None:
    file = tmp_path / "talk.mp4"
    file.write_bytes(b"first")
    video_id = workshop.run("submit", str(file)).output.split()[0]
    file.write_bytes(b"second")

    with workshop.environment():
        report = workshop.workplace().run(video_id, (PipelineStep.RAW_VIDEO,), no_progress)

    assert report.failure is not None
    assert report.failure.cause == "file_changed"


def test_a_home_that_is_a_file_is_a_failure_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").touch()

    result = Workshop(tmp_path / "home").run("process", str(SAMPLE))

    assert result.exit_code == 1
    assert "home_unusable" in result.output
    assert "MADVISION_HOME" in result.output


@pytest.mark.parametrize("text", ["a: [", "nonsense: 1"])
def test_a_dagster_yaml_that_cannot_be_understood_is_a_usage_error_that_names_it(workshop: Workshop, text: str) -> None:
    config = workshop.home / "dagster" / "dagster.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(text)

    result = workshop.run("process", str(SAMPLE))

    assert result.exit_code == 2
    assert str(config) in result.output


def test_a_database_of_dagster_that_is_none_is_a_failure_with_a_sentence(workshop: Workshop) -> None:
    history = workshop.home / "dagster" / "history"
    history.mkdir(parents=True)
    (history / "runs.db").write_bytes(b"no database" * 100)

    result = workshop.run("process", str(SAMPLE))

    assert result.exit_code == 1
    assert "database_unavailable" in result.output
